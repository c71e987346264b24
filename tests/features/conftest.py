"""Tokenizers of three kinds, small enough to know how they cut, and batches of a few texts."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import pytest
from tokenizers import AddedToken, Tokenizer, decoders, models, normalizers, pre_tokenizers
from transformers import PreTrainedTokenizerFast

from helpers.corpus import Document, TokenBatch, tokenize_corpus

# Pieces of words in which other words hide; they are merged in this order.
PIECES = ("king", "man", "son", "tal", "Ander", "Brock", "the", "said", "to")


def merges_of(pieces) -> list[tuple[str, str]]:
    """Merges that build every piece letter by letter."""
    merges = [(piece[:i], piece[i]) for piece in pieces for i in range(1, len(piece))]
    return list(dict.fromkeys(merges))


def wrapped(tokenizer: Tokenizer, **special: str) -> PreTrainedTokenizerFast:
    tokenizer.add_special_tokens([AddedToken(name, special=True) for name in special.values()])
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, clean_up_tokenization_spaces=False, **special)


def bpe(alphabet, merges, **options) -> Tokenizer:
    vocabulary = {piece: i for i, piece in enumerate(dict.fromkeys([*alphabet, *(a + b for a, b in merges)]))}
    return Tokenizer(models.BPE(vocab=vocabulary, merges=merges, **options))


@pytest.fixture(scope="session")
def byte_level():
    """As GPT-2's: a space belongs to the token, a rare letter is its bytes."""
    merges = merges_of(PIECES) + [("Ġ", piece) for piece in PIECES]
    tokenizer = bpe(sorted(pre_tokenizers.ByteLevel.alphabet()), merges)
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    return wrapped(tokenizer, bos_token="<|endoftext|>")


@pytest.fixture(scope="session")
def metaspace():
    """As Llama's: the space is a letter of its own, a rare letter is "<0xE4>" and so on."""
    merges = merges_of(PIECES) + [("▁", piece) for piece in PIECES]
    letters = ["<unk>", *(f"<0x{byte:02X}>" for byte in range(256)), "▁", *map(chr, range(33, 127))]
    tokenizer = bpe(letters, merges, unk_token="<unk>", byte_fallback=True, fuse_unk=True)
    tokenizer.normalizer = normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])
    steps = [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(" ", 1, 0)]
    tokenizer.decoder = decoders.Sequence(steps)
    return wrapped(tokenizer, bos_token="<s>", unk_token="<unk>")


@pytest.fixture(scope="session")
def wordpiece():
    """As BERT's: "##" continues a word, there is no token for a space."""
    whole = [*PIECES, *map(chr, range(33, 127))]
    vocabulary = ["[UNK]", *whole, *(f"##{piece}" for piece in whole)]
    tokenizer = Tokenizer(models.WordPiece({piece: i for i, piece in enumerate(vocabulary)}, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.decoder = decoders.WordPiece()
    return wrapped(tokenizer, bos_token="[CLS]", unk_token="[UNK]")


@dataclass(frozen=True)
class Texts:
    """A corpus of a few texts."""

    texts: tuple[str, ...]
    name: str = "texts"

    def documents(self, start: int = 0) -> Iterator[Document]:
        return (Document(i, text) for i, text in enumerate(self.texts) if i >= start)


def batch_of(tokenizer, *texts: str, context_size: int = 64) -> TokenBatch:
    """All tokens of some texts, BOS in front of every sequence."""
    n_tokens = sum(len(tokenizer(text, add_special_tokens=False)["input_ids"]) for text in texts)
    return tokenize_corpus(Texts(texts), tokenizer, context_size=context_size, n_tokens=n_tokens)
