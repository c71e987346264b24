"""Run a task's prompts and the controls under many trials, and keep what every answer was worth."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Bool, Float, Int64

from helpers.array_file import ArrayFile
from helpers.models import hook_layer
from helpers.steering.interventions import Intervention
from helpers.steering.running import steered_parts
from helpers.steering.scores.arms import Trial
from helpers.steering.scores.questions import NO_TOKEN, Questions

if TYPE_CHECKING:
    from transformer_lens.model_bridge import TransformerBridge

_FILE = ArrayFile("a sweep", remedy="run 13_steering again")
BATCH_SIZE = 1024  # rows of a few tokens: a quarter of the time of 256


@dataclass(frozen=True, eq=False)
class Sweep:
    """Answers of one model to one task's prompts and to the controls under some trials.

    Shapes:
        arms, spaces, ways, hook_names, strengths: (n_trials,); hits, probability: (n_trials, n_prompts); exact: (n_trials,
            n_places), the prompts where keeping the place makes sense; unchanged: (n_trials, n_controls); plain_hits, known,
            forms: (n_prompts,).
    Args:
        ways: "always", or "where due": only where the arm's condition holds.
        strengths: in mean lengths of the layer's rows.
        hits: the steered answer is right; probability: of all answers that are right under steering, in [0, 1];
            exact: the answer also keeps the place in the list.
        unchanged: the top answer to a control prompt is the plain model's.
        plain_hits: right under steering, and answered without; known: the plain model's answer is right.
    """

    arms: np.ndarray
    spaces: np.ndarray
    ways: np.ndarray
    hook_names: np.ndarray
    strengths: Float[np.ndarray, " n_trials"]
    hits: Bool[np.ndarray, "n_trials n_prompts"]
    probability: Float[np.ndarray, "n_trials n_prompts"]
    exact: Bool[np.ndarray, "n_trials n_places"]
    unchanged: Bool[np.ndarray, "n_trials n_controls"]
    plain_hits: Bool[np.ndarray, " n_prompts"]
    known: Bool[np.ndarray, " n_prompts"]
    forms: Int64[np.ndarray, " n_prompts"]

    @property
    def n_trials(self) -> int:
        return len(self.arms)

    @property
    def layers(self) -> Int64[np.ndarray, " n_trials"]:
        return np.array([hook_layer(str(name)) for name in self.hook_names], np.int64)

    @property
    def success(self) -> Float[np.ndarray, " n_trials"]:
        """Share of prompts answered as wished, in [0, 1]."""
        return self.hits.mean(axis=1)

    @property
    def kept(self) -> Float[np.ndarray, " n_trials"]:
        """Share of control prompts whose top answer is unchanged, in [0, 1]; 1 = no side effect."""
        return self.unchanged.mean(axis=1)

    def of_arm(self, name: str) -> Int64[np.ndarray, " n_strengths"]:
        """Numbers of an arm's trials, the weakest first.

        Raises:
            ValueError: no arm of this name.
        """
        found = np.flatnonzero(self.arms == name)
        if not len(found):
            raise ValueError(f"unknown arm '{name}'; this sweep has {', '.join(dict.fromkeys(self.arms.tolist()))}")
        return found[np.argsort(self.strengths[found], kind="stable")]

    def of_space(self, space: str, *, way: str | None = None) -> Int64[np.ndarray, " n_here"]:
        """Numbers of a space's trials, added in one way or (None) in any; none where it took no part."""
        return np.flatnonzero((self.spaces == space) & ((self.ways == way) | (way is None)))

    def worst_form(self, trial: int) -> float:
        """Success on the sentence form that does worst."""
        return min(float(self.hits[trial, self.forms == form].mean()) for form in np.unique(self.forms))

    def save(self, path: str | Path) -> None:
        """Write one .npz file, atomically."""
        arrays = {each.name: getattr(self, each.name) for each in fields(self)}
        _FILE.write(path, **arrays)

    @classmethod
    def load(cls, path: str | Path) -> Sweep:
        """Read what `save` wrote.

        Raises:
            ValueError: no such file, not a sweep, or a newer format.
        """
        with _FILE.read(path) as content:
            return cls(**{each.name: content[each.name] for each in fields(cls)})


def run_sweep(
    model: TransformerBridge,
    questions: Questions,
    controls: Questions,
    tried: Sequence[Trial],
    *,
    batch_size: int = BATCH_SIZE,
) -> Sweep:
    """Ask every question and every control under every trial, and once without.

    Raises:
        ValueError: no trial; questions without an answer expected under steering; or as `steered_parts`: prompts that do not
            fit the model, a vector of another width, an unknown hook, logits that are not finite at a huge strength.
    """
    if not tried:
        raise ValueError("expected at least one trial; got none; name arms and strengths")
    if not questions.after.any(axis=1).all():
        raise ValueError("every question has an answer expected under steering; got one without; give it as a control")
    settings: list[Intervention | Sequence[Intervention]] = [(), *(trial.intervention for trial in tried)]
    n_trials, n_prompts, n_controls = len(tried), questions.prompts.n_prompts, controls.prompts.n_prompts
    hits, exact = (np.zeros((n_trials + 1, n_prompts), bool) for _ in range(2))
    probability = np.zeros((n_trials + 1, n_prompts), np.float32)
    answers = np.zeros((n_trials + 1, n_prompts), np.int64)
    for part in steered_parts(model, questions.prompts, settings, batch_size=max(batch_size, n_prompts)):
        told = questions.judged(part.logits.cpu().numpy())
        hits[part.setting], exact[part.setting] = told.hits, told.exact
        probability[part.setting], answers[part.setting] = told.probability, told.answers
    control_answers = np.zeros((n_trials + 1, n_controls), np.int64)
    for part in steered_parts(model, controls.prompts, settings, batch_size=batch_size):
        control_answers[part.setting, part.prompts] = part.logits.argmax(dim=1).cpu().numpy()
    return Sweep(
        arms=np.array([trial.arm.name for trial in tried]),
        spaces=np.array([trial.arm.space for trial in tried]),
        ways=np.array([trial.arm.way for trial in tried]),
        hook_names=np.array([trial.arm.vector.hook_name for trial in tried]),
        strengths=np.array([trial.strength for trial in tried], np.float64),
        hits=hits[1:],
        probability=probability[1:],
        exact=exact[1:, questions.exact != NO_TOKEN],
        unchanged=control_answers[1:] == control_answers[0],
        plain_hits=hits[0],
        known=questions.before[np.arange(n_prompts), answers[0]],
        forms=questions.forms,
    )
