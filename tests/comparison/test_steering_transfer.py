"""Steering across models from a finished matching: what is opened, carried, drawn, scored and told."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from sae_lens import StandardSAE, StandardSAEConfig
from transformer_lens.model_bridge import TransformerBridge
from transformers import GPTNeoXConfig, GPTNeoXForCausalLM

from helpers.comparison import steering_transfer as across
from helpers.comparison import transfer_metrics
from helpers.comparison.steering_transfer import TransferPair, TransferSide
from helpers.matching.pairs import make_pairs
from helpers.models import ModelReference, load_model
from helpers.saes import LoadedSae, SaeReference
from helpers.steering import decompose, difference_of_means, encode_difference, prompt_states, steered_logits
from helpers.steering.scores import SteeringTask, TaskPrompt
from helpers.steering.transfer import (
    PARTNER_NULLS,
    RANDOM_VECTORS,
    TransferScores,
    carry_features,
    exchanged_partners,
    paired_moments,
    procrustes_map,
    ridge_map,
    score_transfer,
    shuffled_maps,
)
from helpers.steering.transfer.ablation import ABLATION_NULLS, LEAD, PARTNERS
from tests.activations.conftest import random_activations, write_store
from tests.comparison.conftest import Left
from tests.steering.test_interventions import is_untouched
from tests.tiny import CONTEXT, HOOK

D_A, D_B, D_SAE_A, D_SAE_B = 16, 24, 40, 30
HOOK_B = "blocks.1.hook_resid_post"
DAYS, MONTHS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday"), ("March", "April", "May", "June")


def dictionary(d_in: int, d_sae: int, hook_name: str, seed: int) -> LoadedSae:
    generator = torch.Generator().manual_seed(seed)
    sae = StandardSAE(StandardSAEConfig(d_in=d_in, d_sae=d_sae, device="cpu"))
    with torch.no_grad():
        for parameter in (sae.W_dec, sae.W_enc, sae.b_enc, sae.b_dec):
            parameter.copy_(torch.randn(parameter.shape, generator=generator) / 2)
    sae.cfg.metadata.hook_name = hook_name
    return LoadedSae(sae.requires_grad_(False), hook_name, prepend_bos=True, center_writing_weights=False)


@pytest.fixture(scope="module")
def folder_b(tokenizer, tmp_path_factory) -> Path:
    """A wider and deeper model with the same tokenizer."""
    torch.manual_seed(1)
    config = GPTNeoXConfig(
        vocab_size=len(tokenizer), hidden_size=D_B, num_hidden_layers=3, num_attention_heads=2, intermediate_size=32,
        max_position_embeddings=CONTEXT, bos_token_id=tokenizer.bos_token_id, eos_token_id=tokenizer.bos_token_id,
        initializer_range=0.3,
    )  # fmt: skip
    folder = Path(tmp_path_factory.mktemp("model-b"))
    GPTNeoXForCausalLM(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def model_b(folder_b) -> TransformerBridge:
    return load_model(folder_b, device="cpu")


@pytest.fixture(scope="module")
def both(model, model_b, tokens, tokenizer, tmp_path_factory) -> TransferPair:
    """Features 2 to 26 of a have partners in b, in another order."""
    folder = tmp_path_factory.mktemp("stores")
    stores = [
        write_store(folder / name, random_activations(200, d_sae, seed=seed))
        for seed, (name, d_sae) in enumerate((("a", D_SAE_A), ("b", D_SAE_B)))
    ]
    settings = {"d_sae_a": D_SAE_A, "d_sae_b": D_SAE_B, "direction": "both", "min_firings": 1}
    partners = np.random.default_rng(5).permutation(D_SAE_B)[:25]
    pairs = make_pairs(np.arange(2, 27), partners, np.linspace(0.2, 0.9, 25), settings=settings)
    sides = (
        TransferSide("first", model, dictionary(D_A, D_SAE_A, HOOK, 1), stores[0]),
        TransferSide("second", model_b, dictionary(D_B, D_SAE_B, HOOK_B, 2), stores[1]),
    )
    return TransferPair(*sides, pairs, tokens, tokenizer)


def asked_for(words, before, after, form: str) -> tuple[TaskPrompt, ...]:
    return tuple(TaskPrompt(form.format(word), before, after) for word in words)


@pytest.fixture(scope="module")
def task() -> SteeringTask:
    """Days answered with months. The validation prompts name days and months that the held-out ones do not."""
    return SteeringTask(
        "day_to_month", "?",
        toward=tuple(f"The month after {month} is" for month in MONTHS),
        away=tuple(f"The day after {day} is" for day in DAYS),
        validate=asked_for(DAYS[:3], DAYS[:4], MONTHS[:3], "Today is {}. Tomorrow is"),
        held_out=asked_for(DAYS[3:], DAYS[2:], MONTHS[1:], "It was {}. Tomorrow is"),
    )  # fmt: skip


@pytest.fixture(scope="module")
def own_vectors(both, task):
    return tuple(across.own_vector(both, side, task) for side in (both.a, both.b))


@pytest.fixture(scope="module")
def parts(both, task, own_vectors):
    return across.feature_parts(both, task, own_vectors[0], n_features=6, n_pursued=3)


@pytest.fixture(scope="module")
def moments(both):
    """Of the dictionaries' hooks, and of the last layer of b."""
    hooks_b = [HOOK_B, "blocks.2.hook_resid_post"]
    text = across.first_tokens(both.tokens, n_tokens=600)
    return paired_moments(
        both.a.model, both.b.model, text, hooks_a=[HOOK], hooks_b=hooks_b, n_folds=3, n_shuffles={(HOOK, HOOK_B): 4}
    )


