"""What features do in two matched models: which of them matter for an answer, and which carry a push."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, TypeVar

import numpy as np
from jaxtyping import Float, Int64
from scipy.stats import rankdata

from helpers.comparison import steering_transfer as across
from helpers.comparison.steering_transfer import TransferPair, TransferSide
from helpers.nulls import PermutationResult, benjamini_hochberg
from helpers.nulls.permutation import null_rng, summarise
from helpers.steering import Prompts, steered_logits
from helpers.steering.effects import (
    Answers,
    FeatureEffects,
    RestoredEffect,
    feature_effects,
    restored_effect,
)
from helpers.steering.effects.attribution import Ranking
from helpers.steering.scores import SteeringTask, TaskPrompt
from helpers.steering.transfer import chosen_strength

if TYPE_CHECKING:
    from transformer_lens.model_bridge import TransformerBridge

RANKINGS: tuple[Ranking, ...] = ("attribution", "activation")
LOWEST = "blocks.0.hook_resid_post"
_LEVEL = (0.025, 0.975)
T = TypeVar("T")


@dataclass(frozen=True)
class _Scale:
    """How a score is read (the `Scale` of `summarise`)."""

    name: str
    direction: Literal["similarity", "distance"] = "similarity"
    ideal: float = 1.0


@dataclass(frozen=True, eq=False)
class KnownAnswers:
    """Prompts that have exactly one right answer.

    Shapes:
        token_ids: (n_prompts,) of the answers.
    Args:
        asked: where they come from, in the same order.
    """

    prompts: Prompts
    token_ids: Int64[np.ndarray, " n_prompts"]
    asked: tuple[TaskPrompt, ...]


def known_answers(both: TransferPair, task: SteeringTask, *, n_prompts: int | None = None) -> KnownAnswers:
    """The prompts of a task, validation and held out, to which exactly one word is the plain model's right answer.

    Args:
        n_prompts: at most so many, evenly spaced through all of them; None takes all.
    Raises:
        ValueError: there is no such prompt, an answer of several tokens, or n_prompts below 1.
    """
    asked = [each for each in (*task.validate, *task.held_out) if len(each.before) == 1]
    if not asked:
        raise ValueError(f"task '{task.name}' has no prompt with exactly one right plain answer; take another task")
    asked = _spaced(asked, n_prompts)
    return KnownAnswers(
        both.prompts([each.text for each in asked]), both.words([each.before[0] for each in asked]), tuple(asked)
    )


def lead_of(model: TransformerBridge, known: KnownAnswers) -> Answers:
    """What an effect is measured on: the logit of the right answer less that of the plain model's best other token."""
    logits = steered_logits(model, known.prompts, [()])[0]
    np.put_along_axis(logits, known.token_ids[:, None], -np.inf, axis=1)
    return Answers(known.token_ids, logits.argmax(axis=1).astype(np.int64))


def rank_effects(
    both: TransferPair,
    side: TransferSide,
    task: SteeringTask,
    *,
    n_prompts: int,
    n_candidates: int,
    n_random: int,
    seed: int,
) -> FeatureEffects:
    """Every feature's guessed effect on the lead of a task's right answers, and the measured one of the likeliest.

    Args:
        n_prompts: of the task, at most; n_candidates, n_random: see `feature_effects`. With as many candidates as features
            fire, all of them are measured, and no ranking is judged on a choice of its own.
    """
    known = known_answers(both, task, n_prompts=n_prompts)
    answers = lead_of(side.model, known)
    sizes = {"n_candidates": n_candidates, "n_random": n_random}
    return feature_effects(side.model, known.prompts, side.loaded, answers, seed=seed, **sizes)  # type: ignore[arg-type]


def ranking_test(
    effects: FeatureEffects, ranking: Ranking, *, n_shuffles: int = 999, seed: int = 0
) -> PermutationResult | None:
    """A ranking's Spearman correlation with the measured effects, beside the same ranking shuffled among the features.

    Returns:
        None where a ranking has only ties.
    Raises:
        ValueError: n_shuffles below 1, or another ranking.
    """
    if n_shuffles < 1:
        raise ValueError(f"n_shuffles is at least 1; got {n_shuffles}")
    score = effects.agreement(ranking)
    if score is None:
        return None
    x, y = (_unit_ranks(values) for values in (effects.ranked_by(ranking), effects.sizes))
    rng = null_rng(seed)
    null = np.array([rng.permutation(x) @ y for _ in range(n_shuffles)])
    settings = {"ranking": ranking, "n_shuffles": n_shuffles, "seed": seed}
    return summarise(_Scale("rank correlation"), score, null, len(x), settings, null_kind="pairing")


def ranking_advantage(effects: FeatureEffects, *, n_resamples: int = 999, seed: int = 0) -> Float[np.ndarray, " three"]:
    """How much higher the rank correlation of the attribution is than that of the activation, with a bootstrap interval.

    Returns:
        Value, low and high (95%, features drawn anew); in [-2, 2], above 0 where the attribution ranks better.
    Raises:
        ValueError: fewer than three features, or n_resamples below 1.
    """
    n = len(effects.candidates)
    if n < 3 or n_resamples < 1:
        raise ValueError(f"expected three features or more and a resample; got {n} and {n_resamples}")
    values = np.stack([*(effects.ranked_by(ranking) for ranking in RANKINGS), effects.sizes])
    rng = np.random.default_rng(seed)
    drawn = [_advantage(values[:, rng.integers(0, n, n)]) for _ in range(n_resamples)]
    return np.array([_advantage(values), *np.quantile(drawn, _LEVEL)])


