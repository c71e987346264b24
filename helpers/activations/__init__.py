"""Encode a stream of tokens with a dictionary and keep the result: sparse, on disk, memory-mapped."""

from helpers.activations.batches import CsrRows
from helpers.activations.collect import collect_activations
from helpers.activations.pooling import aligned_activations
from helpers.activations.shared_rows import SharedRows, share_rows
from helpers.activations.store import ActivationStore

__all__ = ["ActivationStore", "CsrRows", "SharedRows", "aligned_activations", "collect_activations", "share_rows"]
