"""Turn what a model holds of a word along a circle, and see whether its answer turns as far: from "Monday" to "Thursday".

A row's place in the plane of the circle is turned about the centre by the angle between two words, and the rest of the row
stays. If the model computes with the circle, the answer moves by as many words. The null turns nothing: it moves rows by the
same steps in a random plane, so by the same lengths.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from jaxtyping import Float, Int

from helpers.models import require_hook
from helpers.steering.effects.row_edits import AddRows, prompt_parts, recorded_rows
from helpers.steering.effects.saving import load_result, save_result
from helpers.steering.hooking import Setting
from helpers.steering.prompts import At, Prompts, steered_columns
from helpers.steering.running import BATCH_SIZE, steered_parts

if TYPE_CHECKING:
    from transformer_lens.model_bridge import TransformerBridge

_KIND = "movement along a circle"
_ORTHONORMAL = 1e-6


@dataclass(frozen=True, eq=False)
class CirclePlane:
    """A circle of words at one hook.

    Shapes:
        basis: (2, d) orthonormal; centre: (d,); angles: (n_words,) radians, from the first direction to the second.
    """

    hook_name: str
    basis: Float[np.ndarray, "2 d"]
    centre: Float[np.ndarray, " d"]
    angles: Float[np.ndarray, " n_words"]

    def __post_init__(self) -> None:
        d = self.basis.shape[-1]
        if self.basis.shape != (2, d) or not np.allclose(self.basis @ self.basis.T, np.eye(2), atol=_ORTHONORMAL):
            raise ValueError("a circle's plane is given by two orthonormal directions, (2, d); orthonormalise them")
        if self.centre.shape != (d,) or self.angles.ndim != 1 or len(self.angles) < 3:
            raise ValueError(
                f"expected a centre of shape ({d},) and the angles of three words or more; got {self.centre.shape} and "
                f"{self.angles.shape}"
            )
        if not (np.isfinite(self.centre).all() and np.isfinite(self.angles).all()):
            raise ValueError("centre and angles are finite; got NaN or infinity")

    @property
    def n_words(self) -> int:
        return len(self.angles)

    def steps(self, rows: Float[np.ndarray, "n d"], turns: Float[np.ndarray, " n"]) -> Float[np.ndarray, "n 2"]:
        """How far each row moves along both directions when its place in the plane is turned.

        Args:
            turns: radians, a row each.
        """
        x, y = ((rows - self.centre) @ self.basis.T).T
        cos, sin = np.cos(turns), np.sin(turns)
        return np.stack([cos * x - sin * y - x, sin * x + cos * y - y], axis=1)


@dataclass(frozen=True, eq=False)
class CircleMovement:
    """How far answers move when a word is turned along its circle.

    Shapes:
        shifts: (n_shifts,) words further along the circle; moved: (n_shifts, n_prompts) words by which the answer moved, from
            0 to n_words - 1: the likeliest of the circle's words, steered minus plain; random: (n_random, n_shifts,
            n_prompts) the same in random planes; in_circle: (n_shifts,) share of prompts whose likeliest token of all is one
            of the circle's words.
    """

    n_words: int
    shifts: Int[np.ndarray, " n_shifts"]
    moved: Int[np.ndarray, "n_shifts n_prompts"]
    random: Int[np.ndarray, "n_random n_shifts n_prompts"]
    in_circle: Float[np.ndarray, " n_shifts"]
    plain_in_circle: float

    @property
    def as_expected(self) -> Float[np.ndarray, " n_shifts"]:
        """Share of answers that move exactly as far as the word was turned, shift by shift."""
        return (self.moved == self.shifts[:, None]).mean(axis=1)

    @property
    def errors(self) -> Float[np.ndarray, " n_shifts"]:
        """Mean distance, in words the shorter way round, between where answers went and where they should."""
        return _distances(self.moved, self.shifts, self.n_words).mean(axis=1)

    @property
    def random_as_expected(self) -> Float[np.ndarray, "n_random n_shifts"]:
        """`as_expected` in every random plane."""
        return (self.random == self.shifts[:, None]).mean(axis=2)

    @property
    def p_value(self) -> float:
        """(1 + random planes that move at least as many answers as expected) / (1 + random planes), over all shifts."""
        hits = (self.random_as_expected.mean(axis=1) >= self.as_expected.mean()).sum()
        return float((1 + hits) / (1 + len(self.random)))

    def save(self, path: str | Path) -> None:
        """Write one .npz file, atomically."""
        arrays = {name: value for name, value in vars(self).items() if isinstance(value, np.ndarray)}
        save_result(path, kind=_KIND, arrays=arrays, told={k: v for k, v in vars(self).items() if k not in arrays})

    @classmethod
    def load(cls, path: str | Path) -> CircleMovement:
        """Read what `save` wrote.

        Raises:
            ValueError: no such file, or another kind of file.
        """
        saved = load_result(path, kind=_KIND)
        return cls(**saved.arrays, **saved.told)


def move_along_circle(
    model: TransformerBridge,
    prompts: Prompts,
    plane: CirclePlane,
    *,
    words: Int[np.ndarray, " n_prompts"],
    answer_ids: Int[np.ndarray, " n_words"],
    at: At = "last",
    shifts: Sequence[int] | None = None,
    n_random: int = 20,
    seed: int = 0,
    batch_size: int = BATCH_SIZE,
) -> CircleMovement:
    """Turn the word of every prompt by every shift, in the circle's plane and in random ones.

    Args:
        words: number of the word, in the order of the plane's angles, that each prompt has at `at`.
        answer_ids: the token of each of these words, as an answer.
        at: where the word's place on the circle is held, e.g. at the word itself.
        shifts: words to move by; None takes all but the whole way round.
        n_random, seed: random planes.
    Raises:
        ValueError: words or answers that do not belong to the plane's, no shift or one of 0, n_random below 1, a plane of another
            width, no token at `at`, rows at the centre (there is nothing to turn), or what `steered_parts` refuses.
    """
    wanted = np.arange(1, plane.n_words) if shifts is None else np.asarray(shifts, dtype=np.int64)
    chosen = _require(
        model, prompts, plane.hook_name, plane.n_words, words, answer_ids, wanted, at, n_random, batch_size
    )
    rows = recorded_rows(model, prompts, [()], hook_name=plane.hook_name, chosen=chosen, batch_size=batch_size)[0]
    if rows.shape[1] != len(plane.centre):
        raise ValueError(f"the plane has the width of the hook's rows, {rows.shape[1]}; got {len(plane.centre)}")
    word_of_row = np.repeat(words, chosen.sum(axis=1))
    turned = [plane.angles[(word_of_row + shift) % plane.n_words] - plane.angles[word_of_row] for shift in wanted]
    steps = torch.stack([torch.from_numpy(plane.steps(rows.double().cpu().numpy(), turns)) for turns in turned])
    if not float(steps.abs().max()) > 0:
        raise ValueError("expected rows that lie away from the circle's centre; got none: there is nothing to turn")
    said = _Said(model, prompts, plane.hook_name, at, chosen, answer_ids, batch_size)
    bases = [torch.from_numpy(plane.basis), *_random_bases(n_random, len(plane.centre), seed)]
    plain, *answers = said.under([None, *((step.float(), basis.float()) for basis in bases for step in steps)])
    moved = np.stack([(each.words - plain.words) % plane.n_words for each in answers])
    moved = moved.reshape(len(bases), len(wanted), prompts.n_prompts)
    return CircleMovement(
        n_words=plane.n_words,
        shifts=wanted % plane.n_words,
        moved=moved[0],
        random=moved[1:],
        in_circle=np.array([each.in_circle.mean() for each in answers[: len(wanted)]]),
        plain_in_circle=float(plain.in_circle.mean()),
    )


def swap_words(
    model: TransformerBridge,
    prompts: Prompts,
    *,
    hook_name: str,
    words: Int[np.ndarray, " n_prompts"],
    answer_ids: Int[np.ndarray, " n_words"],
    at: At = "last",
    shifts: Sequence[int] | None = None,
    batch_size: int = BATCH_SIZE,
) -> Int[np.ndarray, "n_shifts n_prompts"]:
    """How far answers move when the whole mean of a word is exchanged for that of another: the most that any plane can do.

    Rows are moved by the difference of two words' mean rows, in all dimensions. If not even this moves the answers, the word
    is not read from this hook any more, and nothing is learnt there about circles.

    Args:
        as in `move_along_circle`; means are over these prompts' rows.
    Returns:
        (n_shifts, n_prompts) words by which the answer moved, as `CircleMovement.moved`.
    Raises:
        ValueError: as `move_along_circle`; a word that no prompt has.
    """
    n_words = len(answer_ids)
    wanted = np.arange(1, n_words) if shifts is None else np.asarray(shifts, dtype=np.int64)
    chosen = _require(model, prompts, hook_name, n_words, words, answer_ids, wanted, at, 1, batch_size)
    rows = recorded_rows(model, prompts, [()], hook_name=hook_name, chosen=chosen, batch_size=batch_size)[0]
    word_of_row = np.repeat(words, chosen.sum(axis=1))
    missing = np.setdiff1d(np.arange(n_words), words)
    if len(missing):
        raise ValueError(f"every word is exchanged for others, so each needs a prompt; got none for word {missing[0]}")
    means = torch.stack([rows[torch.from_numpy(word_of_row == word)].mean(dim=0) for word in range(n_words)])
    steps = [means[(word_of_row + shift) % n_words] - means[word_of_row] for shift in wanted]
    said = _Said(model, prompts, hook_name, at, chosen, answer_ids, batch_size)
    plain, *answers = said.under([None, *((step, torch.eye(rows.shape[1])) for step in steps)])
    return np.stack([(each.words - plain.words) % n_words for each in answers])


@dataclass(frozen=True, eq=False)
class _Answered:
    """(n_prompts,) the likeliest of the circle's words, and whether it is the likeliest of all tokens."""

    words: np.ndarray
    in_circle: np.ndarray


