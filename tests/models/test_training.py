"""Training: it learns, it repeats, and an interruption changes nothing."""

import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from transformers import AutoModelForCausalLM, PreTrainedTokenizerFast

from helpers.corpus import (
    Document,
    LocalCorpus,
    StoryWorld,
    TokenBatch,
    load_tokenizer,
    tokenizer_fingerprint,
    tokenizer_for,
)
from helpers.models import TrainingHistory, load_model, next_token_loss, train_language_model
from helpers.models.training import learning_rate_factor
from helpers.params import LanguageModelParams


def small_params(**changes: object) -> LanguageModelParams:
    values: dict = {
        "corpus": {"kind": "story_world"}, "n_layers": 1, "d_model": 16, "n_heads": 2, "n_train_tokens": 4_000,
        "batch_size": 4, "device": "cpu",
    }  # fmt: skip
    return LanguageModelParams(**{**values, **changes})


class Interrupted(Exception):
    """What stops a training in these tests."""


class InterruptedWorld(StoryWorld):
    """A story world that breaks off before document `last`."""

    last = 10**9

    def documents(self, start: int = 0) -> Iterator[Document]:
        for document in super().documents(start):
            if document.index >= self.last:
                raise Interrupted
            yield document


def weights(folder: Path) -> dict[str, torch.Tensor]:
    return load_file(folder / "model.safetensors")


def same_bits(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> bool:
    return one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)


def test_model_folder_is_an_ordinary_one(model_folder: Path, tokenizer: PreTrainedTokenizerFast) -> None:
    model = AutoModelForCausalLM.from_pretrained(model_folder)
    assert model.config.vocab_size == len(tokenizer)
    assert tokenizer_fingerprint(load_tokenizer(model_folder)) == tokenizer_fingerprint(tokenizer)
    names = ("hidden_dropout", "attention_dropout", "resid_pdrop", "embd_pdrop", "attn_pdrop")
    dropout = [getattr(model.config, name) for name in names if hasattr(model.config, name)]
    assert len(dropout) >= 2
    assert not any(dropout)
    assert [path.name for path in model_folder.parent.iterdir()] == [model_folder.name]  # no checkpoint is left


def test_loss_falls(model_folder: Path, tokens: TokenBatch) -> None:
    history = TrainingHistory.load(model_folder / "training_history.json")
    uniform = np.log(len(load_tokenizer(model_folder)))
    assert history.loss[0] == pytest.approx(uniform, rel=0.1)  # an untrained model knows nothing
    # a dozen steps: some of the way, far outside the noise of one batch (standard deviation of its loss: 0.03)
    assert history.loss[-1] < history.loss[0] - 0.1
    assert next_token_loss(load_model(model_folder, device="cpu"), tokens) < uniform - 0.1


def test_curves(model_folder: Path, world: StoryWorld) -> None:
    history = TrainingHistory.load(model_folder / "training_history.json")
    assert 4_000 <= history.n_tokens < 4_000 + 4 * 127
    assert history.tokens == sorted(set(history.tokens))
    assert len(history.tokens) == len(history.loss) == history.n_steps  # so few steps that every one is a point
    assert len(history.probe_tokens) == 8
    assert set(history.accuracies) == set(world.probe_kinds)
    assert all(len(curve) == 8 and 0 <= min(curve) <= max(curve) <= 1 for curve in history.accuracies.values())
    assert TrainingHistory.from_dict(json.loads(json.dumps(history.to_dict()))) == history


