"""Find and load a trained SAE, and what its metadata demands of the model and the tokens.

A dictionary of a study is named by a small JSON file (`SaeReference`), so that a released SAE is not copied into every
study. Weights are safetensors, or NumPy archives without pickles; nothing else is
opened.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import torch
from huggingface_hub.errors import HFValidationError

from helpers.hub import PICKLES, hub_reason, no_pickles
from helpers.params import TrainSaeParams
from helpers.saes import sparsify
from helpers.storage import project_path, read_json, write_json

if TYPE_CHECKING:
    from sae_lens import SAE

#: SAELens's readers of releases that open safetensors, or NumPy archives without pickles; its others open pickles.
SAFE_READERS = frozenset(
    {
        "sae_lens",
        "gemma_2",
        "gemma_3",
        "gemma_2_transcoder",
        "llama_scope",
        "llama_scope_r1_distill",
        "mntss_clt_layer_transcoder",
        "mwhanna_transcoder",
        "temporal",
    }
)
_SCALED = "expected_average_only_in"  # SAELens's name of the way
_SAVER = "sae.save_model(folder)"


@dataclass(frozen=True)
class SaeReference:
    """Where one SAE is, and which hook it reads.

    source "release": `release` and `sae_id` of the SAELens registry, or a Hub repository in SAELens's layout and a folder
    of it; "sparsify": a Hub repository and a folder of it in sparsify's layout; "folder": a folder in either layout,
    relative to the file that holds this reference or absolute. norm_factor: what activations are multiplied by to have the
    mean norm that the SAE was trained on, for one whose files and table do not tell.
    """

    source: Literal["release", "sparsify", "folder"]
    hook_name: str
    release: str = ""
    sae_id: str = ""
    folder: str = ""
    norm_factor: float | None = None

    def save(self, path: str | Path) -> None:
        """Write as JSON."""
        write_json(path, asdict(self))

    @classmethod
    def from_params(cls, params: TrainSaeParams) -> SaeReference:
        """The SAE that a run of 02_train_saes ends with: its own folder "sae", a given folder, or a release."""
        if params.source in ("release", "sparsify"):
            return cls(params.source, params.hook_name, release=params.release, sae_id=params.sae_id)
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
    with centred writing weights (residual minus its mean over d_model). lacks_norm_factor: it reads activations of a mean
    norm of sqrt(d_in), and nothing says what these must be multiplied by.
    """

    sae: SAE
    hook_name: str
    prepend_bos: bool
    center_writing_weights: bool
    lacks_norm_factor: bool = False


def load_sae(reference: SaeReference, *, device: torch.device | str = "cpu", to_be_scaled: bool = False) -> LoadedSae:
    """Load the SAE that `reference` names; it reads activations as the model makes them.

    Args:
        device: where its weights go.
        to_be_scaled: load one that lacks its norm factor all the same, to look at its demands and measure the factor.
    Raises:
        ValueError: unknown release or id (with near matches), a folder without an SAE's files, weights that are pickles,
            a download that failed, an SAE that was trained on another hook than `reference.hook_name`, or one that lacks
            its norm factor.
    """
    readers = {"release": _from_release, "sparsify": _from_sparsify, "folder": _from_folder}
    sae = readers[reference.source](reference, str(device))
    trained_on = sae.cfg.metadata.get("hook_name")
    if trained_on and trained_on != reference.hook_name:
        raise ValueError(
            f"this SAE was trained on {trained_on}, hook_name says {reference.hook_name}; set hook_name to {trained_on}"
        )
    scaled = sae.cfg.normalize_activations == _SCALED  # SAELens folds a factor that it knows, and says so here
    if scaled and reference.norm_factor is not None:
        sae.fold_activation_norm_scaling_factor(reference.norm_factor)
    elif scaled and not to_be_scaled:
        raise ValueError(
            "this SAE was trained on activations scaled to a mean norm of sqrt(d_in), and neither its files nor SAELens's "
            "table says by what; measure it with helpers.saes.norm_factor (notebook 02 does) and set norm_factor"
        )
    model_kwargs = sae.cfg.metadata.get("model_from_pretrained_kwargs") or {}
    prepend_bos = sae.cfg.metadata.get("prepend_bos")
    sae.eval()
    return LoadedSae(
        sae=sae,
        hook_name=reference.hook_name,
        prepend_bos=True if prepend_bos is None else bool(prepend_bos),
        center_writing_weights=bool(model_kwargs.get("center_writing_weights", False)),
        lacks_norm_factor=scaled and reference.norm_factor is None,
    )


