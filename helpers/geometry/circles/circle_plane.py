"""The plane of a circle of words, kept for whoever wants to move along it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from jaxtyping import Float

from helpers.array_file import ArrayFile
from helpers.geometry.circles.word_order import checked_words

_FILE = ArrayFile("the plane of a circle", remedy="run 11_multidimensional_features again")
PlaneKind = Literal["principal", "order"]


@dataclass(frozen=True)
class CirclePlane:
    """Where words lie on a circle of a model's activations.

    Shapes:
        directions: (2, d), orthonormal; centre: (d,), the words' mean; places: (n_words, 2), the words' coordinates.
    Args:
        words: in their order.
        hook_name: where in the model.
        kind: "principal" (found without knowing the order) or "order" (fitted to it, so no evidence of a circle).
    """

    directions: Float[np.ndarray, "2 d"]
    centre: Float[np.ndarray, " d"]
    places: Float[np.ndarray, "n_words 2"]
    words: tuple[str, ...]
    hook_name: str
    kind: str

    @property
    def angles(self) -> Float[np.ndarray, " n_words"]:
        """(n_words,) radians in [0, 2 pi)."""
        return np.arctan2(self.places[:, 1], self.places[:, 0]) % (2 * np.pi)

    @property
    def radius(self) -> float:
        """Mean distance of the words from the centre, in the plane."""
        return float(np.linalg.norm(self.places, axis=1).mean())

    def angle_of(self, word: str) -> float:
        """Radians in [0, 2 pi).

        Raises:
            ValueError: the word is not on the circle.
        """
        if word not in self.words:
            raise ValueError(f"the circle has {', '.join(self.words)}; got '{word}'")
        return float(self.angles[self.words.index(word)])

    def coordinates(self, rows: Any) -> Float[np.ndarray, "n 2"]:
        """Any activations in the plane.

        Shapes:
            rows: (n, d).
        """
        return (np.asarray(rows, dtype=np.float64) - self.centre) @ self.directions.T

    def point(self, angle: float, *, radius: float | None = None) -> Float[np.ndarray, " d"]:
        """The activation at an angle of the circle, (d,): the centre and the way from it.

        Args:
            radius: the words' mean radius by default.
        """
        reach = self.radius if radius is None else radius
        return self.centre + reach * (np.cos(angle) * self.directions[0] + np.sin(angle) * self.directions[1])

    def save(self, path: str | Path) -> None:
        """Write one .npz file, atomically."""
        _FILE.write(path, directions=self.directions, centre=self.centre,
                places=self.places, words=np.array(self.words), hook_name=np.array(self.hook_name),
                kind=np.array(self.kind),
            )  # fmt: skip

    @classmethod
    def load(cls, path: str | Path) -> CirclePlane:
        """Read what `save` wrote.

        Raises:
            ValueError: no such file, not the plane of a circle, or a newer format.
        """
        with _FILE.read(path) as content:
            words = tuple(str(word) for word in content["words"])
            arrays = {name: content[name] for name in ("directions", "centre", "places")}
            return cls(**arrays, words=words, hook_name=str(content["hook_name"]), kind=str(content["kind"]))


def circle_plane(
    rows: Any, words: Sequence[str], *, kind: PlaneKind = "principal", plane: int = 0, hook_name: str = ""
) -> CirclePlane:
    """The plane of words.

    Shapes:
        rows: (n_words, d), in their order.
    Args:
        kind: "principal": components `plane` + 1 and `plane` + 2 of the words (`WordOrder.plane` is the best);
            "order": the plane that holds most of what goes round once with the order.
    Raises:
        ValueError: another kind; too few words; words that span no such plane.
    """
    names = tuple(words)
    x = checked_words(rows, names)
    if kind not in ("principal", "order"):
        raise ValueError(f"kind must be 'principal' or 'order'; got '{kind}'")
    centre = x.mean(axis=0)
    wanted = x - centre
    if kind == "order":
        place = 2 * np.pi * np.arange(len(x)) / len(x)
        wanted = np.vstack([np.cos(place), np.sin(place)]) @ wanted
        plane = 0
    _, spread, axes = np.linalg.svd(wanted, full_matrices=False)
    if not 0 <= plane < len(spread) - 1 or spread[plane + 1] <= 1e-9 * max(float(spread[0]), 1e-12):
        found = int((spread > 1e-9 * max(float(spread[0]), 1e-12)).sum())
        raise ValueError(f"the words span {found} dimensions, so they have no plane {plane}; take an earlier one")
    directions = axes[plane : plane + 2]
    return CirclePlane(directions, centre, (x - centre) @ directions.T, names, hook_name, kind)
