"""Loading, hooks, streaming and measures, against the plain Hugging Face model."""

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from transformer_lens.model_bridge import TransformerBridge
from transformers import AutoModelForCausalLM, PreTrainedTokenizerFast

from helpers.corpus import Probe, StoryWorld, TokenBatch, train_bpe_tokenizer
from helpers.models import (
    hook_layer,
    hook_width,
    load_model,
    next_token_loss,
    probe_accuracies,
    require_hook,
    split_batch,
    stream_activations,
)
from tests.tiny import Texts

# float32 sums of a few hundred products in another order; activations and logits are of size 0.1 to 10
FLOAT32_SUMS = 1e-5
HOOKS = ["blocks.0.hook_resid_post", "blocks.1.hook_resid_pre", "blocks.1.hook_mlp_out"]


@pytest.fixture(scope="module")
def reference(model_folder: Path) -> torch.nn.Module:
    return AutoModelForCausalLM.from_pretrained(model_folder).eval()


@pytest.fixture(scope="module")
def input_ids(tokens: TokenBatch) -> torch.Tensor:
    return torch.from_numpy(tokens.input_ids).long()


def test_logits_are_those_of_hugging_face(
    model: TransformerBridge, reference: torch.nn.Module, input_ids: torch.Tensor
) -> None:
    with torch.no_grad():
        expected = reference(input_ids=input_ids).logits
    torch.testing.assert_close(model(input_ids, prepend_bos=False), expected, atol=FLOAT32_SUMS, rtol=0)
    assert not any(parameter.requires_grad for parameter in model.parameters())


def test_centred_weights_keep_the_logits_and_take_the_mean_out(
    model_folder: Path, reference: torch.nn.Module, tokens: TokenBatch, input_ids: torch.Tensor
) -> None:
    centred = load_model(model_folder, device="cpu", center_writing_weights=True)
    with torch.no_grad():
        expected = reference(input_ids=input_ids, output_hidden_states=True)
    torch.testing.assert_close(centred(input_ids, prepend_bos=False), expected.logits, atol=FLOAT32_SUMS, rtol=0)
    _, activations = next(stream_activations(centred, [tokens], [HOOKS[0]]))
    hidden = expected.hidden_states[1]
    torch.testing.assert_close(activations[HOOKS[0]], hidden - hidden.mean(-1, keepdim=True), atol=FLOAT32_SUMS, rtol=0)
    assert (activations[HOOKS[0]] - hidden).abs().max() > 100 * FLOAT32_SUMS  # centring is not nothing


def test_streamed_activations_are_the_hidden_states(
    model: TransformerBridge, reference: torch.nn.Module, tokens: TokenBatch, input_ids: torch.Tensor
) -> None:
    with torch.no_grad():
        hidden = reference(input_ids=input_ids, output_hidden_states=True).hidden_states
    parts = list(stream_activations(model, split_batch(tokens, batch_size=5), HOOKS))
    assert [part.n_sequences for part, _ in parts[:-1]] == [5] * (len(parts) - 1)
    for hook_name in HOOKS[:2]:
        whole = torch.cat([activations[hook_name] for _, activations in parts])
        torch.testing.assert_close(whole, hidden[1], atol=FLOAT32_SUMS, rtol=0)
    assert np.concatenate([part.token_ids() for part, _ in parts]).tolist() == tokens.token_ids().tolist()