# --- opening


class Study:
    """What notebooks 01 to 04 leave for two models."""

    def __init__(self, folder: Path, both: TransferPair, folders: dict[str, Path]) -> None:
        both.tokens.save(folder / "tokens")
        both.pairs.save(folder / "pairs.npz")
        stores = {f"store_{side.name}": side.store.path for side in (both.a, both.b)}
        self.results = {("03_save_activations", "main"): Left({}, {"tokens": folder / "tokens", **stores})}
        for side in (both.a, both.b):
            side.loaded.sae.save_model(folder / side.name / "sae")
            SaeReference("folder", side.hook_name, folder="sae").save(folder / side.name / "sae.json")
            ModelReference("folder", str(folders[side.name])).save(folder / side.name / "model.json")
            trained = Left({"model": f"m_{side.name}"}, {"sae": folder / side.name / "sae.json"})
            self.results["02_train_saes", side.name] = trained
            self.results["01_language_models", f"m_{side.name}"] = Left(
                {}, {"model": folder / side.name / "model.json"}
            )
        named = {"activations": "main", "dictionary_a": both.a.name, "dictionary_b": both.b.name}
        self.results["04_match_features", "m"] = Left(named, {"pairs": folder / "pairs.npz"})

    def read(self, notebook: str, run: str) -> Left:
        return self.results[notebook, run]


@pytest.fixture(scope="module")
def study(both, model_folder, folder_b, tmp_path_factory) -> Study:
    return Study(tmp_path_factory.mktemp("study"), both, {"first": model_folder, "second": folder_b})


def test_both_sides_are_opened_as_they_were_matched(study, both, task):
    found = across.load_transfer(study.read, "m", device="cpu", min_corr=0.5)
    expected = both.pairs.above(0.5)
    assert np.array_equal(found.pairs.ids_a, expected.ids_a) and np.array_equal(found.pairs.ids_b, expected.ids_b)
    assert 0 < expected.n_pairs < both.pairs.n_pairs
    for side, there in ((found.a, both.a), (found.b, both.b)):
        assert (side.name, side.hook_name, side.store.path) == (there.name, there.hook_name, there.store.path)
        assert torch.equal(side.loaded.sae.W_dec, there.loaded.sae.W_dec)
        vectors = [across.own_vector(found, each, task).vector for each in (side, there)]
        assert np.array_equal(*vectors)  # the same model answers
    assert found.tokens.fingerprint() == both.tokens.fingerprint()
    assert found.words(["March"]).tolist() == both.words(["March"]).tolist()


def test_what_cannot_be_carried_is_refused(study):
    with pytest.raises(ValueError, match="no pair has a correlation of 0.95 or more; lower min_corr"):
        across.load_transfer(study.read, "m", device="cpu", min_corr=0.95)
    matching = study.results["04_match_features", "m"]
    study.results["04_match_features", "units"] = Left(matching.params, {**matching.artifacts, "units": Path("units")})
    with pytest.raises(ValueError, match="read the same tokens; 04_match_features/units aligned two tokenizers"):
        across.load_transfer(study.read, "units", device="cpu")


# --- questions and vectors


