"""Sparse autoencoders: train, load, measure."""

from helpers.saes.activation_batches import ActivationBatches
from helpers.saes.directions import feature_directions, random_sae
from helpers.saes.load import LoadedSae, SaeReference, load_sae
from helpers.saes.measure import SaeMeasurement, measure_sae
from helpers.saes.neurons import neuron_directions, save_neurons, written_directions
from helpers.saes.train import SaeTrainingPoint, train_sae

__all__ = [
    "ActivationBatches",
    "LoadedSae",
    "SaeMeasurement",
    "SaeReference",
    "SaeTrainingPoint",
    "feature_directions",
    "load_sae",
    "measure_sae",
    "neuron_directions",
    "random_sae",
    "save_neurons",
    "train_sae",
    "written_directions",
]
