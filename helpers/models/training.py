"""Train a small language model on a corpus: AdamW, linear warm-up, linear decay, next-token loss.

Training stops by tokens, so that it repeats; on the CPU an interrupted and resumed training gives the same weights, bit
for bit, as one that was never interrupted.
"""

from __future__ import annotations

import hashlib
import logging
import time
from collections.abc import Iterator
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

import torch

from helpers.corpus import Corpus, TokenBatch, probes_of, stream_sequences, tokenizer_fingerprint
from helpers.devices import resolve_device
from helpers.models.architectures import new_model
from helpers.models.checkpoints import Progress, load_checkpoint, save_checkpoint, training_recipe
from helpers.models.history import TrainingHistory
from helpers.models.loading import quiet_transformers
from helpers.models.measures import probe_accuracies
from helpers.params import LanguageModelParams
from helpers.progress import progress_bar
from helpers.storage import atomic_folder, read_json, remove_folder, write_json

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

HISTORY_FILE = "training_history.json"
RECIPE_FILE = "training_recipe.json"
WARMUP_SHARE = 0.04
BETAS = (0.9, 0.95)
MAX_GRADIENT_NORM = 1.0
N_LOSS_POINTS = 100
N_PROBE_POINTS = 8
N_CHECKPOINTS = 8
PROBES_A_KIND = 20
_FINGERPRINTED_DOCUMENTS = 20
_IGNORED = -100  # cross-entropy's label of positions without a target
_log = logging.getLogger(__name__)


def train_language_model(
    params: LanguageModelParams, *, folder: str | Path, tokenizer: PreTrainedTokenizerBase, corpus: Corpus
) -> TrainingHistory:
    """Train the model that `params` describe and save it, with its tokenizer and curves, as a Hugging Face folder.

    An unfinished training of the same recipe (parameters, corpus, code, versions) goes on from its last checkpoint, a
    finished one is not repeated. A finite corpus is read again from its first document when it ends.

    Args:
        params: `source` must be "train".
        folder: where the model goes; checkpoints lie beside it until it is finished.
        tokenizer: shared with the model it will be compared to.
        corpus: texts; those of a StoryWorld are probed on the way.
    Returns:
        Loss at about 100 points, probe accuracies at about 8.
    Raises:
        ValueError: nothing to train, an empty corpus, or a loss that is not finite.
    """
    if params.source != "train":
        raise ValueError(f"expected source 'train'; got '{params.source}'; load a pretrained model with load_model")
    folder = Path(folder)
    recipe = training_recipe(
        params, tokenizer_fingerprint=tokenizer_fingerprint(tokenizer), corpus_fingerprint=_corpus_fingerprint(corpus)
    )
    if _is_finished(folder, recipe):
        _log.info("%s holds the finished model of this recipe.", folder)
        return TrainingHistory.load(folder / HISTORY_FILE)
    training = _Training(params, folder=folder, tokenizer=tokenizer, corpus=corpus, recipe=recipe)
    history = training.run()
    with atomic_folder(folder) as partial, quiet_transformers():
        training.model.save_pretrained(partial)
        tokenizer.save_pretrained(partial)
        history.save(partial / HISTORY_FILE)
        write_json(partial / RECIPE_FILE, recipe)
    remove_folder(training.checkpoint)
    return history


def _corpus_fingerprint(corpus: Corpus) -> str:
    """Name, kind and first documents: a file that was replaced under its name is another corpus."""
    digest = hashlib.sha256(f"{corpus.name}/{type(corpus).__name__}".encode())
    for document in islice(corpus.documents(), _FINGERPRINTED_DOCUMENTS):
        digest.update(f"{document.index}/{len(document.text)}/{document.text}".encode())
    return digest.hexdigest()


def _is_finished(folder: Path, recipe: str) -> bool:
    return (folder / RECIPE_FILE).exists() and read_json(folder / RECIPE_FILE) == recipe