def test_words_of_both_domains_are_those_of_all_prompts(both, task):
    """Answers that only other prompts of the task name count too, so that scores of both parts compare."""
    for part in (task.validate, task.held_out):
        shift = across.answer_shift(both, task, part)
        assert shift.prompts.n_prompts == len(part)
        assert shift.toward.tolist() == sorted(both.words(MONTHS)) and shift.away.tolist() == sorted(both.words(DAYS))
        assert np.array_equal(shift.prompts.input_ids, both.prompts([each.text for each in part]).input_ids)
        domain = across.answer_domain(both, task, part)
        assert np.array_equal(domain.words, shift.away)
        assert np.array_equal(domain.prompts.input_ids, shift.prompts.input_ids)


def test_tasks_that_cannot_be_asked_are_refused(both, task):
    silent = replace(
        task, validate=asked_for(DAYS[:2], (), MONTHS, "{} is"), held_out=asked_for(DAYS, (), MONTHS, "{} was")
    )
    with pytest.raises(ValueError, match=r"'day_to_month' names its plain answers \(before\); got none"):
        across.answer_shift(both, silent, silent.held_out)
    long = replace(task, held_out=asked_for(DAYS[3:], DAYS, ("March April",), "It was {}. Tomorrow is"))
    with pytest.raises(ValueError, match="an expected answer is one token of the model; ' March April' is 2"):
        across.answer_shift(both, long, long.held_out)


def test_a_models_own_vector_is_the_difference_of_its_means(both, task):
    sides = [both.prompts(texts) for texts in (task.toward, task.away)]
    expected = difference_of_means(both.b.model, *sides, hook_name=HOOK_B, name="second")
    own = across.own_vector(both, both.b, task)
    assert np.array_equal(own.vector, expected.vector) and own.residual_norm == expected.residual_norm
    assert (own.model, own.hook_name, own.details["task"]) == ("second", HOOK_B, "day_to_month")
    assert across.own_vector(both, both.b, task, hook_name="blocks.0.hook_resid_post").layer == 0


def test_features_of_a_vector_have_partners(both, task, own_vectors, parts):
    """Nothing is spent on features that cannot be carried: those without a partner take no part."""
    source = own_vectors[0]
    states = [prompt_states(both.a.model, both.prompts(t), hook_name=HOOK) for t in (task.toward, task.away)]
    matched = np.arange(2, 27)
    encoded = encode_difference(source, both.a.loaded, *states, n_features=6, candidates=matched)
    pursued = decompose(source, both.a.loaded, method="pursuit", n_features=3, candidates=matched)
    for name, expected in ((across.ENCODED, encoded), (across.PURSUED, pursued)):
        assert np.array_equal(parts[name].feature_ids, expected.feature_ids)
        assert np.array_equal(parts[name].weights, expected.weights)
        assert set(parts[name].feature_ids) <= set(matched)
    free = decompose(source, both.a.loaded, method="pursuit", n_features=D_A)
    assert not set(free.feature_ids) <= set(matched)  # otherwise the candidates would not matter here


def test_every_way_is_carried_and_every_null_drawn(both, own_vectors, parts, moments):
    source, own = own_vectors
    main = moments[HOOK, HOOK_B]
    vectors, nulls = across.carried_vectors(both, source, own, parts, main, n_runs=5, seed=7)
    assert list(vectors) == [across.ENCODED, across.PURSUED, across.DECODER, across.RIDGE, across.PROCRUSTES]
    for vector in vectors.values():
        assert (vector.hook_name, vector.model, vector.residual_norm) == (HOOK_B, "second", own.residual_norm)
    for name, features in parts.items():
        assert np.array_equal(
            vectors[name].vector, carry_features(features, both.pairs, both.b.loaded, name="b").vector
        )
        for number, null in enumerate(PARTNER_NULLS):
            options = {"counts_b": both.b.store.feature_counts, "null": null, "n_runs": 5, "seed": 7 + number}
            expected = exchanged_partners(features, both.pairs, both.b.loaded, **options)
            assert np.array_equal(nulls[name, null], expected)
    rows_a = both.a.loaded.sae.W_dec.double().numpy()[both.pairs.ids_a]
    rows_b = both.b.loaded.sae.W_dec.double().numpy()[both.pairs.ids_b]
    assert np.allclose(vectors[across.DECODER].vector, source.vector @ np.linalg.pinv(rows_a) @ rows_b, atol=1e-8)
    ridge, turned = ridge_map(main), procrustes_map(main)
    assert np.array_equal(vectors[across.RIDGE].vector, source.vector @ ridge.matrix)
    assert np.array_equal(vectors[across.PROCRUSTES].vector, source.vector @ turned.matrix)
    wrong = {
        across.RIDGE: shuffled_maps(main, penalty=ridge.details["penalty"]),
        across.PROCRUSTES: shuffled_maps(main),
    }
    for name, maps in wrong.items():
        assert np.array_equal(nulls[name, across.SHUFFLED_TOKENS], [source.vector @ each.matrix for each in maps])
        assert len(maps) == 4  # as many as the moments have shuffles, whatever n_runs is
    assert len(nulls) == 2 * len(PARTNER_NULLS) + 3
    assert nulls[across.DECODER, across.SHUFFLED_PAIRS].shape == (5, D_B)


