"""Benchmarks run only when asked for: `pytest tests/benchmarks -m benchmark_suite -s` (make bench)."""

from __future__ import annotations

from pathlib import Path

FOLDER = Path(__file__).resolve().parent


def pytest_collection_modifyitems(config, items):
    if "benchmark_suite" in (config.option.markexpr or ""):
        return
    mine = [item for item in items if FOLDER in Path(item.path).resolve().parents]
    if mine:
        config.hook.pytest_deselected(items=mine)
        items[:] = [item for item in items if item not in mine]
