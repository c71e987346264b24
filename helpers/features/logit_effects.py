"""Tokens that features promote and suppress: what each writes, read through the final norm and the unembedding.

At a fixed scale of the final norm the logits are linear in the residual stream. One unit of a feature's activation
that reaches the end unchanged moves the logits by direction @ norm @ W_U: the direct effect. Later layers may act on
the feature as well; that is not in it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numba
import numpy as np
import torch

from helpers.array_file import ArrayFile
from helpers.corpus.tokenizer import masked_token_ids
from helpers.features.chosen import chosen_features, place_of

if TYPE_CHECKING:
    from transformer_lens.model_bridge import TransformerBridge

_FILE = ArrayFile("logit effects", remedy="compute them again")
# One block of logits is BLOCK_FEATURES x BLOCK_TOKENS of float32: 32 MiB.
BLOCK_FEATURES, BLOCK_TOKENS = 1024, 8192
# The final norm is measured at this size of residual, next to which its epsilon (1e-5 or less, squared sizes) vanishes.
PROBE_SIZE = 64.0


@dataclass(frozen=True)
class LogitEffects:
    """The strongest direct effects of features on the logits, strongest first.

    Shapes:
        feature_ids: (n_features,) int64; promoted_ids, suppressed_ids: (n_features, n_top) int32, token ids;
        promoted, suppressed: (n_features, n_top) float32.
    Args:
        promoted, suppressed: change of the token's logit, less the mean change over all listed tokens, for one unit of
            activation where the final norm divides by 1. Comparable between tokens, and between features of one model.
    """

    feature_ids: np.ndarray
    promoted_ids: np.ndarray
    promoted: np.ndarray
    suppressed_ids: np.ndarray
    suppressed: np.ndarray

    @property
    def n_top(self) -> int:
        return self.promoted_ids.shape[1]

    def of(self, feature: int) -> LogitEffects:
        """The effects of one feature, by its id.

        Raises:
            ValueError: it was not among the chosen features.
        """
        place = place_of(feature, self.feature_ids)
        return LogitEffects(*(getattr(self, name)[place : place + 1] for name in self.__dataclass_fields__))

    def save(self, path: str | Path) -> None:
        """Write one .npz file, atomically."""
        arrays: dict[str, Any] = {name: getattr(self, name) for name in self.__dataclass_fields__}
        _FILE.write(path, **arrays)

    @classmethod
    def load(cls, path: str | Path) -> LogitEffects:
        """Read what `save` wrote.

        Raises:
            ValueError: no such file, or not a file of logit effects, or a newer format.
        """
        with _FILE.read(path) as content:
            return cls(**{name: content[name] for name in cls.__dataclass_fields__})


@torch.no_grad()
def logit_effects(
    directions: np.ndarray,
    model: TransformerBridge,
    *,
    feature_ids: Any = None,
    n_top: int = 10,
    keep_mask: np.ndarray | None = None,
) -> LogitEffects:
    """Find the tokens whose logits each feature raises and lowers most, directly.

    Shapes:
        directions: (d_sae, d_model), what every feature writes into the residual stream (`written_directions`: decoder
        rows, or the output weights of neurons); keep_mask: (n_vocab,) bool.
    Args:
        feature_ids: whose effects; None takes all.
        n_top: tokens kept on either side.
        keep_mask: True = may be listed and counts in the mean (`listed_tokens`); None lists all.
    Raises:
        ValueError: directions of another width than the residual stream or not finite, no final norm, n_top below 1 or above half of
            the listed tokens, a mask of another shape, or feature_ids that are no distinct ids.
    Notes:
        The weight of the final norm is folded in, and a norm that subtracts the mean loses it; constants (the biases of
        norm and unembedding, of the dictionary) are the same for every feature and are left out. The mean over tokens
        goes because raising all logits alike changes no probability. A soft cap on the logits is not applied; it keeps
        the order. Equal effects: the lower token id first. Memory is bounded by blocks of features times tokens.
    """
    W_U = model.W_U.detach()
    d_model, n_vocab = W_U.shape
    _check(directions, d_model)
    keep_mask = _checked_mask(keep_mask, n_vocab, n_top)
    ids = chosen_features(np.arange(len(directions)) if feature_ids is None else feature_ids, d_sae=len(directions))
    through = _through_norm(torch.from_numpy(np.ascontiguousarray(directions[ids])), model)
    token_ids = np.full((2, len(ids), n_top), -1, dtype=np.int32)
    values = np.full((2, len(ids), n_top), -np.inf, dtype=np.float32)
    mean = sum(weights @ listed for _, weights, listed in _token_blocks(W_U, keep_mask)) / int(keep_mask.sum())
    for first, weights, listed in _token_blocks(W_U, keep_mask):
        for start in range(0, len(ids), BLOCK_FEATURES):
            part = slice(start, start + BLOCK_FEATURES)
            block = through[part].to(weights.device)
            logits = (block @ weights - (block @ mean)[:, None]).cpu().numpy()
            _keep_strongest(logits, first, listed.cpu().numpy(), token_ids[:, part], values[:, part])
    return LogitEffects(ids, token_ids[0], values[0], token_ids[1], -values[1])


def listed_tokens(tokenizer: Any, *, n_vocab: int) -> np.ndarray:
    """Which ids of an unembedding are tokens to show, (n_vocab,) bool: no special ones, no rows beyond the tokenizer."""
    keep_mask = np.arange(n_vocab) < len(tokenizer)
    keep_mask[[token_id for token_id in masked_token_ids(tokenizer) if token_id < n_vocab]] = False
    return keep_mask


def _check(directions: np.ndarray, d_model: int) -> None:
    if directions.ndim != 2 or directions.shape[1] != d_model:
        raise ValueError(
            f"directions must have shape (d_sae, {d_model}), the width of the residual stream; got {directions.shape}; "
            "take written_directions(reference), which for neurons are the rows of the MLP's output weights"
        )
    if not np.isfinite(directions).all():
        raise ValueError("directions must be finite; got NaN or infinite values; is the dictionary damaged?")


def _checked_mask(keep_mask: np.ndarray | None, n_vocab: int, n_top: int) -> np.ndarray:
    keep_mask = np.ones(n_vocab, dtype=bool) if keep_mask is None else np.asarray(keep_mask)
    if keep_mask.shape != (n_vocab,) or keep_mask.dtype != bool:
        raise ValueError(f"keep_mask must be ({n_vocab},) bool, one a token; got {keep_mask.dtype} {keep_mask.shape}")
    if not 1 <= n_top <= keep_mask.sum() // 2:
        raise ValueError(
            f"n_top must be from 1 to {keep_mask.sum() // 2}, half of the {keep_mask.sum()} listed tokens; got {n_top}"
        )
    return keep_mask


def _through_norm(directions: torch.Tensor, model: TransformerBridge) -> torch.Tensor:
    """Directions behind the final norm at scale 1, float32.

    What the norm does is measured on it, so that every kind is right: with or without centring, with weights that are
    stored as an offset from 1, or folded away. Half the difference of its answers to x and -x has no bias.
    """
    norm = getattr(model, "ln_final", None)
    if norm is None:
        raise ValueError(
            "the model has no final norm (ln_final); logit effects need a residual stream that ends in one"
        )
    W_U = model.W_U
    sign = torch.ones(W_U.shape[0], dtype=torch.float64)
    flat = _odd_part(norm, PROBE_SIZE * sign, W_U)
    sign[1::2] = -1
    striped = _odd_part(norm, PROBE_SIZE * sign, W_U)
    if flat.abs().max() > 1e-3 * striped.abs().max():
        return (directions.double() * flat).float()
    gain = striped / ((sign - sign.mean()) / sign.std(correction=0))
    return ((directions - directions.mean(dim=1, keepdim=True)).double() * gain).float()


def _odd_part(norm: Any, probe: torch.Tensor, like: torch.Tensor) -> torch.Tensor:
    both = torch.stack([probe, -probe])[None].to(like)
    plus, minus = norm(both)[0].double().cpu()
    return (plus - minus) / 2


def _token_blocks(W_U: torch.Tensor, keep_mask: np.ndarray) -> Iterator[tuple[int, torch.Tensor, torch.Tensor]]:
    """First token, its and the next columns of W_U, and which of them are listed (1, else 0); both float32."""
    for first in range(0, len(keep_mask), BLOCK_TOKENS):
        part = slice(first, first + BLOCK_TOKENS)
        weights = W_U[:, part].float()
        yield first, weights, torch.from_numpy(keep_mask[part]).to(weights)


@numba.njit(cache=True, nogil=True)
def _keep_strongest(logits, first, listed, ids, values):  # pragma: no cover (compiled)
    """Enter a block of effects into the lists: 0 the largest, 1 the smallest with their sign turned."""
    for feature in range(logits.shape[0]):
        for column in range(logits.shape[1]):
            value = logits[feature, column]
            if listed[column] == 0:
                continue
            if value > values[0, feature, -1]:
                _insert(ids[0, feature], values[0, feature], first + column, value)
            if -value > values[1, feature, -1]:
                _insert(ids[1, feature], values[1, feature], first + column, -value)


@numba.njit(cache=True, nogil=True)
def _insert(ids, values, token, value):  # pragma: no cover (compiled)
    at = values.size - 1
    while at > 0 and value > values[at - 1]:
        ids[at], values[at] = ids[at - 1], values[at - 1]
        at -= 1
    ids[at], values[at] = token, value
