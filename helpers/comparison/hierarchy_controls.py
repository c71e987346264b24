"""Known answers of notebook 12: what was planted is found, and what was not is not."""

from __future__ import annotations

from typing import Any

import numpy as np

from helpers.comparison.hierarchy import found_names
from helpers.geometry.analogies import held_out_partners, planted_analogy
from helpers.geometry.hierarchy import (
    fit_whitening,
    held_out_kinds,
    held_out_words,
    planted_hierarchy,
    shuffled_words,
)


def known_answers(*, n_permutations: int = 199, seed: int = 0) -> dict[str, bool]:
    """Every control and whether it holds.

    Notes:
        Rows that were shuffled may be "found" at the accepted rate of false discoveries; one concept of all is let pass.
    """
    options: dict[str, Any] = {"n_permutations": n_permutations, "seed": seed}
    rng = np.random.default_rng([seed, 1])
    planted, heap = planted_hierarchy(seed=seed), planted_hierarchy(parent=0.0, child=5.0, seed=seed)
    nest = planted.taxonomy.nest(planted.taxonomy.all_words)
    rows, heap_rows = (fit_whitening(made.vocabulary).apply(made.rows) for made in (planted, heap))
    kinds, heap_kinds = (
        {name: of["held_out_kinds"] for name, of in held_out_kinds(found, nest, **options).items()}
        for found in (rows, heap_rows)
    )
    mixing = rng.standard_normal((planted.vocabulary.shape[1],) * 2)
    mixed = fit_whitening(planted.vocabulary @ mixing).apply(planted.rows @ mixing)
    twin = planted_analogy(seed=seed)
    wrong = twin.y[np.roll(np.arange(len(twin.y)), 5)]
    right, wrongly = (held_out_partners(twin.x, y, **options) for y in (twin.y, wrong))
    return {
        "planted concepts recognise words left out": len(found_names(held_out_words(rows, nest, **options)))
        == len(nest.names),
        "words shuffled inside the taxonomy do not": len(
            found_names(held_out_words(rows, shuffled_words(nest, rng), **options))
        )
        <= 1,
        "planted kinds recognise children left out": len(found_names(kinds)) == len(kinds),
        "heaps of concepts do not": not found_names(heap_kinds),
        "an invertible map of the vocabulary changes nothing": np.allclose(mixed @ mixed.T, rows @ rows.T, atol=1e-6),
        "a planted analogy is found": right.p_value is not None and right.p_value <= 0.05,
        "wrong partners are not": wrongly.p_value is not None and wrongly.p_value > 0.05,
    }
