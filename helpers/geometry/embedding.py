"""Maps: rows of many dimensions laid out in two or three by UMAP, several dictionaries together or one along another.

A map shows who is near whom; distances across it, sizes and gaps mean little, and how much of the neighbourhoods it keeps
is a number that belongs under it (helpers.geometry.faithfulness). It is computed once and stored: the same seed gives
the same map on one machine and not always on another.

Source: McInnes, Healy and Melville 2018, arXiv:1802.03426.
"""

from __future__ import annotations

import hashlib
import json
import logging
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float, Int
from scipy.linalg import orthogonal_procrustes

from helpers.array_file import ArrayFile
from helpers.geometry.nearest import nearest_rows, prepared_rows

logger = logging.getLogger(__name__)

_FILE = ArrayFile("a map", remedy="make it again")
SPREAD_OF_START = 10.0  # UMAP's own start positions span about so much
START_NOISE = 0.01


@dataclass(frozen=True)
class Embedding:
    """A stored map of one dictionary.

    Shapes:
        points: (n_points, n_components) float32; ids: (n_points,) int64, feature of every point.
    Args:
        settings: how and from what it was made (metric, n_neighbors, min_dist, seed, versions, hashes of rows and ids);
            JSON types only.
    """

    points: Float[np.ndarray, "n_points n_components"]
    ids: Int[np.ndarray, " n_points"]
    settings: dict[str, Any]

    def at(self, feature_ids: Any) -> Float[np.ndarray, "n n_components"]:
        """Points of some features, in their order.

        Raises:
            ValueError: a feature that the map does not have.
        """
        order = np.argsort(self.ids)
        wanted = np.asarray(feature_ids, dtype=np.int64)
        places = order[np.minimum(np.searchsorted(self.ids[order], wanted), len(order) - 1)]
        missing = wanted[self.ids[places] != wanted]
        if missing.size:
            raise ValueError(f"the map has no feature {missing[0]}; it holds {len(self.ids)} of them")
        return self.points[places]

    def save(self, path: str | Path) -> None:
        """Write one .npz file, atomically."""
        _FILE.write(
            path,
            points=self.points,
            ids=self.ids,
            settings=np.array(json.dumps(self.settings, allow_nan=False)),
        )

    @classmethod
    def load(cls, path: str | Path) -> Embedding:
        """Read what `save` wrote.

        Raises:
            ValueError: no such file, not a map, or a newer format.
        """
        with _FILE.read(path) as content:
            return cls(content["points"], content["ids"], json.loads(str(content["settings"])))


def embed(
    rows: Any,
    *,
    ids: Any = None,
    n_components: int = 2,
    metric: str = "cosine",
    n_neighbors: int = 15,
    min_dist: float = 0.1,
    n_epochs: int | None = None,
    seed: int = 0,
    path: str | Path | None = None,
) -> Embedding:
    """Lay rows out by UMAP, from their exact nearest neighbours.

    Shapes:
        rows: (n, d); ids: (n,) feature of every row, by default 0 to n - 1.
    Args:
        n_components: 2 or 3.
        metric: "cosine" or "euclidean".
        n_neighbors: neighbours that hold a row in its place; few show detail, many the whole.
        min_dist: how closely points may lie, in [0, 1].
        n_epochs: rounds of the layout; None takes UMAP's own number, 500 up to 10,000 rows and 200 beyond.
        path: where the map is stored. A map that lies there is taken if it was made from these rows with these settings
            and versions; otherwise it is made again, which is logged, and written there.
    Raises:
        ValueError: too few rows for n_neighbors, rows that are not finite or (cosine) zero, or a damaged file.
    """
    task = _Task.checked(rows, ids, n_components, metric, n_neighbors, min_dist, n_epochs, seed)
    settings = task.settings | {"started_from": "spectral"}
    return _unless_stored(path, settings, lambda: Embedding(task.lay_out("spectral"), task.ids, settings))


def embed_together(
    rows: Mapping[str, Any], *, ids: Mapping[str, Any] | None = None, **settings: Any
) -> dict[str, Embedding]:
    """One map for several dictionaries of the same space: fitted once on all of their rows, then taken apart.

    Shapes:
        rows: name -> (n, d), all of one d; ids: name -> (n,).
    Args:
        settings: as for `embed`.
    Raises:
        ValueError: no dictionaries, or rows of different widths, which have no common space.
    """
    widths = {name: np.shape(part)[1] for name, part in rows.items()}
    if len(set(widths.values())) != 1:
        raise ValueError(f"dictionaries that share a map must have rows of one width; got {widths}")
    whole = embed(np.concatenate([np.asarray(part, dtype=np.float32) for part in rows.values()]), **settings)
    ends = np.cumsum([len(part) for part in rows.values()])
    parts = np.split(whole.points, ends[:-1])
    about = whole.settings | {"together_with": list(rows)}
    names = {name: np.arange(len(part)) if ids is None else np.asarray(ids[name]) for name, part in rows.items()}
    return {name: Embedding(part, names[name], about) for name, part in zip(rows, parts, strict=True)}


