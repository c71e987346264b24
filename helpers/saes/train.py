"""Train a sparse autoencoder on one hook of one model with SAELens's own trainer.

SAELens supplies the architectures, losses, optimiser and schedules (`SAETrainer.step`); this module feeds it a repeatable
activation stream, keeps a history, and writes checkpoints from which an interrupted run goes on to the same result.

Inputs are scaled so that their mean norm is sqrt(d_in) and the decoder bias starts at the mean activation, both estimated
on the first buffer; when training ends the scale and the decoder norms are folded into the weights, so the saved SAE reads
raw activations and its decoder rows have norm 1 (feature activations are then in units of the residual stream).

Sources: TopK SAEs, Gao et al. 2024 (arXiv:2406.04093); ReLU + L1, Bricken et al. 2023 ("Towards Monosemanticity").
"""

from __future__ import annotations

import hashlib
import json
import logging
import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from helpers.code_fingerprint import code_fingerprint
from helpers.params import TrainSaeParams
from helpers.progress import progress_bar
from helpers.saes.activation_batches import ActivationBatches
from helpers.storage import atomic_folder, read_json, remove_folder, write_json

if TYPE_CHECKING:
    from sae_lens.saes.sae import TrainingSAE
    from sae_lens.training.sae_trainer import SAETrainer

logger = logging.getLogger(__name__)

N_HISTORY_POINTS = 60
WARM_UP_SHARE = 0.05
DECAY_SHARE = 0.2
CHECKPOINT_FOLDER = "checkpoint"


@dataclass(frozen=True)
class SaeTrainingPoint:
    """State of the training after `n_tokens` tokens, on the training batch of that moment.

    fvu: fraction of variance unexplained, 0 = perfect; l0: mean active features a token; dead_share: share of features
    that have not fired for `dead_after_tokens` tokens.
    """

    n_tokens: int
    loss: float
    fvu: float
    l0: float
    dead_share: float


def train_sae(
    batches: ActivationBatches, *, params: TrainSaeParams, folder: str | Path, model_name: str, device: torch.device
) -> list[SaeTrainingPoint]:
    """Train one SAE and save it as a SAELens folder.

    Args:
        batches: activation stream of the hook.
        params: architecture, width, tokens, rates; `params.source` must be "train".
        folder: `folder`/sae receives cfg.json and sae_weights.safetensors (loadable with `sae_lens.SAE.load_from_disk`);
            `folder`/checkpoint exists while training is unfinished and is taken up again if it belongs to the same
            parameters, activations and code.
        model_name: recorded in the SAE's metadata.
        device: where the SAE is trained.
    Returns:
        History, about 60 points.
    Raises:
        ValueError: the corpus ends before `n_train_tokens`, an activation is not finite, or the loss diverges.
    """
    folder = Path(folder)
    first_rows = batches.first_buffer().to(device)
    if not torch.isfinite(first_rows).all():
        raise ValueError(
            f"activations at {params.hook_name} are not finite; load the model with dtype float32 or bfloat16"
        )
    identity = _identity(params, first_rows)
    trainer = _trainer(params, first_rows, batches, model_name, device)
    history = _resume(trainer, folder / CHECKPOINT_FOLDER, identity)
    with _wandb_run(params):
        _fit(trainer, batches, params, history, folder / CHECKPOINT_FOLDER, identity)
    _fold(trainer)
    with atomic_folder(folder / "sae") as partial:
        trainer.sae.save_inference_model(partial)
    remove_folder(folder / CHECKPOINT_FOLDER)
    return history


