"""A batch of token sequences with the mask of used tokens, and where in which document every token stands.

Rows: row r of anything computed on a batch (a store of activations, a table) is the r-th True of `keep_mask` in C order.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass, fields, replace
from pathlib import Path

import numpy as np
from jaxtyping import Bool, Int32, Int64
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file

from helpers.storage import atomic_folder

_FILE = "tokens.safetensors"


@dataclass(frozen=True, eq=False)
class TokenBatch:
    """Sequences of tokens, each from one document.

    Shapes:
        input_ids, keep_mask, attention_mask: (n_sequences, context_size); documents, starts: (n_sequences,);
        char_spans: (n_sequences, context_size, 2) or None; text_hashes: (n_sequences,) or None.
    Args:
        input_ids: int32 token ids; padding is on the right.
        keep_mask: True where a token is used; False on padding, BOS and every other special token.
        attention_mask: True on real tokens, BOS included.
        documents: int32 number of each sequence's document.
        starts: int32 position, in its document, of each sequence's first token after BOS.
        tokenizer_fingerprint: of the tokenizer that made the ids.
        bos_columns: 1 if every sequence opens with a BOS, else 0.
        char_spans: int32 (start, stop) of the characters of every token in its document's text, without the white space
            around them; a token of white space alone has its own characters. Tokens that share a character (its bytes)
            all have it; a token without text has the character that follows. -1 on BOS and padding.
        text_hashes: int64 of each sequence's document's whole text: equal for equal texts.
    Notes:
        char_spans and text_hashes are what batches of different tokenizers are aligned by. Both are None in a batch
        that is not made by `tokenize_corpus`, is made by a tokenizer without offsets, or was saved before they were kept.
    """

    input_ids: Int32[np.ndarray, "n_sequences context_size"]
    keep_mask: Bool[np.ndarray, "n_sequences context_size"]
    attention_mask: Bool[np.ndarray, "n_sequences context_size"]
    documents: Int32[np.ndarray, " n_sequences"]
    starts: Int32[np.ndarray, " n_sequences"]
    tokenizer_fingerprint: str
    bos_columns: int = 1
    char_spans: Int32[np.ndarray, "n_sequences context_size 2"] | None = None
    text_hashes: Int64[np.ndarray, " n_sequences"] | None = None

    def __post_init__(self) -> None:
        if (self.char_spans is None) != (self.text_hashes is None):
            raise ValueError(
                "char_spans and text_hashes come together; got one of them; build batches with tokenize_corpus"
            )
        for name, dtype in self._dtypes.items():
            array = getattr(self, name)
            expected = (*self.input_ids.shape, 2)[: _N_DIMENSIONS[name]]
            if array.dtype != dtype or array.shape != expected:
                raise ValueError(
                    f"{name} is {np.dtype(dtype).name} of shape {expected}; got {array.dtype} {array.shape}; "
                    "build batches with tokenize_corpus or stream_sequences"
                )
        if bool((self.keep_mask & ~self.attention_mask).any()):
            raise ValueError("keep_mask is True on padding; kept tokens are attended tokens; rebuild the batch")

    @property
    def has_spans(self) -> bool:
        """Whether the tokens' places in the texts are known."""
        return self.char_spans is not None

    @property
    def n_sequences(self) -> int:
        """Number of sequences."""
        return self.input_ids.shape[0]

    @property
    def context_size(self) -> int:
        """Length of every sequence, BOS and padding included."""
        return self.input_ids.shape[1]

    @property
    def n_tokens(self) -> int:
        """Number of kept tokens: the rows."""
        return int(self.keep_mask.sum())

    def token_ids(self) -> Int32[np.ndarray, " n_tokens"]:
        """Token id of every row."""
        return self.input_ids[self.keep_mask]

    def row_documents(self) -> Int32[np.ndarray, " n_tokens"]:
        """Document number of every row."""
        return self.documents[np.nonzero(self.keep_mask)[0]]

    def row_positions(self) -> Int32[np.ndarray, " n_tokens"]:
        """Position of every row's token in its document (0 = the document's first token)."""
        sequences, columns = np.nonzero(self.keep_mask)
        return (self.starts[sequences] + columns - self.bos_columns).astype(np.int32)

    def row_locations(self) -> Int64[np.ndarray, "n_tokens 2"]:
        """(sequence, column) of every row."""
        return np.argwhere(self.keep_mask)

    def sequences(self, start: int, stop: int) -> TokenBatch:
        """Sequences start..stop as a batch of their own; rows keep their order."""
        part = slice(start, stop)
        return replace(self, **{name: getattr(self, name)[part] for name in self._dtypes})

    def fingerprint(self) -> str:
        """Hex SHA-256 over tokens, masks, places and the tokenizer: equal means the same rows.

        Spans and hashes of the texts are left out: they add nothing to which tokens the rows are, and a batch that was
        saved without them still belongs to the stores that were made with it.
        """
        return self._digest(_DTYPES)

    def save(self, folder: str | Path) -> None:
        """Write the batch to `folder`, which then holds nothing else; it appears whole or not at all."""
        arrays = {name: np.ascontiguousarray(getattr(self, name)) for name in self._dtypes}
        metadata = {
            "tokenizer_fingerprint": self.tokenizer_fingerprint,
            "bos_columns": str(self.bos_columns),
            "fingerprint": self.fingerprint(),
            "contents": self._digest(self._dtypes),
        }
        with atomic_folder(folder) as partial:
            save_file(arrays, partial / _FILE, metadata=metadata)

    @classmethod
    def load(cls, folder: str | Path) -> TokenBatch:
        """Read a saved batch.

        Raises:
            ValueError: there is none in `folder`, or it is truncated or altered.
        """
        path = Path(folder) / _FILE
        try:
            with safe_open(path, framework="numpy") as file:
                metadata = file.metadata()
                arrays = {name: file.get_tensor(name) for name in (*_DTYPES, *(_TEXT_DTYPES.keys() & file.keys()))}
        except (FileNotFoundError, SafetensorError) as error:
            raise ValueError(f"expected saved tokens in '{folder}'; got {error}; tokenise the corpus again") from error
        batch = cls(
            **arrays,
            tokenizer_fingerprint=metadata["tokenizer_fingerprint"],
            bos_columns=int(metadata["bos_columns"]),
        )
        # Batches that were saved before spans were kept have no digest of all contents.
        contents = metadata.get("contents", metadata["fingerprint"])
        if batch.fingerprint() != metadata["fingerprint"] or batch._digest(batch._dtypes) != contents:
            raise ValueError(f"the tokens in '{folder}' do not match their fingerprint; tokenise the corpus again")
        return batch

    @property
    def _dtypes(self) -> dict[str, type]:
        return _DTYPES | _TEXT_DTYPES if self.has_spans else _DTYPES

    def _digest(self, names: Iterable[str]) -> str:
        digest = hashlib.sha256(f"{self.tokenizer_fingerprint}/{self.bos_columns}".encode())
        for name in names:
            array = getattr(self, name)
            digest.update(f"{name}{array.shape}".encode())
            digest.update(np.ascontiguousarray(array).tobytes())
        return digest.hexdigest()


_DTYPES: dict[str, type] = {"input_ids": np.int32, "keep_mask": np.bool_, "attention_mask": np.bool_, "documents": np.int32,
           "starts": np.int32}  # fmt: skip
_TEXT_DTYPES: dict[str, type] = {"char_spans": np.int32, "text_hashes": np.int64}
_N_DIMENSIONS = {"input_ids": 2, "keep_mask": 2, "attention_mask": 2, "documents": 1, "starts": 1, "char_spans": 3,
                 "text_hashes": 1}  # fmt: skip
assert set(_N_DIMENSIONS) < {field.name for field in fields(TokenBatch)}
