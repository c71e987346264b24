"""Find and load a trained SAE, and what its metadata demands of the model and the tokens.

A dictionary of a study is named by a small JSON file (`SaeReference`), so that a released SAE is not copied into every
study. Weights are read from safetensors only.
"""

from __future__ import annotations

import difflib
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

import torch
from sae_lens import SAE
from sae_lens.loading.pretrained_saes_directory import get_pretrained_saes_directory

from helpers.params import TrainSaeParams
from helpers.storage import project_path, read_json, write_json


@dataclass(frozen=True)
class SaeReference:
    """Where one SAE is, and which hook it reads.

    source "release": `release` and `sae_id` of the SAELens registry; "folder": a SAELens folder, relative to the file
    that holds this reference or absolute.
    """

    source: Literal["release", "folder"]
    hook_name: str
    release: str = ""
    sae_id: str = ""
    folder: str = ""

    def save(self, path: str | Path) -> None:
        """Write as JSON."""
        write_json(path, asdict(self))

    @classmethod
    def from_params(cls, params: TrainSaeParams) -> SaeReference:
        """The SAE that a run of 02_train_saes ends with: its own folder "sae", a given folder, or a release."""
        if params.source == "release":
            return cls("release", params.hook_name, release=params.release, sae_id=params.sae_id)
        folder = "sae" if params.source == "train" else str(project_path(params.folder))
        return cls("folder", params.hook_name, folder=folder)

    @classmethod
    def load(cls, path: str | Path) -> SaeReference:
        """Read back; a relative folder is resolved against the file's place."""
        path = Path(path)
        reference = cls(**read_json(path))
        if reference.source == "folder" and not Path(reference.folder).is_absolute():
            return cls(**{**asdict(reference), "folder": str(path.parent / reference.folder)})
        return reference


@dataclass(frozen=True)
class LoadedSae:
    """An SAE and its demands.

    prepend_bos: whether its token sequences start with BOS; center_writing_weights: whether it was trained on a model
    with centred writing weights (residual minus its mean over d_model).
    """

    sae: SAE
    hook_name: str
    prepend_bos: bool
    center_writing_weights: bool


def load_sae(reference: SaeReference, *, device: torch.device | str = "cpu") -> LoadedSae:
    """Load the SAE that `reference` names.

    Args:
        device: where its weights go.
    Raises:
        ValueError: unknown release or id (with near matches), a folder without cfg.json or sae_weights.safetensors, a
            download that failed, or an SAE that was trained on another hook than `reference.hook_name`.
    """
    sae = (
        _from_release(reference, str(device)) if reference.source == "release" else _from_folder(reference, str(device))
    )
    trained_on = sae.cfg.metadata.get("hook_name")
    if trained_on and trained_on != reference.hook_name:
        raise ValueError(
            f"this SAE was trained on {trained_on}, hook_name says {reference.hook_name}; set hook_name to {trained_on}"
        )
    model_kwargs = sae.cfg.metadata.get("model_from_pretrained_kwargs") or {}
    prepend_bos = sae.cfg.metadata.get("prepend_bos")
    sae.eval()
    return LoadedSae(
        sae=sae,
        hook_name=reference.hook_name,
        prepend_bos=True if prepend_bos is None else bool(prepend_bos),
        center_writing_weights=bool(model_kwargs.get("center_writing_weights", False)),
    )


def _from_folder(reference: SaeReference, device: str) -> SAE:
    folder = Path(reference.folder)
    missing = [name for name in ("cfg.json", "sae_weights.safetensors") if not (folder / name).is_file()]
    if missing:
        raise ValueError(
            f"{folder} is not a SAELens folder: it lacks {' and '.join(missing)}; save the SAE with sae.save_model(folder)"
        )
    return SAE.load_from_disk(folder, device=device)


def _from_release(reference: SaeReference, device: str) -> SAE:
    directory = get_pretrained_saes_directory()
    if reference.release not in directory:
        near = difflib.get_close_matches(reference.release, directory, n=3, cutoff=0.5)
        raise ValueError(
            f"unknown SAELens release '{reference.release}'; did you mean {' or '.join(near) or 'one of SAELens’s table'}?"
        )
    ids = directory[reference.release].saes_map
    if reference.sae_id not in ids:
        near = difflib.get_close_matches(reference.sae_id, ids, n=3, cutoff=0.0)
        raise ValueError(f"release '{reference.release}' has no SAE '{reference.sae_id}'; near ids: {', '.join(near)}")
    try:
        return SAE.from_pretrained(reference.release, reference.sae_id, device=device)
    except OSError as error:
        raise ValueError(
            f"could not fetch {reference.release}/{reference.sae_id} ({type(error).__name__}: {error}); "
            "check the network, and run `hf auth login` if its repository is gated"
        ) from error
