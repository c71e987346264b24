"""Collecting, labelling and matching as functions of tokens, width and L0, and how far they can be extrapolated."""

from __future__ import annotations

import numpy as np
import pytest

from tests.benchmarks.tables import measure, show

pytestmark = pytest.mark.benchmark_suite

BASE = {"n_tokens": 250_000, "d_sae": 65_536, "l0": 32}
SWEEPS = {"n_tokens": (125_000, 250_000, 500_000, 1_000_000), "d_sae": (16_384, 65_536, 262_144), "l0": (8, 16, 32, 64)}
MILLION = BASE | {"d_sae": 1_048_576}
GOAL = {"n_tokens": 10_000_000, "d_sae": 1_048_576, "l0": 32}
STEPS = {"collect": "collect one dictionary", "label": "label one dictionary", "match": "match two, both sides"}


def test_costs_are_power_laws_that_hold_at_a_million_features():
    """Exponents from up to 262,144 features; the cost at 1,048,576 is foretold, then measured."""
    points = {tuple(BASE.values()): BASE}
    points |= {tuple(p.values()): p for name, values in SWEEPS.items() for p in (BASE | {name: v} for v in values)}
    measured = {key: measure("scale_workloads", "steps", **point) for key, point in points.items()}
    million = measure("scale_workloads", "steps", **MILLION)
    _show_measured([(*key, found) for key, found in measured.items()] + [(*MILLION.values(), million)])
    rows = [("CPU seconds", "tokens^", "width^", "L0^", "foretold", "measured", "10,000,000 tokens, hours")]
    for step, title in STEPS.items():
        exponents = {name: _exponent(measured, name, step) for name in SWEEPS}
        base = measured[tuple(BASE.values())][step]
        foretold, goal = (base * _growth(point, exponents) for point in (MILLION, GOAL))
        rows.append(
            (
                title,
                *(f"{exponents[name]:.2f}" for name in SWEEPS),
                f"{foretold:.1f}",
                f"{million[step]:.1f}",
                f"{goal / 3600:.2f}",
            )
        )
        assert 0.4 < million[step] / foretold < 2.5, title
        # Tokens are walked over once for each block of features: nothing grows faster than they do.
        assert exponents["n_tokens"] < 1.15, title
    show("Fitted exponents; 1,048,576 features at 250,000 tokens foretold and measured, L0 32", rows)
    added = {step: max(found[f"{step}_mib"] for found in measured.values()) for step in STEPS}
    dense_mib = BASE["n_tokens"] * BASE["d_sae"] * 4 / 2**20
    assert max(added.values()) < dense_mib / 20


def _exponent(measured: dict[tuple[int, ...], dict[str, float]], name: str, step: str) -> float:
    """Slope of log cost over log of one number, the others at their base."""
    keys = [tuple((BASE | {name: value}).values()) for value in SWEEPS[name]]
    return float(np.polyfit(np.log(SWEEPS[name]), np.log([measured[key][step] for key in keys]), 1)[0])


def _growth(point: dict[str, int], exponents: dict[str, float]) -> float:
    return float(np.prod([(point[name] / BASE[name]) ** exponent for name, exponent in exponents.items()]))


def _show_measured(points: list[tuple]) -> None:
    rows = [
        ("tokens", "width", "L0", *(f"{step}, s" for step in STEPS), *(f"{step}, MiB" for step in STEPS), "store, MB")
    ]
    for n_tokens, d_sae, l0, found in sorted(points, key=lambda point: point[:3]):
        seconds = (f"{found[step]:.2f}" for step in STEPS)
        mib = (f"{found[f'{step}_mib']:.0f}" for step in STEPS)
        rows.append((f"{n_tokens:,}", f"{d_sae:,}", f"{l0}", *seconds, *mib, f"{found['megabytes']:.0f}"))
    show("CPU seconds and MiB added of collecting, labelling and matching, one thread", rows)