def test_a_batch_that_memory_is_too_small_for_is_run_in_halves(
    model: TransformerBridge, tokens: TokenBatch, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Memory for three sequences: seven are tried once, then four, then two; what comes after starts with two."""
    tried: list[int] = []
    real = model.run_with_cache

    def small_memory(input_ids: torch.Tensor, **options: object) -> object:
        tried.append(len(input_ids))
        if len(input_ids) > 3:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return real(input_ids, **options)

    batches = [tokens.sequences(0, 7), tokens.sequences(7, 12), tokens.sequences(12, 13)]
    expected = [activations for _, activations in stream_activations(model, batches, HOOKS)]
    monkeypatch.setattr(model, "run_with_cache", small_memory)
    found = list(stream_activations(model, batches, HOOKS))
    assert tried == [7, 4, 2, 2, 2, 1, 2, 2, 1, 1] and "going on with 2 sequences at once" in caplog.text
    assert [batch.n_sequences for batch, _ in found] == [7, 5, 1]  # the caller's batches
    for (_, activations), before in zip(found, expected, strict=True):
        for hook_name in HOOKS:
            torch.testing.assert_close(activations[hook_name], before[hook_name], atol=FLOAT32_SUMS, rtol=0)
    monkeypatch.setattr(model, "run_with_cache", lambda *_, **__: (_ for _ in ()).throw(torch.OutOfMemoryError("full")))
    with pytest.raises(torch.OutOfMemoryError, match="full"):
        next(stream_activations(model, batches, HOOKS))


def test_the_forward_pass_stops_after_the_deepest_hook(model: TransformerBridge, tokens: TokenBatch) -> None:
    calls: list[int] = []
    handles = [
        block.register_forward_hook(lambda *_arguments, layer=layer: calls.append(layer))
        for layer, block in enumerate(model.blocks)
    ]
    try:
        next(stream_activations(model, [tokens], HOOKS))
    finally:
        for handle in handles:
            handle.remove()
    assert model.cfg.n_layers == 3
    assert calls == [0, 1]


def test_streaming_is_lazy_and_checks_names_first(model: TransformerBridge, tokens: TokenBatch) -> None:
    def batches() -> object:
        yield tokens
        raise AssertionError("read ahead")

    next(stream_activations(model, batches(), HOOKS))  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="hook_name is a hook of the model; got 'blocks.1.hook_resid_pst'"):
        stream_activations(model, [], ["blocks.1.hook_resid_pst"])
    with pytest.raises(ValueError, match="needs at least one name"):
        stream_activations(model, [], [])
    with pytest.raises(ValueError, match="is inside a layer"):
        stream_activations(model, [], ["hook_embed"])


def test_unknown_hooks_list_near_ones(model: TransformerBridge) -> None:
    require_hook(model, "blocks.1.hook_resid_post")  # an alias
    require_hook(model, "blocks.1.hook_out")  # the name behind it
    with pytest.raises(ValueError, match="did you mean .*blocks.1.hook_resid_post"):
        require_hook(model, "blocks.1.hook_resid_pos")
    with pytest.raises(ValueError, match="got 'blocks.7.hook_resid_post'; the model has layers 0 to 2; did you mean"):
        require_hook(model, "blocks.7.hook_resid_post")
    with pytest.raises(ValueError, match=r"list the names with sorted\(model.hook_dict\)"):
        require_hook(model, "@@@")


def test_hook_layers_and_widths(model: TransformerBridge) -> None:
    assert hook_layer("blocks.12.attn.hook_z") == 12
    assert hook_width(model, HOOKS[0]) == 16
    assert hook_width(model, "blocks.0.mlp.hook_post") == 64
    with pytest.raises(ValueError, match=r"one vector a token, shape \(1, 2, d\), at .*hook_pattern"):
        hook_width(model, "blocks.0.attn.hook_pattern")


def test_ids_and_lengths_must_fit_the_model(model: TransformerBridge, tokens: TokenBatch) -> None:
    values = {name: getattr(tokens, name).copy() for name in ("input_ids", "keep_mask", "attention_mask")}
    places = {"documents": tokens.documents, "starts": tokens.starts, "tokenizer_fingerprint": "other"}
    values["input_ids"][0, 1] = model.cfg.d_vocab
    with pytest.raises(ValueError, match="token ids are below the model's .* tokenise with the model's tokenizer"):
        next_token_loss(model, TokenBatch(**values, **places))
    wide = {name: np.concatenate([getattr(tokens, name)] * 2, axis=1) for name in values}
    with pytest.raises(ValueError, match="sequences fit the model's 128 positions; got 256; lower context_size"):
        next(stream_activations(model, [TokenBatch(**wide, **places)], HOOKS))


def test_next_token_loss_is_the_mean_over_kept_targets(
    model: TransformerBridge, reference: torch.nn.Module, tokens: TokenBatch, input_ids: torch.Tensor
) -> None:
    with torch.no_grad():
        log_p = reference(input_ids=input_ids).logits.double().log_softmax(-1).numpy()
    losses = [
        -log_p[row, column - 1, tokens.input_ids[row, column]] for row, column in tokens.row_locations() if column > 0
    ]
    assert next_token_loss(model, tokens, batch_size=3) == pytest.approx(np.mean(losses), abs=FLOAT32_SUMS)
    with_padding = -log_p[np.arange(len(log_p)), -2, tokens.input_ids[:, -1]].mean()
    assert abs(with_padding - np.mean(losses)) > 100 * FLOAT32_SUMS  # counting padding would give another number


def test_loss_needs_a_target(model: TransformerBridge, tokens: TokenBatch) -> None:
    nothing = TokenBatch(
        input_ids=tokens.input_ids,
        keep_mask=np.zeros_like(tokens.keep_mask),
        attention_mask=tokens.attention_mask,
        documents=tokens.documents,
        starts=tokens.starts,
        tokenizer_fingerprint="x",
    )
    with pytest.raises(ValueError, match="expected kept tokens after the first column; got none"):
        next_token_loss(model, nothing)
    with pytest.raises(ValueError, match="batch_size is at least 1"):
        next_token_loss(model, tokens, batch_size=0)


def test_probe_accuracy_against_one_prompt_at_a_time(
    model: TransformerBridge, reference: torch.nn.Module, tokenizer: PreTrainedTokenizerFast, world: StoryWorld
) -> None:
    probes = world.probes("month", n_probes=15) + world.probes("pronoun", n_probes=15)
    best = []
    for probe in probes:
        ids = torch.tensor([[tokenizer.bos_token_id, *tokenizer.encode(probe.prompt)]])
        with torch.no_grad():
            best.append(reference(input_ids=ids).logits[0, -1])
    # probes whose answers are what the model says: half of them right by construction
    words = [tokenizer.convert_ids_to_tokens(int(logits.argmax())) for logits in best]
    asked = [
        Probe(probe.kind, probe.prompt, word if number % 2 else " volleyball", (word, " king"))
        for number, (probe, word) in enumerate(zip(probes, words, strict=True))
    ]
    expected = {"month": 7 / 15, "pronoun": 8 / 15}
    assert probe_accuracies(model, tokenizer, asked) == pytest.approx(expected)
    assert probe_accuracies(reference, tokenizer, asked) == pytest.approx(expected)


def test_accuracy_among_alternatives(model: TransformerBridge, tokenizer: PreTrainedTokenizerFast) -> None:
    prompts = ["Today is", "Today was"]
    alone = [Probe("one", prompt, " winter", (" winter",)) for prompt in prompts]
    assert probe_accuracies(model, tokenizer, alone, among_alternatives=True) == {"one": 1.0}
    assert probe_accuracies(model, tokenizer, alone) == {"one": 0.0}


def test_an_answer_is_made_of_known_tokens(model: TransformerBridge, tokenizer: PreTrainedTokenizerFast) -> None:
    for answer in (" talking", " Monday talking", ""):
        with pytest.raises(ValueError, match="a probe's answer is made of known tokens; '.*' is"):
            probe_accuracies(model, tokenizer, [Probe("weekday", "Today is", answer, (answer,))])


class SpellingModel(torch.nn.Module):
    """Says the letters of `text` one after the other, whatever it read, once it has read `n_read` tokens."""

    def __init__(self, ids: list[int], *, n_read: int, n_vocab: int) -> None:
        super().__init__()
        self.weight = torch.nn.Parameter(torch.zeros(1))
        self.config = SimpleNamespace(max_position_embeddings=64)
        self.ids, self.n_read, self.n_vocab = ids, n_read, n_vocab

    def forward(self, input_ids: torch.Tensor) -> SimpleNamespace:
        logits = torch.zeros(*input_ids.shape, self.n_vocab)
        for place, token_id in enumerate(self.ids):
            if self.n_read - 1 + place < input_ids.shape[1]:
                logits[:, self.n_read - 1 + place, token_id] = 1.0
        return SimpleNamespace(logits=logits)


@pytest.mark.parametrize(
    ("said", "right", "right_among"),
    [
        (" seven.", True, True),
        (" seven teen", True, True),  # a space ends the word
        (" seventeen", False, False),  # the trap: its beginning is the answer
        (" six", False, False),
        (" s!ven", False, True),  # a wrong first choice, that no alternative has
    ],
)
def test_answers_of_several_tokens(said: str, right: bool, right_among: bool) -> None:
    corpus = Texts("seven seventeen six seventy! teen.")
    pieces = train_bpe_tokenizer(corpus, n_vocab=260)  # one merge: nearly every letter is a token
    prompt, answers = "Six,", (" seven", " seventeen", " six")
    probe = Probe("count", prompt, " seven", answers)
    assert len(pieces(" seven")["input_ids"]) > 2
    speller = SpellingModel(pieces(said)["input_ids"], n_read=1 + len(pieces(prompt)["input_ids"]), n_vocab=260)
    others = [Probe("count", "a longer prompt that pads the others", " six", answers)]  # its own place is wrong
    assert probe_accuracies(speller, pieces, [probe, *others]) == {"count": right / 2}
    assert probe_accuracies(speller, pieces, [probe], among_alternatives=True) == {"count": float(right_among)}


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (OSError("You are trying to access a gated repo."), "is gated on the Hub; accept its terms"),
        (OSError("We couldn't connect to 'https://huggingface.co'"), "the local Hub cache, and .*; connect"),
        (
            OSError("x is not a local folder and is not a valid model identifier"),
            "no model folder or Hub model is called",
        ),
        (
            ValueError("Unsupported architecture: Foo\nmore"),
            "could not be loaded: Unsupported architecture: Foo; check",
        ),
    ],
)
def test_reasons_why_a_model_does_not_load(error: Exception, message: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*arguments: object, **settings: object) -> None:
        raise error

    monkeypatch.setattr("helpers.models.loading.require_safetensors", lambda *_, **__: None)
    monkeypatch.setattr(TransformerBridge, "boot_transformers", fail)
    with pytest.raises(ValueError, match=message):
        load_model("some/model", device="cpu")


def test_a_folder_without_a_model(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="the model folder .* has no model.safetensors"):
        load_model(tmp_path, device="cpu")