def _trainer(
    params: TrainSaeParams, first_rows: Tensor, batches: ActivationBatches, model_name: str, device: torch.device
) -> SAETrainer:
    from sae_lens import LoggingConfig
    from sae_lens.config import SAETrainerConfig
    from sae_lens.training.sae_trainer import SAETrainer

    torch.manual_seed(params.seed)
    d_in = first_rows.shape[1]
    scale = math.sqrt(d_in) / first_rows.norm(dim=1).mean().item()
    sae = _new_sae(params, d_in, batches, model_name, device)
    with torch.no_grad():
        sae.b_dec.copy_(first_rows.mean(dim=0) * scale)
    n_steps = max(1, math.ceil(params.n_train_tokens / params.batch_size))
    config = SAETrainerConfig(
        total_training_samples=n_steps * params.batch_size,
        train_batch_size_samples=params.batch_size,
        lr=params.learning_rate,
        lr_end=params.learning_rate / 10,
        lr_warm_up_steps=int(WARM_UP_SHARE * n_steps),
        lr_decay_steps=int(DECAY_SHARE * n_steps),
        device=str(device),
        dead_feature_window=max(1, params.dead_after_tokens // params.batch_size),
        logger=LoggingConfig(log_to_wandb=False),
    )
    trainer: SAETrainer = SAETrainer(cfg=config, sae=sae, data_provider=iter(()))
    trainer.activation_scaler.scaling_factor = scale
    return trainer


def _new_sae(
    params: TrainSaeParams, d_in: int, batches: ActivationBatches, model_name: str, device: torch.device
) -> TrainingSAE:
    from sae_lens import StandardTrainingSAE, StandardTrainingSAEConfig, TopKTrainingSAE, TopKTrainingSAEConfig
    from sae_lens.saes.sae import SAEMetadata

    metadata = SAEMetadata(
        model_name=model_name,
        hook_name=params.hook_name,
        context_size=params.context_size,
        prepend_bos=batches.prepend_bos,
        corpus=params.corpus.model_dump(),
    )
    if params.architecture == "topk":
        topk = TopKTrainingSAEConfig(
            d_in=d_in,
            d_sae=params.d_sae,
            k=params.k,
            device=str(device),
            metadata=metadata,
            # Rows of norm 1 (kept so after every step) make rescaling by the norms, a third of the cost, superfluous.
            decoder_init_norm=1.0,
            rescale_acts_by_decoder_norm=False,
        )
        return TopKTrainingSAE(topk)
    n_steps = params.n_train_tokens // params.batch_size
    standard = StandardTrainingSAEConfig(
        d_in=d_in,
        d_sae=params.d_sae,
        l1_coefficient=params.l1_coefficient,
        l1_warm_up_steps=int(WARM_UP_SHARE * n_steps),
        device=str(device),
        metadata=metadata,
    )
    return StandardTrainingSAE(standard)


def _fit(
    trainer: SAETrainer,
    batches: ActivationBatches,
    params: TrainSaeParams,
    history: list[SaeTrainingPoint],
    checkpoint: Path,
    identity: str,
) -> None:
    import wandb

    total = trainer.cfg.total_training_samples
    n_steps = total // params.batch_size
    record_every = max(1, n_steps // N_HISTORY_POINTS)
    checkpoint_every = math.ceil(n_steps / (params.n_checkpoints + 1))
    stream = batches.batches(skip_rows=trainer.n_training_samples)
    with progress_bar(
        total=total, initial=trainer.n_training_samples, description="Training SAE", unit="tokens"
    ) as bar:
        while trainer.n_training_samples < total:
            batch = next(stream, None)
            if batch is None:
                raise ValueError(
                    f"the corpus {batches.corpus.name} ended after {trainer.n_training_samples:,} tokens, "
                    f"n_train_tokens is {params.n_train_tokens:,}; lower n_train_tokens or give a larger corpus"
                )
            trainer.maybe_reset_sparsity()
            output = trainer.step(batch)
            trainer.n_training_steps += 1
            if params.architecture == "topk":
                _normalise_decoder(trainer.sae)
            bar.update(params.batch_size)
            step = trainer.n_training_steps
            if step % record_every == 0 or step == n_steps:
                history.append(_point(trainer, output))
                bar.set_postfix_str(f"FVU {history[-1].fvu:.3f}, L0 {history[-1].l0:.1f}")
                if wandb.run is not None:
                    wandb.log(asdict(history[-1]), step=step)
            if params.n_checkpoints and step % checkpoint_every == 0 and step < n_steps:
                _save_checkpoint(trainer, checkpoint, history, identity)


def _point(trainer: SAETrainer, output: object) -> SaeTrainingPoint:
    log = trainer.build_train_step_log_dict(output, trainer.n_training_samples)
    loss = float(log["losses/overall_loss"])
    if not math.isfinite(loss):
        raise ValueError(
            f"the SAE's loss became {loss} after {trainer.n_training_samples:,} tokens; lower learning_rate"
        )
    return SaeTrainingPoint(
        n_tokens=trainer.n_training_samples,
        loss=loss,
        fvu=1.0 - log["metrics/explained_variance"],
        l0=log["metrics/l0"],
        dead_share=log["sparsity/dead_features"] / trainer.sae.cfg.d_sae,
    )


@torch.no_grad()
def _normalise_decoder(sae: TrainingSAE) -> None:
    """Back to rows of norm 1, as Gao et al. 2024 train TopK SAEs (appendix A.4)."""
    sae.W_dec.div_(sae.get_W_dec_norm()[:, None])


def _fold(trainer: SAETrainer) -> None:
    """Fold input scale and decoder norms into the weights; outputs on raw activations stay the same."""
    scale, sae = trainer.activation_scaler.scaling_factor, trainer.sae
    assert scale is not None
    sae.fold_activation_norm_scaling_factor(scale)
    trainer.activation_scaler.scaling_factor = None
    # All rows have one norm at most in TopK SAEs, so folding it cannot change which features are the top k.
    sae.fold_and_get_W_dec_norm()
    trainer.set_final_sae_metadata()


def _identity(params: TrainSaeParams, first_rows: Tensor) -> str:
    """What must be equal for a checkpoint to be continued: the settings, the activations themselves, the code."""
    settings = params.model_dump(mode="json", exclude={"log_to_wandb", "wandb_project", "n_eval_tokens", "runs_folder"})
    digest = hashlib.sha256(json.dumps(settings, sort_keys=True).encode())
    digest.update(first_rows.cpu().numpy().tobytes())
    digest.update(code_fingerprint("corpus/*.py", "models/*.py", "saes/*.py").encode())
    return digest.hexdigest()


def _save_checkpoint(trainer: SAETrainer, checkpoint: Path, history: list[SaeTrainingPoint], identity: str) -> None:
    with atomic_folder(checkpoint) as partial:
        trainer.save_checkpoint(checkpoint_name=".", base_path=partial)
        write_json(partial / "history.json", {"identity": identity, "points": [asdict(point) for point in history]})


def _resume(trainer: SAETrainer, checkpoint: Path, identity: str) -> list[SaeTrainingPoint]:
    if not (checkpoint / "history.json").exists():
        return []
    stored = read_json(checkpoint / "history.json")
    if stored["identity"] != identity:
        logger.warning(
            "the checkpoint in %s belongs to other parameters, code or another model; training starts anew", checkpoint
        )
        return []
    trainer.sae.load_weights_from_checkpoint(checkpoint)
    trainer.load_trainer_state(checkpoint)
    logger.info("continuing from %s tokens", f"{trainer.n_training_samples:,}")
    return [SaeTrainingPoint(**point) for point in stored["points"]]


@contextmanager
def _wandb_run(params: TrainSaeParams) -> Iterator[None]:
    if not params.log_to_wandb:
        yield
        return
    import wandb

    wandb.init(project=params.wandb_project, name=f"{params.study}-{params.run}", config=params.model_dump(mode="json"))
    try:
        yield
    finally:
        wandb.finish()
