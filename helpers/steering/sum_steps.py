"""Steer by domain + index: month-ness learnt from the other months, fourth-ness from Thursday and four, and see if it says April.

Every cell of a table of words is left out of the fit in turn. What the layer holds where another word is due is moved by the
step from that word's sum to the left-out cell's sum, as long as the fit makes it: no strength is chosen. The null shuffles the
words of every domain over its places, so that the domain is still right and the index means nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

import numpy as np
import torch
from jaxtyping import Float, Int

from helpers.steering.effects.row_edits import AddRows, prompt_parts
from helpers.steering.hooking import Setting
from helpers.steering.prompts import Prompts, steered_columns
from helpers.steering.running import BATCH_SIZE, steered_parts
from helpers.steering.word_sums import Word, estimable_cells, fit_word_sums, shuffled_places

if TYPE_CHECKING:
    from transformer_lens.model_bridge import TransformerBridge

Start = Literal["own domain", "other domains"]


@dataclass(frozen=True, eq=False)
class SumSteering:
    """Answers after steps to cells that were not in the fit.

    Shapes:
        targets, starts: (n_steps,) numbers of the words stepped to and from; hits: (n_steps,) the answer is the target's word;
            in_domain: (n_steps,) it is a word of the target's domain; null_hits: (n_shuffles,) share of hits.
    """

    targets: Int[np.ndarray, " n_steps"]
    starts: Int[np.ndarray, " n_steps"]
    hits: Int[np.ndarray, " n_steps"]
    in_domain: Int[np.ndarray, " n_steps"]
    null_hits: Float[np.ndarray, " n_shuffles"]

    @property
    def success(self) -> float:
        """Share of steps after which the model says the very word."""
        return float(self.hits.mean())

    @property
    def p(self) -> float:
        """Chance of as many hits without any index that domains share: (1 + as many) / (1 + shuffles)."""
        return (1 + int((self.null_hits >= self.success).sum())) / (1 + len(self.null_hits))


def steer_by_sums(
    model: TransformerBridge,
    prompts: Prompts,
    activations: Float[np.ndarray, "n_words d"],
    words: Sequence[Word],
    *,
    hook_name: str,
    answer_ids: Int[np.ndarray, " n_words"],
    start: Start,
    n_starts: int = 5,
    n_shuffles: int = 19,
    seed: int = 0,
    batch_size: int = BATCH_SIZE,
) -> SumSteering:
    """Step to every cell from some others, and see what the model answers.

    Shapes:
        activations: (n_words, d), what the hook holds at the last token of prompts whose answer is the word, on average.
    Args:
        prompts: one for every word, whose plain answer it is; steps are added at its last token.
        answer_ids: the words' tokens.
        start: cells that steps set out from: of the target's own domain, so that only the index changes, or of the others, so
            that both do.
        n_starts: drawn for every target, at most.
        n_shuffles: tables whose words are shuffled inside each domain.
    Raises:
        ValueError: as `fit_word_sums`; not one prompt and answer a word, counts below 1, another start, or no step to make.
    """
    if start not in ("own domain", "other domains"):
        raise ValueError(f"start is 'own domain' or 'other domains'; got {start!r}")
    if min(n_starts, n_shuffles) < 1:
        raise ValueError(f"n_starts and n_shuffles are at least 1; got {n_starts} and {n_shuffles}")
    if prompts.n_prompts != len(words) or answer_ids.shape != (len(words),):
        raise ValueError(
            f"expected one prompt and one answer for each of {len(words)} words; got {prompts.n_prompts} and "
            f"{answer_ids.shape}"
        )
    rows = np.asarray(activations, dtype=np.float64)
    rng = np.random.default_rng(seed)
    targets, starts = _steps(words, estimable_cells(rows, words), start, n_starts, rng)
    orders = [np.arange(len(words)), *(shuffled_places(words, rng) for _ in range(n_shuffles))]
    steps = [_vectors(rows[order], words, targets, starts) for order in orders]
    answers = _answers(model, prompts, starts, steps, hook_name, batch_size)
    hits = answers == answer_ids[targets]
    of_domain: dict[str, list[int]] = {word.domain: [] for word in words}
    for word, token in zip(words, answer_ids.tolist(), strict=True):
        of_domain[word.domain].append(token)
    found = [
        token in of_domain[words[target].domain] for token, target in zip(answers[0].tolist(), targets, strict=True)
    ]
    return SumSteering(targets, starts, hits[0].astype(int), np.array(found, dtype=int), hits[1:].mean(axis=1))


def _steps(
    words: Sequence[Word], tested: np.ndarray, start: Start, n_starts: int, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    pairs: list[tuple[int, int]] = []
    for target in tested.tolist():
        same = np.array([word.domain == words[target].domain for word in words])
        allowed = np.flatnonzero(same if start == "own domain" else ~same)
        allowed = np.intersect1d(allowed[allowed != target], tested)
        drawn = rng.choice(allowed, min(n_starts, len(allowed)), replace=False)
        pairs += [(target, int(each)) for each in np.sort(drawn)]
    if not pairs:
        raise ValueError(f"expected cells to step between, starting from {start}; got none; add words or domains")
    targets, starts = np.array(pairs, dtype=np.int64).T
    return targets, starts


def _vectors(
    rows: np.ndarray, words: Sequence[Word], targets: np.ndarray, starts: np.ndarray
) -> Float[np.ndarray, "n_steps d"]:
    """Every step, by a fit without its target."""
    found = np.empty((len(targets), rows.shape[1]))
    for target in np.unique(targets):
        others = np.flatnonzero(np.arange(len(words)) != target).tolist()
        sums = fit_word_sums(rows[others], [words[place] for place in others])
        for place in np.flatnonzero(targets == target).tolist():
            ends = [(words[number].domain, words[number].index) for number in (int(starts[place]), int(target))]
            found[place] = sums.step(*ends)
    return found


def _answers(
    model: TransformerBridge,
    prompts: Prompts,
    starts: np.ndarray,
    steps: Sequence[np.ndarray],
    hook_name: str,
    batch_size: int,
) -> Int[np.ndarray, "n_settings n_steps"]:
    """Likeliest token after every start's prompt, moved by each of its steps."""
    asked = replace(
        prompts,
        input_ids=prompts.input_ids[starts],
        attention_mask=prompts.attention_mask[starts],
        keep_mask=prompts.keep_mask[starts],
    )
    found = np.empty((len(steps), len(starts)), np.int64)
    amounts = [torch.from_numpy(each).float() for each in steps]
    axes = torch.eye(steps[0].shape[1])
    for part in prompt_parts(asked, steered_columns(asked, "last"), batch_size=batch_size):
        settings: list[Setting] = [
            (AddRows(hook_name=hook_name, at="last", amounts=each[part.rows], directions=axes),) for each in amounts
        ]
        for said in steered_parts(model, part.prompts, settings, batch_size=batch_size):
            found[said.setting, part.numbers] = said.logits.argmax(dim=1).cpu().numpy()
    return found
