"""A tiny random model with the story world's tokenizer, for all tests (read-only); a plugin of the root conftest."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from transformers import GPTNeoXConfig, GPTNeoXForCausalLM

from helpers.corpus import Document, StoryWorld, build_tokenizer, tokenize_corpus
from helpers.models import load_model

HOOK = "blocks.0.hook_resid_post"
CONTEXT = 64


class Texts:
    """A corpus of given texts."""

    name = "given texts"

    def __init__(self, *texts: str) -> None:
        self.texts = texts

    def documents(self, start: int = 0) -> Iterator[Document]:
        return (Document(index, text) for index, text in list(enumerate(self.texts))[start:])


@pytest.fixture(scope="session")
def world():
    return StoryWorld(seed=0, split="train")


@pytest.fixture(scope="session")
def tokenizer(world):
    return build_tokenizer(world)


@pytest.fixture(scope="session")
def model_folder(tokenizer, tmp_path_factory):
    torch.manual_seed(0)
    config = GPTNeoXConfig(
        vocab_size=len(tokenizer),
        hidden_size=16,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=32,
        max_position_embeddings=CONTEXT,
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.bos_token_id,
        initializer_range=0.3,
    )
    folder = Path(tmp_path_factory.mktemp("tiny-model"))
    GPTNeoXForCausalLM(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


@pytest.fixture(scope="session")
def model(model_folder):
    return load_model(model_folder, device="cpu")


@pytest.fixture(scope="session")
def tokens(world, tokenizer):
    return tokenize_corpus(world, tokenizer, context_size=CONTEXT, n_tokens=3000)