def embed_along(
    rows: Any,
    reference: Embedding,
    *,
    ids: Any,
    ids_own: Any,
    ids_reference: Any,
    metric: str = "cosine",
    n_neighbors: int = 15,
    min_dist: float = 0.1,
    n_epochs: int | None = None,
    seed: int = 0,
    path: str | Path | None = None,
) -> Embedding:
    """A map that starts from where the matched partners lie in another map, and is then turned onto it.

    Only the start and the rotation come from the pairs; where rows end up is decided by their own neighbours, so that a
    likeness of the two maps is not put there by force (compare `partner_distance` with its null).

    Shapes:
        rows: (n, d); ids: (n,) feature of every row; ids_own, ids_reference: (n_pairs,) features, pair by pair.
    Args:
        metric, n_neighbors, min_dist, n_epochs, seed, path: as for `embed`; dimensions are those of the reference.
    Raises:
        ValueError: fewer than three pairs whose features are in both maps; what `embed` refuses.
    """
    task = _Task.checked(rows, ids, reference.points.shape[1], metric, n_neighbors, min_dist, n_epochs, seed)
    mine, positions = _anchors(task.ids, reference, ids_own, ids_reference)
    anchors = {"n_anchors": len(mine), "anchors": _hash(mine, positions)}
    settings = task.settings | {"started_from": "matched partners"} | anchors

    def make() -> Embedding:
        placed = task.lay_out(_start_positions(task.points, mine, positions, metric=metric, seed=seed))
        return Embedding(_turned(placed, mine, positions), task.ids, settings)

    return _unless_stored(path, settings, make)


def turn_onto(embedding: Embedding, reference: Embedding, *, ids_own: Any, ids_reference: Any) -> Embedding:
    """A finished map, rotated or mirrored, moved and scaled as a whole so that partners lie as near as may be.

    Nothing inside the map changes.

    Shapes:
        ids_own, ids_reference: (n_pairs,) features, pair by pair.
    Raises:
        ValueError: fewer than three pairs whose features are in both maps, or maps of 2 and 3 dimensions.
    """
    dimensions = embedding.points.shape[1], reference.points.shape[1]
    if dimensions[0] != dimensions[1]:
        raise ValueError(f"maps must have the same dimensions; got {dimensions[0]} and {dimensions[1]}")
    mine, positions = _anchors(embedding.ids, reference, ids_own, ids_reference)
    about = embedding.settings | {"turned_onto": _hash(mine, positions)}
    return Embedding(_turned(embedding.points, mine, positions), embedding.ids, about)


@dataclass(frozen=True)
class _Task:
    """What is laid out, and how: checked, with the settings that a stored map must agree in."""

    points: np.ndarray
    ids: np.ndarray
    settings: dict[str, Any]

    @classmethod
    def checked(
        cls,
        rows: Any,
        ids: Any,
        n_components: int,
        metric: str,
        n_neighbors: int,
        min_dist: float,
        n_epochs: int | None,
        seed: int,
    ) -> _Task:
        points = prepared_rows(rows, metric=metric).numpy()
        names = np.arange(len(points)) if ids is None else np.asarray(ids, dtype=np.int64)
        if len(names) != len(points):
            raise ValueError(f"ids must name every row; got {len(names)} for {len(points)} rows")
        if n_components not in (2, 3):
            raise ValueError(f"n_components must be 2 or 3; got {n_components}")
        if len(points) <= n_neighbors + 1:
            raise ValueError(f"a map with n_neighbors = {n_neighbors} needs more than {n_neighbors + 1} rows; "
                             f"got {len(points)}; lower n_neighbors or take more features")  # fmt: skip
        settings = {
            "method": "umap",
            "metric": metric,
            "n_neighbors": n_neighbors,
            "min_dist": min_dist,
            "n_epochs": n_epochs,
            "n_components": n_components,
            "seed": seed,
            "versions": {name: version(name) for name in ("umap-learn", "numpy", "numba")},
            "rows": _hash(points, names),
        }
        return cls(points, names, settings)

    def lay_out(self, start: np.ndarray | str) -> np.ndarray:
        """Positions, (n, n_components) float32, from first positions or "spectral"."""
        from umap import UMAP  # late: compiles for seconds

        n_neighbors, metric = self.settings["n_neighbors"], self.settings["metric"]
        found = nearest_rows(self.points, k=n_neighbors - 1, metric=metric)
        # UMAP counts a row among its own neighbours.
        own = np.arange(len(self.points))
        distances = np.column_stack([np.zeros(len(own)), found.distances]).astype(np.float32)
        reducer = UMAP(
            **{name: self.settings[name] for name in ("n_components", "metric", "n_neighbors", "min_dist", "n_epochs")},
            random_state=self.settings["seed"],
            n_jobs=1,  # what a seed forces anyway
            init=start,
            precomputed_knn=(np.column_stack([own, found.ids]), distances, None),
            force_approximation_algorithm=True,  # else fewer than 4,096 rows would not use the neighbours given
        )
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message=".*precomputed_knn.*transform.*")  # no new rows are placed later
            return np.asarray(reducer.fit_transform(self.points), dtype=np.float32)


