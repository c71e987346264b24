"""Tokens as bytes, and consecutive tokens as characters: which characters a token makes, wholly or in part.

A tokenizer may cut one letter into several tokens (Arabic, Chinese and emoji in byte-level BPE, rare letters in
SentencePiece). Decoding such a token alone gives no text; its bytes beside those of its neighbours do.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

METASPACE = "\u2581"
_BYTE_PIECE = re.compile(r"<0x([0-9A-Fa-f]{2})>")


@dataclass(frozen=True)
class Spelling:
    """Consecutive tokens as characters. A byte whose character is not whole stands as a lone surrogate, U+DC80 + byte.

    Shapes:
        codes: (n_characters,) uint32 code points; first, stop: (n_tokens,) int64, a token has bytes of the characters
        first .. stop - 1 (none where they are equal); begins: (n_tokens,) bool, the token's first byte begins one.
    """

    text: str
    codes: np.ndarray
    first: np.ndarray
    stop: np.ndarray
    begins: np.ndarray


def spell(pieces: Sequence[bytes]) -> Spelling:
    """The characters that tokens make together.

    Args:
        pieces: bytes of every token, see `token_bytes`.
    """
    text = b"".join(pieces).decode("utf-8", "surrogateescape")
    codes = np.frombuffer(text.encode("utf-32-le", "surrogatepass"), dtype="<u4")
    n_bytes = 1 + (codes >= 0x80).astype(np.int64) + (codes >= 0x800) + (codes >= 0x10000)
    n_bytes[(codes >= 0xDC80) & (codes <= 0xDCFF)] = 1
    character = np.append(np.repeat(np.arange(len(codes)), n_bytes), len(codes))  # of every byte, and of the end
    starts = np.append(np.cumsum(n_bytes) - n_bytes, n_bytes.sum())  # first byte of every character
    ends = np.cumsum(np.fromiter(map(len, pieces), dtype=np.int64, count=len(pieces)))
    begin = np.concatenate([[0], ends[:-1]]).astype(np.int64)[: len(pieces)]
    first = character[begin]
    stop = np.where(ends > begin, character[np.maximum(ends - 1, 0)] + 1, first)
    return Spelling(text, codes, first, stop, starts[first] == begin)


def token_bytes(tokenizer: Any, token_ids: Iterable[int]) -> list[bytes]:
    """The UTF-8 bytes that every token adds to a text, its space included; an id without a token adds none.

    Args:
        tokenizer: a Hugging Face tokenizer: byte-level BPE, SentencePiece (also with byte fallback), WordPiece, or one
            whose tokens are spelled as they are.
        token_ids: ids.
    Notes:
        A WordPiece token that does not continue a word brings the space before it, also where the text had none.
    """
    ids = [int(token_id) for token_id in token_ids]
    scheme = _scheme(tokenizer)
    added = set(getattr(tokenizer, "added_tokens_decoder", ()))
    pieces = tokenizer.convert_ids_to_tokens(ids)
    return [
        b"" if piece is None else scheme.bytes_of(piece, is_added=token_id in added)
        for token_id, piece in zip(ids, pieces, strict=True)
    ]


@dataclass(frozen=True)
class _Scheme:
    """How a tokenizer writes text into the names of its tokens."""

    byte_level: bool = False
    metaspace: bool = False
    byte_pieces: bool = False
    spaced: bool = False  # a space is implied before every token that does not continue a word
    continuation: str = ""
    word_end: str = ""

    def bytes_of(self, piece: str, *, is_added: bool) -> bytes:
        if self.byte_pieces and (byte := _BYTE_PIECE.fullmatch(piece)):
            return bytes([int(byte[1], 16)])
        ended = bool(self.word_end) and piece.endswith(self.word_end)
        if ended:
            piece = piece[: -len(self.word_end)]
        # A token that was added to the vocabulary by hand is not written in the alphabet of bytes.
        if self.byte_level and not is_added and all(character in _BYTE_OF for character in piece):
            found = bytes(_BYTE_OF[character] for character in piece)
        else:
            found = (piece.replace(METASPACE, " ") if self.metaspace else piece).encode()
        if self.continuation and piece.startswith(self.continuation):
            return found[len(self.continuation.encode()) :]
        return (b" " if self.spaced else b"") + found + (b" " if ended else b"")


def _scheme(tokenizer: Any) -> _Scheme:
    backend = getattr(tokenizer, "backend_tokenizer", None)
    if backend is None:  # a tokenizer in Python: SentencePiece, or spelled as it is
        return _Scheme(metaspace=True, byte_pieces=True)
    decoder = _components(backend.decoder)
    kinds = {part["type"] for part in decoder} | {part["type"] for part in _components(backend.pre_tokenizer)}
    wordpiece = next((part for part in decoder if part["type"] == "WordPiece"), None)
    suffix = next((part["suffix"] for part in decoder if part["type"] == "BPEDecoder"), "")
    return _Scheme(
        byte_level="ByteLevel" in kinds,
        metaspace="Metaspace" in kinds or any(METASPACE in str(part.get("pattern", "")) for part in decoder),
        byte_pieces="ByteFallback" in kinds,
        spaced=wordpiece is not None or backend.decoder is None,
        continuation=wordpiece["prefix"] if wordpiece else "",
        word_end=getattr(backend.model, "end_of_word_suffix", None) or suffix,
    )


def _components(part: Any) -> list[dict[str, Any]]:
    """A decoder or pre-tokenizer as the list of its steps."""
    if part is None:
        return []
    state = json.loads(part.__getstate__())
    return state.get("decoders") or state.get("pretokenizers") or [state]


def _byte_alphabet() -> dict[str, int]:
    """The letter that byte-level BPE writes for every byte (Radford et al. 2019): printable bytes are themselves."""
    printable = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    others = [byte for byte in range(256) if byte not in set(printable)]
    return {chr(byte): byte for byte in printable} | {chr(256 + number): byte for number, byte in enumerate(others)}


_BYTE_OF = _byte_alphabet()
