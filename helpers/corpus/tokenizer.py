"""Tokenizers: the story world's own (one word, one token), a small one trained on a corpus, any Hugging Face one, and a
fingerprint of what one does.

The first two space words as GPT-2 does: the space before a word belongs to its token, so that texts are the plain
concatenation of their tokens.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers, trainers

from helpers.corpus.documents import Corpus
from helpers.corpus.story_world import StoryWorld
from helpers.hub import hub_reason

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase, PreTrainedTokenizerFast

BOS, PAD, UNK = "<|bos|>", "<|pad|>", "<|unk|>"
#: What `tokenizer_for` takes for "train one on this corpus".
BPE = "bpe"
N_BPE_DOCUMENTS = 2000  # of the story world 200,000 words: every word often enough, counted in a second
_WORD_BEFORE = "is"
_TOKEN = r" ?[A-Za-z]+| ?[^\sA-Za-z]|\s"


def build_tokenizer(world: StoryWorld) -> PreTrainedTokenizerFast:
    """The tokenizer of the story world: every word form that a story can contain is one token.

    Returns:
        A fast tokenizer with offsets; `decode(encode(text)) == text` for every text of the world. Other words become
        the unknown token.
    """
    return tokenizer_of_texts(world.vocabulary, split=_TOKEN)


def tokenizer_of_texts(texts: Sequence[str], *, split: str | None = None) -> PreTrainedTokenizerFast:
    """A tokenizer whose tokens are the given texts, after BOS, PAD and UNK.

    Args:
        split: regular expression of what is looked up; None looks up a whole text.
    """
    vocabulary = {text: number for number, text in enumerate(dict.fromkeys((BOS, PAD, UNK, *texts)))}
    tokenizer = Tokenizer(models.WordLevel(vocab=vocabulary, unk_token=UNK))
    if split is not None:
        tokenizer.pre_tokenizer = pre_tokenizers.Split(Regex(split), behavior="isolated")
    tokenizer.decoder = decoders.Fuse()
    return _with_special_tokens(tokenizer)


def train_bpe_tokenizer(corpus: Corpus, *, n_vocab: int, n_documents: int = N_BPE_DOCUMENTS) -> PreTrainedTokenizerFast:
    """A byte-level BPE tokenizer of the corpus's first documents: frequent words become one token, others are split.

    Args:
        n_vocab: tokens in all: three special ones, 256 bytes, and the most frequent merges.
        n_documents: documents that are counted.
    Returns:
        A fast tokenizer with offsets; the same documents give the same one. `decode(encode(text)) == text` for any text,
        because every byte is a token.
    Raises:
        ValueError: n_vocab leaves no room for a merge; the corpus has too little text for so many merges.
    """
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    smallest = len(alphabet) + 4
    if n_vocab < smallest:
        raise ValueError(f"n_vocab is at least {smallest}: three special tokens, 256 bytes, a merge; got {n_vocab}")
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=n_vocab, special_tokens=[BOS, PAD, UNK], initial_alphabet=alphabet, show_progress=False
    )
    tokenizer.train_from_iterator((document.text for document in islice(corpus.documents(), n_documents)), trainer)
    found = tokenizer.get_vocab_size()
    if found != n_vocab:
        raise ValueError(f"expected text for {n_vocab} tokens in {corpus.name}; got {found}; lower n_vocab to it")
    return _with_special_tokens(tokenizer)


def tokenizer_for(
    corpus: Corpus, *, name_or_path: str = "", n_vocab: int = 800, revision: str | None = None
) -> PreTrainedTokenizerBase:
    """The tokenizer of a new model.

    Args:
        name_or_path: Hub name or folder; "bpe" trains one on the corpus; empty takes the story world's own.
        n_vocab: "bpe" only: tokens in all.
    Raises:
        ValueError: no name is given and the corpus has no tokenizer of its own; the named one cannot be loaded; for
            "bpe" as `train_bpe_tokenizer`.
    """
    if name_or_path == BPE:
        return train_bpe_tokenizer(corpus, n_vocab=n_vocab)
    if name_or_path:
        return load_tokenizer(name_or_path, revision=revision)
    if isinstance(corpus, StoryWorld):
        return build_tokenizer(corpus)
    raise ValueError(
        f"{corpus.name} has no tokenizer of its own; set `tokenizer` to bpe (train one), a Hub name or a folder"
    )


def _with_special_tokens(tokenizer: Tokenizer) -> PreTrainedTokenizerFast:
    from transformers import PreTrainedTokenizerFast

    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        bos_token=BOS,
        pad_token=PAD,
        unk_token=UNK,
        clean_up_tokenization_spaces=False,
    )


def load_tokenizer(
    name_or_path: str | Path, *, revision: str | None = None, trust_remote_code: bool = False
) -> PreTrainedTokenizerBase:
    """A tokenizer from a folder or the Hub.

    Args:
        trust_remote_code: run code that the repository brings.
    Raises:
        ValueError: there is none under that name or revision, or an empty one; it is gated; the Hub cannot be reached.
    """
    from transformers import AutoTokenizer

    name = str(name_or_path)
    try:
        tokenizer = AutoTokenizer.from_pretrained(name, revision=revision, trust_remote_code=trust_remote_code)
    except (OSError, ValueError, KeyError) as error:
        raise ValueError(hub_reason("tokenizer", name, error, revision=revision)) from error
    if set(tokenizer.get_vocab().values()) <= set(tokenizer.all_special_ids):
        # Without files transformers makes an empty tokenizer of the model's kind, which turns every text into nothing.
        raise ValueError(
            f"'{name}' has no tokenizer files beside its weights; set `tokenizer` to the model or folder that has them"
        )
    return tokenizer


def tokenizer_fingerprint(tokenizer: PreTrainedTokenizerBase) -> str:
    """Hex SHA-256 over vocabulary, special tokens and the whole tokenizer pipeline: equal means same ids for any text."""
    digest = hashlib.sha256()
    if hasattr(tokenizer, "backend_tokenizer"):
        backend = Tokenizer.from_str(tokenizer.backend_tokenizer.to_str())
        backend.no_padding()  # set by calls, not part of what the tokenizer is
        backend.no_truncation()
        digest.update(backend.to_str().encode())
    else:
        digest.update(repr(sorted(tokenizer.get_vocab().items())).encode())
    digest.update(repr(sorted((key, str(value)) for key, value in tokenizer.special_tokens_map.items())).encode())
    return digest.hexdigest()


def continuation_ids(tokenizer: PreTrainedTokenizerBase, texts: Sequence[str]) -> list[list[int]]:
    """Tokens of each text where it goes on from a word, as " Monday" does in "is Monday".

    Some tokenizers (Llama's) put a space of their own before a text, so that " Monday" by itself has two.

    Args:
        texts: e.g. words with a space before them; one without is taken as it stands.
    Raises:
        ValueError: the tokenizer joins a text and the word before it.
    """
    spaced = [text.startswith(" ") for text in texts]
    whole = [_WORD_BEFORE + text if first else text for text, first in zip(texts, spaced, strict=True)]
    before, *rows = tokenizer([_WORD_BEFORE, *whole], add_special_tokens=False)["input_ids"]
    for text, first, ids in zip(whole, spaced, rows, strict=True):
        if first and ids[: len(before)] != before:
            raise ValueError(f"expected a tokenizer that keeps words apart; '{text}' is {ids}, its beginning {before}")
    return [ids[len(before) :] if first else ids for first, ids in zip(spaced, rows, strict=True)]


def start_token_id(tokenizer: PreTrainedTokenizerBase) -> int:
    """Id of the token that opens every sequence: BOS, or EOS where a tokenizer has no BOS (0 is an id like others).

    Raises:
        ValueError: the tokenizer has neither.
    """
    for token_id in (tokenizer.bos_token_id, tokenizer.eos_token_id):
        if token_id is not None:
            return int(token_id)
    raise ValueError("expected a tokenizer with a BOS or EOS token; got one with neither; pass prepend_bos=False")


def masked_token_ids(tokenizer: PreTrainedTokenizerBase) -> frozenset[int]:
    """Ids of all special tokens but the unknown token, which stands for a real word."""
    return frozenset(int(token_id) for token_id in tokenizer.all_special_ids if token_id != tokenizer.unk_token_id)
