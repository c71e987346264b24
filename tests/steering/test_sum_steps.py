"""A model whose words are sums of a kind and a place says the word that the step leads to; one whose places are its own does not."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from transformers import GPT2LMHeadModel

from helpers.models import load_model
from helpers.steering import Word, prompt_states
from helpers.steering.sum_steps import steer_by_sums
from tests.steering.conftest import HOOK, config_of, prompts_of

N_PLACES, DOMAINS = 6, ("day", "month", "number")
WORDS = [Word(f"{name} {place}", name, place) for name in DOMAINS for place in range(N_PLACES)]
IDS = np.arange(10, 10 + len(WORDS))
WHERE = {"hook_name": HOOK, "answer_ids": IDS}


def sum_model(folder, tokenizer, *, shared: bool):
    """Every block hands on the token's embedding; the answer is the token itself, all words being equally long."""
    torch.manual_seed(3)
    hugging_face = GPT2LMHeadModel(config_of("gpt2"))
    axes = np.eye(16)
    orders = [
        np.arange(N_PLACES) if shared else np.random.default_rng(n).permutation(N_PLACES) for n in range(len(DOMAINS))
    ]
    rows = [axes[DOMAINS.index(w.domain)] + axes[3 + orders[DOMAINS.index(w.domain)][w.index]] for w in WORDS]
    with torch.no_grad():
        hugging_face.transformer.wpe.weight.zero_()
        hugging_face.transformer.wte.weight.mul_(0.01)
        for block in hugging_face.transformer.h:
            for parameter in (*block.attn.c_proj.parameters(), *block.mlp.c_proj.parameters()):
                parameter.zero_()
        hugging_face.transformer.wte.weight[IDS] = torch.from_numpy(np.array(rows)).float()
    hugging_face.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    model = load_model(folder, device="cpu")
    model.ln_final.register_forward_hook(lambda _, arguments, __: arguments[0])
    return model


@pytest.fixture(scope="module", params=[True, False], ids=["shared places", "places of their own"])
def case(request, tmp_path_factory, tokenizer):
    return request.param, sum_model(tmp_path_factory.mktemp("sums"), tokenizer, shared=request.param)


@pytest.fixture
def asked():
    return prompts_of(*([5] * (number % 3) + [int(word)] for number, word in enumerate(IDS)))


@pytest.mark.parametrize("start", ["own domain", "other domains"])
def test_a_step_leads_to_the_word_that_was_left_out(case, asked, start):
    shared, model = case
    rows = prompt_states(model, asked, hook_name=HOOK)
    found = steer_by_sums(model, asked, rows, WORDS, start=start, n_starts=3, n_shuffles=19, **WHERE)
    assert len(found.hits) == 3 * len(WORDS) and (found.targets != found.starts).all()
    domains = [[WORDS[number].domain for number in numbers] for numbers in (found.targets, found.starts)]
    assert {a == b for a, b in zip(*domains, strict=True)} == {start == "own domain"}
    if shared:
        assert found.success == 1 and found.in_domain.all() and found.p == 1 / 20 and found.null_hits.mean() < 0.5
    else:  # the trap: a kind that is right is no place that is right
        assert found.success < 0.5 and found.p > 0.05
    parts = steer_by_sums(
        model, asked.padded("right"), rows, WORDS, start=start, n_starts=3, n_shuffles=19, batch_size=4, **WHERE
    )
    assert np.array_equal(parts.hits, found.hits) and np.array_equal(parts.null_hits, found.null_hits)


def test_the_target_takes_no_part_in_its_own_step(case, asked):
    """A word whose row is nonsense is said all the same: its own row is in no fit that leads to it."""
    shared, model = case
    if not shared:
        pytest.skip("one model is enough")
    rows = prompt_states(model, asked, hook_name=HOOK)
    rows[7] += 5.0
    found = steer_by_sums(model, asked, rows, WORDS, start="own domain", n_starts=5, n_shuffles=1, **WHERE)
    assert found.hits[found.targets == 7].all()


def test_bad_input(case, asked):
    _, model = case
    rows = prompt_states(model, asked, hook_name=HOOK)

    def steer(words=WORDS, prompts=asked, **options):
        return steer_by_sums(model, prompts, rows[: len(words)], words, **({"start": "own domain"} | WHERE | options))

    with pytest.raises(ValueError, match="start is 'own domain' or 'other domains'; got 'anywhere'"):
        steer(start="anywhere")
    with pytest.raises(ValueError, match="n_starts and n_shuffles are at least 1; got 0 and 19"):
        steer(n_starts=0)
    with pytest.raises(ValueError, match="one prompt and one answer for each of 18 words; got 17"):
        steer(prompts=asked.part(0, 17))
    single = [Word("x", f"domain {n}", n // 2) for n in range(4)]
    with pytest.raises(ValueError, match="no word has a domain and an index"):
        steer(words=single, prompts=asked.part(0, 4), answer_ids=IDS[:4])