@dataclass(frozen=True, eq=False)
class _Said:
    """What the model answers when rows are moved by steps."""

    model: TransformerBridge
    prompts: Prompts
    hook_name: str
    at: At
    chosen: np.ndarray
    answer_ids: np.ndarray
    batch_size: int

    def under(self, moves: Sequence[tuple[torch.Tensor, torch.Tensor] | None]) -> list[_Answered]:
        """Move after move: (amounts of all rows, directions), or None for the plain model."""
        shape = (len(moves), self.prompts.n_prompts)
        words, in_circle = np.empty(shape, np.int64), np.empty(shape, bool)
        for part in prompt_parts(self.prompts, self.chosen, batch_size=self.batch_size):
            settings: list[Setting] = [
                ()
                if move is None
                else part.setting(
                    (AddRows(hook_name=self.hook_name, at=self.at, amounts=move[0][part.rows], directions=move[1]),),
                    self.prompts.n_prompts,
                )
                for move in moves
            ]
            for said in steered_parts(self.model, part.prompts, settings, batch_size=self.batch_size):
                logits = said.logits.cpu()
                words[said.setting, part.numbers] = logits[:, self.answer_ids].argmax(dim=1).numpy()
                in_circle[said.setting, part.numbers] = np.isin(logits.argmax(dim=1).numpy(), self.answer_ids)
        return [_Answered(*each) for each in zip(words, in_circle, strict=True)]


