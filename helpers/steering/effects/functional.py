"""Functional similarity: do matched features not only fire alike, but also do alike?

Both partners of a pair are taken out, each of its own model, on the same texts. Each ablation changes the distribution of the
next token at every token that follows; the similarity of two features is the correlation of these changes over all tokens
and all words of the vocabulary. It knows nothing of directions, which differ between models, and nothing of how the pair
was found.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Float, Int

from helpers.matching import FeaturePairs
from helpers.models import require_hook
from helpers.progress import progress_bar
from helpers.saes import LoadedSae
from helpers.steering.effects.ablated_changes import AblatedChanges, Scale, ablated_changes
from helpers.steering.effects.saving import load_result, save_result
from helpers.steering.feature_edits import require_plain_sae
from helpers.steering.prompts import Prompts, require_fits
from helpers.steering.running import BATCH_SIZE

if TYPE_CHECKING:
    from transformer_lens.model_bridge import TransformerBridge

_KIND = "table of functional similarities"


@dataclass(frozen=True, eq=False)
class FunctionalSimilarity:
    """Every feature of a against every feature of b, for the features of some matched pairs.

    Shapes:
        ids_a, ids_b, corr: (n_pairs,) the pairs, with their match correlation; similarity: (n_pairs, n_pairs), entry (i, j)
            is a's feature of pair i with b's of pair j, in [-1, 1]; cofiring: (n_pairs, n_pairs) tokens on which both fire
            over those on which either does; firings_a, firings_b: (n_pairs,) tokens; effects_a, effects_b: (n_pairs,) mean
            total variation distance of the next token's distribution, over tokens on which the feature fires, in [0, 1].
    Args:
        n_tokens: tokens of text that were run.
        n_silent: pairs that are left out, because a partner never fires in the texts or changes nothing there.
        scale: "probability" or "log_probability".
    """

    ids_a: Int[np.ndarray, " n_pairs"]
    ids_b: Int[np.ndarray, " n_pairs"]
    corr: Float[np.ndarray, " n_pairs"]
    similarity: Float[np.ndarray, "n_pairs n_pairs"]
    cofiring: Float[np.ndarray, "n_pairs n_pairs"]
    firings_a: Int[np.ndarray, " n_pairs"]
    firings_b: Int[np.ndarray, " n_pairs"]
    effects_a: Float[np.ndarray, " n_pairs"]
    effects_b: Float[np.ndarray, " n_pairs"]
    n_tokens: int
    n_silent: int
    scale: str

    @property
    def n_pairs(self) -> int:
        return len(self.ids_a)

    @property
    def matched(self) -> Float[np.ndarray, " n_pairs"]:
        """Similarity of every pair's partners: 1 = ablating them changes the same predictions in the same proportions."""
        return np.diagonal(self.similarity)

    def save(self, path: str | Path) -> None:
        """Write one .npz file, atomically."""
        arrays = {name: value for name, value in vars(self).items() if isinstance(value, np.ndarray)}
        save_result(path, kind=_KIND, arrays=arrays, told={k: v for k, v in vars(self).items() if k not in arrays})

    @classmethod
    def load(cls, path: str | Path) -> FunctionalSimilarity:
        """Read what `save` wrote.

        Raises:
            ValueError: no such file, or another kind of file.
        """
        saved = load_result(path, kind=_KIND)
        return cls(**saved.arrays, **saved.told)


def functional_similarity(
    model_a: TransformerBridge,
    model_b: TransformerBridge,
    texts: Prompts,
    loaded_a: LoadedSae,
    loaded_b: LoadedSae,
    pairs: FeaturePairs,
    *,
    scale: Scale = "probability",
    batch_size: int = BATCH_SIZE,
) -> FunctionalSimilarity:
    """Take every paired feature out of its model, everywhere in a text, and correlate what changes.

    Args:
        texts: the same token ids for both models, e.g. held-out sequences (`prompts_of_batch`); a feature can only be judged
            on texts in which it fires.
        pairs: some pairs, e.g. the strongest; time and memory grow with the number that fires in one text.
        scale: "probability" weighs words by how likely they are; "log_probability" weighs the whole vocabulary alike.
        batch_size: rows a forward pass.
    Raises:
        ValueError: models of different vocabularies, texts that do not fit them, dictionaries of other sizes than the pairs'
            or that scale their input, another scale, or fewer than two pairs that fire and change anything.
    Notes:
        Error terms are kept: only the feature's own writing is taken out. At most one text is held at a time, as the features
        that fire in it x its tokens x vocabulary.
    """
    _require(model_a, model_b, texts, loaded_a, loaded_b, pairs, scale, batch_size)
    distinct = [np.unique(ids, return_inverse=True) for ids in (pairs.ids_a, pairs.ids_b)]
    sums = _Sums.empty(len(distinct[0][0]), len(distinct[1][0]))
    right = texts.padded("right")
    with progress_bar(total=texts.n_prompts, description="Ablating pairs", unit="texts") as bar:
        for number in range(texts.n_prompts):
            text = right.part(number, number + 1).padded("right")  # as long as it is
            sides = [
                ablated_changes(model, loaded, text, ids, scale=scale, batch_size=batch_size)
                for model, loaded, (ids, _) in zip((model_a, model_b), (loaded_a, loaded_b), distinct, strict=True)
            ]
            sums.add(*sides)
            bar.update(1)
    return _result(sums, pairs, distinct[0][1], distinct[1][1], int(texts.keep_mask.sum()), scale)