def test_shuffled_pairs_keep_the_rows_and_lose_the_pairs(both, own_vectors, parts, moments):
    """Of every wrong map of decoder rows some order of b's rows is the one it was fitted on."""
    source, own = own_vectors
    main = moments[HOOK, HOOK_B]
    found = [across.carried_vectors(both, source, own, {}, main, n_runs=3, seed=seed) for seed in (7, 7, 8)]
    key = across.DECODER, across.SHUFFLED_PAIRS
    first, same, other = (nulls[key] for _, nulls in found)
    assert np.array_equal(first, same) and not np.allclose(first, other)
    right = found[0][0][across.DECODER].vector
    assert all(not np.allclose(run, right, atol=1e-3) for run in first) and not np.allclose(first[0], first[1])
    rows_a = both.a.loaded.sae.W_dec.double().numpy()[both.pairs.ids_a]
    rows_b = both.b.loaded.sae.W_dec.double().numpy()[both.pairs.ids_b]
    weights = source.vector @ np.linalg.pinv(rows_a)  # the same weights of the same rows, in another order
    assert np.allclose(weights @ rows_b, right, atol=1e-8)
    assert np.allclose(first[0], weights @ np.random.default_rng(7).permutation(rows_b), atol=1e-8)


def test_a_vector_carried_into_its_own_model_is_the_reconstruction(both, parts):
    for features in parts.values():
        assert across.self_transfer_error(both, features) == 0
        twice = replace(features, rows=2 * features.rows)  # a sum of other rows than the dictionary's
        expected = np.abs(features.vector).max() / np.linalg.norm(2 * features.vector)
        assert across.self_transfer_error(both, twice) == pytest.approx(expected)


# --- layers


@pytest.mark.parametrize(
    ("hook", "n_layers", "max_layers", "expected"),
    [
        ("blocks.1.hook_resid_post", 3, 4, [0, 1, 2]),
        ("blocks.3.hook_resid_post", 9, 3, [0, 3, 8]),  # the nearest of 0, 4, 8 makes room for the dictionary's own
        ("blocks.4.hook_resid_post", 9, 3, [0, 4, 8]),
        ("blocks.5.hook_mlp_out", 6, 1, [5]),
        ("blocks.0.attn.hook_z", 6, 2, [0, 5]),
        ("blocks.0.hook_resid_post", 1, 3, [0]),
    ],
)
def test_layers_are_spread_and_hold_the_dictionarys_own(both, hook, n_layers, max_layers, expected):
    class Model:
        class cfg:
            pass

    Model.cfg.n_layers = n_layers
    side = TransferSide("x", Model, replace(both.a.loaded, hook_name=hook), both.a.store)  # type: ignore[arg-type]
    rest = hook.split(".", 2)[2]
    assert across.layer_hooks(side, max_layers=max_layers) == [f"blocks.{layer}.{rest}" for layer in expected]


@pytest.mark.parametrize("hook", ["hook_embed", "ln_final.hook_normalized", "blocks.1", "blocks.last.hook_resid_post"])
def test_a_hook_without_layers_is_refused(both, hook):
    side = replace(both.a, loaded=replace(both.a.loaded, hook_name=hook))
    with pytest.raises(ValueError, match=rf"hooks such as blocks.1.hook_resid_post; got {hook}"):
        across.layer_hooks(side, max_layers=2)


