"""Steering tasks: prompts with the answers expected before and after, read from a YAML file and checked.

The file's path is always given: a stage then depends on the prompts only if its parameters name the file. Prompts that a
vector is made of, prompts on which its strength is chosen and prompts that are scored are three separate lists of each
task; that no prompt is in two of them is checked here, once and for all.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from helpers.params.validation import check_file_name, explain, near_key
from helpers.params.yaml_file import read_yaml
from helpers.steering.scores.templates import WordList, filled
from helpers.storage import project_path

Part = Literal["validate", "held_out"]


@dataclass(frozen=True)
class TaskPrompt:
    """A prompt and its answers: words, any of which is right.

    Args:
        text: the prompt.
        before: right for the plain model; empty where nothing is known.
        after: right under steering; empty in a control, whose answer is to stay what it is.
        exact: the one word of `after` that keeps the place in the list, where that makes sense.
        form: number of the sentence form that it was made from.
    """

    text: str
    before: tuple[str, ...] = ()
    after: tuple[str, ...] = ()
    exact: str | None = None
    form: int = 0


@dataclass(frozen=True)
class SteeringTask:
    """One shift of answers.

    Args:
        name: how tables call it; question: what it asks, in words.
        toward, away: prompts that a vector is made of.
        validate: prompts on which a setting is chosen; held_out: prompts that are scored.
        min_probability: None: the top answer counts; otherwise the probability that the words of `after` must reach together.
    Raises:
        ValueError: a part without a prompt, a prompt twice or in two parts, an expected answer that is missing, or right both
            before and after, or a probability outside (0, 1).
    """

    name: str
    question: str
    toward: tuple[str, ...]
    away: tuple[str, ...]
    validate: tuple[TaskPrompt, ...]
    held_out: tuple[TaskPrompt, ...]
    min_probability: float | None = None

    def __post_init__(self) -> None:
        where = f"task '{self.name}'"
        _require_apart(
            where,
            toward=self.toward,
            away=self.away,
            validate=[prompt.text for prompt in self.validate],
            held_out=[prompt.text for prompt in self.held_out],
        )
        for prompt in (*self.validate, *self.held_out):
            if not prompt.after:
                raise ValueError(f"{where}: every prompt has an answer expected after; got none for '{prompt.text}'")
            both = sorted(set(prompt.before) & set(prompt.after))
            if both:
                raise ValueError(
                    f"{where}: an answer is right before or after; got '{both[0]}' for both in '{prompt.text}'"
                )
            if prompt.exact is not None and prompt.exact not in prompt.after:
                raise ValueError(
                    f"{where}: exact is one of the answers expected after; got '{prompt.exact}' in '{prompt.text}'"
                )
        if self.min_probability is not None and not 0 < self.min_probability < 1:
            raise ValueError(f"{where}: min_probability is between 0 and 1; got {self.min_probability}")

    def part(self, part: Part) -> tuple[TaskPrompt, ...]:
        return self.validate if part == "validate" else self.held_out


@dataclass(frozen=True)
class SteeringTasks:
    """All tasks of a file and the prompts that none of them may change.

    Raises:
        ValueError: no task, two of one name, a control prompt twice or in two parts, or one that belongs to a task.
    """

    tasks: tuple[SteeringTask, ...]
    controls_validate: tuple[TaskPrompt, ...]
    controls_held_out: tuple[TaskPrompt, ...]

    def __post_init__(self) -> None:
        if not self.tasks or len(set(self.names)) < len(self.tasks):
            raise ValueError(f"expected tasks with names that differ; got {', '.join(self.names) or 'none'}")
        controls = {part: [prompt.text for prompt in self.controls(part)] for part in ("validate", "held_out")}
        _require_apart("controls", **controls)
        texts = {text for part in controls.values() for text in part}
        for task in self.tasks:
            asked = [*task.toward, *task.away, *(prompt.text for prompt in (*task.validate, *task.held_out))]
            shared = sorted(texts & set(asked))
            if shared:
                raise ValueError(f"a control prompt belongs to no task; got '{shared[0]}' of task '{task.name}'")

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(task.name for task in self.tasks)

    def task(self, name: str) -> SteeringTask:
        """One task.

        Raises:
            ValueError: there is none of this name.
        """
        found = {task.name: task for task in self.tasks}
        if name not in found:
            raise ValueError(f"unknown steering task '{name}'{near_key(name, list(found))}")
        return found[name]

    def controls(self, part: Part) -> tuple[TaskPrompt, ...]:
        return self.controls_validate if part == "validate" else self.controls_held_out


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class _Words(_Strict):
    words: str = Field(min_length=1)
    order: Literal["cyclic", "linear"] = "linear"


class _Form(_Strict):
    prompt: str = Field(min_length=1)
    before: str | None = None
    after: str | None = None
    exact: str | None = None


class _Task(_Strict):
    question: str = Field(min_length=1)
    toward: list[str] = Field(min_length=1)
    away: list[str] = Field(min_length=1)
    before: str | None = None
    after: str | None = None
    exact: str | None = None
    min_probability: float | None = None
    validate_: list[_Form] = Field(alias="validate", min_length=1)
    held_out: list[_Form] = Field(min_length=1)


class _Control(_Strict):
    prompt: str = Field(min_length=1)
    before: str | None = None


class _Controls(_Strict):
    validate_: list[_Control] = Field(alias="validate", min_length=1)
    held_out: list[_Control] = Field(min_length=1)


class _File(_Strict):
    words: dict[str, _Words]
    tasks: dict[str, _Task] = Field(min_length=1)
    controls: _Controls


def read_steering_tasks(path: str | Path) -> SteeringTasks:
    """Read task tables such as params/data/steering_tasks.yaml, whose head tells the format.

    Args:
        path: absolute, or relative to the project.
    Raises:
        ValueError: no such file, not YAML, unknown or missing keys, unknown words, or as `SteeringTask` and `SteeringTasks`.
    """
    full = project_path(path)
    content = read_yaml(full)
    try:
        raw = _File.model_validate(content)
    except ValidationError as error:
        raise ValueError(f"{full}: {'; '.join(message for _, message in explain(error, _File))}") from None
    try:
        lists = {
            name: WordList(name, tuple(each.words.split()), is_cyclic=each.order == "cyclic")
            for name, each in raw.words.items()
        }
        return SteeringTasks(
            tasks=tuple(_task(name, each, lists) for name, each in raw.tasks.items()),
            controls_validate=_prompts(raw.controls.validate_, lists),
            controls_held_out=_prompts(raw.controls.held_out, lists),
        )
    except ValueError as error:
        raise ValueError(f"{full}: {error}") from None


def _task(name: str, raw: _Task, lists: Mapping[str, WordList]) -> SteeringTask:
    try:
        check_file_name(name, what="task")
        return SteeringTask(
            name=name,
            question=raw.question,
            toward=_texts(raw.toward, lists),
            away=_texts(raw.away, lists),
            validate=_prompts(raw.validate_, lists, task=raw),
            held_out=_prompts(raw.held_out, lists, task=raw),
            min_probability=raw.min_probability,
        )
    except ValueError as error:
        told = str(error)
        raise ValueError(told if told.startswith("task ") else f"task '{name}': {told}") from None


def _texts(templates: Iterable[str], lists: Mapping[str, WordList]) -> tuple[str, ...]:
    return tuple(each.prompt for template in templates for each in filled(template, [], lists))


def _prompts(
    forms: Iterable[_Form | _Control], lists: Mapping[str, WordList], *, task: _Task | None = None
) -> tuple[TaskPrompt, ...]:
    """Every prompt of some forms; answers that a form does not give are those of its task."""
    found = []
    for number, form in enumerate(forms):
        answers = [getattr(form, key, None) or getattr(task, key, None) or "" for key in ("before", "after", "exact")]
        for each in filled(form.prompt, answers, lists):
            before, after, exact = each.answers
            if (answers[0] and not before) or (answers[1] and not after):
                continue  # the answer lies beyond the end of a list
            found.append(TaskPrompt(each.prompt, before, after, exact[0] if len(exact) == 1 else None, number))
    return tuple(found)


def _require_apart(where: str, **parts: Iterable[str]) -> None:
    """No part is empty, and no prompt is met twice, in one part or in two."""
    seen: dict[str, str] = {}
    for part, texts in parts.items():
        n_before = len(seen)
        for text in texts:
            if text in seen:
                raise ValueError(
                    f"{where}: no prompt is used twice, or what is scored would have been seen; got '{text}' in "
                    f"{seen[text]} and {part}"
                )
            seen[text] = part
        if len(seen) == n_before:
            raise ValueError(f"{where}: {part} needs a prompt; got none")
