"""Everything that a comparison of two spaces needs to know: pairs, directions, and the stores they come from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from jaxtyping import Float, Int

from helpers.activations import ActivationStore
from helpers.comparison.conditions import Rows, matched_rows
from helpers.comparison.matched_sides import Read, load_matched_stores
from helpers.matching import FeaturePairs, first_documents, match_again, take_rows
from helpers.saes import SaeReference, feature_directions, load_sae, written_directions
from helpers.saes.neurons import has_written_directions

Space = Literal["decoder", "encoder"]
#: Parameters of 02_train_saes in which two dictionaries of a ceiling may differ.
FREE = (
    "run",
    "seed",
    "folder",
    "release",
    "sae_id",
    "device",
    "n_threads",
    "n_eval_tokens",
    "n_checkpoints",
    "log_to_wandb",
)


@dataclass(frozen=True)
class MatchedSpaces:
    """Two dictionaries whose features were matched.

    Shapes:
        directions_a: (d_sae_a, d_a); directions_b: (d_sae_b, d_b), one row a feature.
    Args:
        names: of the two dictionaries.
        store_a, store_b: their activations on the tokens (or, of different tokenizers, units) that were matched on.
    """

    names: tuple[str, str]
    pairs: FeaturePairs
    directions_a: Float[np.ndarray, "d_sae_a d_a"]
    directions_b: Float[np.ndarray, "d_sae_b d_b"]
    store_a: ActivationStore
    store_b: ActivationStore

    def rows(self, pairs: FeaturePairs, *, min_corr: float = -1.0) -> Rows:
        """The directions of some pairs, row by row: (n_pairs, d_a) and (n_pairs, d_b)."""
        return matched_rows(pairs, self.directions_a, self.directions_b, min_corr=min_corr)

    @property
    def candidates(self) -> tuple[Int[np.ndarray, " n_a"], Int[np.ndarray, " n_b"]]:
        """Features of both sides that fire often enough to have been matched."""
        least = self.pairs.settings["min_firings"]
        return np.flatnonzero(self.store_a.feature_counts >= least), np.flatnonzero(
            self.store_b.feature_counts >= least
        )

    def matched_on_first(self, n_tokens: int, *, n_threads: int | None = None) -> FeaturePairs:
        """The features matched again, in the same way, on the first documents that together have `n_tokens` tokens."""
        keep_mask = first_documents(self.store_a.documents, n_tokens=n_tokens)
        if keep_mask.all():
            return self.pairs
        rows = np.flatnonzero(keep_mask)
        return match_again(
            self.pairs, take_rows(self.store_a, rows), take_rows(self.store_b, rows), n_threads=n_threads
        )


def load_matched_spaces(read: Read, run: str, *, space: Space = "decoder", same_model: bool = False) -> MatchedSpaces:
    """Collect what a run of 04_match_features rests on.

    Args:
        read: gives the result of a notebook's run, e.g. `stage.upstream`.
        run: of 04_match_features.
        space: which weights of the dictionaries are the directions.
        same_model: require two dictionaries that differ in their seed only (a ceiling).
    Raises:
        ValueError: `same_model`, and they differ in something else; encoder rows of neurons.
    """
    matching = read("04_match_features", run)
    names = (matching.params["dictionary_a"], matching.params["dictionary_b"])
    trained = [read("02_train_saes", name) for name in names]
    if same_model:
        _require_same_model(names, trained[0].params, trained[1].params)
    first, second = (space_directions(SaeReference.load(result.artifact("sae")), space=space) for result in trained)
    store_a, store_b = load_matched_stores(read, run)
    pairs = FeaturePairs.load(matching.artifact("pairs"))
    return MatchedSpaces(names, pairs, first, second, store_a, store_b)


def space_directions(reference: SaeReference, *, space: Space = "decoder") -> Float[np.ndarray, "d_sae d"]:
    """One row a feature: what it writes (decoder rows, or the output weights of neurons) or what it reads (encoder).

    Raises:
        ValueError: encoder rows of neurons, whose encoder is the identity and has no geometry.
    """
    if space == "decoder":
        return written_directions(reference)
    if has_written_directions(reference):
        raise ValueError(
            "neurons have no encoder of their own: as a dictionary it is the identity; use space='decoder'"
        )
    return feature_directions(load_sae(reference).sae, space=space)


def _require_same_model(names: tuple[str, str], first: Mapping[str, Any], second: Mapping[str, Any]) -> None:
    differing = sorted(key for key in {*first, *second} - set(FREE) if first.get(key) != second.get(key))
    if differing or (first.get("source") == "train" and first.get("seed") == second.get("seed")):
        what = f"differ in {', '.join(differing)}" if differing else f"have the same seed {first.get('seed')}"
        raise ValueError(
            f"a ceiling compares two dictionaries of one model that differ in their seed only; {names[0]} and "
            f"{names[1]} {what}; train a second dictionary of the same model with another seed"
        )
