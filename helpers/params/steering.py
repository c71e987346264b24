"""Typed parameters of the notebooks that steer models."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import AfterValidator, Field, model_validator

from helpers.params.notebooks import NotebookParams


def _positive_and_distinct(strengths: list[float]) -> list[float]:
    if min(strengths) <= 0 or len(set(strengths)) != len(strengths):
        raise ValueError(f"strengths must differ and be above 0; got {strengths}")
    return strengths


Strengths = Annotated[list[float], AfterValidator(_positive_and_distinct)]


class SteeringParams(NotebookParams):
    """13_steering: can a direction turn a model's answers, at what price, and what is it made of?"""

    activations: str = Field(min_length=1, description="run of 03_save_activations that holds the dictionary")
    dictionary: str = Field(
        min_length=1, description="dictionary at the output of a block; its model is the one that is steered"
    )
    tasks: str = Field(
        "params/data/steering_tasks.yaml", min_length=1, description="file of steering tasks, relative to the project"
    )
    task_names: list[str] = Field([], description="tasks of the file that take part; none named: all")
    shown: str = Field(
        "weekday_to_month", min_length=1, description="the task that is looked at closely; one of those that take part"
    )
    strengths: Strengths = Field(
        [0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.8, 1.0],
        min_length=1,
        description="lengths of what is added, in mean lengths of the layer's rows",
    )
    at: Literal["last", "everywhere"] = Field("last", description="tokens of the prompt that are steered")
    min_kept: float = Field(
        0.9, ge=0, le=1, description="share of control prompts that are left unchanged where a task works"
    )
    margin: float = Field(
        0.05, ge=0, le=1, description="added to min_kept when a setting is chosen: held-out controls change more easily"
    )
    min_success: float = Field(
        0.8, ge=0, le=1, description="share of held-out prompts answered as wished that counts as a task that works"
    )
    n_text_rows: int = Field(
        10_000, ge=100, description="tokens of text against which it is found out where a direction is due"
    )
    n_baselines: int = Field(19, ge=1, description="random directions, and shuffled sums of features, a task")
    n_resamples: int = Field(2000, ge=100, description="bootstrap samples an interval")
    min_firings: int = Field(20, ge=1, description="features that fire on fewer tokens are not drawn as baselines")
    n_features: int = Field(8, ge=1, description="features of each decomposition that are shown")
    n_new: int = Field(12, ge=2, description="tokens that are written after a prompt")

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.task_names and self.shown not in self.task_names:
            raise ValueError(f"shown must be one of task_names {self.task_names}; got '{self.shown}'")
        if len(set(self.task_names)) != len(self.task_names):
            raise ValueError(f"task_names must differ; got {self.task_names}")
        if self.min_kept + self.margin > 1:
            raise ValueError(f"min_kept and margin are at most 1 together; got {self.min_kept} and {self.margin}")
        return self


class SteeringTransferParams(NotebookParams):
    """14_steering_transfer: does a steering vector of one model steer another, carried through matched features or maps?"""

    matching: str = Field(
        min_length=1, description="run of 04_match_features: vectors go from its dictionary_a's model to dictionary_b's"
    )
    tasks: str = Field(
        "params/data/steering_tasks.yaml", min_length=1, description="file of steering tasks, relative to the project"
    )
    task: str = Field("weekday_to_month", min_length=1, description="task of the file whose vector is carried")
    removal_tasks: dict[str, str] = Field(
        {"weekdays": "weekday_to_month", "months": "month_to_weekday", "numbers": "number_to_month"},
        min_length=2,
        description="domain of answers -> task whose plain answers are of it; features are taken out for each",
    )
    min_corr: float = Field(0.0, ge=-1, le=1, description="pairs below this correlation carry nothing")
    n_features: int = Field(64, ge=1, description="features of the vector, from encoded prompts")
    n_pursued: int = Field(16, ge=1, description="features of the vector, from a pursuit on the decoder rows")
    strengths: Strengths = Field(
        [0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.8, 1.0],
        min_length=1,
        description="lengths of what is added, in mean lengths of the layer's rows; one is chosen",
    )
    min_success: float = Field(
        0.9, gt=0, le=1, description="success of the own vector on prompts to choose on that decides the strength"
    )
    n_tokens: int = Field(25_000, ge=1000, description="tokens on which maps between the models are fitted")
    n_folds: int = Field(5, ge=2, description="parts of that text for the choice of the ridge penalty")
    max_layers: int = Field(4, ge=1, description="layers of each model between which vectors are carried")
    n_runs: int = Field(59, ge=1, description="wrong matchings of each kind")
    n_shuffles: int = Field(39, ge=1, description="maps fitted on shuffled tokens")
    n_random: int = Field(59, ge=1, description="random directions")
    n_removed: int = Field(20, ge=1, description="features of a domain that are taken out together")
    n_removal_runs: int = Field(39, ge=1, description="other features taken out, of each kind and domain")
    n_shown: int = Field(8, ge=1, description="held-out prompts whose answers are shown")


