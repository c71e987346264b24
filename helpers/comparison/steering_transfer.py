"""Steering across models from a finished matching: both models, their own vectors, and every way to carry one over."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from jaxtyping import Float, Int64

from helpers.activations import ActivationStore
from helpers.comparison.matched_sides import UNITS, Read, load_matched_stores
from helpers.corpus import TokenBatch
from helpers.matching import FeaturePairs
from helpers.matching.pairs import make_pairs
from helpers.models import ModelReference
from helpers.saes import LoadedSae, SaeReference, load_sae
from helpers.steering import (
    FeatureSum,
    Intervention,
    Prompts,
    SteeringVector,
    decompose,
    difference_of_means,
    encode_difference,
    encode_prompts,
    prompt_states,
    steered_logits,
)
from helpers.steering.feature_edits import decoder_rows
from helpers.steering.scores import SteeringTask, TaskPrompt, answer_token
from helpers.steering.transfer import (
    PARTNER_NULLS,
    AnswerDomain,
    AnswerShift,
    PairedMoments,
    TransferScores,
    carry_features,
    carrying_features,
    decoder_map,
    exchanged_partners,
    procrustes_map,
    remove_partners,
    ridge_map,
    score_transfer,
    shuffled_maps,
)

if TYPE_CHECKING:
    from transformer_lens.model_bridge import TransformerBridge
    from transformers import PreTrainedTokenizerBase

ENCODED, PURSUED = "matched features, encoded", "matched features, pursued"
DECODER, RIDGE, PROCRUSTES = "decoder rows", "ridge map", "Procrustes map"
SHUFFLED_PAIRS, SHUFFLED_TOKENS = "pairs shuffled", "tokens shuffled"


@dataclass(frozen=True, eq=False)
class TransferSide:
    """One model with its dictionary, as the study calls it."""

    name: str
    model: TransformerBridge
    loaded: LoadedSae
    store: ActivationStore

    @property
    def hook_name(self) -> str:
        return self.loaded.hook_name


@dataclass(frozen=True, eq=False)
class TransferPair:
    """Two models whose features were matched token by token, and the text that they were matched on.

    Args:
        a: where vectors come from; b: where they are carried to; tokens: text that neither model was trained on.
    Raises:
        ValueError: one dictionary was trained with BOS before every text, and the other without.
    """

    a: TransferSide
    b: TransferSide
    pairs: FeaturePairs
    tokens: TokenBatch
    tokenizer: PreTrainedTokenizerBase

    def __post_init__(self) -> None:
        if self.a.loaded.prepend_bos != self.b.loaded.prepend_bos:
            raise ValueError(
                "both dictionaries read the same tokens; got one that was trained with BOS and one without; match others"
            )

    def prompts(self, texts: Sequence[str]) -> Prompts:
        return encode_prompts(self.tokenizer, list(texts), prepend_bos=self.a.loaded.prepend_bos)

    def words(self, words: Sequence[str]) -> Int64[np.ndarray, " n_words"]:
        """Token ids of answers, each of which is one token."""
        return np.array([answer_token(self.tokenizer, word) for word in words], dtype=np.int64)


def load_transfer(read: Read, run: str, *, device: torch.device | str, min_corr: float = 0.0) -> TransferPair:
    """Open what a run of 04_match_features was made from.

    Args:
        read: gives the result of a notebook's run, e.g. `stage.upstream`; min_corr: pairs below it are left out.
    Raises:
        ValueError: models with different tokenizers, which share no tokens; no pair that is strong enough.
    """
    matching = read("04_match_features", run)
    if UNITS in matching.artifacts:
        raise ValueError(
            f"vectors are carried between models that read the same tokens; 04_match_features/{run} aligned two tokenizers; "
            "take a matching of models with one tokenizer"
        )
    pairs = FeaturePairs.load(matching.artifact("pairs")).above(min_corr)
    if not pairs.n_pairs:
        raise ValueError(f"no pair has a correlation of {min_corr} or more; lower min_corr")
    stores = load_matched_stores(read, run)
    sides, references = [], []
    for side, store in zip("ab", stores, strict=True):
        name = matching.params[f"dictionary_{side}"]
        trained = read("02_train_saes", name)
        loaded = load_sae(SaeReference.load(trained.artifact("sae")), device=device)
        references.append(ModelReference.load(read("01_language_models", trained.params["model"]).artifact("model")))
        model = references[-1].load_model(device=device, center_writing_weights=loaded.center_writing_weights)
        sides.append(TransferSide(name, model, loaded, store))
    tokens = TokenBatch.load(read("03_save_activations", matching.params["activations"]).artifact("tokens"))
    return TransferPair(sides[0], sides[1], pairs, tokens, references[0].load_tokenizer())


def answer_shift(both: TransferPair, task: SteeringTask, asked: Sequence[TaskPrompt]) -> AnswerShift:
    """Some prompts of a task, with the words of its two domains: all that any of its prompts names.

    Raises:
        ValueError: a task whose plain answers are not known, or a word of several tokens.
    """
    every = (*task.validate, *task.held_out)
    before, after = (sorted({word for each in every for word in getattr(each, part)}) for part in ("before", "after"))
    if not before:
        raise ValueError(f"task '{task.name}' names its plain answers (before); got none; take another task")
    return AnswerShift(both.prompts([each.text for each in asked]), both.words(after), both.words(before))


def answer_domain(both: TransferPair, task: SteeringTask, asked: Sequence[TaskPrompt]) -> AnswerDomain:
    """Some prompts of a task with the words of their plain answers' domain."""
    shift = answer_shift(both, task, asked)
    return AnswerDomain(shift.prompts, shift.away)


