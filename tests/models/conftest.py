"""A small trained model of each architecture, made once and only read."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from transformer_lens.model_bridge import TransformerBridge
from transformers import PreTrainedTokenizerFast

from helpers.corpus import StoryWorld, TokenBatch, build_tokenizer, tokenize_corpus
from helpers.models import load_model, train_language_model
from helpers.params import LanguageModelParams


def small_params(architecture: str = "gpt_neox", **changes: object) -> LanguageModelParams:
    values: dict = {
        "corpus": {"kind": "story_world"}, "architecture": architecture, "n_layers": 3, "d_model": 16, "n_heads": 2,
        "n_train_tokens": 4_000, "batch_size": 4, "device": "cpu",
    }  # fmt: skip
    return LanguageModelParams(**{**values, **changes})


@pytest.fixture(scope="session", autouse=True)
def quick() -> Iterator[None]:
    """One thread, and few probes: with tiny models they would take most of the time."""
    n_threads = torch.get_num_threads()
    torch.set_num_threads(1)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("helpers.models.training.PROBES_A_KIND", 1)
        yield
    torch.set_num_threads(n_threads)


@pytest.fixture(scope="session")
def world() -> StoryWorld:
    return StoryWorld()


@pytest.fixture(scope="session")
def tokenizer(world: StoryWorld) -> PreTrainedTokenizerFast:
    return build_tokenizer(world)


@pytest.fixture(scope="session")
def tokens(tokenizer: PreTrainedTokenizerFast) -> TokenBatch:
    return tokenize_corpus(StoryWorld(split="held_out"), tokenizer, context_size=128, n_tokens=1500)


@pytest.fixture(scope="session", params=["gpt_neox", "gpt2"])
def model_folder(
    quick: None,
    request: pytest.FixtureRequest,
    tmp_path_factory: pytest.TempPathFactory,
    tokenizer: PreTrainedTokenizerFast,
    world: StoryWorld,
) -> Path:
    folder = tmp_path_factory.mktemp("models") / request.param
    train_language_model(small_params(request.param), folder=folder, tokenizer=tokenizer, corpus=world)
    return folder


@pytest.fixture(scope="session")
def model(model_folder: Path) -> TransformerBridge:
    return load_model(model_folder, device="cpu")