class FeatureEffectsParams(NotebookParams):
    """18_feature_effects: what do features do in a model, and do matched features do the same in the other?"""

    matching: str = Field(min_length=1, description="run of 04_match_features: its two models, dictionaries and pairs")
    ceiling: str = Field(
        "",
        description="run of 04_match_features with two dictionaries of one model, beside the matching; none if empty",
    )
    circles: str = Field(
        "",
        description="run of 11_multidimensional_features on the same matching, whose planes are turned; none if empty",
    )
    tasks: str = Field(
        "params/data/steering_tasks.yaml", min_length=1, description="file of steering tasks, relative to the project"
    )
    ranked_tasks: list[str] = Field(
        ["weekday_to_month", "month_to_weekday", "number_to_month"],
        min_length=1,
        description="tasks on whose right plain answers features are ranked",
    )
    n_prompts: int = Field(10, ge=2, description="prompts of a task, at most, on which features are measured")
    n_candidates: int = Field(300, ge=1, description="features from the top of each ranking that are ablated")
    n_drawn: int = Field(100, ge=0, description="further ones that fire, drawn at random")
    n_shuffles: int = Field(999, ge=1, description="shuffles of rankings, of partners and of match correlations")
    pushed_task: str = Field("weekday_to_month", min_length=1, description="task whose push is taken apart downstream")
    strengths: Strengths = Field(
        [0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.8, 1.0],
        min_length=1,
        description="lengths of the push, in mean lengths of the layer's rows; one is chosen",
    )
    min_success: float = Field(
        0.9, gt=0, le=1, description="success on prompts to choose on that decides the strength: the least that has it"
    )
    n_features: int = Field(8, ge=1, description="features that change most, restored one by one")
    n_directions: int = Field(4, ge=1, description="singular directions of the change, restored one by one")
    n_random: int = Field(39, ge=1, description="random directions a restored part")
    n_pairs: int = Field(100, ge=4, description="pairs, drawn at random, whose partners are ablated")
    n_texts: int = Field(16, ge=1, description="texts in which they are")
    n_bands: int = Field(4, ge=2, description="bands of match correlation, and of the size of the effect")
    circle_tasks: dict[str, str] = Field(
        {"weekdays": "weekday_to_month", "months": "month_to_weekday"},
        min_length=1,
        description="circle of notebook 11 -> task whose prompts name one of its words and are answered by another",
    )
    shifts: list[int] = Field([1, 2, 3], min_length=1, description="words that a word is turned by along its circle")
    n_planes: int = Field(39, ge=1, description="random planes beside every circle")
    word_orders: str = Field(
        "params/data/word_orders.yaml",
        min_length=1,
        description="file of words in their order, relative to the project",
    )
    place_tasks: dict[str, str] = Field(
        {"weekdays": "weekday_to_month", "months": "month_to_weekday", "numbers": "number_to_month"},
        min_length=2,
        description="group of words in their order -> task whose plain answers are of it; the first is the known case, too",
    )
    first_words: list[str] = Field(
        ["Monday", "January", "one"], min_length=1, description="the word of each group that counts as its first"
    )
    n_starts: int = Field(5, ge=1, description="words from which a step to each other word sets out")
    n_tables: int = Field(39, ge=1, description="tables of words shuffled inside their domains")

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.ceiling == self.matching:
            raise ValueError(
                f"ceiling must be another run of 04_match_features than matching; both are '{self.ceiling}'"
            )
        if min(self.shifts) < 1 or len(set(self.shifts)) != len(self.shifts):
            raise ValueError(f"shifts must differ and be at least 1; got {self.shifts}")
        return self