def test_seed_decides_the_weights(tmp_path: Path, tokenizer: PreTrainedTokenizerFast, world: StoryWorld) -> None:
    torch.manual_seed(99)
    before = torch.get_rng_state()
    for name, seed in (("one", 0), ("same", 0), ("other", 1)):
        train_language_model(small_params(seed=seed), folder=tmp_path / name, tokenizer=tokenizer, corpus=world)
    assert same_bits(weights(tmp_path / "one"), weights(tmp_path / "same"))
    assert not same_bits(weights(tmp_path / "one"), weights(tmp_path / "other"))
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize("architecture", ["gpt_neox", "gpt2"])
def test_interrupted_and_resumed_equals_uninterrupted(
    tmp_path: Path, tokenizer: PreTrainedTokenizerFast, architecture: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    params = small_params(architecture=architecture, n_train_tokens=20_000, batch_size=2)
    monkeypatch.setattr("helpers.corpus.tokenizing._DOCUMENTS_AT_ONCE", 8)  # so that the break comes while training
    whole = train_language_model(params, folder=tmp_path / "whole", tokenizer=tokenizer, corpus=InterruptedWorld())
    for last in (60, 120):
        monkeypatch.setattr(InterruptedWorld, "last", last)
        with pytest.raises(Interrupted):
            train_language_model(params, folder=tmp_path / "parts", tokenizer=tokenizer, corpus=InterruptedWorld())
        assert not (tmp_path / "parts").exists()
        assert (tmp_path / ".parts.checkpoint" / "state.pt").exists()
    monkeypatch.setattr(InterruptedWorld, "last", 10**9)
    first_document: list[int] = []
    documents = InterruptedWorld.documents

    def watched(self: InterruptedWorld, start: int = 0) -> Iterator[Document]:
        first_document.append(start)
        return documents(self, start)

    monkeypatch.setattr(InterruptedWorld, "documents", watched)
    parts = train_language_model(params, folder=tmp_path / "parts", tokenizer=tokenizer, corpus=InterruptedWorld())
    assert first_document[-1] > 60  # it went on, it did not start anew (the first reading is for the recipe)
    assert same_bits(weights(tmp_path / "whole"), weights(tmp_path / "parts"))
    for name in ("tokens", "loss", "probe_tokens", "accuracies", "n_steps"):
        assert getattr(parts, name) == getattr(whole, name)
    assert not (tmp_path / ".parts.checkpoint").exists()


def test_resumption_inside_a_long_document_of_a_finite_corpus(
    tmp_path: Path, tokenizer: PreTrainedTokenizerFast, world: StoryWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two documents of many sequences, read several times over: the hardest place to find again."""
    text = tmp_path / "texts.txt"
    text.write_text(
        "\n\n".join(
            " ".join(world.document(i).text.replace("\n", " ") for i in part) for part in (range(9), range(9, 15))
        )
    )
    params = small_params(n_train_tokens=6_000, batch_size=3, context_size=32)
    corpus = LocalCorpus(text)
    train_language_model(params, folder=tmp_path / "whole", tokenizer=tokenizer, corpus=corpus)
    from helpers.models import training

    save = training.save_checkpoint
    n_saved = 0

    def save_and_break(*arguments: object, **settings: object) -> None:
        nonlocal n_saved
        save(*arguments, **settings)  # type: ignore[arg-type]
        n_saved += 1
        raise Interrupted

    monkeypatch.setattr(training, "save_checkpoint", save_and_break)
    for _ in range(20):
        try:
            train_language_model(params, folder=tmp_path / "parts", tokenizer=tokenizer, corpus=corpus)
            break
        except Interrupted:
            continue
    assert n_saved >= 5
    assert same_bits(weights(tmp_path / "whole"), weights(tmp_path / "parts"))


def test_a_checkpoint_of_other_parameters_is_not_used(
    tmp_path: Path,
    tokenizer: PreTrainedTokenizerFast,
    world: StoryWorld,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setattr("helpers.corpus.tokenizing._DOCUMENTS_AT_ONCE", 8)
    folder = tmp_path / "model"
    train_language_model(small_params(), folder=folder, tokenizer=tokenizer, corpus=world)
    finished = weights(folder)
    broken = InterruptedWorld()
    broken.last = 25
    with pytest.raises(Interrupted):
        train_language_model(small_params(seed=1), folder=folder, tokenizer=tokenizer, corpus=broken)
    assert same_bits(weights(folder), finished)  # the earlier model stays until the new one is whole
    train_language_model(small_params(seed=2), folder=folder, tokenizer=tokenizer, corpus=world)
    assert "belongs to other parameters or code; training starts anew" in caplog.text
    train_language_model(small_params(seed=2), folder=tmp_path / "fresh", tokenizer=tokenizer, corpus=world)
    assert same_bits(weights(folder), weights(tmp_path / "fresh"))


def test_a_replaced_file_is_another_corpus(
    tmp_path: Path, tokenizer: PreTrainedTokenizerFast, world: StoryWorld
) -> None:
    text = tmp_path / "texts.txt"
    found = []
    for numbers in (range(5), range(5, 10)):
        text.write_text("\n\n".join(world.document(number).text for number in numbers))
        train_language_model(small_params(), folder=tmp_path / "model", tokenizer=tokenizer, corpus=LocalCorpus(text))
        found.append(weights(tmp_path / "model"))
    assert not same_bits(*found)


def test_a_finished_model_is_not_trained_again(
    tmp_path: Path, tokenizer: PreTrainedTokenizerFast, world: StoryWorld
) -> None:
    first = train_language_model(small_params(), folder=tmp_path / "model", tokenizer=tokenizer, corpus=world)
    time_written = (tmp_path / "model" / "model.safetensors").stat().st_mtime_ns
    assert train_language_model(small_params(), folder=tmp_path / "model", tokenizer=tokenizer, corpus=world) == first
    assert (tmp_path / "model" / "model.safetensors").stat().st_mtime_ns == time_written


def test_damaged_checkpoint(
    tmp_path: Path, tokenizer: PreTrainedTokenizerFast, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("helpers.corpus.tokenizing._DOCUMENTS_AT_ONCE", 8)
    monkeypatch.setattr(InterruptedWorld, "last", 25)
    arguments = {"folder": tmp_path / "model", "tokenizer": tokenizer, "corpus": InterruptedWorld()}
    with pytest.raises(Interrupted):
        train_language_model(small_params(), **arguments)
    state = tmp_path / ".model.checkpoint" / "state.pt"
    state.write_bytes(state.read_bytes()[:-100])
    with pytest.raises(
        ValueError, match="'state.pt' of the checkpoint in .* is damaged; delete that folder and run again"
    ):
        train_language_model(small_params(), **arguments)
    monkeypatch.setattr(InterruptedWorld, "last", 10**9)
    train_language_model(small_params(seed=5), **arguments)  # another recipe does not even look at it


def test_pretrained_is_not_trained(tmp_path: Path, tokenizer: PreTrainedTokenizerFast, world: StoryWorld) -> None:
    params = small_params(source="pretrained", name_or_path="gpt2")
    with pytest.raises(ValueError, match="expected source 'train'; got 'pretrained'"):
        train_language_model(params, folder=tmp_path / "model", tokenizer=tokenizer, corpus=world)


def test_learning_rate_rises_and_falls_in_straight_lines() -> None:
    assert learning_rate_factor(0.0) == 0.01  # the first step moves, too
    assert learning_rate_factor(0.02) == pytest.approx(0.5)
    assert learning_rate_factor(0.04) == 1.0
    assert learning_rate_factor(0.52) == pytest.approx(0.5)
    assert learning_rate_factor(1.0) == learning_rate_factor(1.1) == 0.0


def test_a_model_with_a_tokenizer_trained_on_its_corpus(tmp_path: Path, world: StoryWorld) -> None:
    params = small_params(tokenizer="bpe", n_vocab=300, context_size=256)
    pieces = tokenizer_for(world, name_or_path=params.tokenizer, n_vocab=params.n_vocab)
    assert len(pieces(" grandmother")["input_ids"]) > 1  # answers are of several tokens, and are asked for
    history = train_language_model(params, folder=tmp_path / "model", tokenizer=pieces, corpus=world)
    assert set(history.accuracies) == set(world.probe_kinds)
    assert history.loss[-1] < history.loss[0]
    assert load_model(tmp_path / "model", device="cpu").cfg.d_vocab == 300
    assert tokenizer_fingerprint(load_tokenizer(tmp_path / "model")) == tokenizer_fingerprint(pieces)
    other = train_language_model(params, folder=tmp_path / "model", tokenizer=pieces, corpus=world)
    assert other == history  # finished: not repeated