@dataclass(frozen=True)
class _Sums:
    """Sums over texts, feature by feature of a, of b, and of both."""

    products: np.ndarray
    together: np.ndarray
    squares: tuple[np.ndarray, np.ndarray]
    firings: tuple[np.ndarray, np.ndarray]
    totals: tuple[np.ndarray, np.ndarray]

    @classmethod
    def empty(cls, n_a: int, n_b: int) -> _Sums:
        squares, firings, totals = ((np.zeros(n_a), np.zeros(n_b)) for _ in range(3))
        return cls(np.zeros((n_a, n_b)), np.zeros((n_a, n_b)), squares, firings, totals)

    def add(self, a: AblatedChanges, b: AblatedChanges) -> None:
        both = np.ix_(a.features, b.features)
        self.products[both] += (a.changes.cpu() @ b.changes.cpu().T).double().numpy()
        fires = [(side.activations > 0).cpu() for side in (a, b)]
        self.together[both] += (fires[0].float() @ fires[1].float().T).double().numpy()
        for number, side in enumerate((a, b)):
            mask = fires[number]
            self.squares[number][side.features] += side.changes.square().sum(dim=1).double().cpu().numpy()
            self.firings[number][side.features] += mask.sum(dim=1).numpy()
            self.totals[number][side.features] += (side.totals.cpu() * mask).sum(dim=1).double().numpy()


def _result(
    sums: _Sums, pairs: FeaturePairs, places_a: np.ndarray, places_b: np.ndarray, n_tokens: int, scale: str
) -> FunctionalSimilarity:
    kept = (sums.squares[0][places_a] > 0) & (sums.squares[1][places_b] > 0)
    if kept.sum() < 2:
        raise ValueError(
            f"expected two pairs or more whose partners fire in the texts and change predictions; got {kept.sum()} of "
            f"{pairs.n_pairs}; take more texts, or pairs that fire more often"
        )
    a, b = places_a[kept], places_b[kept]
    firings_a, firings_b = sums.firings[0][a], sums.firings[1][b]
    together = sums.together[np.ix_(a, b)]
    lengths = np.sqrt(np.outer(sums.squares[0][a], sums.squares[1][b]))
    return FunctionalSimilarity(
        ids_a=pairs.ids_a[kept],
        ids_b=pairs.ids_b[kept],
        corr=pairs.corr[kept].astype(np.float64),
        similarity=np.clip(sums.products[np.ix_(a, b)] / lengths, -1, 1),
        cofiring=together / (firings_a[:, None] + firings_b - together),
        firings_a=firings_a.astype(np.int64),
        firings_b=firings_b.astype(np.int64),
        effects_a=sums.totals[0][a] / firings_a,
        effects_b=sums.totals[1][b] / firings_b,
        n_tokens=n_tokens,
        n_silent=int((~kept).sum()),
        scale=scale,
    )


def _require(
    model_a: TransformerBridge,
    model_b: TransformerBridge,
    texts: Prompts,
    loaded_a: LoadedSae,
    loaded_b: LoadedSae,
    pairs: FeaturePairs,
    scale: str,
    batch_size: int,
) -> None:
    if scale not in ("probability", "log_probability"):
        raise ValueError(f"scale is 'probability' or 'log_probability'; got {scale!r}")
    if batch_size < 1:
        raise ValueError(f"batch_size is at least 1; got {batch_size}; raise it")
    if model_a.cfg.d_vocab != model_b.cfg.d_vocab:
        raise ValueError(
            f"expected models of one vocabulary; got {model_a.cfg.d_vocab} and {model_b.cfg.d_vocab} tokens; distributions "
            "over different tokens cannot be compared"
        )
    if not texts.keep_mask.any(axis=1).all():
        raise ValueError("every text has a token that is not special; got one without; leave it out")
    sizes = {"a": pairs.d_sae_a, "b": pairs.d_sae_b}
    for side, model, loaded in (("a", model_a, loaded_a), ("b", model_b, loaded_b)):
        require_plain_sae(loaded)
        require_hook(model, loaded.hook_name)
        require_fits(model, texts)
        if loaded.sae.cfg.d_sae != sizes[side]:
            raise ValueError(
                f"the pairs are of dictionaries of {sizes['a']} and {sizes['b']} features; got {loaded.sae.cfg.d_sae} on "
                f"side {side}; are a and b swapped?"
            )
