"""Two synthetic worlds of known features: what two models would hold if we knew everything about them.

A world has `n_features` true features, each with a direction in an activation space of `d_model` dimensions. On every
token some features fire, and the activation is the sum of their directions times their strengths, plus noise. Three
things make the features as awkward as real ones: their frequencies decay exponentially; they come in clusters (topics)
whose members fire together; and members of a cluster point in similar directions.

Both worlds read the same tokens. A chosen share of the features is in both: it fires on the same tokens (up to `noise`)
and is arranged alike (up to a rotation). The others have a partner only by topic: they fire on the same topics, which
is what makes matching hard, and their directions have nothing in common.

Rows are tokens (activations) or features (directions). Firing is a Gaussian copula: feature i fires when a latent normal
variable, correlated inside its cluster, exceeds the quantile of its rate, so rates are exact whatever the correlation.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import scipy.sparse
from scipy.stats import norm

BLOCK_TOKENS = 8192
MAX_RATE = 0.5  # a feature that fires on more tokens than not is not sparse


@dataclass(frozen=True)
class WorldSettings:
    """How the worlds are made.

    Args:
        n_features: true features of each world.
        d_model: dimensions of the activations; fewer than features means superposition.
        shared: share of the features that both worlds have, in [0, 1].
        n_clusters: topics.
        mean_l0: features that fire on a token, on average.
        rate_ratio: rate of the most frequent feature over that of the rarest; rates decay exponentially between them.
        cluster_firing: correlation of the latent variables of two features of one cluster, in [0, 1).
        cluster_closeness: cosine that two directions of one cluster have on average, in [0, 1).
        arrangement_noise: norm of what is added to a shared direction of b (norm 1) after the rotation.
        activation_noise: norm of the noise in every activation; a feature that fires adds a vector of norm 1 or more.
    """

    n_features: int = 260
    d_model: int = 64
    shared: float = 0.5
    n_clusters: int = 20
    mean_l0: float = 3.0
    rate_ratio: float = 20.0
    cluster_firing: float = 0.4
    cluster_closeness: float = 0.2
    arrangement_noise: float = 0.3
    activation_noise: float = 0.1

    def __post_init__(self) -> None:
        positive = {"n_features": self.n_features, "d_model": self.d_model, "n_clusters": self.n_clusters}
        for name, value in positive.items():
            if value < 1:
                raise ValueError(f"{name} must be at least 1; got {value}")
        if not 0 <= self.shared <= 1:
            raise ValueError(f"shared must be a share in [0, 1]; got {self.shared}")
        for name in ("cluster_firing", "cluster_closeness"):
            if not 0 <= getattr(self, name) < 1:
                raise ValueError(f"{name} must be in [0, 1); got {getattr(self, name)}")
        for name in ("arrangement_noise", "activation_noise"):
            if getattr(self, name) < 0:
                raise ValueError(f"{name} must not be negative; got {getattr(self, name)}")
        if self.rate_ratio < 1 or self.mean_l0 <= 0:
            raise ValueError(
                f"expected rate_ratio >= 1 and mean_l0 > 0; got {self.rate_ratio} and {self.mean_l0}; "
                "rates decay from the most frequent to the rarest feature"
            )
        if self.firing_rates().max() > MAX_RATE:
            raise ValueError(
                f"the most frequent feature would fire on {self.firing_rates().max():.0%} of the tokens, more than "
                f"{MAX_RATE:.0%}; lower mean_l0 or rate_ratio, or raise n_features"
            )

    @property
    def n_shared(self) -> int:
        """Features that both worlds have."""
        return round(self.shared * self.n_features)

    def firing_rates(self) -> np.ndarray:
        """(n_features,) exponentially decaying rates that sum to mean_l0, the most frequent first."""
        decay = np.geomspace(1.0, 1.0 / self.rate_ratio, self.n_features)
        return decay * (self.mean_l0 / decay.sum())


@dataclass(frozen=True)
class World:
    """The truth about one world.

    Shapes:
        directions: (n_features, d_model) rows of norm 1; rates: (n_features,); clusters: (n_features,) int64.
    """

    directions: np.ndarray
    rates: np.ndarray
    clusters: np.ndarray


@dataclass(frozen=True)
class WorldSample:
    """The same tokens, seen by both worlds.

    Shapes:
        feature_acts_a, feature_acts_b: (n_tokens, n_features) CSR float32, how strongly each true feature fires;
        activations_a, activations_b: (n_tokens, d_model) float32, what an SAE gets to see.
    """

    feature_acts_a: scipy.sparse.csr_array
    feature_acts_b: scipy.sparse.csr_array
    activations_a: np.ndarray
    activations_b: np.ndarray

    @property
    def n_tokens(self) -> int:
        return self.feature_acts_a.shape[0]


@dataclass(frozen=True)
class WorldPair:
    """Two worlds and which of their features are the same.

    Shapes:
        partner: (n_features,) int64; the feature of b that is feature i of a, or -1. Features of b are numbered in
        random order, so that equal numbers mean nothing.
    """

    settings: WorldSettings
    a: World
    b: World
    partner: np.ndarray

    @property
    def shared_a(self) -> np.ndarray:
        """Ids in a of the features that both have."""
        return np.flatnonzero(self.partner >= 0)

    @property
    def shared_b(self) -> np.ndarray:
        """Ids in b of the same features, row for row with `shared_a`."""
        return self.partner[self.shared_a]

    @property
    def unshared_a(self) -> np.ndarray:
        """Ids in a of the features that only a has."""
        return np.flatnonzero(self.partner < 0)

    @property
    def unshared_b(self) -> np.ndarray:
        """Ids in b of the features that only b has; their order has nothing to do with that of `unshared_a`."""
        return np.setdiff1d(np.arange(len(self.b.rates)), self.shared_b)

    def sample(self, n_tokens: int, *, seed: int, noise: float = 0.0) -> WorldSample:
        """Let both worlds read `n_tokens` new tokens.

        Args:
            noise: how far the firing of shared features differs; 0 = they fire on the same tokens equally strongly,
                1 = only their topics are the same. Rates do not depend on it.
        Raises:
            ValueError: n_tokens below 1, or noise outside [0, 1].
        """
        if n_tokens < 1 or not 0 <= noise <= 1:
            raise ValueError(f"expected n_tokens >= 1 and noise in [0, 1]; got {n_tokens} and {noise}")
        blocks = list(
            self._blocks(n_tokens, np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(2,))), noise)
        )
        return WorldSample(
            scipy.sparse.csr_array(scipy.sparse.vstack([block.feature_acts_a for block in blocks], format="csr")),
            scipy.sparse.csr_array(scipy.sparse.vstack([block.feature_acts_b for block in blocks], format="csr")),
            np.concatenate([block.activations_a for block in blocks]),
            np.concatenate([block.activations_b for block in blocks]),
        )

    def _blocks(self, n_tokens: int, rng: np.random.Generator, noise: float) -> Iterator[WorldSample]:
        n_features, rho = self.settings.n_features, self.settings.cluster_firing
        # A feature of b that a does not have takes its own part of the latent variable from nowhere in a.
        own_share = np.ones(n_features, dtype=np.float32)
        own_share[self.shared_b] = noise
        source = np.zeros(n_features, dtype=np.int64)
        source[self.shared_b] = self.shared_a
        for start in range(0, n_tokens, BLOCK_TOKENS):
            n = min(BLOCK_TOKENS, n_tokens - start)
            topics, own_a, own_b = (
                rng.standard_normal((n, width), dtype=np.float32)
                for width in (self.settings.n_clusters, n_features, n_features)
            )
            mixed_b = np.sqrt(1 - own_share) * own_a[:, source] + np.sqrt(own_share) * own_b
            latent_a, latent_b = (
                np.float32(np.sqrt(rho)) * topics[:, world.clusters] + np.float32(np.sqrt(1 - rho)) * own
                for world, own in ((self.a, own_a), (self.b, mixed_b))
            )
            acts_a, acts_b = _strengths(latent_a, self.a.rates), _strengths(latent_b, self.b.rates)
            yield WorldSample(
                acts_a,
                acts_b,
                self._activations(acts_a, self.a, rng),
                self._activations(acts_b, self.b, rng),
            )

    def _activations(self, acts: scipy.sparse.csr_array, world: World, rng: np.random.Generator) -> np.ndarray:
        d_model = self.settings.d_model
        noise = rng.standard_normal((acts.shape[0], d_model), dtype=np.float32)
        scale = np.float32(self.settings.activation_noise / np.sqrt(d_model))
        return acts @ world.directions.astype(np.float32) + scale * noise


def build_worlds(settings: WorldSettings, *, seed: int) -> WorldPair:
    """Make two worlds that share `settings.shared` of their features."""
    rng = np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(1,)))
    n, n_shared = settings.n_features, settings.n_shared
    rates = rng.permutation(settings.firing_rates())
    clusters = rng.integers(0, settings.n_clusters, n)
    directions_a = _clustered_directions(clusters, settings, rng)
    # In the order of a: the first n_shared are shared; then everything of b is renumbered, and so is a.
    rotation = np.linalg.qr(rng.standard_normal((settings.d_model, settings.d_model)))[0]
    shared = directions_a[:n_shared] @ rotation
    shared += settings.arrangement_noise * rng.standard_normal(shared.shape) / np.sqrt(settings.d_model)
    own_clusters = rng.integers(0, settings.n_clusters, n - n_shared)
    directions_b = np.concatenate([_unit(shared), _clustered_directions(own_clusters, settings, rng)])
    world_b = World(
        directions_b,
        np.concatenate([rates[:n_shared], rng.permutation(rates[n_shared:])]),
        np.concatenate([clusters[:n_shared], own_clusters]),
    )
    order_a, order_b = rng.permutation(n), rng.permutation(n)
    place_in_b = np.argsort(order_b)
    partner = np.where(order_a < n_shared, place_in_b[order_a], -1)
    world_a = World(directions_a, rates, clusters)
    return WorldPair(settings, _renumbered(world_a, order_a), _renumbered(world_b, order_b), partner)


def _clustered_directions(clusters: np.ndarray, settings: WorldSettings, rng: np.random.Generator) -> np.ndarray:
    """Unit rows; two of one cluster have the cosine `cluster_closeness` on average."""
    centres = _unit(rng.standard_normal((settings.n_clusters, settings.d_model)))
    own = _unit(rng.standard_normal((len(clusters), settings.d_model)))
    closeness = settings.cluster_closeness
    return _unit(np.sqrt(closeness) * centres[clusters] + np.sqrt(1 - closeness) * own)


def _strengths(latent: np.ndarray, rates: np.ndarray) -> scipy.sparse.csr_array:
    """1 + how far the latent variable exceeds its threshold, where it does."""
    excess = latent - norm.isf(rates).astype(np.float32)
    rows, columns = np.nonzero(excess > 0)
    return scipy.sparse.csr_array((1 + excess[rows, columns], (rows, columns)), shape=latent.shape)


def _renumbered(world: World, order: np.ndarray) -> World:
    return World(world.directions[order], world.rates[order], world.clusters[order])


def _unit(rows: np.ndarray) -> np.ndarray:
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)
