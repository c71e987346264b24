"""A batch of token sequences with the mask of used tokens, and where in which document every token stands.

Rows: row r of anything computed on a batch (a store of activations, a table) is the r-th True of `keep_mask` in C order.
"""

from __future__ import annotations

import hashlib
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
        input_ids, keep_mask, attention_mask: (n_sequences, context_size); documents, starts: (n_sequences,).
    Args:
        input_ids: int32 token ids; padding is on the right.
        keep_mask: True where a token is used; False on padding, BOS and every other special token.
        attention_mask: True on real tokens, BOS included.
        documents: int32 number of each sequence's document.
        starts: int32 position, in its document, of each sequence's first token after BOS.
        tokenizer_fingerprint: of the tokenizer that made the ids.
        bos_columns: 1 if every sequence opens with a BOS, else 0.
    """

    input_ids: Int32[np.ndarray, "n_sequences context_size"]
    keep_mask: Bool[np.ndarray, "n_sequences context_size"]
    attention_mask: Bool[np.ndarray, "n_sequences context_size"]
    documents: Int32[np.ndarray, " n_sequences"]
    starts: Int32[np.ndarray, " n_sequences"]
    tokenizer_fingerprint: str
    bos_columns: int = 1

    def __post_init__(self) -> None:
        for name, dtype in _DTYPES.items():
            array = getattr(self, name)
            expected = self.input_ids.shape if name.endswith(("ids", "mask")) else self.input_ids.shape[:1]
            if array.dtype != dtype or array.shape != expected:
                raise ValueError(
                    f"{name} is {np.dtype(dtype).name} of shape {expected}; got {array.dtype} {array.shape}; "
                    "build batches with tokenize_corpus or stream_sequences"
                )
        if bool((self.keep_mask & ~self.attention_mask).any()):
            raise ValueError("keep_mask is True on padding; kept tokens are attended tokens; rebuild the batch")

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
        return replace(self, **{name: getattr(self, name)[part] for name in _DTYPES})

    def fingerprint(self) -> str:
        """Hex SHA-256 over every array and the tokenizer: equal means the same rows."""
        digest = hashlib.sha256(f"{self.tokenizer_fingerprint}/{self.bos_columns}".encode())
        for name in _DTYPES:
            array = getattr(self, name)
            digest.update(f"{name}{array.shape}".encode())
            digest.update(np.ascontiguousarray(array).tobytes())
        return digest.hexdigest()

    def save(self, folder: str | Path) -> None:
        """Write the batch to `folder`, which then holds nothing else; it appears whole or not at all."""
        arrays = {name: np.ascontiguousarray(getattr(self, name)) for name in _DTYPES}
        metadata = {
            "tokenizer_fingerprint": self.tokenizer_fingerprint,
            "bos_columns": str(self.bos_columns),
            "fingerprint": self.fingerprint(),
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
                arrays = {name: file.get_tensor(name) for name in _DTYPES}
        except (FileNotFoundError, SafetensorError) as error:
            raise ValueError(f"expected saved tokens in '{folder}'; got {error}; tokenise the corpus again") from error
        batch = cls(
            **arrays,
            tokenizer_fingerprint=metadata["tokenizer_fingerprint"],
            bos_columns=int(metadata["bos_columns"]),
        )
        if batch.fingerprint() != metadata["fingerprint"]:
            raise ValueError(f"the tokens in '{folder}' do not match their fingerprint; tokenise the corpus again")
        return batch


_DTYPES = {"input_ids": np.int32, "keep_mask": np.bool_, "attention_mask": np.bool_, "documents": np.int32,
           "starts": np.int32}  # fmt: skip
assert set(_DTYPES) < {field.name for field in fields(TokenBatch)}
