"""Which dictionaries a study may compare: those that rebuild, and, where it is asked for, poor ones that the model can use.

Two questions are asked of a dictionary. Does it rebuild more *variance* than its mean and than random directions do? Does
the *model* go on predicting with what it rebuilds? A dictionary that reads the wrong hook, another model or activations of
another scale fails both. Some published ones fail the first alone: a few activations of enormous norm, or a scale that
layer norm takes away again, cost nearly all of the variance and none of the predictions.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from helpers.corpus import TokenBatch
from helpers.saes.measure import SaeMeasurement, loss_with_mean

if TYPE_CHECKING:
    from transformer_lens.model_bridge import TransformerBridge


def accept_sae(
    measured: SaeMeasurement,
    control: SaeMeasurement,
    *,
    allow_poor: bool,
    model: TransformerBridge,
    hook_name: str,
    tokens: TokenBatch,
    batch_size: int = 32,
) -> str:
    """Whether a dictionary passes its controls.

    Args:
        measured: the dictionary on `tokens`; control: random directions of its shape on the same tokens.
        allow_poor: let one pass that rebuilds no better than the mean or random directions, if the model predicts better
            with what it rebuilds than with zeros, with the mean activation, and with what random directions rebuild.
        model: what predicts; hook_name: the hook that the dictionary reads. Both are used for poor ones only.
    Returns:
        A warning in one sentence, for readers of everything that uses the dictionary; empty where there is none.
    Raises:
        ValueError: it is poor and that was not asked for, or the model cannot use what it rebuilds.
    """
    if measured.loss_model < measured.loss_zero <= measured.loss_spliced:
        raise ValueError(
            f"the model needs this hook, and predicts no better with the reconstruction ({measured.loss_spliced:.3f} nats) "
            f"than with zeros in its place ({measured.loss_zero:.3f}); {_CAUSES}"
        )
    if measured.fvu < min(1.0, control.fvu):
        return ""
    poor = (
        f"it rebuilds no better than {'the mean activation' if measured.fvu >= 1 else 'random directions'} "
        f"(FVU {measured.fvu:.2f}; the mean has 1, random directions have {control.fvu:.2f})"
    )
    if not allow_poor:
        raise ValueError(
            f"{poor}; {_CAUSES}; if it is published and known to be poor, set allow_poor: true in its run of "
            "02_train_saes: the study then goes on, with a warning, provided that the model can use the reconstruction"
        )
    mean = loss_with_mean(model, hook_name=hook_name, tokens=tokens, batch_size=batch_size)
    others = {"zeros": measured.loss_zero, "the mean activation": mean, "random directions": control.loss_spliced}
    best = min(others, key=lambda name: others[name])
    if measured.loss_model >= min(measured.loss_uniform, others[best]) or measured.loss_spliced >= others[best]:
        raise ValueError(
            f"{poor}, and nothing shows that the model can use it all the same: its loss is {measured.loss_model:.3f} nats "
            f"as it is, {measured.loss_spliced:.3f} with the reconstruction, {others[best]:.3f} with {best} in its place; "
            f"{_CAUSES}; allow_poor does not let it pass"
        )
    return (
        f"{poor}, and is used because allow_poor says so: the model's loss is {measured.loss_model:.3f} nats as it is, "
        f"{measured.loss_spliced:.3f} with the reconstruction, {others[best]:.3f} with {best} in its place"
    )


_CAUSES = "look for a wrong hook, model or scale of the activations, or a training that failed"
