"""Tokenizers: the story world's own (one word, one token), any Hugging Face one, and a fingerprint of what one does.

The world's tokenizer spaces words as GPT-2 does: the space before a word belongs to its token, so that texts are the
plain concatenation of their tokens.
"""

from __future__ import annotations

import hashlib
from pathlib import Path

from huggingface_hub.errors import HfHubHTTPError
from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers
from transformers import AutoTokenizer, PreTrainedTokenizerBase, PreTrainedTokenizerFast

from helpers.corpus.documents import Corpus
from helpers.corpus.story_world import StoryWorld

BOS, PAD, UNK = "<|bos|>", "<|pad|>", "<|unk|>"
_TOKEN = r" ?[A-Za-z]+| ?[^\sA-Za-z]|\s"


def build_tokenizer(world: StoryWorld) -> PreTrainedTokenizerFast:
    """The tokenizer of the story world: every word form that a story can contain is one token.

    Returns:
        A fast tokenizer with offsets; `decode(encode(text)) == text` for every text of the world. Other words become
        the unknown token.
    """
    vocabulary = {text: number for number, text in enumerate((BOS, PAD, UNK, *world.vocabulary))}
    tokenizer = Tokenizer(models.WordLevel(vocab=vocabulary, unk_token=UNK))
    tokenizer.pre_tokenizer = pre_tokenizers.Split(Regex(_TOKEN), behavior="isolated")
    tokenizer.decoder = decoders.Fuse()
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        bos_token=BOS,
        pad_token=PAD,
        unk_token=UNK,
        clean_up_tokenization_spaces=False,
    )


def tokenizer_for(corpus: Corpus, *, name_or_path: str = "", revision: str | None = None) -> PreTrainedTokenizerBase:
    """The tokenizer of a new model: a named one, or by default the story world's own.

    Raises:
        ValueError: no name is given and the corpus has no tokenizer of its own, or the named one cannot be loaded.
    """
    if name_or_path:
        return load_tokenizer(name_or_path, revision=revision)
    if isinstance(corpus, StoryWorld):
        return build_tokenizer(corpus)
    raise ValueError(f"{corpus.name} has no tokenizer of its own; set `tokenizer` to a Hub name or a folder, e.g. gpt2")


def load_tokenizer(name_or_path: str | Path, *, revision: str | None = None) -> PreTrainedTokenizerBase:
    """A tokenizer from a folder or the Hub.

    Raises:
        ValueError: there is none under that name, or the Hub cannot be reached.
    """
    try:
        return AutoTokenizer.from_pretrained(str(name_or_path), revision=revision)
    except (OSError, HfHubHTTPError, ValueError) as error:
        raise ValueError(
            f"expected a tokenizer folder or Hub name; got '{name_or_path}', which could not be loaded "
            f"({str(error).splitlines()[0]}); check the name, the network and, for gated models, `hf auth login`"
        ) from error


def tokenizer_fingerprint(tokenizer: PreTrainedTokenizerBase) -> str:
    """Hex SHA-256 over vocabulary, special tokens and the whole tokenizer pipeline: equal means same ids for any text."""
    digest = hashlib.sha256()
    if isinstance(tokenizer, PreTrainedTokenizerFast) or hasattr(tokenizer, "backend_tokenizer"):
        backend = Tokenizer.from_str(tokenizer.backend_tokenizer.to_str())
        backend.no_padding()  # set by calls, not part of what the tokenizer is
        backend.no_truncation()
        digest.update(backend.to_str().encode())
    else:
        digest.update(repr(sorted(tokenizer.get_vocab().items())).encode())
    digest.update(repr(sorted((key, str(value)) for key, value in tokenizer.special_tokens_map.items())).encode())
    return digest.hexdigest()


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
