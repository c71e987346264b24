"""A tiny random model of each architecture with dictionaries of random directions: made once, only read."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from sae_lens import SAE, StandardSAE, StandardSAEConfig
from transformer_lens.model_bridge import TransformerBridge
from transformers import GPT2Config, GPT2LMHeadModel, GPTNeoXConfig, GPTNeoXForCausalLM

from helpers.models import load_model
from helpers.saes import LoadedSae
from helpers.steering import Prompts

D_MODEL, N_LAYERS, D_VOCAB, CONTEXT, D_SAE = 16, 3, 50, 24, 40
HOOK = "blocks.1.hook_resid_post"
BOS = 0


def config_of(architecture: str) -> GPTNeoXConfig | GPT2Config:
    if architecture == "gpt_neox":
        return GPTNeoXConfig(
            vocab_size=D_VOCAB, hidden_size=D_MODEL, num_hidden_layers=N_LAYERS, num_attention_heads=2,
            intermediate_size=32, max_position_embeddings=CONTEXT, initializer_range=0.3,
        )  # fmt: skip
    return GPT2Config(
        vocab_size=D_VOCAB, n_embd=D_MODEL, n_layer=N_LAYERS, n_head=2, n_inner=32, n_positions=CONTEXT,
        initializer_range=0.3, resid_pdrop=0.0, embd_pdrop=0.0, attn_pdrop=0.0,
    )  # fmt: skip


@pytest.fixture(scope="session", autouse=True)
def one_thread() -> Iterator[None]:
    n_threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(n_threads)


@pytest.fixture(scope="session", params=["gpt_neox", "gpt2"])
def model(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, tokenizer) -> TransformerBridge:
    folder = Path(tmp_path_factory.mktemp("tiny")) / request.param
    kind = GPTNeoXForCausalLM if request.param == "gpt_neox" else GPT2LMHeadModel
    torch.manual_seed(3)
    kind(config_of(request.param)).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return load_model(folder, device="cpu")


def prompts_of(*rows: list[int], side: str = "left") -> Prompts:
    """Prompts of given ids, BOS before each."""
    longest = max(map(len, rows)) + 1
    ids = np.full((len(rows), longest), 7, np.int64)
    real = np.zeros(ids.shape, bool)
    for number, row in enumerate(rows):
        ids[number, : len(row) + 1] = [BOS, *row]
        real[number, : len(row) + 1] = True
    keep = real.copy()
    keep[:, 0] = False
    return Prompts(ids, real, keep).padded(side)


@pytest.fixture
def prompts() -> Prompts:
    """Three prompts of 3, 6 and 1 words."""
    return prompts_of([5, 9, 11], [21, 8, 30, 12, 44, 3], [17])


def make_sae(**changes: object) -> SAE:
    """Random directions of different lengths, about half of which fire on any row."""
    generator = torch.Generator().manual_seed(5)
    sae = StandardSAE(StandardSAEConfig(d_in=D_MODEL, d_sae=D_SAE, device="cpu", **changes))
    with torch.no_grad():
        sae.W_dec.copy_(torch.randn(D_SAE, D_MODEL, generator=generator))
        sae.W_enc.copy_(torch.randn(D_MODEL, D_SAE, generator=generator) / 4)
        sae.b_dec.copy_(torch.randn(D_MODEL, generator=generator))
        sae.b_enc.copy_(torch.randn(D_SAE, generator=generator) / 4)
    sae.eval()
    return sae.requires_grad_(False)


@pytest.fixture(scope="session")
def loaded() -> LoadedSae:
    return LoadedSae(sae=make_sae(), hook_name=HOOK, prepend_bos=True, center_writing_weights=False)


@pytest.fixture
def vector() -> np.ndarray:
    return np.random.default_rng(8).normal(size=D_MODEL)
