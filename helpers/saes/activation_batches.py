"""Training batches for an SAE: the activations of one hook, streamed, shuffled, and repeatable from any point.

Sequences run through the model a buffer at a time, up to the hooked layer only, so memory holds one buffer whatever the
number of tokens. Padding, BOS and other special tokens never enter a batch. The batches are consecutive slices of the
stream "shuffled rows of buffer 0, shuffled rows of buffer 1, ...", and each shuffle depends on (seed, buffer number)
alone: skipping to row n gives exactly the batches that an uninterrupted run would have seen.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from helpers.corpus import Corpus, TokenBatch, stream_sequences
from helpers.models import kept_rows, stream_activations

if TYPE_CHECKING:
    from transformer_lens.model_bridge import TransformerBridge
    from transformers import PreTrainedTokenizerBase

SEQUENCES_PER_FORWARD = 64


@dataclass(frozen=True)
class ActivationBatches:
    """The activation stream of one hook on one corpus.

    Args:
        model: a TransformerBridge.
        tokenizer: the model's tokenizer.
        corpus: texts; document 0 is where the stream starts.
        hook_name: e.g. "blocks.1.hook_resid_post".
        context_size: tokens a sequence, BOS included.
        prepend_bos: whether sequences start with BOS; must follow what the SAE will see later.
        batch_size: rows (tokens) a batch.
        seed: of the shuffles.
        buffer_sequences: sequences shuffled together.
    """

    model: TransformerBridge
    tokenizer: PreTrainedTokenizerBase
    corpus: Corpus
    hook_name: str
    context_size: int
    prepend_bos: bool
    batch_size: int
    seed: int
    buffer_sequences: int = 512

    def first_buffer(self) -> Float[Tensor, "n_rows d_in"]:
        """The unshuffled rows of buffer 0, for statistics that must not consume the stream."""
        for sequences in self._buffers():
            return self._rows(sequences)
        raise ValueError(f"the corpus {self.corpus.name} gave no tokens; check its path and text field")

    def batches(self, *, skip_rows: int = 0) -> Iterator[Float[Tensor, "batch_size d_in"]]:
        """Batches of `batch_size` rows, starting `skip_rows` rows into the stream.

        Buffers that lie wholly inside the skipped part are tokenised but not run through the model.
        """
        rest: Tensor | None = None
        for number, sequences in enumerate(self._buffers()):
            n_rows = sum(batch.n_tokens for batch in sequences)
            if skip_rows >= n_rows:
                skip_rows -= n_rows
                continue
            rows = self._rows(sequences)
            order = torch.from_numpy(np.random.default_rng([self.seed, number]).permutation(n_rows))
            rows, skip_rows = rows[order.to(rows.device)][skip_rows:], 0
            rest = rows if rest is None else torch.cat([rest, rows])
            while len(rest) >= self.batch_size:
                yield rest[: self.batch_size]
                rest = rest[self.batch_size :]

    def _buffers(self) -> Iterator[list[TokenBatch]]:
        buffer: list[TokenBatch] = []
        sequences = stream_sequences(
            self.corpus,
            self.tokenizer,
            context_size=self.context_size,
            sequences_per_batch=SEQUENCES_PER_FORWARD,
            prepend_bos=self.prepend_bos,
        )
        for batch in sequences:
            buffer.append(batch)
            if sum(b.n_sequences for b in buffer) >= self.buffer_sequences:
                yield buffer
                buffer = []
        if buffer:
            yield buffer

    def _rows(self, sequences: list[TokenBatch]) -> Float[Tensor, "n_rows d_in"]:
        rows = []
        for batch, activations in stream_activations(self.model, sequences, [self.hook_name]):
            rows.append(kept_rows(activations[self.hook_name], batch).float())
        return torch.cat(rows)
