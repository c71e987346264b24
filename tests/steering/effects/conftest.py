"""A model that is linear above its second layer: there every guess by gradient is exact."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
import torch
from transformer_lens.model_bridge import TransformerBridge
from transformers import GPT2LMHeadModel

from helpers.models import load_model
from helpers.saes import LoadedSae
from helpers.steering import Prompts
from tests.steering.conftest import HOOK, N_LAYERS, config_of, make_sae

TOP_HOOK = "blocks.2.hook_resid_post"


def linearised(hugging_face: GPT2LMHeadModel, layers: range, folder: Path, tokenizer) -> TransformerBridge:
    """Blocks that mix tokens with equal weights, without MLP and layer norms."""
    d_model = hugging_face.config.n_embd
    with torch.no_grad():
        for layer in layers:
            block = hugging_face.transformer.h[layer]
            for parameter in (*block.mlp.c_proj.parameters(),):
                parameter.zero_()
            block.attn.c_attn.weight[:, : 2 * d_model] = 0  # queries and keys
            block.attn.c_attn.bias[: 2 * d_model] = 0
    hugging_face.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    model = load_model(folder, device="cpu")
    for norm in (*(model.blocks[layer].ln1 for layer in layers), model.ln_final):
        norm.register_forward_hook(lambda _, arguments, __: arguments[0])
    return model


@pytest.fixture(scope="session")
def linear_model(tmp_path_factory: pytest.TempPathFactory, tokenizer) -> TransformerBridge:
    torch.manual_seed(3)
    return linearised(
        GPT2LMHeadModel(config_of("gpt2")), range(2, N_LAYERS), tmp_path_factory.mktemp("linear"), tokenizer
    )


@pytest.fixture(scope="session")
def top() -> LoadedSae:
    """A dictionary of the last layer."""
    return LoadedSae(sae=make_sae(), hook_name=TOP_HOOK, prepend_bos=True, center_writing_weights=False)


def text_columns(prompts: Prompts, number: int) -> np.ndarray:
    """Positions of one prompt's tokens of text, unpadded."""
    return np.flatnonzero(prompts.keep_mask[number][prompts.attention_mask[number]])


def unpadded(prompts: Prompts) -> Iterator[torch.Tensor]:
    """Every prompt by itself, (1, length)."""
    for ids, real in zip(prompts.input_ids, prompts.attention_mask, strict=True):
        yield torch.from_numpy(ids[real])[None]


@torch.no_grad()
def hand_run(model, ids, edits=(), hook_name=HOOK):
    """Streams at a hook and all logits of one unpadded prompt; edits: (hook, function of the (length, d) stream)."""
    seen = []
    hooks = [(name, lambda stream, change=change, **_: change(stream[0].clone())[None]) for name, change in edits]
    hooks.append((hook_name, lambda stream, **_: seen.append(stream[0].clone())))
    logits = model.run_with_hooks(ids, fwd_hooks=hooks, prepend_bos=False)[0]
    return seen[0].double(), logits.double()


@contextmanager
def rejected(message: str):
    with pytest.raises(ValueError, match=message):
        yield