def test_layers_are_scored_pair_by_pair(both, task, moments):
    shift = across.answer_shift(both, task, task.held_out)
    found = across.score_layer_pairs(both, task, shift, moments, strength=0.5, n_random=3, seed=2)
    assert list(found) == [HOOK_B, "blocks.2.hook_resid_post"]
    source = across.own_vector(both, both.a, task)
    for hook_b, scores in found.items():
        assert scores.methods == (f"{HOOK}, ridge map", f"{HOOK}, Procrustes map")
        own = across.own_vector(both, both.b, task, hook_name=hook_b)
        carried = {
            "ridge": ridge_map(moments[HOOK, hook_b]).carry(source, name="b"),
            "turned": procrustes_map(moments[HOOK, hook_b]).carry(source, name="b"),
        }
        expected = score_transfer(both.b.model, shift, own, carried, strength=0.5, n_random=3, seed=2)
        assert np.allclose(scores.own["logit_difference"], expected.own["logit_difference"], atol=1e-5)
        for name, there in zip(scores.methods, carried, strict=True):
            for measure, values in scores.carried[name].items():
                assert np.allclose(values, expected.carried[there][measure], atol=1e-5)
        assert scores.nulls["", RANDOM_VECTORS]["added"].shape == (3, len(task.held_out))


# --- removals and answers


def test_features_are_chosen_on_validation_prompts_and_removed_on_held_out_ones(both, task, monkeypatch):
    back = SteeringTask(
        "month_to_day", "?", task.away, task.toward,
        asked_for(MONTHS[:2], MONTHS[:3], DAYS, "This month is {}. The next is"),
        asked_for(MONTHS[2:], MONTHS, DAYS, "It was {}. Tomorrow is"),
    )  # fmt: skip
    tasks = {"days": task, "months": back}
    chosen, removed = [], []
    real_choice, real_removal = across.carrying_features, across.remove_partners

    def choose(model, loaded, domain, *, n_features, among=None):
        found = real_choice(model, loaded, domain, n_features=n_features, among=among)
        chosen.append((loaded, domain, among, found))
        return found

    def remove(model, loaded, domain, chosen_a, own_b, pairs, **options):
        removed.append((domain, chosen_a, own_b, options["n_runs"]))
        return real_removal(model, loaded, domain, chosen_a, own_b, pairs, **options)

    monkeypatch.setattr(across, "carrying_features", choose)
    monkeypatch.setattr(across, "remove_partners", remove)
    scores = across.score_removals(both, tasks, n_features=3, n_runs=4, seed=0)
    for number, domain in enumerate(tasks):
        on_a, on_b = chosen[2 * number : 2 * number + 2]
        asked = across.answer_domain(both, tasks[domain], tasks[domain].validate)
        for loaded, (used, prompts, _, found) in ((both.a.loaded, on_a), (both.b.loaded, on_b)):
            assert used is loaded and len(found) == 3
            assert np.array_equal(prompts.prompts.input_ids, asked.prompts.input_ids)
        assert np.array_equal(on_a[2], np.unique(both.pairs.ids_a)) and on_b[2] is None
    assert list(scores) == [(one, other) for one in tasks for other in tasks]
    for (one, other), (domain, chosen_a, own_b, n_runs) in zip(scores, removed, strict=True):
        held_out = across.answer_domain(both, tasks[other], tasks[other].held_out)
        assert np.array_equal(domain.prompts.input_ids, held_out.prompts.input_ids)
        assert np.array_equal(domain.words, held_out.words)
        place = 2 * list(tasks).index(one)
        assert np.array_equal(chosen_a, chosen[place][3]) and np.array_equal(own_b, chosen[place + 1][3])
        assert n_runs == (4 if one == other else 0)
        nulls = scores[one, other].nulls_of(PARTNERS)
        assert nulls == (ABLATION_NULLS if one == other else ())
    assert is_untouched(both.b.model)


def test_answers_are_top_words_plainly_and_with_each_vector(both, task, own_vectors):
    own = own_vectors[1]
    texts = [each.text for each in task.held_out]
    found = across.steered_answers(
        both, texts, {"own": own, "back": own.changed(-own.vector, method="-", details={})}, strength=9.0
    )
    steps = [own.add(strength=sign * 9.0, unit="residual_norm", at="last") for sign in (1, -1)]
    for row, text in enumerate(texts):
        logits = steered_logits(both.b.model, both.prompts([text]), [(), *steps])[:, 0]
        words = [both.tokenizer.decode([int(top)]).strip() for top in logits.argmax(axis=1)]
        assert found[text] == dict(zip(("plain", "own", "back"), words, strict=True))
        assert found[text]["own"] != found[text]["back"]
    assert list(found) == texts


