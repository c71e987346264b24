"""Language models: train a small one, load any with hooks, stream activations, measure what a model knows."""

from helpers.models.fresh_weights import save_reinitialised
from helpers.models.history import TrainingHistory
from helpers.models.hooks import hook_layer, hook_width, require_hook
from helpers.models.loading import load_model
from helpers.models.measurement import ModelMeasurement, measure_language_model, reinitialise
from helpers.models.measures import next_token_loss, probe_accuracies
from helpers.models.reference import ModelReference, load_shared_tokenizer
from helpers.models.streaming import kept_rows, split_batch, stream_activations
from helpers.models.training import train_language_model

__all__ = [
    "ModelMeasurement",
    "ModelReference",
    "TrainingHistory",
    "hook_layer",
    "hook_width",
    "kept_rows",
    "load_model",
    "load_shared_tokenizer",
    "measure_language_model",
    "next_token_loss",
    "probe_accuracies",
    "reinitialise",
    "require_hook",
    "save_reinitialised",
    "split_batch",
    "stream_activations",
    "train_language_model",
]
