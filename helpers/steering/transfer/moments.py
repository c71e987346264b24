"""Sums over paired rows of two models: all that a linear map needs to know of a text, however long it is.

Rows are paired by token: both models read the same tokens, and row i of one is the same token as row i of the other. What is
kept does not grow with the text: for every fold the number of rows, their sums and the sums of their products.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Float, Int64

from helpers.corpus import TokenBatch
from helpers.models import split_batch, stream_activations

if TYPE_CHECKING:
    from transformer_lens.model_bridge import TransformerBridge

_BATCH_SIZE = 64


@dataclass(frozen=True, eq=False)
class PairedMoments:
    """Sums over paired rows, fold by fold.

    Shapes:
        counts: (n_folds,); sums_a: (n_folds, d_a); sums_b: (n_folds, d_b); products_aa: (n_folds, d_a, d_a);
        products_ab: (n_folds, d_a, d_b); squares_b: (n_folds,) of all entries; shuffled_ab: (n_shuffles, d_a, d_b), products
        of a's rows with rows of b that belong to other tokens.
    Args:
        hook_a, hook_b: where the rows are from.
    """

    hook_a: str
    hook_b: str
    counts: Int64[np.ndarray, " n_folds"]
    sums_a: Float[np.ndarray, "n_folds d_a"]
    sums_b: Float[np.ndarray, "n_folds d_b"]
    products_aa: Float[np.ndarray, "n_folds d_a d_a"]
    products_ab: Float[np.ndarray, "n_folds d_a d_b"]
    squares_b: Float[np.ndarray, " n_folds"]
    shuffled_ab: Float[np.ndarray, "n_shuffles d_a d_b"]

    @classmethod
    def empty(
        cls, d_a: int, d_b: int, *, hook_a: str, hook_b: str, n_folds: int = 5, n_shuffles: int = 0
    ) -> PairedMoments:
        """Sums over no row yet."""
        if n_folds < 2:
            raise ValueError(f"cross-validation needs at least 2 folds; got {n_folds}")
        return cls(
            hook_a=hook_a,
            hook_b=hook_b,
            counts=np.zeros(n_folds, np.int64),
            sums_a=np.zeros((n_folds, d_a)),
            sums_b=np.zeros((n_folds, d_b)),
            products_aa=np.zeros((n_folds, d_a, d_a)),
            products_ab=np.zeros((n_folds, d_a, d_b)),
            squares_b=np.zeros(n_folds),
            shuffled_ab=np.zeros((n_shuffles, d_a, d_b)),
        )

    def add(
        self,
        rows_a: Float[np.ndarray, "n d_a"],
        rows_b: Float[np.ndarray, "n d_b"],
        folds: Int64[np.ndarray, " n"],
        rng: np.random.Generator,
    ) -> None:
        """Take in paired rows, in place.

        Args:
            folds: fold of every row; rng: of the shuffles, which pair rows of this call.
        Raises:
            ValueError: sides of different lengths, another width, or rows that are not finite.
        """
        d_a, d_b = self.sums_a.shape[1], self.sums_b.shape[1]
        if rows_a.shape != (len(folds), d_a) or rows_b.shape != (len(folds), d_b):
            raise ValueError(
                f"expected paired rows of widths {d_a} and {d_b}; got {rows_a.shape} and {rows_b.shape}: another model or hook"
            )
        rows_a, rows_b = rows_a.astype(np.float64), rows_b.astype(np.float64)
        if not (np.isfinite(rows_a).all() and np.isfinite(rows_b).all()):
            raise ValueError("activations are finite; got NaN or infinity; look at the model's dtype")
        for fold in np.unique(folds):
            here_a, here_b = rows_a[folds == fold], rows_b[folds == fold]
            self.counts[fold] += len(here_a)
            self.sums_a[fold] += here_a.sum(axis=0)
            self.sums_b[fold] += here_b.sum(axis=0)
            self.products_aa[fold] += here_a.T @ here_a
            self.products_ab[fold] += here_a.T @ here_b
            self.squares_b[fold] += float((here_b**2).sum())
        for products in self.shuffled_ab:
            products += rows_a.T @ rows_b[rng.permutation(len(rows_b))]

    @property
    def n_rows(self) -> int:
        return int(self.counts.sum())

    @property
    def n_folds(self) -> int:
        return len(self.counts)


def paired_moments(
    model_a: TransformerBridge,
    model_b: TransformerBridge,
    tokens: TokenBatch,
    *,
    hooks_a: Sequence[str],
    hooks_b: Sequence[str],
    n_folds: int = 5,
    n_shuffles: Mapping[tuple[str, str], int] | None = None,
    seed: int = 0,
) -> Mapping[tuple[str, str], PairedMoments]:
    """Read a text with both models, once, and sum up every pair of hooks.

    Args:
        tokens: text that no prompt is taken from; both models have its tokenizer.
        n_folds: a document's rows all go into one fold, document by document in turn.
        n_shuffles: (hook of a, hook of b) -> times that their rows are also paired with those of other tokens, for a null.
    Returns:
        (hook of a, hook of b) -> sums over the tokens of text.
    Raises:
        ValueError: no hook, an unknown one, ids beyond a vocabulary, or fewer documents than folds.
    """
    n_documents = len(np.unique(tokens.documents))
    if n_documents < n_folds:
        raise ValueError(f"expected a document or more in each of {n_folds} folds; got {n_documents}; take more text")
    fold_of = np.unique(tokens.documents, return_inverse=True)[1] % n_folds
    shuffles, rng = n_shuffles or {}, np.random.default_rng(seed)
    found: dict[tuple[str, str], PairedMoments] = {}
    first = 0
    streams = (
        stream_activations(model, split_batch(tokens, batch_size=_BATCH_SIZE), hooks)
        for model, hooks in ((model_a, hooks_a), (model_b, hooks_b))
    )
    for (batch, acts_a), (_, acts_b) in zip(*streams, strict=True):
        folds = fold_of[first : first + batch.n_sequences][np.nonzero(batch.keep_mask)[0]]
        first += batch.n_sequences
        rows_a, rows_b = (
            {hook: acts[hook].cpu().float().numpy()[batch.keep_mask] for hook in hooks}
            for acts, hooks in ((acts_a, hooks_a), (acts_b, hooks_b))
        )
        for hook_a, side_a in rows_a.items():
            for hook_b, side_b in rows_b.items():
                if (hook_a, hook_b) not in found:
                    shape = (side_a.shape[1], side_b.shape[1])
                    found[hook_a, hook_b] = PairedMoments.empty(
                        *shape,
                        hook_a=hook_a,
                        hook_b=hook_b,
                        n_folds=n_folds,
                        n_shuffles=shuffles.get((hook_a, hook_b), 0),
                    )
                found[hook_a, hook_b].add(side_a, side_b, folds, rng)
    return found
