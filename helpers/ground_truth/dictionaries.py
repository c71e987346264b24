"""SAEs trained on synthetic activations: a plain array in, a dictionary out, with SAELens's trainer.

The recipe is that of `helpers.saes.train_sae` (inputs scaled to mean norm sqrt(d_in), decoder bias at the mean, decoder
rows of norm 1 after every step, warm-up and decay, scale folded into the weights at the end), without files, corpora and
checkpoints.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import scipy.sparse
import torch
from torch import Tensor

from helpers.progress import progress_bar
from helpers.saes.train import DECAY_SHARE, WARM_UP_SHARE

if TYPE_CHECKING:
    from sae_lens import SAE
    from sae_lens.saes.sae import TrainingSAE
    from sae_lens.training.sae_trainer import SAETrainer

ENCODE_ROWS = 8192


@dataclass(frozen=True)
class Encoded:
    """A dictionary's view of activations.

    Args:
        feature_acts: (n_tokens, d_sae) CSR float32.
        l0: mean active features a token; fvu: fraction of variance unexplained, 0 = perfect.
    """

    feature_acts: scipy.sparse.csr_array
    l0: float
    fvu: float


def train_dictionary(
    activations: np.ndarray,
    *,
    d_sae: int,
    k: int,
    n_train_tokens: int,
    batch_size: int = 1024,
    learning_rate: float = 3e-3,
    seed: int = 0,
) -> SAE:
    """Train a TopK SAE on the rows of an array, which are gone through in random order as often as needed.

    Shapes:
        activations: (n_tokens, d_model).
    Args:
        n_train_tokens: rows seen in training, with repetition; at least one batch.
    Returns:
        The SAE; its decoder rows have norm 1.
    Raises:
        ValueError: not a finite matrix, fewer rows than a batch, or k above d_sae.
    """
    rows = _checked(activations, batch_size=batch_size, d_sae=d_sae, k=k)
    n_steps = max(1, math.ceil(n_train_tokens / batch_size))
    trainer = _trainer(rows, d_sae, k, n_steps, batch_size, learning_rate, seed)
    batches = _batches(rows, batch_size=batch_size, seed=seed)
    with progress_bar(total=n_steps, description=f"Training SAE, {d_sae} features", unit="steps") as bar:
        for _ in range(n_steps):
            trainer.maybe_reset_sparsity()
            trainer.step(next(batches))
            trainer.n_training_steps += 1
            _normalise_decoder(trainer.sae)
            bar.update(1)
    assert trainer.activation_scaler.scaling_factor is not None
    trainer.sae.fold_activation_norm_scaling_factor(trainer.activation_scaler.scaling_factor)
    # All rows have one norm, so folding it cannot change which features are the top k.
    trainer.sae.fold_and_get_W_dec_norm()
    return trainer.sae


@torch.no_grad()
def encode(sae: SAE, activations: np.ndarray) -> Encoded:
    """Feature activations of an array, sparse, and how well they rebuild it.

    Shapes:
        activations: (n_tokens, d_model).
    """
    blocks, squared_error = [], 0.0
    for start in range(0, len(activations), ENCODE_ROWS):
        rows = torch.from_numpy(np.ascontiguousarray(activations[start : start + ENCODE_ROWS], dtype=np.float32))
        acts = sae.encode(rows)
        squared_error += float((sae.decode(acts) - rows).double().pow(2).sum())
        blocks.append(scipy.sparse.csr_array(acts.to_dense().numpy()))
    feature_acts = scipy.sparse.csr_array(scipy.sparse.vstack(blocks, format="csr"))
    variance = float(((activations - activations.mean(axis=0)).astype(np.float64) ** 2).sum())
    return Encoded(feature_acts, l0=feature_acts.nnz / len(activations), fvu=squared_error / variance)


def _checked(activations: np.ndarray, *, batch_size: int, d_sae: int, k: int) -> Tensor:
    rows = torch.from_numpy(np.ascontiguousarray(activations, dtype=np.float32))
    if rows.ndim != 2 or not torch.isfinite(rows).all():
        raise ValueError(f"activations must be a finite matrix (n_tokens, d_model); got shape {tuple(rows.shape)}")
    if len(rows) < batch_size:
        raise ValueError(f"a batch needs {batch_size} rows; got {len(rows)}; sample more tokens or lower batch_size")
    if not 1 <= k <= d_sae:
        raise ValueError(f"k must be in 1..d_sae; got k={k}, d_sae={d_sae}")
    return rows


def _trainer(
    rows: Tensor, d_sae: int, k: int, n_steps: int, batch_size: int, learning_rate: float, seed: int
) -> SAETrainer:
    from sae_lens import LoggingConfig, TopKTrainingSAE, TopKTrainingSAEConfig
    from sae_lens.config import SAETrainerConfig
    from sae_lens.training.sae_trainer import SAETrainer

    torch.manual_seed(seed)
    d_in = rows.shape[1]
    scale = math.sqrt(d_in) / rows.norm(dim=1).mean().item()
    topk = TopKTrainingSAEConfig(
        d_in=d_in, d_sae=d_sae, k=k, device="cpu", decoder_init_norm=1.0, rescale_acts_by_decoder_norm=False
    )
    sae = TopKTrainingSAE(topk)
    with torch.no_grad():
        sae.b_dec.copy_(rows.mean(dim=0) * scale)
    config = SAETrainerConfig(
        total_training_samples=n_steps * batch_size,
        train_batch_size_samples=batch_size,
        lr=learning_rate,
        lr_end=learning_rate / 10,
        lr_warm_up_steps=int(WARM_UP_SHARE * n_steps),
        lr_decay_steps=int(DECAY_SHARE * n_steps),
        device="cpu",
        dead_feature_window=max(1, n_steps // 10),
        logger=LoggingConfig(log_to_wandb=False),
    )
    trainer: SAETrainer = SAETrainer(cfg=config, sae=sae, data_provider=iter(()))
    trainer.activation_scaler.scaling_factor = scale
    return trainer


@torch.no_grad()
def _normalise_decoder(sae: TrainingSAE) -> None:
    """Back to rows of norm 1, as Gao et al. 2024 train TopK SAEs (appendix A.4)."""
    sae.W_dec.div_(sae.get_W_dec_norm()[:, None])


def _batches(rows: Tensor, *, batch_size: int, seed: int) -> Iterator[Tensor]:
    """Endless batches; every pass over the rows has its own order and leaves out what does not fill a batch."""
    rng = np.random.default_rng(seed)
    while True:
        order = torch.from_numpy(rng.permutation(len(rows)))
        for start in range(0, len(rows) - batch_size + 1, batch_size):
            yield rows[order[start : start + batch_size]]