def _unless_stored(path: str | Path | None, settings: dict[str, Any], make: Callable[[], Embedding]) -> Embedding:
    if path is None:
        return make()
    found = _stored(Path(path))
    if found is not None:
        names = sorted(
            name for name in settings.keys() | found.settings.keys() if settings.get(name) != found.settings.get(name)
        )
        if not names:
            return found
        logger.warning("%s was made with another %s and is made again", path, ", ".join(names))
    made = make()
    made.save(path)
    return made


def _stored(path: Path) -> Embedding | None:
    """The map in a file, if there is one that this version can read."""
    if not path.is_file():
        return None
    try:
        return Embedding.load(path)
    except ValueError as error:
        logger.warning("%s", error)
        return None


def _hash(*arrays: np.ndarray) -> str:
    digest = hashlib.sha256()
    for array in arrays:
        digest.update(f"{array.dtype}{array.shape}".encode())
        digest.update(np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()[:16]


def _anchors(ids: np.ndarray, reference: Embedding, ids_own: Any, ids_reference: Any) -> tuple[np.ndarray, np.ndarray]:
    """Places of the matched rows, and where their partners lie: pairs that both maps have."""
    own = {int(feature): place for place, feature in enumerate(ids)}
    other = {int(feature): place for place, feature in enumerate(reference.ids)}
    pairs = [
        (own[int(i)], other[int(j)])
        for i, j in zip(ids_own, ids_reference, strict=True)
        if int(i) in own and int(j) in other
    ]
    if len(pairs) < 3:
        raise ValueError(f"a map can follow another through at least three pairs; got {len(pairs)}; lower min_corr")
    mine, theirs = np.array(pairs).T
    return mine, reference.points[theirs].astype(np.float64)


def _start_positions(
    points: np.ndarray, mine: np.ndarray, positions: np.ndarray, *, metric: str, seed: int
) -> np.ndarray:
    """A matched row starts at its partner, another at the nearest matched row; a little noise keeps rows apart."""
    centred = positions - positions.mean(axis=0)
    scaled = centred * (SPREAD_OF_START / max(float(np.abs(centred).max()), 1e-12))
    matched, first = np.unique(mine, return_index=True)
    start = np.empty((len(points), positions.shape[1]), dtype=np.float32)
    step = 4096
    for begin in range(0, len(points), step):
        block = points[begin : begin + step]
        similarity = block @ points[matched].T
        if metric == "euclidean":
            similarity = similarity - 0.5 * (points[matched] ** 2).sum(axis=1)
        start[begin : begin + step] = scaled[first][similarity.argmax(axis=1)]
    start[matched] = scaled[first]
    noise = np.random.default_rng(seed).normal(size=start.shape)
    return (start + START_NOISE * SPREAD_OF_START * noise).astype(np.float32)


def _turned(points: np.ndarray, mine: np.ndarray, positions: np.ndarray) -> np.ndarray:
    """The best rotation or mirroring of the anchors onto their partners, which then spread as widely as these.

    The scale is that of the spreads and not the one of least squares: where partners do not correspond, least squares
    would shrink the whole map to a point.
    """
    centre, target = points[mine].mean(axis=0), positions.mean(axis=0)
    own, theirs = (points[mine] - centre).astype(np.float64), positions - target
    rotation, _ = orthogonal_procrustes(own, theirs)
    size = float((own**2).sum())
    factor = np.sqrt(float((theirs**2).sum()) / size) if size > 0 else 1.0
    return ((points - centre) @ rotation * factor + target).astype(np.float32)
