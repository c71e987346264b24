import torch

from helpers.corpus import stream_sequences
from helpers.saes import ActivationBatches
from tests.tiny import CONTEXT, HOOK


def make(world, tokenizer, model, *, seed=0, batch_size=100):
    return ActivationBatches(
        model=model,
        tokenizer=tokenizer,
        corpus=world,
        hook_name=HOOK,
        context_size=CONTEXT,
        prepend_bos=True,
        batch_size=batch_size,
        seed=seed,
        buffer_sequences=64,
    )


def take(batches, n, **options):
    stream = batches.batches(**options)
    return [next(stream) for _ in range(n)]


def test_skipping_gives_the_batches_of_an_uninterrupted_run(world, tokenizer, model):
    whole = take(make(world, tokenizer, model), 120)
    for done in (1, 37, 90):
        resumed = take(make(world, tokenizer, model), 3, skip_rows=done * 100)
        for expected, got in zip(whole[done:], resumed, strict=False):
            assert torch.equal(expected, got)


def test_rows_are_the_kept_tokens_and_only_those(world, tokenizer, model):
    """Padding and BOS are planted by the world's short documents; the first buffer must hold neither."""
    sequences = next(
        iter(stream_sequences(world, tokenizer, context_size=CONTEXT, sequences_per_batch=64, prepend_bos=True))
    )
    assert not sequences.keep_mask[:, 0].any(), "BOS is kept"
    with torch.no_grad():
        _, cache = model.run_with_cache(torch.from_numpy(sequences.input_ids).long(), names_filter=[HOOK])
    expected = cache[HOOK][torch.from_numpy(sequences.keep_mask)]
    rows = make(world, tokenizer, model).first_buffer()
    assert len(rows) == sequences.n_tokens < sequences.input_ids.size
    torch.testing.assert_close(rows, expected)


def test_batches_are_shuffled_by_the_seed_and_keep_every_row(world, tokenizer, model):
    first = make(world, tokenizer, model).first_buffer()
    n = len(first) // 100
    a, b = (torch.cat(take(make(world, tokenizer, model, seed=seed), n)) for seed in (0, 1))
    assert not torch.equal(a, first[: n * 100])
    assert not torch.equal(a, b)
    known = {row.numpy().tobytes() for row in first}
    assert all(row.numpy().tobytes() in known for row in a)
