"""Moving words: along the circles that notebook 11 kept, and by the sum of a domain and an index."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float, Int64

from helpers.comparison.feature_effects import known_answers
from helpers.comparison.matched_sides import Read
from helpers.comparison.steering_transfer import TransferPair, TransferSide
from helpers.features import ConceptGroups
from helpers.geometry.circles import CirclePlane as WordPlane
from helpers.nulls import benjamini_hochberg
from helpers.steering import CellTest, Prompts, Word, held_out_cells, prompt_states
from helpers.steering.effects import CircleMovement, CirclePlane, move_along_circle, swap_words
from helpers.steering.prompts import At
from helpers.steering.scores import SteeringTask, answer_token
from helpers.steering.sum_steps import Start, SumSteering, steer_by_sums

EMBEDDING = "blocks.0.hook_resid_pre"


@dataclass(frozen=True, eq=False)
class CircleTurn:
    """One circle at one hook of one model.

    Shapes:
        swapped: (n_shifts, n_prompts) words by which the answer moves when the word's whole mean is exchanged.
    Args:
        shifts: words to move by; movement: None where the exchange moves no answer, as nobody reads the word there.
    """

    model: str
    group: str
    hook_name: str
    shifts: tuple[int, ...]
    swapped: Int64[np.ndarray, "n_shifts n_prompts"]
    movement: CircleMovement | None

    @property
    def swapped_as_expected(self) -> float:
        """Share of answers that the exchange moves exactly as far: what a plane could reach."""
        return float((self.swapped == np.array(self.shifts)[:, None]).mean())


def load_planes(read: Read, run: str, *, matching: str, groups: Sequence[str]) -> dict[tuple[str, str, str], WordPlane]:
    """The planes fitted to the order of words that a run of 11_multidimensional_features kept.

    Returns:
        (side "a" or "b", group, hook) -> plane.
    Raises:
        ValueError: planes of another matching; a group without a plane.
    """
    found = read("11_multidimensional_features", run)
    if found.params["matching"] != matching:
        raise ValueError(
            f"11_multidimensional_features/{run} looked at the models of 04_match_features/{found.params['matching']}; expected "
            f"'{matching}'; name another run under circles"
        )
    planes: dict[tuple[str, str, str], WordPlane] = {}
    for group in groups:
        for path in sorted(Path(found.artifact("planes")).glob(f"[ab]_{group}_*_order.npz")):
            plane = WordPlane.load(path)
            planes[path.name[0], group, plane.hook_name] = plane
        if not any(key[1] == group for key in planes):
            raise ValueError(f"11_multidimensional_features/{run} kept no plane of '{group}'; take other circle_tasks")
    return planes


def turn_words(
    both: TransferPair,
    planes: Mapping[tuple[str, str, str], WordPlane],
    tasks: Mapping[str, SteeringTask],
    *,
    shifts: Sequence[int],
    n_random: int,
    seed: int,
) -> list[CircleTurn]:
    """Turn the word of every prompt along its circle, at every layer where something above can still read it.

    Args:
        planes: as `load_planes` gives; tasks: group -> task whose prompts have one word of the group, and one as the answer.
        shifts, n_random, seed: see `move_along_circle`.
    Raises:
        ValueError: no prompt with just one of a plane's words; as `move_along_circle` and `swap_words`.
    """
    found = []
    for letter, side in (("a", both.a), ("b", both.b)):
        last = f"blocks.{side.model.cfg.n_layers - 1}.hook_resid_post"
        hooks = [EMBEDDING, *(f"blocks.{layer}.hook_resid_post" for layer in range(side.model.cfg.n_layers))]
        for group, task in tasks.items():
            for hook_name in hooks:
                plane = planes.get((letter, group, hook_name))
                if plane is None or hook_name == last:  # above the last block nobody reads the word
                    continue
                asked = prompts_with_word(both, task, plane.words)
                told = {"words": asked.words, "answer_ids": both.words(plane.words), "at": asked.at, "shifts": shifts}
                swapped = swap_words(side.model, asked.prompts, hook_name=hook_name, **told)  # type: ignore[arg-type]
                moved = None
                if swapped.any():
                    circle = CirclePlane(hook_name, plane.directions, plane.centre, plane.angles)
                    draws = {"n_random": n_random, "seed": seed}
                    moved = move_along_circle(side.model, asked.prompts, circle, **draws, **told)  # type: ignore[arg-type]
                found.append(CircleTurn(side.name, group, hook_name, tuple(shifts), swapped, moved))
    return found


def turn_p_values(turns: Sequence[CircleTurn]) -> list[float | None]:
    """p of every circle beside random planes, corrected over all that were turned; None where nothing was."""
    return list(benjamini_hochberg([turn.movement.p_value if turn.movement else None for turn in turns]))


def turn_shares(turns: Sequence[CircleTurn]) -> dict[str, float]:
    """Shares of answers that move as far as the word, on average over the circles that were turned; empty if none was.

    Returns:
        "plane", "random" (planes) and "whole" (word exchanged) -> share, in [0, 1].
    """
    moved = [(turn, turn.movement) for turn in turns if turn.movement is not None]
    if not moved:
        return {}
    return {
        "plane": float(np.mean([each.as_expected.mean() for _, each in moved])),
        "random": float(np.mean([each.random_as_expected.mean() for _, each in moved])),
        "whole": float(np.mean([turn.swapped_as_expected for turn, _ in moved])),
    }


@dataclass(frozen=True, eq=False)
class PromptsWithWord:
    """Prompts with one word of a group each.

    Shapes:
        words: (n_prompts,) number of the word.
    Args:
        at: where the word stands in every prompt.
    """

    prompts: Prompts
    words: Int64[np.ndarray, " n_prompts"]
    at: At


def prompts_with_word(both: TransferPair, task: SteeringTask, words: Sequence[str]) -> PromptsWithWord:
    """One prompt a sentence form and word: with one of the words in it, and another of them as the one right answer.

    Raises:
        ValueError: no such prompt.
    """
    held = {each.text for each in task.held_out}
    texts: dict[tuple[bool, int, int], str] = {}
    for each in known_answers(both, task).asked:
        inside = [
            number for number, word in enumerate(words) if word in each.text.replace(",", " ").replace(".", " ").split()
        ]
        if len(inside) == 1 and each.before[0] in words:
            texts.setdefault((each.text in held, each.form, inside[0]), each.text)
    if not texts:
        raise ValueError(f"task '{task.name}' has no prompt with one of {', '.join(words[:3])}...; take another task")
    prompts = both.prompts(list(texts.values()))
    numbers = np.array([key[2] for key in texts], dtype=np.int64)
    places = []
    for row, number in enumerate(numbers.tolist()):
        ids = prompts.input_ids[row][prompts.attention_mask[row]]
        places.append((int(np.flatnonzero(ids == _token_inside(both, words[number], list(texts.values())[row]))[0]),))
    return PromptsWithWord(prompts, numbers, tuple(places))


@dataclass(frozen=True, eq=False)
class WordCells:
    """A table of words, each with prompts that it answers.

    Args:
        prompts: all of them; one_each: one a word.
    Shapes:
        cell_of: (n_prompts,) number of the word; answer_ids: (n_words,).
    """

    words: tuple[Word, ...]
    prompts: Prompts
    one_each: Prompts
    cell_of: Int64[np.ndarray, " n_prompts"]
    answer_ids: Int64[np.ndarray, " n_words"]

    def states(self, side: TransferSide, hook_name: str) -> Float[np.ndarray, "n_words d"]:
        """What the hook holds where each word is due, on average over its prompts."""
        rows = prompt_states(side.model, self.prompts, hook_name=hook_name)
        return np.stack([rows[self.cell_of == cell].mean(axis=0) for cell in range(len(self.words))])


def place_cells(
    both: TransferPair, tasks: Mapping[str, SteeringTask], orders: ConceptGroups, *, first_words: Sequence[str]
) -> WordCells:
    """Domain = the group of words that is asked for, index = the answer's place in its order: January, Monday and one are 0.

    Args:
        tasks: group of `orders` -> task whose plain answers are of it; first_words: the word of each group that counts as its
            first; words before it are left out.
    Raises:
        ValueError: a group without exactly one first word; as `known_answers`.
    """
    texts: dict[Word, list[str]] = {}
    for name, task in tasks.items():
        words = orders[name].words
        begin = [words.index(word) for word in first_words if word in words]
        if len(begin) != 1:
            raise ValueError(f"first_words names one word of every group; got {len(begin)} of '{name}'")
        place = {word: number - begin[0] for number, word in enumerate(words) if number >= begin[0]}
        for each in known_answers(both, task).asked:
            if each.before[0] in place:
                cell = Word(each.before[0], name, place[each.before[0]])
                texts.setdefault(cell, []).append(each.text)
    return _cells(both, texts)


def form_cells(both: TransferPair, task: SteeringTask, words: Sequence[str]) -> WordCells:
    """The control: domain = the form of the sentence, index = the word that answers it, which forms do share.

    Raises:
        ValueError: as `known_answers`; no answer among the words.
    """
    held = {each.text for each in task.held_out}
    texts: dict[Word, list[str]] = {}
    for each in known_answers(both, task).asked:
        if each.before[0] in words:
            domain = f"{'held out' if each.text in held else 'validation'} {each.form}"
            texts.setdefault(Word(each.before[0], domain, list(words).index(each.before[0])), []).append(each.text)
    if not texts:
        raise ValueError(f"task '{task.name}' is answered by none of {', '.join(words[:3])}...; take another task")
    return _cells(both, texts)


@dataclass(frozen=True, eq=False)
class CellLayers:
    """Held-out cells at every layer of both models.

    Args:
        tests: (model, hook) -> test; adjusted: p-values, corrected over the table.
    """

    tests: Mapping[tuple[str, str], CellTest]
    adjusted: Mapping[tuple[str, str], float]


def cells_by_layer(both: TransferPair, cells: WordCells, *, n_shuffles: int, seed: int) -> CellLayers:
    """Is every cell found by a fit without it, after each block?

    Raises:
        ValueError: as `held_out_cells`.
    """
    tests = {}
    for side in (both.a, both.b):
        for layer in range(side.model.cfg.n_layers):
            hook_name = f"blocks.{layer}.hook_resid_post"
            rows = cells.states(side, hook_name)
            tests[side.name, hook_name] = held_out_cells(rows, cells.words, n_shuffles=n_shuffles, seed=seed)
    adjusted = benjamini_hochberg([test.p for test in tests.values()])
    return CellLayers(tests, {key: float(p or 1.0) for key, p in zip(tests, adjusted, strict=True)})


def steer_cells(
    side: TransferSide, cells: WordCells, *, start: Start, n_starts: int, n_shuffles: int, seed: int
) -> SumSteering:
    """Step to the cells left out, at the dictionary's hook.

    Raises:
        ValueError: as `steer_by_sums`.
    """
    return steer_by_sums(
        side.model,
        cells.one_each,
        cells.states(side, side.hook_name),
        cells.words,
        hook_name=side.hook_name,
        answer_ids=cells.answer_ids,
        start=start,
        n_starts=n_starts,
        n_shuffles=n_shuffles,
        seed=seed,
    )


def _cells(both: TransferPair, texts: Mapping[Word, Sequence[str]]) -> WordCells:
    words = tuple(texts)
    return WordCells(
        words=words,
        prompts=both.prompts([text for each in texts.values() for text in each]),
        one_each=both.prompts([each[0] for each in texts.values()]),
        cell_of=np.repeat(np.arange(len(words)), [len(each) for each in texts.values()]),
        answer_ids=both.words([word.text for word in words]),
    )


def _token_inside(both: TransferPair, word: str, text: str) -> int:
    """The word's token in a text: without the space before it where the text begins with it."""
    if text.startswith(word):
        ids = both.tokenizer(word, add_special_tokens=False)["input_ids"]
        if len(ids) != 1:
            raise ValueError(f"a word that is turned is one token; '{word}' is {len(ids)}; take other circle_tasks")
        return int(ids[0])
    return answer_token(both.tokenizer, word)