def test_the_first_tokens_are_whole_sequences(tokens):
    counts = tokens.keep_mask.sum(axis=1)
    for n_tokens, n_sequences in ((1, 1), (int(counts[0]), 1), (int(counts[0]) + 1, 2), (10**9, len(counts))):
        found = across.first_tokens(tokens, n_tokens=n_tokens)
        assert np.array_equal(found.input_ids, tokens.input_ids[:n_sequences])
        assert np.array_equal(found.documents, tokens.documents[:n_sequences])


# --- what is told


def scores_of(
    own: float, carried: float, nulls: dict[tuple[str, str], list[float]], method="good, old"
) -> TransferScores:
    """Four prompts with one effect each, for every measure alike but "added", of which the own vector has none."""

    def effects(value: float) -> dict[str, np.ndarray]:
        return {"success": np.full(4, value), "logit_difference": np.full(4, value), "added": np.zeros(4)}

    runs = {
        key: {measure: np.stack([effects(value)[measure] for value in values]) for measure in effects(0.0)}
        for key, values in nulls.items()
    }
    return TransferScores(effects(own), {method: effects(carried)}, runs, 0.4)


def test_metrics_tell_the_hardest_null():
    nulls = {
        ("good, old", "easy"): [0.0, 0.1, 0.2],
        ("good, old", "hard"): [0.2, 0.4],
        ("", "random vectors"): [0.5] + [0.0] * 8,
    }
    scores = scores_of(0.5, 0.4, nulls)
    assert scores.highest_null("good, old", "success") == pytest.approx(("hard", 0.6))
    assert scores.highest_null("good, old", "added") is None
    found = transfer_metrics.transfer_metrics(scores)
    assert found["good_old_success"] == found["good_old_success_low"] == pytest.approx(0.8)
    assert found["good_old_success_null"] == pytest.approx(0.6)
    assert found["good_old_success_p"] == pytest.approx(2 / 3)  # one of the two hard runs ties; others: 1/4 and 2/10
    for end in ("", "_low", "_high", "_null"):
        assert found[f"good_old_added{end}"] is None
    assert found["good_old_added_p"] == 1.0
    assert len(found) == 3 * 5


def removal(cost: float, nulls: dict[str, list[float]] | None = None) -> TransferScores:
    runs = {(PARTNERS, null): {LEAD: np.tile(np.array(values)[:, None], 4)} for null, values in (nulls or {}).items()}
    return TransferScores({LEAD: np.full(4, 2.0)}, {PARTNERS: {LEAD: np.full(4, cost)}}, runs, 1.0)


def test_a_removal_hits_its_own_domain_or_does_not():
    def removals(days: tuple[float, float]) -> dict[tuple[str, str], TransferScores]:
        costs = {
            ("days", "days"): days[0],
            ("days", "months"): days[1],
            ("months", "days"): 9.0,
            ("months", "months"): 1.0,
        }
        return {key: removal(cost) for key, cost in costs.items()}

    assert transfer_metrics.hits_its_own(removals((1.0, 0.5)), "days")
    assert not transfer_metrics.hits_its_own(removals((1.0, 1.0)), "days")  # months suffer as much
    assert not transfer_metrics.hits_its_own(removals((-0.1, -0.5)), "days")  # its own answers gain
    assert not transfer_metrics.hits_its_own(removals((1.0, 0.5)), "months")


def test_removals_tell_their_cost_share_and_every_p():
    first, second, third = ABLATION_NULLS
    found = removal(1.5, {first: [0.0, 0.0, 0.0], second: [1.0, 2.0, 0.0], third: [1.5, 2.0, 3.0]})
    metrics = transfer_metrics.removal_metrics(found)
    assert metrics["cost"] == 1.5 and metrics["share"] == pytest.approx(0.75)
    p = [metrics[f"p_{null.replace(' ', '_')}"] for null in ABLATION_NULLS]
    assert p == pytest.approx([1 / 4, 2 / 4, 4 / 4])
    assert transfer_metrics.removal_p(found) == p[2]  # the hardest
    nothing = replace(found, own={LEAD: np.zeros(4)})
    assert transfer_metrics.removal_metrics(nothing)["share"] is None


def test_prompts_open_with_bos_as_the_dictionaries_were_trained(both):
    texts = ["Today is Monday"]
    with_bos = both.prompts(texts)
    bare = [replace(side, loaded=replace(side.loaded, prepend_bos=False)) for side in (both.a, both.b)]
    without = replace(both, a=bare[0], b=bare[1]).prompts(texts)
    assert with_bos.input_ids[0, 1:].tolist() == without.input_ids[0].tolist()
    with pytest.raises(ValueError, match="one that was trained with BOS and one without"):
        replace(both, b=bare[1])
