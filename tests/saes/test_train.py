import pytest
import torch
import wandb
from sae_lens import SAE

from helpers.corpus import Document, tokenize_corpus
from helpers.params import TrainSaeParams
from helpers.saes import ActivationBatches, measure_sae, train_sae
from helpers.saes import train as train_module
from tests.tiny import CONTEXT, HOOK

CPU = torch.device("cpu")


def make_params(**changes):
    values = {
        "model": "a",
        "hook_name": HOOK,
        "corpus": {"kind": "story_world"},
        "context_size": CONTEXT,
        "d_sae": 64,
        "k": 4,
        "n_train_tokens": 12_000,
        "batch_size": 256,
        "learning_rate": 3e-3,
        "n_checkpoints": 3,
        "dead_after_tokens": 2_000,
    }
    return TrainSaeParams(**(values | changes))


def make_batches(world, tokenizer, model, params, **changes):
    values = {
        "model": model,
        "tokenizer": tokenizer,
        "corpus": world,
        "hook_name": HOOK,
        "context_size": CONTEXT,
        "prepend_bos": True,
        "batch_size": params.batch_size,
        "seed": params.seed,
        "buffer_sequences": 64,
    }
    return ActivationBatches(**(values | changes))


@pytest.fixture
def run(world, tokenizer, model):
    def _run(folder, params=None, **changes):
        params = params or make_params()
        batches = make_batches(world, tokenizer, model, params, **changes)
        history = train_sae(batches, params=params, folder=folder, model_name="tiny", device=CPU)
        return history, SAE.load_from_disk(folder / "sae")

    return _run


def test_topk_learns_and_loads_with_saelens(run, tmp_path, model, tokens):
    history, sae = run(tmp_path)
    assert history[-1].fvu < history[0].fvu
    assert history[-1].n_tokens >= 12_000
    assert not (tmp_path / "checkpoint").exists()
    assert sae.cfg.architecture() == "topk" and sae.cfg.k == 4 and sae.W_dec.shape == (64, 16)
    assert sae.cfg.metadata.hook_name == HOOK
    torch.testing.assert_close(sae.W_dec.norm(dim=1), torch.ones(64))
    measured = measure_sae(sae, model=model, hook_name=HOOK, tokens=tokens)
    assert measured.l0 <= 4
    # The saved SAE reads raw activations: its FVU on fresh tokens is that of the end of training, not of a wrong scale.
    assert measured.fvu == pytest.approx(history[-1].fvu, rel=0.5)


def test_relu_l1_learns(run, tmp_path):
    history, sae = run(tmp_path, make_params(architecture="standard", l1_coefficient=0.3))
    assert sae.cfg.architecture() == "standard"
    assert history[-1].fvu < history[0].fvu
    torch.testing.assert_close(sae.W_dec.norm(dim=1), torch.ones(64))


def test_an_interrupted_training_continues_to_the_same_weights(run, tmp_path, monkeypatch):
    history, whole = run(tmp_path / "whole")
    original = ActivationBatches.batches

    def dying(self, **options):
        for number, batch in enumerate(original(self, **options)):
            if number == 30:
                raise KeyboardInterrupt
            yield batch

    monkeypatch.setattr(ActivationBatches, "batches", dying)
    with pytest.raises(KeyboardInterrupt):
        run(tmp_path / "broken")
    assert (tmp_path / "broken" / "checkpoint").exists() and not (tmp_path / "broken" / "sae").exists()
    skipped = []

    def watching(self, *, skip_rows=0):
        skipped.append(skip_rows)
        return original(self, skip_rows=skip_rows)

    monkeypatch.setattr(ActivationBatches, "batches", watching)
    resumed_history, resumed = run(tmp_path / "broken")
    assert skipped[0] > 0, "the training started anew"
    assert resumed_history == history
    for name, weights in whole.state_dict().items():
        assert torch.equal(weights, resumed.state_dict()[name]), name


def test_a_checkpoint_of_other_parameters_is_not_continued(run, tmp_path, monkeypatch, caplog):
    monkeypatch.setattr(train_module, "remove_folder", lambda _: None)
    run(tmp_path)
    changed = make_params(learning_rate=1e-3)
    _, sae = run(tmp_path, changed)
    assert "starts anew" in caplog.text
    _, fresh = run(tmp_path / "fresh", changed)
    assert torch.equal(sae.W_enc, fresh.W_enc)


def test_a_checkpoint_of_other_code_is_not_continued(run, tmp_path, monkeypatch, caplog):
    monkeypatch.setattr(train_module, "remove_folder", lambda _: None)
    run(tmp_path)
    monkeypatch.setattr(train_module, "code_fingerprint", lambda *_patterns: "of another day")
    run(tmp_path)
    assert "belongs to other parameters, code or another model; training starts anew" in caplog.text


def test_seed_changes_the_result_and_repeats(run, tmp_path):
    _, one = run(tmp_path / "one")
    _, again = run(tmp_path / "again")
    _, other = run(tmp_path / "other", make_params(seed=1))
    assert torch.equal(one.W_enc, again.W_enc)
    assert not torch.allclose(one.W_enc, other.W_enc)


def test_folding_keeps_the_output_on_raw_activations(world, tokenizer, model):
    params = make_params()
    batches = make_batches(world, tokenizer, model, params)
    rows = batches.first_buffer()
    trainer = train_module._trainer(params, rows, batches, "tiny", CPU)
    scale = trainer.activation_scaler.scaling_factor
    with torch.no_grad():
        before = trainer.sae(rows * scale) / scale
        train_module._fold(trainer)
        after = trainer.sae(rows)
    # float32 rounding of two rescalings (about 1e-7 relative each) times the sum over 16 inputs; values are of order 1.
    torch.testing.assert_close(after, before, rtol=1e-4, atol=1e-5)


def test_a_corpus_that_ends_too_early_says_so(run, tmp_path, world):
    class Short:
        name = "short"

        def documents(self, start=0):
            for index in range(start, 20):
                yield Document(index=index, text=world.document(index).text)

    with pytest.raises(ValueError, match="corpus short ended after .* lower n_train_tokens"):
        run(tmp_path, corpus=Short())
    assert not (tmp_path / "sae").exists()


def test_a_diverging_training_is_an_error(run, tmp_path):
    with pytest.raises(ValueError, match="lower learning_rate|not finite"):
        run(tmp_path, make_params(learning_rate=1e30, architecture="standard"))


def test_wandb_is_off_unless_asked(run, tmp_path, monkeypatch):
    def refuse(**_):
        raise AssertionError("wandb.init was called")

    monkeypatch.setattr(wandb, "init", refuse)
    run(tmp_path)
    with pytest.raises(AssertionError, match="wandb.init was called"):
        run(tmp_path / "logged", make_params(log_to_wandb=True))


def test_wandb_logs_offline_when_asked(run, tmp_path, monkeypatch):
    monkeypatch.setenv("WANDB_MODE", "offline")
    monkeypatch.setenv("WANDB_SILENT", "true")
    monkeypatch.chdir(tmp_path)
    run(tmp_path / "sae-run", make_params(log_to_wandb=True))
    assert list((tmp_path / "wandb").glob("offline-run-*"))
    assert wandb.run is None


def test_tokens_for_training_and_measuring_are_different_documents(world, tokenizer):
    """A split is an independent sample: the same document index in two splits is another text."""
    other = type(world)(seed=0, split="held_out")
    assert world.document(0).text != other.document(0).text
    tokenize_corpus(other, tokenizer, context_size=CONTEXT, n_tokens=500)
