"""One task from its prompts to its scores: vectors at every layer, the setting chosen, then scored on held-out prompts."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Float, Int64

from helpers.corpus import TokenBatch
from helpers.saes import LoadedSae
from helpers.steering.conditions import Condition, fit_condition
from helpers.steering.feature_sums import FeatureSum
from helpers.steering.making import difference_of_means
from helpers.steering.measuring import prompt_states, text_rows
from helpers.steering.prompts import At, Prompts, encode_prompts
from helpers.steering.scores.arms import (
    SPACES,
    WAYS,
    Arm,
    Trial,
    Way,
    cleaned_sum,
    dictionary_sum,
    random_arms,
    shuffled_arms,
    trials,
)
from helpers.steering.scores.choice import Choice, Score, best_trial, score_choice
from helpers.steering.scores.questions import Questions, encode_questions
from helpers.steering.scores.sweep import Sweep, run_sweep
from helpers.steering.scores.tables import Part, SteeringTask, SteeringTasks

if TYPE_CHECKING:
    from transformer_lens.model_bridge import TransformerBridge
    from transformers import PreTrainedTokenizerBase


@dataclass(frozen=True, eq=False)
class TaskArms:
    """The directions of one task.

    Args:
        layers: the difference of means at the output of every block, the lowest first, added always.
        spaces: space -> the direction at the dictionary's hook, added always; "cleaned" is missing where no feature tells the
            sides apart, "sae" where none differs between them.
        conditions: hook -> where a direction is due: rows like those at the end of the prompts that it leads away from.
        summed: the direction at the dictionary's hook as a sum of features.
        cleaned: those of them that are kept.
    """

    layers: tuple[Arm, ...]
    spaces: Mapping[str, Arm]
    conditions: Mapping[str, Condition]
    summed: FeatureSum
    cleaned: FeatureSum

    @property
    def all(self) -> tuple[Arm, ...]:
        """Every direction once in each way, first those that are added always."""
        directions = tuple({arm.name: arm for arm in (*self.layers, *self.spaces.values())}.values())
        return directions + tuple(self.where_due(arm) for arm in directions)

    def arm(self, name: str) -> Arm:
        return next(arm for arm in self.all if arm.name == name)

    def where_due(self, arm: Arm) -> Arm:
        """The same direction, added only where it is due."""
        return arm.where(self.conditions[arm.vector.hook_name])

    def names(self, arms: Iterable[Arm], *, way: Way | None = None) -> list[str]:
        """Names of some directions in one way, or in both."""
        both = [each for arm in arms for each in (arm, self.where_due(arm))]
        return [each.name for each in both if way in (None, each.way)]


@dataclass(frozen=True, eq=False)
class TaskRun:
    """One task's sweeps, choices and scores.

    Args:
        validation: every direction at every strength on the validation prompts; held_out: the chosen settings and the
            baselines on the held-out prompts, at the chosen strengths alone.
        choice: the best layer and way in model space; score: its score, beside random directions of the same length that are
            added in the same way.
        ways: "always" and "where due" -> score of the best layer in this way.
        spaces: space -> score of its best way and strength at the dictionary's hook, beside shuffled features that are added
            as strongly and in the same way (none where no feature differs between the sides).
    """

    arms: TaskArms
    validation: Sweep
    held_out: Sweep
    choice: Choice
    score: Score
    ways: Mapping[str, Score]
    spaces: Mapping[str, Score]

    @property
    def chosen(self) -> Arm:
        return self.arms.arm(self.choice.arm)


@dataclass(frozen=True, eq=False)
class Bench:
    """What all tasks of a notebook share.

    Args:
        name: what the study calls the model.
        loaded: a dictionary at the output of a block.
        text: ordinary text; of its first `n_text_rows` tokens the rows are taken that a condition is held against.
        firing: ids of features that fire on texts, from which shuffled features are drawn.
        labels: feature id -> what it stands for.
        strengths: in mean lengths of the layer's rows; at: where the direction is added.
        min_kept: least share of unchanged control prompts of a choice.
        n_baselines: random directions, and shuffled sums, a task.
    """

    model: TransformerBridge
    tokenizer: PreTrainedTokenizerBase
    tasks: SteeringTasks
    loaded: LoadedSae
    text: TokenBatch
    firing: Int64[np.ndarray, " n_firing"]
    name: str
    strengths: Sequence[float]
    labels: Mapping[int, str] = field(default_factory=dict)
    at: At = "last"
    min_kept: float = 0.9
    n_baselines: int = 19
    n_resamples: int = 2000
    n_text_rows: int = 10_000
    seed: int = 0

    @cached_property
    def text_rows(self) -> Mapping[str, Float[np.ndarray, "n_rows d"]]:
        """Rows of ordinary text at the output of every block."""
        return text_rows(self.model, self.text, hook_names=self.hook_names, n_rows=self.n_text_rows)

    @property
    def hook_names(self) -> list[str]:
        """The output of every block, the lowest first."""
        return [f"blocks.{layer}.hook_resid_post" for layer in range(self.model.cfg.n_layers)]

    def feature_name(self, hook_name: str, feature_id: int) -> str:
        """What a feature stands for, or its id where it is not known."""
        known = hook_name == self.loaded.hook_name and self.labels.get(feature_id)
        return known or str(feature_id)

    def prompts(self, texts: Sequence[str]) -> Prompts:
        """Texts as the dictionary's model is to read them."""
        return encode_prompts(self.tokenizer, texts, prepend_bos=self.loaded.prepend_bos)

    def questions(self, task: SteeringTask, part: Part) -> Questions:
        return encode_questions(
            self.tokenizer,
            task.part(part),
            d_vocab=self.model.cfg.d_vocab,
            min_probability=task.min_probability,
            prepend_bos=self.loaded.prepend_bos,
        )

    def controls(self, part: Part) -> Questions:
        return encode_questions(
            self.tokenizer,
            self.tasks.controls(part),
            d_vocab=self.model.cfg.d_vocab,
            prepend_bos=self.loaded.prepend_bos,
        )

    def arms(self, task: SteeringTask) -> TaskArms:
        """The directions of a task.

        Raises:
            ValueError: a dictionary that does not read the output of a block, or sides that do not differ.
        """
        hook_names = self.hook_names
        if self.loaded.hook_name not in hook_names:
            raise ValueError(
                f"expected a dictionary of a block's output, {hook_names[0]} to {hook_names[-1]}; got one of "
                f"{self.loaded.hook_name}; choose another"
            )
        sides = [self.prompts(texts) for texts in (task.toward, task.away)]
        details = {"task": task.name}
        layers = tuple(
            Arm(
                f"layer {layer}",
                "model",
                difference_of_means(self.model, *sides, hook_name=hook, name=self.name, details=details),
            )
            for layer, hook in enumerate(hook_names)
        )
        own = layers[hook_names.index(self.loaded.hook_name)]
        conditions = {
            hook: fit_condition(
                prompt_states(self.model, sides[1], hook_name=hook), self.text_rows[hook], hook_name=hook
            )
            for hook in hook_names
        }
        states = [prompt_states(self.model, side, hook_name=self.loaded.hook_name) for side in sides]
        summed = dictionary_sum(own.vector, self.loaded, *states, labels=self.labels)
        cleaned = cleaned_sum(summed, self.loaded, *states)
        spaces = {"model": own}
        for space, found in zip(SPACES[1:], (summed, cleaned), strict=True):
            if len(found.feature_ids):
                spaces[space] = Arm(space, space, found.rebuilt())
        return TaskArms(layers, spaces, conditions, summed, cleaned)

    def run(self, task: SteeringTask) -> TaskRun:
        """Choose on the validation prompts, score on the held-out ones.

        Raises:
            ValueError: as `arms`, `encode_questions`, `run_sweep` and `shuffled_arms`.
        """
        arms = self.arms(task)
        tried = trials(arms.all, self.strengths, at=self.at)
        validation = run_sweep(self.model, self.questions(task, "validate"), self.controls("validate"), tried)

        def best(directions: Iterable[Arm], way: Way | None = None) -> Choice:
            return best_trial(validation, min_kept=self.min_kept, among=arms.names(directions, way=way))

        choice = best(arms.layers)
        ways = {way: best(arms.layers, way) for way in WAYS}
        spaces = {space: best([arm]) for space, arm in arms.spaces.items()}
        held_out = run_sweep(
            self.model,
            self.questions(task, "held_out"),
            self.controls("held_out"),
            self._held_out_trials(arms, [choice, *ways.values()], list(spaces.values())),
        )

        shuffled = "shuffled" if len(arms.summed.feature_ids) else None

        def score(chosen: Choice, baselines: str | None) -> Score:
            return score_choice(
                held_out, chosen, task=task.name, baselines=baselines, n_resamples=self.n_resamples, seed=self.seed
            )

        return TaskRun(
            arms=arms,
            validation=validation,
            held_out=held_out,
            choice=choice,
            score=score(choice, "random"),
            ways={way: score(each, "random") for way, each in ways.items()},
            spaces={space: score(each, shuffled) for space, each in spaces.items()},
        )

    def recognised(self, task: SteeringTask, run: TaskRun) -> Mapping[str, float]:
        """How well the condition of the setting that is chosen where due recognises the task's sentences.

        Returns:
            "validation", "held_out" (of prompts, at whose end the direction is due: the more the better),
            "validation_controls", "held_out_controls" (at whose end it is not: the fewer the better): shares in [0, 1] for
            which the condition holds.
        """
        hook_name = f"blocks.{run.ways['where due'].layer}.hook_resid_post"
        condition, shares = run.arms.conditions[hook_name], {}
        parts: tuple[Part, ...] = ("validate", "held_out")
        for part, name in zip(parts, ("validation", "held_out"), strict=True):
            for asked, end in ((self.questions(task, part), ""), (self.controls(part), "_controls")):
                shares[name + end] = condition.share(prompt_states(self.model, asked.prompts, hook_name=hook_name))
        return shares

    def curve(self, task: SteeringTask, run: TaskRun) -> Sweep:
        """The spaces, the chosen layer and a few baselines at every strength and in both ways on the held-out prompts: to be
        looked at, and not to be chosen from.
        """
        layer = next(arm for arm in run.arms.layers if arm.layer == run.choice.layer)
        directions = {arm.name: arm for arm in (layer, *run.arms.spaces.values())}.values()
        arms = [each for arm in directions for each in (arm, run.arms.where_due(arm))]
        few = max(1, self.n_baselines // 4)
        arms += [
            each
            for way in WAYS
            for each in (*self._random(run.arms, layer, few, way), *self._shuffled(run.arms, few, way))
        ]
        tried = trials(arms, self.strengths, at=self.at)
        return run_sweep(self.model, self.questions(task, "held_out"), self.controls("held_out"), tried)

    def _random(self, arms: TaskArms, beside: Arm, n: int, way: Way) -> list[Arm]:
        found = random_arms(beside.vector, n=n, seed=self.seed)
        return found if way == "always" else [arms.where_due(arm) for arm in found]

    def _shuffled(self, arms: TaskArms, n: int, way: Way) -> list[Arm]:
        if not len(arms.summed.feature_ids):
            return []
        found = shuffled_arms(arms.summed, self.loaded, n=n, seed=self.seed, candidates=self.firing)
        return found if way == "always" else [arms.where_due(arm) for arm in found]

    def _held_out_trials(self, arms: TaskArms, layers: Sequence[Choice], spaces: Sequence[Choice]) -> list[Trial]:
        """What was chosen, and baselines in every way that was: random directions at the layer and strength of that way's
        choice, shuffled features at the strengths of the spaces that were chosen in that way.
        """
        tried = [Trial(arms.arm(each.arm), each.strength, self.at) for each in dict.fromkeys([*layers, *spaces])]
        for each in dict.fromkeys(layers):
            beside = arms.arm(each.arm)
            tried += trials(self._random(arms, beside, self.n_baselines, beside.way), [each.strength], at=self.at)
        for way in WAYS:
            strengths = sorted({each.strength for each in spaces if each.way == way})
            if strengths:
                tried += trials(self._shuffled(arms, self.n_baselines, way), strengths, at=self.at)
        return tried
