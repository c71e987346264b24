"""Dictionaries trained on both worlds, held against the truth."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from helpers.ground_truth.dictionaries import Encoded, encode, train_dictionary
from helpers.ground_truth.pair_scores import Truth
from helpers.ground_truth.recovery import FeatureRecovery, recover_features
from helpers.ground_truth.sweeps import MatchingCase
from helpers.ground_truth.worlds import World, WorldPair, WorldSample
from helpers.saes import feature_directions


@dataclass(frozen=True)
class TrainedWorlds:
    """An SAE of each world, what it found, and its activations on tokens that it was not trained on.

    Shapes:
        directions_a, directions_b: (d_sae, d_model) decoder rows.
    """

    d_sae: int
    directions_a: np.ndarray
    directions_b: np.ndarray
    encoded_a: Encoded
    encoded_b: Encoded
    recovery_a: FeatureRecovery
    recovery_b: FeatureRecovery
    truth: Truth

    @property
    def case(self) -> MatchingCase:
        """For matching the SAEs' features."""
        return MatchingCase(self.encoded_a.feature_acts, self.encoded_b.feature_acts, self.truth)


def train_both(
    worlds: WorldPair, *, train: WorldSample, test: WorldSample, d_sae: int, k: int, n_train_tokens: int, seed: int
) -> TrainedWorlds:
    """Train an SAE on each world's activations and hold both against the truth.

    Args:
        train: tokens to learn from; test: other tokens, on which the features are encoded.
        seed: of world a's SAE; world b's has the next.
    """
    options = {"d_sae": d_sae, "k": k, "n_train_tokens": n_train_tokens}
    sae_a = train_dictionary(train.activations_a, seed=seed, **options)
    sae_b = train_dictionary(train.activations_b, seed=seed + 1, **options)
    directions_a, directions_b = feature_directions(sae_a), feature_directions(sae_b)
    recovery_a = recover_features(directions_a, worlds.a.directions)
    recovery_b = recover_features(directions_b, worlds.b.directions)
    return TrainedWorlds(
        d_sae,
        directions_a,
        directions_b,
        encode(sae_a, test.activations_a),
        encode(sae_b, test.activations_b),
        recovery_a,
        recovery_b,
        Truth(worlds.partner, recovery_a.identity, recovery_b.identity),
    )


def random_recovery(world: World, *, d_sae: int, seed: int) -> FeatureRecovery:
    """What a dictionary of as many random directions recovers: the control of every recovery."""
    rng = np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(7,)))
    return recover_features(rng.standard_normal((d_sae, world.directions.shape[1])), world.directions)


def recovery_table(trained: Mapping[int, TrainedWorlds], worlds: WorldPair, *, seed: int) -> dict[str, dict[str, str]]:
    """Width -> column -> text: world a's dictionaries against its true features, beside random directions.

    Args:
        seed: of the random directions.
    """
    rarest, _, most_frequent = np.array_split(np.argsort(worlds.a.rates), 3)
    rows = {}
    for width, one in trained.items():
        recovery = one.recovery_a
        rows[f"{width:,} features"] = {
            "FVU": f"{one.encoded_a.fvu:.3f}",
            "MMCS, dictionary to truth": f"{recovery.mmcs_to_truth:.2f}",
            "MMCS, truth to dictionary": f"{recovery.mmcs_from_truth:.2f}",
            "recovered": f"{recovery.recovered.mean():.0%}",
            "of the rarest third": f"{recovery.recovered[rarest].mean():.0%}",
            "of the most frequent third": f"{recovery.recovered[most_frequent].mean():.0%}",
            "copies": f"{recovery.n_duplicates:,}",
            "random directions recover": f"{random_recovery(worlds.a, d_sae=width, seed=seed).recovered.mean():.0%}",
        }
    return rows
