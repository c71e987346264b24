"""What describing, searching and showing features costs. Each workload runs in a process of its own, so that its peak
memory is its own:

python -m tests.benchmarks.feature_workloads describe n_tokens=1000000    prints one JSON line
"""

from __future__ import annotations

import json
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from tests.benchmarks.matching_workloads import peak_mib, reset_peak, write_store

_ROW = 100  # kept tokens of a sequence


def describe(*, n_tokens: int = 1_000_000, d_sae: int = 32_768, l0: int = 48, n_queries: int = 200) -> dict[str, float]:
    """Words, feature table, index and queries for a store on disk; seconds of each and the peak memory of all."""
    from helpers.activations import ActivationStore
    from helpers.features import FeatureIndex, FeatureTable, build_words, context_texts, describe_features

    tokenizer = random_tokenizer()
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        write_store(folder / "small", 1000, 50, 5, seed=0)
        describe_features(
            ActivationStore.open(folder / "small"), build_words(random_tokens(1000, tokenizer), tokenizer)
        )
        write_store(folder / "store", n_tokens, d_sae, l0, seed=1)
        tokens, store = random_tokens(n_tokens, tokenizer), ActivationStore.open(folder / "store")
        before = reset_peak()
        seconds: dict[str, float] = {}
        words = _timed(seconds, "words", lambda: build_words(tokens, tokenizer))
        table = _timed(seconds, "table", lambda: describe_features(store, words))
        _timed(seconds, "save", lambda: table.save(folder / "table"))
        _timed(seconds, "load", lambda: FeatureTable.load(folder / "table"))
        index = _timed(seconds, "index", lambda: FeatureIndex(table))
        rows = table.examples.rows.ravel()
        _timed(seconds, "contexts", lambda: context_texts(tokens, rows, tokenizer))
        return seconds | {
            "peak_mib": peak_mib(),
            "before_mib": before,
            "n_contexts": int((rows >= 0).sum()),
            "n_words": len(words.words),
            "vocabulary": len(index.words),
            **_queries(index, n_queries),
        }


def cards(
    *, n_tokens: int = 1_000_000, d_sae: int = 32_768, l0: int = 48, n_cards: int = 200, n_points: int = 400
) -> dict[str, float]:
    """Cards and pair cards of many features of a store on disk, among them the four that fire on half of all tokens."""
    with tempfile.TemporaryDirectory() as temporary:
        _drawn_cards(Path(temporary) / "small", 1000, 50, 5, n_cards=10, n_points=n_points)  # compiles the loops
        return _drawn_cards(Path(temporary) / "store", n_tokens, d_sae, l0, n_cards=n_cards, n_points=n_points)


