"""A narrow and a wide dictionary whose splits, copies, new, lost and absorbed features are known."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import scipy.sparse


@dataclass(frozen=True, eq=False)
class PlantedSplitting:
    """Firings and decoder rows of two dictionaries of one hook, and what must be found in them.

    Shapes:
        narrow: (n_tokens, d_narrow), wide: (n_tokens, d_wide), CSR; W_narrow, W_wide: decoder rows; parents: (d_wide,)
        int64, -1 = none; wide_class: (d_wide,) str, narrow_class: (d_narrow,) str; absorbs: (d_wide,) bool.
    """

    narrow: scipy.sparse.csr_array
    wide: scipy.sparse.csr_array
    W_narrow: np.ndarray
    W_wide: np.ndarray
    parents: np.ndarray
    wide_class: np.ndarray
    narrow_class: np.ndarray
    absorbs: np.ndarray


def planted_splitting(
    *,
    n_tokens: int = 20_000,
    n_each: int = 4,
    n_children: int = 4,
    n_new: int = 150,
    d_in: int = 64,
    reliability: float = 0.95,
    seed: int = 0,
) -> PlantedSplitting:
    """`n_each` general features of each fate (split, kept, absorbed, narrowed, lost), and `n_new` new features.

    Every general feature fires on 6 % of the tokens. The children of one that is split fire on disjoint parts of its
    tokens; an absorbed one has a copy that is silent on a fifth of its tokens, where a child fires instead; a narrowed one
    has a single child on a third of its tokens. New features fire independently, on 0.3 to 10 % of the tokens. Everything
    fires on the share `reliability` of the tokens that it should fire on.

    Raises:
        ValueError: a number below its least, or a reliability out of (0, 1].
    """
    if n_each < 1 or n_children < 2 or n_new < 1 or not 0 < reliability <= 1:
        raise ValueError(
            f"expected n_each and n_new of at least 1, two children and a reliability in (0, 1]; got {n_each}, {n_new}, "
            f"{n_children} and {reliability}"
        )
    rng = np.random.default_rng(seed)
    fates = np.repeat(["split", "kept", "absorbed", "narrowed", "lost"], n_each)
    general = rng.random((n_tokens, len(fates))) < 0.06
    part = rng.random((n_tokens, len(fates)))
    own = rng.normal(size=(len(fates), d_in))
    columns, rows, parents, classes, absorbs = [], [], [], [], []

    def add(fires: np.ndarray, parent: int, name: str, *, likeness: float, absorbing: bool = False) -> None:
        columns.append(fires)
        direction = rng.normal(size=d_in)
        rows.append(likeness * own[parent] + np.sqrt(1 - likeness**2) * direction if parent >= 0 else direction)
        parents.append(parent)
        classes.append(name)
        absorbs.append(absorbing)

    for place, fate in enumerate(fates):
        fires, where = general[:, place], part[:, place]
        if fate == "split":
            for child in range(n_children):
                inside = (where * n_children).astype(int) == child
                add(fires & inside, place, "split", likeness=0.8)
        if fate == "kept":
            add(fires, place, "kept", likeness=0.97)
        if fate == "absorbed":
            add(fires & (where >= 0.2), place, "kept", likeness=0.97)
            add(fires & (where < 0.2), place, "split", likeness=0.8, absorbing=True)
        if fate == "narrowed":
            add(fires & (where < 1 / 3), place, "narrowed", likeness=0.8)
    for rate in np.exp(rng.uniform(np.log(0.003), np.log(0.1), n_new)):
        add(rng.random(n_tokens) < rate, -1, "new", likeness=0.0)
    wide = np.column_stack(columns)
    heard = [fires & (rng.random(fires.shape) < reliability) for fires in (general, wide)]
    narrow, firing = (scipy.sparse.csr_array(fires * rng.uniform(0.8, 1.2, fires.shape)) for fires in heard)
    return PlantedSplitting(
        narrow=narrow, wide=firing, W_narrow=own, W_wide=np.array(rows), parents=np.array(parents),
        wide_class=np.array(classes), narrow_class=fates, absorbs=np.array(absorbs),
    )  # fmt: skip
