"""Load a language model, from a folder or the Hub, with hooks (TransformerLens's TransformerBridge)."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from helpers.corpus import load_tokenizer
from helpers.devices import resolve_device
from helpers.hub import hub_reason, require_safetensors

if TYPE_CHECKING:
    from transformer_lens.model_bridge import TransformerBridge

_DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}


def load_model(
    name_or_path: str | Path,
    *,
    device: str | torch.device = "auto",
    dtype: str | torch.dtype = "float32",
    revision: str | None = None,
    center_writing_weights: bool = False,
    tokenizer: str = "",
    device_map: str = "",
    trust_remote_code: bool = False,
) -> TransformerBridge:
    """A language model in evaluation mode, with hooks; its logits are those of the Hugging Face model.

    Args:
        name_or_path: a model folder, or a Hub name.
        device: "auto", or a torch device.
        dtype: float32, bfloat16 or float16.
        revision: Hub only: commit or tag.
        center_writing_weights: centre what every block writes, as dictionaries such as gpt2-small-res-jb need
            (logits stay the same, residual activations lose their mean).
        tokenizer: folder or Hub name of the tokenizer, where the model has none beside its weights; "" = the model's own.
        device_map: "" puts the model on `device`; "auto", "balanced" or "sequential" spread its layers over all GPUs.
        trust_remote_code: run code that the repository brings; read it first, and pin the revision.
    Raises:
        ValueError: no such model, no access, no network, no such revision, weights that are not safetensors, or an
            architecture that TransformerLens does not know.
    """
    from transformer_lens.model_bridge import TransformerBridge

    name = str(name_or_path)
    if isinstance(device, str):
        device = resolve_device(device)
    place: dict[str, Any] = {"device_map": device_map} if device_map else {"device": device}
    require_safetensors(name, revision=revision)
    own_tokenizer = load_tokenizer(tokenizer, trust_remote_code=trust_remote_code) if tokenizer else None
    try:
        with quiet_transformers():
            model = TransformerBridge.boot_transformers(
                name,
                **place,
                dtype=_DTYPES[dtype] if isinstance(dtype, str) else dtype,
                tokenizer=own_tokenizer,
                revision=revision,
                trust_remote_code=trust_remote_code,
            )
    except (OSError, ValueError, KeyError) as error:
        raise ValueError(hub_reason("model", name, error, revision=revision)) from error
    if center_writing_weights:
        model.enable_compatibility_mode(
            disable_warnings=True,
            fold_ln=False,
            center_writing_weights=True,
            center_unembed=False,
            fold_value_biases=False,
        )
    model.eval()
    model.requires_grad_(False)
    return model


@contextmanager
def quiet_transformers() -> Iterator[None]:
    """Without transformers' own bars for weights that load or save in a moment."""
    from transformers.utils import logging as transformers_logging

    shown = transformers_logging.is_progress_bar_enabled()
    transformers_logging.disable_progress_bar()
    try:
        yield
    finally:
        if shown:
            transformers_logging.enable_progress_bar()