def own_vector(
    both: TransferPair, side: TransferSide, task: SteeringTask, *, hook_name: str | None = None
) -> SteeringVector:
    """A model's own vector of a task: the difference of the means of its two sets of prompts."""
    return difference_of_means(
        side.model,
        both.prompts(task.toward),
        both.prompts(task.away),
        hook_name=hook_name or side.hook_name,
        name=side.name,
        details={"task": task.name},
    )


def feature_parts(
    both: TransferPair, task: SteeringTask, source: SteeringVector, *, n_features: int, n_pursued: int
) -> dict[str, FeatureSum]:
    """The first model's vector as matched features, in two ways."""
    states = [
        prompt_states(both.a.model, both.prompts(t), hook_name=source.hook_name) for t in (task.toward, task.away)
    ]
    candidates = np.unique(both.pairs.ids_a)
    return {
        ENCODED: encode_difference(source, both.a.loaded, *states, n_features=n_features, candidates=candidates),
        PURSUED: decompose(source, both.a.loaded, method="pursuit", n_features=n_pursued, candidates=candidates),
    }


def carried_vectors(
    both: TransferPair,
    source: SteeringVector,
    own: SteeringVector,
    parts: Mapping[str, FeatureSum],
    moments: PairedMoments,
    *,
    n_runs: int,
    seed: int,
) -> tuple[dict[str, SteeringVector], dict[tuple[str, str], Float[np.ndarray, "n_runs d"]]]:
    """Carry the first model's vector in every way, and in as many wrong ones.

    Args:
        own: the second model's, of which only the hook's mean length is used.
        n_runs: of every null of features and decoder rows; maps have as many as `moments` has shuffles.
    Returns:
        Method -> vector; (method, null) -> (n_runs, d) vectors.
    """
    told = {"name": both.b.name, "residual_norm": own.residual_norm}
    vectors: dict[str, SteeringVector] = {}
    nulls: dict[tuple[str, str], np.ndarray] = {}
    for method, features in parts.items():
        vectors[method] = carry_features(features, both.pairs, both.b.loaded, **told)  # type: ignore[arg-type]
        for number, null in enumerate(PARTNER_NULLS):
            nulls[method, null] = exchanged_partners(
                features,
                both.pairs,
                both.b.loaded,
                counts_b=both.b.store.feature_counts,
                null=null,
                n_runs=n_runs,
                seed=seed + number,
            )
    rows = [
        decoder_rows(side.loaded, ids.tolist()).detach().cpu().double().numpy()
        for side, ids in ((both.a, both.pairs.ids_a), (both.b, both.pairs.ids_b))
    ]
    hooks = {"hook_a": both.a.hook_name, "hook_b": both.b.hook_name}
    vectors[DECODER] = decoder_map(*rows, **hooks).carry(source, **told)  # type: ignore[arg-type]
    ridge, turned = ridge_map(moments), procrustes_map(moments)
    vectors[RIDGE], vectors[PROCRUSTES] = (each.carry(source, **told) for each in (ridge, turned))  # type: ignore[arg-type]
    rng = np.random.default_rng(seed)
    wrong = {
        (DECODER, SHUFFLED_PAIRS): [decoder_map(rows[0], rng.permutation(rows[1]), **hooks) for _ in range(n_runs)],
        (RIDGE, SHUFFLED_TOKENS): shuffled_maps(moments, penalty=ridge.details["penalty"]),
        (PROCRUSTES, SHUFFLED_TOKENS): shuffled_maps(moments),
    }
    return vectors, nulls | {
        key: np.stack([source.vector @ each.matrix for each in maps]) for key, maps in wrong.items()
    }


def layer_hooks(side: TransferSide, *, max_layers: int) -> list[str]:
    """The dictionary's kind of hook in evenly spaced layers, its own among them.

    Raises:
        ValueError: a hook that is named in another way than blocks.1.hook_resid_post.
    """
    start, *places = side.hook_name.split(".")
    if start != "blocks" or len(places) < 2 or not places[0].isdecimal():
        raise ValueError(f"layers are compared at hooks such as blocks.1.hook_resid_post; got {side.hook_name}")
    layer, rest, n_layers = int(places[0]), places[1:], side.model.cfg.n_layers
    spaced = {round(float(place)) for place in np.linspace(0, n_layers - 1, min(max_layers, n_layers))}
    if layer not in spaced:
        spaced.remove(min(spaced, key=lambda each: abs(each - layer)))
    return [".".join([start, str(each), *rest]) for each in sorted(spaced | {layer})]


