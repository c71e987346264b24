"""Two matched dictionaries with their models and texts, as far as circles are asked of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from helpers.activations import ActivationStore
from helpers.comparison.matched_sides import MatchedSides, Read, load_sides
from helpers.comparison.matched_spaces import space_directions
from helpers.comparison.word_places import WordMeans, WordPlaces, find_word_places, layer_hooks, word_means
from helpers.corpus import TokenBatch
from helpers.features import ConceptGroup, WordTable, build_words
from helpers.matching import FeaturePairs
from helpers.models import ModelReference, reinitialise
from helpers.saes import SaeReference


@dataclass(frozen=True)
class CircleSide:
    """One dictionary with its model's texts.

    Shapes:
        directions: (d_sae, d).
    Args:
        name: of the dictionary; hook_name: where it reads; model: of the study.
        places: ordered words in the model's own tokens; words: whole word of every row of the store.
    """

    name: str
    hook_name: str
    model: ModelReference
    places: WordPlaces
    store: ActivationStore
    directions: np.ndarray
    words: WordTable


@dataclass(frozen=True)
class CirclePair:
    """Two matched dictionaries."""

    a: CircleSide
    b: CircleSide
    pairs: FeaturePairs


def load_circle_pair(
    read: Read, matching: str, groups: Sequence[ConceptGroup], *, min_corr: float, n_tokens: int
) -> CirclePair:
    """Collect what a run of 04_match_features rests on.

    Args:
        read: gives the result of a notebook's run, e.g. `stage.upstream`.
        n_tokens: the first texts with about so many tokens are read by the models.
    """
    found = read("04_match_features", matching)
    sides = load_sides(read, matching)
    made = [_load_side(read, found.params, sides, side, groups, n_tokens) for side in "ab"]
    return CirclePair(made[0], made[1], FeaturePairs.load(found.artifact("pairs")).above(min_corr))


def _load_side(
    read: Read,
    matching: Mapping[str, Any],
    sides: MatchedSides,
    side: str,
    groups: Sequence[ConceptGroup],
    n_tokens: int,
) -> CircleSide:
    name = matching[f"dictionary_{side}"]
    run = (matching.get("activations_b") if side == "b" else None) or matching["activations"]
    source, trained = read("03_save_activations", run), read("02_train_saes", name)
    tokens = TokenBatch.load(source.artifact("tokens"))
    words = WordTable.load(source.artifact("words"))
    sae = SaeReference.load(trained.artifact("sae"))
    kept = int(np.searchsorted(np.cumsum(tokens.keep_mask.sum(axis=1)), n_tokens)) + 1
    read_by_model = tokens.sequences(0, kept)
    heard = WordTable(words.words, words.word_ids[: read_by_model.n_tokens])
    return CircleSide(
        name=name,
        hook_name=sae.hook_name,
        model=ModelReference.load(read("01_language_models", trained.params["model"]).artifact("model")),
        places=find_word_places(read_by_model, heard, groups),
        store=sides.store_a if side == "a" else sides.store_b,
        directions=space_directions(sae),
        words=words if sides.alignment is None else build_words(sides.tokens, sides.tokenizer),
    )


def measure_layers(side: CircleSide, *, device: Any = "cpu", random_seed: int | None = None) -> WordMeans:
    """The words' means at every layer and at the dictionary's own hook.

    Args:
        random_seed: give the model random weights first: the control.
    """
    model = side.model.load_model(device=device)
    if random_seed is not None:
        model = reinitialise(model, seed=random_seed)
    return word_means(model, side.places, list(dict.fromkeys([*layer_hooks(model), side.hook_name])))