@dataclass(frozen=True, eq=False)
class TakenApart:
    """A push at the lowest layer, and what carries it at the dictionary's.

    Shapes:
        adjusted: (n_features + n_directions,) p-values of features and directions, corrected together.
    Args:
        strength: of the push, in mean lengths of the rows; turned: share of prompts whose answer is of the wanted domain.
    """

    restored: RestoredEffect
    strength: float
    turned: float
    adjusted: Float[np.ndarray, " n_parts"]

    def n_beyond(self, part: Literal["features", "directions"]) -> int:
        """Parts that carry more than every one of their random directions; by chance one in (1 + random directions)."""
        parts = self.restored.features if part == "features" else self.restored.directions
        return int((parts.shares > parts.random.max(axis=1)).sum())


def take_apart(
    both: TransferPair,
    side: TransferSide,
    task: SteeringTask,
    *,
    strengths: Sequence[float],
    min_success: float,
    n_prompts: int,
    n_features: int,
    n_directions: int,
    n_random: int,
    seed: int,
) -> TakenApart:
    """Push the stream after the first block along the task's own vector, and restore what changes at the dictionary in turn.

    Args:
        strengths, min_success: the least strength is taken that turns this share of the prompts to choose on.
        others: see `restored_effect`; prompts are held out. What is read is the logit of the wanted domain's word that the
            steered model likes best, less that of the other domain's word that the plain model likes best.
    Raises:
        ValueError: as `answer_shift` and `restored_effect`, which wants a dictionary of the first block or a later one.
    """
    vector = across.own_vector(both, side, task, hook_name=LOWEST)
    to_choose = across.answer_shift(both, task, task.validate)
    step = {"hook_name": LOWEST, "residual_norm": vector.residual_norm}
    strength, _ = chosen_strength(
        side.model,
        to_choose,
        vector.vector,
        strengths=tuple(strengths),
        min_success=min_success,
        **step,  # type: ignore[arg-type]
    )
    shift = across.answer_shift(both, task, _spaced(task.held_out, n_prompts))
    push = vector.add(strength=strength, unit="residual_norm", at="last")
    plain, steered = steered_logits(side.model, shift.prompts, [(), push])
    wanted, others = (
        words[logits[:, words].argmax(axis=1)] for logits, words in ((steered, shift.toward), (plain, shift.away))
    )
    restored = restored_effect(
        side.model,
        shift.prompts,
        push,
        side.loaded,
        Answers(wanted, others),
        n_features=n_features,
        n_directions=n_directions,
        n_random=n_random,
        seed=seed,
    )
    p_values = [*restored.features.p_values, *restored.directions.p_values]
    adjusted = np.array(benjamini_hochberg(p_values), dtype=np.float64)
    turned = float(np.isin(steered.argmax(axis=1), shift.toward).mean())
    return TakenApart(restored, strength, turned, adjusted)


def mean_agreement(
    tests: Mapping[str, Mapping[Ranking, PermutationResult | None]],
) -> dict[Ranking, float | None]:
    """Mean rank correlation of every ranking over some sets of prompts; None where none is defined.

    Args:
        tests: set of prompts -> ranking -> test, as `ranking_test` gives.
    """
    found: dict[Ranking, float | None] = {}
    for ranking in RANKINGS:
        scores = [test.score for row in tests.values() if (test := row[ranking]) is not None and test.score is not None]
        found[ranking] = float(np.mean(scores)) if scores else None
    return found


def apart_metrics(name: str, apart: TakenApart) -> dict[str, float]:
    """What parts of a push carry, under names that end in the model's."""
    restored = apart.restored
    return {
        f"strength_{name}": apart.strength,
        f"best_feature_{name}": float(restored.features.shares.max()),
        f"best_direction_{name}": float(restored.directions.shares.max()),
        f"features_together_{name}": restored.features_together,
        f"dictionary_{name}": restored.dictionary,
        f"whole_{name}": restored.whole,
    }


def _advantage(values: Float[np.ndarray, "3 n"]) -> float:
    """Of rows attribution, activation, measured; rankings of ties only count as 0."""
    attribution, activation, measured = (_unit_ranks(row) for row in values)
    return float(attribution @ measured - activation @ measured)


def _unit_ranks(values: Float[np.ndarray, " n"]) -> Float[np.ndarray, " n"]:
    """Ranks less their mean, of length 1, so that a product is Spearman's correlation; zeros where all are ties."""
    ranks = rankdata(values)
    centred = ranks - ranks.mean()
    length = np.linalg.norm(centred)
    return centred / length if length else centred


def _spaced(items: Sequence[T], n: int | None) -> list[T]:
    """At most n of them, evenly spaced."""
    if n is not None and n < 1:
        raise ValueError(f"n_prompts is at least 1; got {n}")
    if n is None or len(items) <= n:
        return list(items)
    return [items[place] for place in np.linspace(0, len(items) - 1, n).round().astype(int)]