class _Training:
    """State of one training between its steps."""

    def __init__(
        self,
        params: LanguageModelParams,
        *,
        folder: Path,
        tokenizer: PreTrainedTokenizerBase,
        corpus: Corpus,
        recipe: str,
    ) -> None:
        self.params, self.tokenizer, self.corpus, self.recipe = params, tokenizer, corpus, recipe
        self.checkpoint = folder.with_name(f".{folder.name}.checkpoint")
        self.model: PreTrainedModel = new_model(params, tokenizer=tokenizer)
        torch.nn.Module.to(self.model, resolve_device(params.device))
        self.optimizer = torch.optim.AdamW(
            self.model.parameters(), lr=params.learning_rate, betas=BETAS, weight_decay=0.0
        )
        found = load_checkpoint(self.checkpoint, recipe=recipe, model=self.model, optimizer=self.optimizer)
        self.progress = found or Progress(next_checkpoint=params.n_train_tokens // N_CHECKPOINTS)
        self.history = TrainingHistory.from_dict(self.progress.history or {})
        self.probes = probes_of(corpus, n_probes=PROBES_A_KIND)

    def run(self) -> TrainingHistory:
        """Train to the end."""
        started, earlier = time.monotonic(), self.history.seconds
        self.model.train()
        n_train, progress = self.params.n_train_tokens, self.progress
        description = f"Training {self.params.run}"
        with progress_bar(total=n_train, description=description, unit="tokens", initial=progress.n_tokens) as bar:
            for batch in self._batches():
                n_tokens = self._step(batch)
                bar.update(n_tokens)
                done = progress.n_tokens >= n_train
                self._record(done)
                self.history = replace(
                    self.history, n_steps=progress.n_steps, seconds=round(earlier + time.monotonic() - started, 3)
                )
                if done:
                    break
                if progress.n_tokens >= progress.next_checkpoint:
                    self._save()
        return self.history

    def _batches(self) -> Iterator[TokenBatch]:
        """Batches from where the training stands; from the first document again when the corpus ends."""
        while True:
            yield from stream_sequences(
                self.corpus,
                self.tokenizer,
                context_size=self.params.context_size,
                sequences_per_batch=self.params.batch_size,
                start_document=self.progress.document,
                skip_sequences=self.progress.skip_sequences,
            )
            self.progress.document = self.progress.skip_sequences = 0

    def _step(self, batch: TokenBatch) -> int:
        """One optimiser step; returns the number of predicted tokens."""
        progress = self.progress
        share = progress.n_tokens / self.params.n_train_tokens
        for group in self.optimizer.param_groups:
            group["lr"] = self.params.learning_rate * learning_rate_factor(share)
        input_ids = torch.from_numpy(batch.input_ids).to(self.model.device, torch.int64)
        targets = input_ids[:, 1:].masked_fill(
            ~torch.from_numpy(batch.attention_mask[:, 1:]).to(input_ids.device), _IGNORED
        )
        n_tokens = int(batch.attention_mask[:, 1:].sum())
        # padding is on the right, so causal attention never sees it and needs no mask
        logits = self.model(input_ids=input_ids).logits[:, :-1]
        loss = torch.nn.functional.cross_entropy(logits.flatten(0, 1), targets.flatten(), ignore_index=_IGNORED)
        self.optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self.model.parameters(), MAX_GRADIENT_NORM, error_if_nonfinite=True)
        self.optimizer.step()
        progress.n_tokens += n_tokens
        progress.n_steps += 1
        progress.window_loss += loss.item() * n_tokens
        progress.window_tokens += n_tokens
        self._move_on(batch)
        return n_tokens

    def _move_on(self, batch: TokenBatch) -> None:
        """Remember the place of the sequence after the batch: inside its last document."""
        last = int(batch.documents[-1])
        used = int((batch.documents == last).sum())
        self.progress.skip_sequences = used + (self.progress.skip_sequences if self.progress.document == last else 0)
        self.progress.document = last

    def _record(self, done: bool) -> None:
        progress, history, n_train = self.progress, self.history, self.params.n_train_tokens
        if done or progress.n_tokens >= (len(history.tokens) + 1) * n_train / N_LOSS_POINTS:
            history.tokens.append(progress.n_tokens)
            history.loss.append(progress.window_loss / progress.window_tokens)
            progress.window_loss, progress.window_tokens = 0.0, 0
        due = progress.n_tokens >= (len(history.probe_tokens) + 1) * n_train / N_PROBE_POINTS
        if self.probes and (done or due):
            history.probe_tokens.append(progress.n_tokens)
            self.model.eval()
            for kind, accuracy in probe_accuracies(self.model, self.tokenizer, self.probes).items():
                history.accuracies.setdefault(kind, []).append(accuracy)
            self.model.train()

    def _save(self) -> None:
        self.progress.next_checkpoint += self.params.n_train_tokens // N_CHECKPOINTS
        self.progress.history = self.history.to_dict()
        save_checkpoint(
            self.checkpoint, recipe=self.recipe, model=self.model, optimizer=self.optimizer, progress=self.progress
        )


def learning_rate_factor(share: float) -> float:
    """Share of the peak rate after that share of the tokens: up to 1 in a straight line, then down to 0.

    Args:
        share: tokens seen / tokens in all, from 0; the very first step takes a small rate, not none.
    """
    if share < WARMUP_SHARE:
        return max(share / WARMUP_SHARE, 0.01)
    return max((1.0 - share) / (1.0 - WARMUP_SHARE), 0.0)
