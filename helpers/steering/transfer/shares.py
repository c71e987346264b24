"""TransferScores: which share of the effect of a model's own vector carried vectors keep, beside nulls."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from jaxtyping import Float

from helpers.array_file import ArrayFile
from helpers.steering.transfer.shifts import AnswerShift, ShiftEffects, shift_effects
from helpers.steering.vectors import SteeringVector

if TYPE_CHECKING:
    from transformer_lens.model_bridge import TransformerBridge

_FILE = ArrayFile("transfer scores", remedy="run 14_steering_transfer again")
Measure = Literal["success", "logit_difference", "added", "answer_lead"]
MEASURES: tuple[Measure, ...] = ("success", "logit_difference", "added")
RANDOM_VECTORS = "random vectors"
CONFIDENCE = 0.95


@dataclass(frozen=True)
class Share:
    """A share of the own vector's effect: 1 = as much as the own vector, 0 = nothing.

    Args:
        value: over all prompts; low, high: 95 % bootstrap interval over prompts (of a null: over prompts and runs).
    """

    value: float
    low: float
    high: float


@dataclass(frozen=True, eq=False)
class TransferScores:
    """Effects of the own vector, of carried ones and of their nulls on the same prompts, all of one length.

    Shapes:
        own: measure -> (n_prompts,); carried: method -> measure -> (n_prompts,); nulls: (method, null) -> measure ->
            (n_runs, n_prompts). Successes are 0 or 1. Nulls of the method "" are nulls of every method.
    Args:
        strength: length of every step, in mean lengths of the hook's rows.
        settings: what was compared; JSON types only.
    """

    own: Mapping[str, Float[np.ndarray, " n_prompts"]]
    carried: Mapping[str, Mapping[str, Float[np.ndarray, " n_prompts"]]]
    nulls: Mapping[tuple[str, str], Mapping[str, Float[np.ndarray, "n_runs n_prompts"]]]
    strength: float
    settings: Mapping[str, Any] = field(default_factory=dict)

    @property
    def methods(self) -> tuple[str, ...]:
        return tuple(self.carried)

    @property
    def n_prompts(self) -> int:
        return len(next(iter(self.own.values())))

    def nulls_of(self, method: str) -> tuple[str, ...]:
        """Names of a method's nulls; random vectors are a null of every method."""
        self._known(method)
        return tuple(null for owner, null in self.nulls if owner in (method, ""))

    def own_effect(self, measure: Measure, *, n_boot: int = 2000, seed: int = 0) -> Share:
        """Mean effect of the own vector over prompts, not a share, with its interval."""
        values = self.own[measure]
        return _interval(values.mean(), _resampled(len(values), n_boot, seed) @ values)

    def share(self, method: str, measure: Measure, *, n_boot: int = 2000, seed: int = 0) -> Share | None:
        """What a carried vector keeps; None where the own vector has no effect, of which nothing is a share.

        Raises:
            ValueError: an unknown method.
        """
        self._known(method)
        values, own = self.carried[method][measure], self.own[measure]
        if not own.mean() > 0:
            return None
        drawn = _resampled(self.n_prompts, n_boot, seed)
        return _interval(values.mean() / own.mean(), _ratios(drawn @ values, drawn @ own))

    def null_share(
        self, method: str, null: str, measure: Measure, *, n_boot: int = 2000, seed: int = 0
    ) -> Share | None:
        """Mean share over the runs of a null, as `share`; its interval draws prompts and runs anew."""
        values, own = self._null(method, null)[measure], self.own[measure]
        if not own.mean() > 0:
            return None
        drawn = _resampled(self.n_prompts, n_boot, seed)
        runs = _resampled(len(values), n_boot, seed + 1)
        means = ((runs @ values) * drawn).sum(axis=1)
        return _interval(values.mean() / own.mean(), _ratios(means, drawn @ own))

    def highest_null(self, method: str, measure: Measure) -> tuple[str, float] | None:
        """The null of a method that keeps most on average: its name and share; None where shares are not defined."""
        found = [(null, self.null_share(method, null, measure)) for null in self.nulls_of(method)]
        values = [(null, share.value) for null, share in found if share is not None]
        return max(values, key=lambda each: each[1], default=None)

    def p_value(self, method: str, null: str, measure: Measure) -> float:
        """(1 + runs of the null with at least the effect) / (1 + runs)."""
        self._known(method)
        found = float(self.carried[method][measure].mean())
        runs = self._null(method, null)[measure].mean(axis=1)
        return (1 + int((runs >= found - 1e-12).sum())) / (1 + len(runs))

    def save(self, path: str | Path) -> None:
        """Write one .npz file, atomically."""
        arrays = {f"own|{measure}": values for measure, values in self.own.items()}
        for method, effects in self.carried.items():
            arrays |= {f"carried|{method}|{measure}": values for measure, values in effects.items()}
        for (method, null), effects in self.nulls.items():
            arrays |= {f"null|{method}|{null}|{measure}": values for measure, values in effects.items()}
        told = json.dumps({"strength": self.strength, "settings": dict(self.settings)}, allow_nan=False)
        numbered = {f"array_{number}": values for number, values in enumerate(arrays.values())}
        _FILE.write(path, names=np.array(json.dumps(list(arrays))), told=np.array(told), **numbered)

    @classmethod
    def load(cls, path: str | Path) -> TransferScores:
        """Read what `save` wrote.

        Raises:
            ValueError: no such file, not transfer scores, or a newer format.
        """
        own: dict[str, np.ndarray] = {}
        carried: dict[str, dict[str, np.ndarray]] = {}
        nulls: dict[tuple[str, str], dict[str, np.ndarray]] = {}
        with _FILE.read(path) as content:
            for number, name in enumerate(json.loads(str(content["names"]))):
                kind, *names, measure = name.split("|")
                if kind == "own":
                    effects = own
                elif kind == "carried":
                    effects = carried.setdefault(names[0], {})
                else:
                    effects = nulls.setdefault((names[0], names[1]), {})
                effects[measure] = content[f"array_{number}"]
            return cls(own, carried, nulls, **json.loads(str(content["told"])))

    def _known(self, method: str) -> None:
        if method not in self.carried:
            raise ValueError(f"method is one of {', '.join(self.carried)}; got {method!r}")

    def _null(self, method: str, null: str) -> Mapping[str, np.ndarray]:
        if null not in self.nulls_of(method):
            raise ValueError(f"null of '{method}' is one of {', '.join(self.nulls_of(method))}; got {null!r}")
        return self.nulls.get((method, null)) or self.nulls["", null]


