"""Encode a stream of tokens with a dictionary and keep the result: sparse, on disk, memory-mapped."""

from helpers.activations.batches import CsrRows
from helpers.activations.collect import collect_activations
from helpers.activations.store import ActivationStore

__all__ = ["ActivationStore", "CsrRows", "collect_activations"]