def score_layer_pairs(
    both: TransferPair,
    task: SteeringTask,
    shift: AnswerShift,
    moments: Mapping[tuple[str, str], PairedMoments],
    *,
    strength: float,
    n_random: int,
    seed: int,
) -> dict[str, TransferScores]:
    """Carry the vector of every layer of a to every layer of b, by ridge and by Procrustes maps.

    Returns:
        Hook of b -> scores; its methods are "<hook of a>, ridge map" and "<hook of a>, Procrustes map".
    """
    hooks_a, hooks_b = (list(dict.fromkeys(key[side] for key in moments)) for side in (0, 1))
    sources = {hook: own_vector(both, both.a, task, hook_name=hook) for hook in hooks_a}
    found = {}
    for hook_b in hooks_b:
        own = own_vector(both, both.b, task, hook_name=hook_b)
        carried = {
            f"{hook_a}, {name}": fit(moments[hook_a, hook_b]).carry(
                source, name=both.b.name, residual_norm=own.residual_norm
            )
            for hook_a, source in sources.items()
            for name, fit in ((RIDGE, ridge_map), (PROCRUSTES, procrustes_map))
        }
        found[hook_b] = score_transfer(
            both.b.model, shift, own, carried, strength=strength, n_random=n_random, seed=seed
        )
    return found


def score_removals(
    both: TransferPair,
    tasks: Mapping[str, SteeringTask],
    *,
    n_features: int,
    n_runs: int,
    seed: int,
) -> dict[tuple[str, str], TransferScores]:
    """Take out, in b, the partners of what carries each domain's answers in a, and ask for every domain.

    Args:
        tasks: name of the domain -> task whose plain answers are of it. Features are chosen on its prompts to validate,
            scores are of those held out.
        n_features: that are taken out together; n_runs: draws of each null, where the domain asked for is the one removed.
    Returns:
        (domain removed, domain asked for) -> scores of the method "partners".
    """
    matched = np.unique(both.pairs.ids_a)
    chosen = {}
    for domain, task in tasks.items():
        to_choose = answer_domain(both, task, task.validate)
        chosen[domain] = (
            carrying_features(both.a.model, both.a.loaded, to_choose, n_features=n_features, among=matched),
            carrying_features(both.b.model, both.b.loaded, to_choose, n_features=n_features),
        )
    held_out = {domain: answer_domain(both, task, task.held_out) for domain, task in tasks.items()}
    return {
        (removed, asked): remove_partners(
            both.b.model,
            both.b.loaded,
            held_out[asked],
            *chosen[removed],
            both.pairs,
            counts_b=both.b.store.feature_counts,
            n_runs=n_runs if asked == removed else 0,
            seed=seed,
        )
        for removed in tasks
        for asked in tasks
    }


def steered_answers(
    both: TransferPair, texts: Sequence[str], vectors: Mapping[str, SteeringVector], *, strength: float
) -> dict[str, dict[str, str]]:
    """Prompt -> what b answers, plainly and with each vector: its top word."""
    steps = [each.add(strength=strength, unit="residual_norm", at="last") for each in vectors.values()]
    settings: list[Intervention | Sequence[Intervention]] = [(), *steps]
    top = steered_logits(both.b.model, both.prompts(texts), settings).argmax(axis=2)
    words = [[str(both.tokenizer.decode([int(token)])).strip() for token in row] for row in top]
    return {
        text: dict(zip(("plain", *vectors), (row[number] for row in words), strict=True))
        for number, text in enumerate(texts)
    }


def self_transfer_error(both: TransferPair, parts: FeatureSum) -> float:
    """Carry a vector of a into a itself, every feature its own partner: how far that is from the features' sum.

    Returns:
        The longest difference over the length of the sum; 0 = the dictionary's own reconstruction.
    """
    ids = np.arange(both.a.loaded.sae.cfg.d_sae)
    settings = {"d_sae_a": len(ids), "d_sae_b": len(ids), "direction": "both"}
    pairs = make_pairs(ids, ids, np.ones(len(ids)), settings=settings)
    carried = carry_features(parts, pairs, both.a.loaded, name=both.a.name)
    return float(np.abs(carried.vector - parts.vector).max() / np.linalg.norm(parts.vector))


def first_tokens(tokens: TokenBatch, *, n_tokens: int) -> TokenBatch:
    """The first sequences that together have so many tokens of text, or all of them."""
    enough = np.flatnonzero(tokens.keep_mask.sum(axis=1).cumsum() >= n_tokens)
    return tokens.sequences(0, int(enough[0]) + 1) if len(enough) else tokens