def score_transfer(
    model: TransformerBridge,
    shift: AnswerShift,
    own: SteeringVector,
    carried: Mapping[str, SteeringVector],
    *,
    strength: float,
    nulls: Mapping[tuple[str, str], Float[np.ndarray, "n_runs d"]] | None = None,
    n_random: int = 100,
    seed: int = 0,
    settings: Mapping[str, Any] | None = None,
) -> TransferScores:
    """Steer one model with its own vector, with carried ones and with their nulls, all of one length.

    Args:
        model: the second model; shift: prompts on which neither vectors nor strength were chosen.
        own: its own vector, with the mean length of its hook's rows; carried: method -> vector of the same hook.
        strength: length of every step, in mean lengths of the hook's rows.
        nulls: (method, null) -> vectors of its runs; n_random: random directions beside them, a null of every method.
    Raises:
        ValueError: no carried vector, one of another hook or width, an own vector whose hook was not measured, nulls of a
            method that is not there, no random vector, a name with "|"; otherwise as `shift_effects`.
    """
    nulls = dict(nulls or {})
    _check(own, carried, nulls, n_random)
    d = len(own.vector)
    nulls["", RANDOM_VECTORS] = np.random.default_rng(seed).standard_normal((n_random, d))
    stacked = np.concatenate([own.vector[None], *(each.vector[None] for each in carried.values()), *nulls.values()])
    assert own.residual_norm is not None
    effects = shift_effects(
        model, shift, stacked, hook_name=own.hook_name, strength=strength, residual_norm=own.residual_norm
    )
    first, of_nulls = 1 + len(carried), {}
    for key, vectors in nulls.items():
        of_nulls[key] = _rows(effects, slice(first, first + len(vectors)))
        first += len(vectors)
    return TransferScores(
        own=_rows(effects, 0),
        carried={method: _rows(effects, number) for number, method in enumerate(carried, start=1)},
        nulls=of_nulls,
        strength=float(strength),
        settings={"hook_name": own.hook_name, "model": own.model, **(settings or {})},
    )


def _check(
    own: SteeringVector,
    carried: Mapping[str, SteeringVector],
    nulls: Mapping[tuple[str, str], np.ndarray],
    n_random: int,
) -> None:
    if not carried or n_random < 1:
        raise ValueError(f"expected carried vectors and random ones beside them; got {len(carried)} and {n_random}")
    if own.residual_norm is None:
        raise ValueError(
            "the own vector knows the mean length of its hook's rows; got None; measure mean_residual_norm"
        )
    for method, vector in carried.items():
        if vector.hook_name != own.hook_name or len(vector.vector) != len(own.vector):
            raise ValueError(
                f"'{method}' is a vector of {own.hook_name} with width {len(own.vector)}, as the own one; got one of "
                f"{vector.hook_name} with {len(vector.vector)}"
            )
    strangers = sorted(method for method, _ in nulls if method not in carried)
    if strangers or any("|" in name for name in (*carried, *(null for _, null in nulls))):
        raise ValueError(f"nulls are of methods that are carried, names without '|'; got {strangers or list(carried)}")


def _rows(effects: ShiftEffects, rows: slice | int) -> dict[str, np.ndarray]:
    return {measure: np.asarray(getattr(effects, measure)[rows], dtype=np.float64) for measure in MEASURES}


def _resampled(n: int, n_boot: int, seed: int) -> Float[np.ndarray, "n_boot n"]:
    """The weight of every entry in the mean over a draw with replacement, draw by draw."""
    return np.random.default_rng(seed).multinomial(n, np.full(n, 1 / n), size=n_boot) / n


def _ratios(values: np.ndarray, own: np.ndarray) -> np.ndarray:
    """Bootstrap shares; a draw of prompts on which the own vector has no effect says nothing and is left out."""
    return values[own > 0] / own[own > 0]


def _interval(value: float, draws: np.ndarray) -> Share:
    low, high = np.quantile(draws, [(1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2])
    return Share(float(value), float(low), float(high))
