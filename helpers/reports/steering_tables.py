"""Tables of steering: scores of tasks and spaces, answers before and after, what a vector is made of.

A module of its own, so that other notebooks do not depend on it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from helpers.reports.steering_figures import SPACE_NAMES, WAY_NAMES
from helpers.reports.tables import table
from helpers.steering import FeatureSum
from helpers.steering.scores import SPACES, Score


def score_table(scores: Mapping[str, Mapping[str, Score]], *, caption: str = "") -> str:
    """A row a task and way: the setting chosen for it and its held-out score beside random directions.

    Args:
        scores: task -> way -> score.
    Raises:
        ValueError: no task.
    """
    has_order = any(score.exact is not None for ways in scores.values() for score in ways.values())
    return table(
        {
            f"{task.replace('_', ' ')}, {WAY_NAMES[way]}": {
                "layer, strength": f"{score.layer}, {score.strength:g}",
                "success (95%)": str(score.success),
                "worst form": f"{score.worst_form:.0%}",
                **({"place kept": "" if score.exact is None else f"{score.exact:.0%}"} if has_order else {}),
                "controls unchanged (95%)": str(score.kept),
                "random: mean, best, p": _baselines(score),
            }
            for task, ways in scores.items()
            for way, score in ways.items()
        },
        caption=caption,
    )


def space_table(scores: Mapping[str, Mapping[str, Score]], *, caption: str = "") -> str:
    """A row a task: success; unchanged controls of every space at the dictionary's hook, and of model space the success of
    shuffled features.

    Args:
        scores: task -> space -> score.
    Raises:
        ValueError: no task.
    """
    return table(
        {
            task.replace("_", " "): {
                **{SPACE_NAMES[space]: _both(spaces.get(space)) for space in SPACES},
                "shuffled: mean, best, p": _baselines(spaces["model"]),
            }
            for task, spaces in scores.items()
        },
        caption=caption,
    )


def condition_table(
    shares: Mapping[str, Mapping[str, float]], scores: Mapping[str, Mapping[str, Score]], *, caption: str = ""
) -> str:
    """A row a task: where the condition of its setting "where due" holds, and what comes of it.

    Args:
        shares: task -> part -> share of prompts for which it holds, as `Bench.recognised` gives them.
        scores: task -> way -> score.
    Raises:
        ValueError: no task.
    """
    return table(
        {
            task.replace("_", " "): {
                "validation: prompts; controls": f"{found['validation']:.0%}; {found['validation_controls']:.0%}",
                "held out: prompts; controls": f"{found['held_out']:.0%}; {found['held_out_controls']:.0%}",
                "held-out success": f"{scores[task]['where due'].success.value:.0%}",
            }
            for task, found in shares.items()
        },
        caption=caption,
    )


def answers_table(texts: Sequence[str], plain: Sequence[str], steered: Sequence[str], *, caption: str = "") -> str:
    """Prompts with what the model writes after them, plain and steered.

    Raises:
        ValueError: no prompt, or lists of different lengths.
    """
    return table(
        {
            text: {"plain": without, "steered": with_it}
            for text, without, with_it in zip(texts, plain, steered, strict=True)
        },
        caption=caption,
    )


def decomposition_table(found: Mapping[str, FeatureSum], *, n_features: int, caption: str = "") -> str:
    """A row a way to take the vector apart: how well it is rebuilt, and its largest features.

    Raises:
        ValueError: nothing to show.
    """
    return table(
        {
            name: {
                "features": str(len(each.feature_ids)),
                "cosine": f"{each.cosine:.2f}",
                "missing": f"{each.unexplained:.0%}",
                "largest, with the share of the vector along each": "; ".join(
                    f"{each.label(feature_id) or 'no label'} ({int(feature_id)}, {share:+.0%})"
                    for feature_id, share in list(zip(each.feature_ids, each.shares, strict=True))[:n_features]
                )
                or "none",
            }
            for name, each in found.items()
        },
        caption=caption,
    )


def _both(score: Score | None) -> str:
    if score is None:
        return "no feature"
    return f"{score.success.value:.0%}; {score.kept.value:.0%}"


def _baselines(score: Score) -> str:
    if score.null is None or score.null_max is None or score.p is None:
        return "none"
    return f"{score.null.value:.0%}, {score.null_max:.0%}, {score.p:.2g}"