def _drawn_cards(path: Path, n_tokens: int, d_sae: int, l0: int, *, n_cards: int, n_points: int) -> dict[str, float]:
    from helpers.activations import ActivationStore
    from helpers.features import build_words, describe_features, feature_cards, feature_columns, pair_cards
    from helpers.reports.cards import cards_row

    tokenizer = random_tokenizer()
    write_store(path, n_tokens, d_sae, l0, seed=1)
    store, tokens = ActivationStore.open(path), random_tokens(n_tokens, tokenizer)
    words = build_words(tokens, tokenizer)
    table = describe_features(store, words)
    ids = np.arange(0, d_sae, d_sae // n_cards)[:n_cards]
    ids[:4] = range(4)
    pairs = list(zip(ids.tolist(), ids[::-1].tolist(), strict=True))
    shown = (tokens, tokenizer)
    options: dict[str, Any] = {"dictionaries": ("a", "b"), "n_points": n_points}
    before, seconds = reset_peak(), dict[str, float]()
    columns = _timed(seconds, "columns", lambda: feature_columns(store, ids))
    drawn = _timed(seconds, "cards", lambda: feature_cards(columns, table, *shown, dictionary="a"))
    joint = _timed(seconds, "pair_cards", lambda: pair_cards(columns, columns, pairs, *shown, words, **options))
    html = _timed(seconds, "html", lambda: cards_row([*drawn.values(), *joint]))
    return seconds | {"peak_mib": peak_mib(), "before_mib": before, "html_mib": len(html) / 2**20}


def effects(*, d_sae: int = 32_768, d_model: int = 768, n_vocab: int = 50_257) -> dict[str, float]:
    """Tokens that every feature promotes and suppresses."""
    import torch

    from helpers.features import logit_effects

    class Model:
        W_U = torch.randn(n_vocab, d_model).T
        ln_final = torch.nn.LayerNorm(d_model)

    directions = np.random.default_rng(0).normal(size=(d_sae, d_model))
    logit_effects(directions[:2], Model())
    before = reset_peak()
    seconds: dict[str, float] = {}
    _timed(seconds, "all", lambda: logit_effects(directions, Model()))
    _timed(seconds, "chosen", lambda: logit_effects(directions, Model(), feature_ids=np.arange(200)))
    return seconds | {"peak_mib": peak_mib(), "before_mib": before}


def _queries(index: Any, n_queries: int) -> dict[str, float]:
    """Slowest of many queries of every kind, in milliseconds, every feature that can be found included."""
    rng = np.random.default_rng(0)
    chosen = [index.words[i] for i in rng.integers(0, len(index.words), size=n_queries)]
    kinds: dict[str, Callable[[str], Any]] = {
        "find": lambda word: index.find(word, ignore_case=True),
        "find_1000_words": lambda _: index.find(index.words[:1000], ignore_case=True, min_hits=1),
        "prefix": lambda word: index.prefix(word[:1], min_hits=1),
        "regex": lambda word: index.find_regex(f".*{word[:2]}.*", min_hits=1),
        "regex_all": lambda _: index.find_regex(".*", min_hits=1),
    }
    slowest = {}
    for name, ask in kinds.items():
        times = []
        for word in chosen if name in ("find", "prefix") else chosen[:10]:
            start = time.perf_counter()
            ask(word)
            times.append(time.perf_counter() - start)
        slowest[f"{name}_ms"] = 1000 * max(times)
        slowest[f"{name}_median_ms"] = 1000 * float(np.median(times))
    return slowest


def _timed(seconds: dict[str, float], name: str, work: Callable[[], Any]) -> Any:
    start = time.perf_counter()
    result = work()
    seconds[name] = time.perf_counter() - start
    return result


def random_tokenizer(n_pieces: int = 50_000) -> Any:
    """Byte-level, with a vocabulary as large as GPT-2's of random pieces, of which half begin a word."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    rng = np.random.default_rng(0)
    letters = np.array(list("etaoinshrdlucmfwypvbgkjqxz"))
    pieces = ["".join(letters[rng.integers(0, 26, size=size)]) for size in rng.integers(3, 8, size=n_pieces)]
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    vocabulary = dict.fromkeys([*alphabet, *(("Ġ" if i % 2 else "") + piece for i, piece in enumerate(pieces))])
    tokenizer = Tokenizer(models.BPE(vocab={piece: i for i, piece in enumerate(vocabulary)}, merges=[]))
    tokenizer.decoder = decoders.ByteLevel()
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, bos_token="<|endoftext|>")


def random_tokens(n_tokens: int, tokenizer: Any) -> Any:
    """Sequences of random pieces, the frequent ones far more frequent; a BOS before each."""
    from helpers.corpus import TokenBatch

    rng = np.random.default_rng(1)
    shape = (n_tokens // _ROW, _ROW + 1)
    ids = np.minimum(rng.zipf(1.2, size=shape) + 256, len(tokenizer) - 2).astype(np.int32)
    ids[:, 0] = tokenizer.bos_token_id
    attended = np.ones(shape, dtype=bool)
    used = attended.copy()
    used[:, 0] = False
    numbers = np.arange(len(ids), dtype=np.int32)
    return TokenBatch(ids, used, attended, numbers, np.zeros_like(numbers), "benchmark")


WORKLOADS: dict[str, Callable[..., dict[str, float]]] = {
    function.__name__: function for function in (describe, cards, effects)
}


def main(arguments: list[str]) -> None:
    options = {key: int(value) for key, value in (argument.split("=") for argument in arguments[1:])}
    sys.stdout.write(json.dumps(WORKLOADS[arguments[0]](**options)) + "\n")


if __name__ == "__main__":
    main(sys.argv[1:])