def shared_demand(saes: Mapping[str, LoadedSae], demand: Literal["prepend_bos", "center_writing_weights"]) -> bool:
    """What several SAEs ask alike of the tokens or the model that they share.

    Raises:
        ValueError: they ask for different things, so one of them would read rows that it was not trained on.
    """
    asked = {name: bool(getattr(loaded, demand)) for name, loaded in saes.items()}
    if len(set(asked.values())) > 1:
        yes, no = ([name for name, value in asked.items() if value == wanted] for wanted in (True, False))
        raise ValueError(
            f"dictionaries of one run ask alike for {demand}; {', '.join(yes)} want it and {', '.join(no)} do not; give each "
            "kind a run of 03_save_activations of its own"
        )
    return all(asked.values())


def _from_folder(reference: SaeReference, device: str) -> SAE:
    from sae_lens import SAE
    from sae_lens.constants import SAE_CFG_FILENAME, SAE_WEIGHTS_FILENAME

    folder = Path(reference.folder)
    if (folder / sparsify.CONFIG_FILE).is_file() and (folder / sparsify.WEIGHTS_FILE).is_file():
        return sparsify.load_sparsify(folder, device=device)
    missing = [name for name in (SAE_CFG_FILENAME, SAE_WEIGHTS_FILENAME) if not (folder / name).is_file()]
    pickles = sorted(file.name for file in folder.glob("*") if file.suffix in PICKLES)
    if SAE_WEIGHTS_FILENAME in missing and pickles:
        raise ValueError(no_pickles(f"the SAE folder '{folder}'", SAE_WEIGHTS_FILENAME, pickles, saver=_SAVER))
    if missing:
        raise ValueError(
            f"{folder} is not an SAE folder: it lacks {' and '.join(missing)}; save the SAE with sae.save_model(folder)"
        )
    return SAE.load_from_disk(folder, device=device)


def _from_sparsify(reference: SaeReference, device: str) -> SAE:
    try:
        folder = sparsify.fetch_sparsify(reference.release, reference.sae_id)
    except (OSError, HFValidationError) as error:
        raise ValueError(_not_fetched(reference, error)) from error
    return sparsify.load_sparsify(folder, device=device)


def _from_release(reference: SaeReference, device: str) -> SAE:
    from sae_lens import SAE
    from sae_lens.loading.pretrained_sae_loaders import get_conversion_loader_name
    from sae_lens.loading.pretrained_saes_directory import get_pretrained_saes_directory

    directory = get_pretrained_saes_directory()
    if reference.release in directory:
        _require_known_id(reference, directory[reference.release].saes_map)
        reader = get_conversion_loader_name(reference.release)
        if reader not in SAFE_READERS:
            place = f"SAELens's release '{reference.release}' (read by its '{reader}')"
            raise ValueError(no_pickles(place, "weights but pickles", [], saver=_SAVER))
    elif "/" not in reference.release:  # with a slash: a Hub repository in SAELens's layout
        near = difflib.get_close_matches(reference.release, directory, n=3, cutoff=0.5)
        raise ValueError(
            f"unknown SAELens release '{reference.release}'; did you mean {' or '.join(near) or 'one of SAELens’s table'}?"
        )
    try:
        return SAE.from_pretrained(reference.release, reference.sae_id, device=device)
    except (OSError, HFValidationError) as error:
        raise ValueError(_not_fetched(reference, error)) from error


def _require_known_id(reference: SaeReference, ids: Iterable[str]) -> None:
    if reference.sae_id not in ids:
        near = difflib.get_close_matches(reference.sae_id, ids, n=3, cutoff=0.0)
        raise ValueError(f"release '{reference.release}' has no SAE '{reference.sae_id}'; near ids: {', '.join(near)}")


def _not_fetched(reference: SaeReference, error: Exception) -> str:
    return f"{hub_reason('SAE', reference.release, error)}; asked for: {reference.sae_id} (source: {reference.source})"