def _random_bases(n: int, d: int, seed: int) -> list[torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    return [torch.linalg.qr(torch.randn((d, 2), generator=generator, dtype=torch.float64)).Q.T for _ in range(n)]


def _distances(moved: np.ndarray, shifts: np.ndarray, n_words: int) -> np.ndarray:
    apart = (moved - shifts[:, None]) % n_words
    return np.minimum(apart, n_words - apart)


def _require(
    model: TransformerBridge,
    prompts: Prompts,
    hook_name: str,
    n_words: int,
    words: np.ndarray,
    answer_ids: np.ndarray,
    shifts: np.ndarray,
    at: At,
    n_random: int,
    batch_size: int,
) -> np.ndarray:
    """The chosen tokens."""
    require_hook(model, hook_name)
    if words.shape != (prompts.n_prompts,) or words.min() < 0 or words.max() >= n_words:
        raise ValueError(f"expected a word of the circle, 0 to {n_words - 1}, for each of {prompts.n_prompts} prompts")
    if answer_ids.shape != (n_words,) or len(np.unique(answer_ids)) != n_words:
        raise ValueError(
            f"expected a different answer token for each of the {n_words} words; got {answer_ids.tolist()}"
        )
    if answer_ids.min() < 0 or answer_ids.max() >= model.cfg.d_vocab:
        raise ValueError(f"answers are token ids in [0, {model.cfg.d_vocab}); got {answer_ids.tolist()}")
    if not len(shifts) or (shifts % n_words == 0).any():
        raise ValueError(f"shifts move a word to another one; got {shifts.tolist()} on a circle of {n_words}")
    if n_random < 1 or batch_size < 1:
        raise ValueError(f"n_random and batch_size are at least 1; got {n_random} and {batch_size}")
    chosen = steered_columns(prompts, at)
    if not chosen.any(axis=1).all():
        raise ValueError(f"expected a token at {at!r} in every prompt; got a prompt without")
    return chosen
