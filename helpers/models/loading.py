"""Load a language model, from a folder or the Hub, with hooks (TransformerLens's TransformerBridge)."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch
from huggingface_hub.errors import GatedRepoError, HfHubHTTPError, LocalEntryNotFoundError, RepositoryNotFoundError
from transformer_lens.model_bridge import TransformerBridge
from transformers.utils import logging as transformers_logging

from helpers.devices import resolve_device

_DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}


def load_model(
    name_or_path: str | Path,
    *,
    device: str | torch.device = "auto",
    dtype: str | torch.dtype = "float32",
    revision: str | None = None,
    center_writing_weights: bool = False,
) -> TransformerBridge:
    """A language model in evaluation mode, with hooks; its logits are those of the Hugging Face model.

    Args:
        name_or_path: a model folder, or a Hub name.
        device: "auto", or a torch device.
        dtype: float32, bfloat16 or float16.
        revision: Hub only: commit or tag.
        center_writing_weights: centre what every block writes, as dictionaries such as gpt2-small-res-jb need
            (logits stay the same, residual activations lose their mean).
    Raises:
        ValueError: no such model, no access, no network, or an architecture that TransformerLens does not know.
    """
    name = str(name_or_path)
    try:
        with quiet_transformers():
            model = TransformerBridge.boot_transformers(
                name,
                device=resolve_device(device) if isinstance(device, str) else device,
                dtype=_DTYPES[dtype] if isinstance(dtype, str) else dtype,
                revision=revision,
            )
    except (OSError, ValueError, KeyError, HfHubHTTPError) as error:
        raise ValueError(_reason(name, error)) from error
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
    shown = transformers_logging.is_progress_bar_enabled()
    transformers_logging.disable_progress_bar()
    try:
        yield
    finally:
        if shown:
            transformers_logging.enable_progress_bar()


def _reason(name: str, error: Exception) -> str:
    """One sentence: what was asked for, what went wrong, what to do."""
    causes: list[BaseException] = []
    cause: BaseException | None = error
    while cause is not None and cause not in causes:
        causes.append(cause)
        cause = cause.__cause__ or cause.__context__
    text = " ".join(str(entry) for entry in causes).lower()
    if any(isinstance(entry, GatedRepoError) for entry in causes) or "gated repo" in text:
        return f"the model '{name}' is gated on the Hub; accept its terms there and log in with `hf auth login`"
    if any(isinstance(entry, LocalEntryNotFoundError) for entry in causes) or "couldn't connect" in text:
        return (
            f"the model '{name}' is neither a folder nor in the local Hub cache, and the Hub cannot be reached; "
            "connect to the network or give a folder"
        )
    if any(isinstance(entry, RepositoryNotFoundError) for entry in causes) or any(
        phrase in text for phrase in ("not a valid model identifier", "repo id must")
    ):
        return (
            f"no model folder or Hub model is called '{name}'; "
            "check the name (and, for private models, `hf auth login`)"
        )
    first_line = (str(error).splitlines() or [type(error).__name__])[0]
    return f"expected a model folder or Hub name; '{name}' could not be loaded: {first_line}; check the folder's files"
