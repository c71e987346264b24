"""Transfer of removals: take out the partners of the features that carry a model's answers, in the other model.

What a feature carries is measured on the answer's *lead*: the mean logit of the right domain's words less the mean logit of
all words. It does not saturate, as a probability does.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from jaxtyping import Float, Int64

from helpers.matching import FeaturePairs
from helpers.nulls import frequency_matched_draw, random_draw
from helpers.saes import LoadedSae
from helpers.steering.feature_edits import edit_features, require_plain_sae
from helpers.steering.measuring import prompt_states
from helpers.steering.prompts import Prompts
from helpers.steering.running import steered_parts
from helpers.steering.transfer.partners import partners_of
from helpers.steering.transfer.shares import Measure, TransferScores

if TYPE_CHECKING:
    from transformer_lens.model_bridge import TransformerBridge

LEAD: Measure = "answer_lead"
PARTNERS = "partners"
#: The third asks most: features that fire on the same prompts.
ABLATION_NULLS = ("random features", "features of like frequency", "features that fire on the prompts")


@dataclass(frozen=True, eq=False)
class AnswerDomain:
    """Prompts that the plain model answers with a word of one domain.

    Shapes:
        words: (n_words,) token ids, without repeats.
    Raises:
        ValueError: no word, or ids that are no tokens.
    """

    prompts: Prompts
    words: Int64[np.ndarray, " n_words"]

    def __post_init__(self) -> None:
        words = np.unique(np.asarray(self.words, dtype=np.int64))
        if not len(words) or words[0] < 0:
            raise ValueError(f"words holds token ids of a domain, at least one; got {words[:3].tolist()}")
        object.__setattr__(self, "words", words)


def removal_effects(
    model: TransformerBridge, loaded: LoadedSae, domain: AnswerDomain, feature_sets: Sequence[Sequence[int]]
) -> Float[np.ndarray, "n_sets n_prompts"]:
    """How far the answer's lead falls when features are set to 0 at the last token; the error term stays.

    Args:
        feature_sets: ids of features that are taken out together; an empty set changes nothing.
    Returns:
        (n_sets, n_prompts); positive = the answer loses.
    Raises:
        ValueError: no set, an id beyond d_sae, words or prompts that the model does not know, an SAE that scales its input.
    """
    require_plain_sae(loaded)
    if not len(feature_sets):
        raise ValueError("expected features to take out; got no set of them")
    if domain.words[-1] >= model.cfg.d_vocab:
        raise ValueError(f"token ids are below the model's {model.cfg.d_vocab}; got {domain.words[-1]}")
    settings = [
        (),
        *(edit_features(loaded, values=dict.fromkeys(map(int, ids), 0.0), at="last") for ids in feature_sets),
    ]
    lead = np.empty((len(settings), domain.prompts.n_prompts))
    for part in steered_parts(model, domain.prompts, settings):  # type: ignore[arg-type]
        logits = part.logits.cpu()
        lead[part.setting, part.prompts] = (logits[:, domain.words].mean(dim=1) - logits.mean(dim=1)).double().numpy()
    return lead[0] - lead[1:]


def active_features(model: TransformerBridge, loaded: LoadedSae, prompts: Prompts) -> Int64[np.ndarray, " n_active"]:
    """Features that fire at the last token of a prompt, ascending."""
    require_plain_sae(loaded)
    states = torch.from_numpy(prompt_states(model, prompts, hook_name=loaded.hook_name)).to(loaded.sae.W_dec)
    with torch.no_grad():
        return np.flatnonzero((loaded.sae.encode(states) > 0).any(dim=0).cpu().numpy())


def carrying_features(
    model: TransformerBridge,
    loaded: LoadedSae,
    domain: AnswerDomain,
    *,
    n_features: int,
    among: np.ndarray | None = None,
) -> Int64[np.ndarray, " n_features"]:
    """The features whose removal, one at a time, costs the answer most of its lead; the costliest first.

    Args:
        domain: prompts that nothing is scored on later.
        n_features: at most so many; fewer where fewer fire at the last token. Where fewer cost anything, the last ones cost
            nothing.
        among: ids that may be taken, e.g. the matched ones; all by default.
    Raises:
        ValueError: no feature asked for, or none that may be taken fires.
    """
    if n_features < 1:
        raise ValueError(f"n_features is at least 1; got {n_features}")
    active = active_features(model, loaded, domain.prompts)
    if among is not None:
        active = np.intersect1d(active, among)
    if not len(active):
        raise ValueError("no feature that may be taken fires at the last token; take other prompts, or lower min_corr")
    falls = removal_effects(model, loaded, domain, active[:, None].tolist()).mean(axis=1)
    return active[np.argsort(-falls, kind="stable")][:n_features]


def remove_partners(
    model: TransformerBridge,
    loaded_b: LoadedSae,
    domain: AnswerDomain,
    chosen_a: Int64[np.ndarray, " n_a"],
    own_b: Int64[np.ndarray, " n_b"],
    pairs: FeaturePairs,
    *,
    counts_b: Int64[np.ndarray, " d_sae_b"],
    n_runs: int = 30,
    seed: int = 0,
) -> TransferScores:
    """Take out the partners of the first model's features in the second model, and as many features of other choices.

    Args:
        model: the second model; domain: prompts on which neither side's features were chosen.
        chosen_a: features of a, e.g. `carrying_features`; own_b: b's own choice, of which partners keep a share.
        counts_b: tokens on which each feature of b fires.
        n_runs: draws of each null; 0 for none.
    Returns:
        Scores of the method "partners" with the one measure "answer_lead".
    Raises:
        ValueError: no chosen feature has a partner, counts of another dictionary; otherwise as `removal_effects`.
    """
    partners = np.unique(partners_of(chosen_a, pairs))
    partners = partners[partners >= 0]
    if not len(partners) or not len(own_b):
        raise ValueError("expected features with partners, and own ones of b; got none; lower min_corr")
    if len(counts_b) != loaded_b.sae.cfg.d_sae:
        raise ValueError(f"expected {loaded_b.sae.cfg.d_sae} counts of firing; got {len(counts_b)}: of another SAE")
    sets = _null_sets(model, loaded_b, domain, partners, pairs, counts_b, n_runs, seed) if n_runs else {}
    together = [own_b.tolist(), partners.tolist(), *(ids for runs in sets.values() for ids in runs)]
    effects = removal_effects(model, loaded_b, domain, together)
    nulls: dict[tuple[str, str], dict[str, np.ndarray]] = {
        (PARTNERS, null): {LEAD: effects[2 + n * n_runs : 2 + (n + 1) * n_runs]} for n, null in enumerate(sets)
    }
    told = {"n_partners": len(partners), "n_own": len(own_b), "n_shared": len(np.intersect1d(partners, own_b))}
    return TransferScores({LEAD: effects[0]}, {PARTNERS: {LEAD: effects[1]}}, nulls, 1.0, told)


def _null_sets(
    model: TransformerBridge,
    loaded_b: LoadedSae,
    domain: AnswerDomain,
    partners: np.ndarray,
    pairs: FeaturePairs,
    counts_b: np.ndarray,
    n_runs: int,
    seed: int,
) -> dict[str, list[list[int]]]:
    """Null -> as many features as there are partners, a run each (fewer where fewer fire on the prompts)."""
    candidates = np.union1d(np.flatnonzero(counts_b >= int(pairs.settings.get("min_firings", 1))), pairs.ids_b)
    active = active_features(model, loaded_b, domain.prompts)
    if len(active) < len(partners):
        active = np.union1d(active, partners)
    draws = (
        random_draw(partners, candidates=candidates),
        frequency_matched_draw(partners, counts=counts_b, candidates=candidates),
        random_draw(partners, candidates=active),
    )
    rng = np.random.default_rng(seed)
    return {null: [draw(rng).tolist() for _ in range(n_runs)] for null, draw in zip(ABLATION_NULLS, draws, strict=True)}
