"""Sparse autoencoders: train, load, measure."""

from helpers.saes.acceptance import accept_sae
from helpers.saes.activation_batches import ActivationBatches
from helpers.saes.directions import feature_directions, random_sae
from helpers.saes.load import LoadedSae, SaeReference, load_sae, shared_demand
from helpers.saes.measure import SaeMeasurement, loss_with_mean, measure_sae, norm_factor
from helpers.saes.neurons import neuron_directions, save_neurons, written_directions
from helpers.saes.train import SaeTrainingPoint, train_sae

__all__ = [
    "ActivationBatches",
    "LoadedSae",
    "SaeMeasurement",
    "SaeReference",
    "SaeTrainingPoint",
    "accept_sae",
    "feature_directions",
    "load_sae",
    "loss_with_mean",
    "measure_sae",
    "neuron_directions",
    "norm_factor",
    "random_sae",
    "save_neurons",
    "shared_demand",
    "train_sae",
    "written_directions",
]
