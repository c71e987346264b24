"""The Hugging Face Hub: one sentence for whatever goes wrong there, and weights that cannot run code.

A pickle (`.bin`, `.pt`, `.pth`, `.ckpt`, `.pkl`) is a program that runs when it is opened, so none is ever opened here:
weights are safetensors, or NumPy archives read without pickles. Code of a repository runs only if a parameter says so.
"""

from __future__ import annotations

from pathlib import Path

from huggingface_hub import constants, hf_hub_download
from huggingface_hub.errors import (
    EntryNotFoundError,
    GatedRepoError,
    HFValidationError,
    LocalEntryNotFoundError,
    OfflineModeIsEnabled,
    RepositoryNotFoundError,
    RevisionNotFoundError,
)

from helpers.storage import read_json

PICKLES = (".bin", ".pt", ".pth", ".ckpt", ".pkl", ".pickle")
WEIGHTS, WEIGHTS_INDEX = "model.safetensors", "model.safetensors.index.json"
# A repository that does not exist is answered with a hint at "private or gated" ones, so the word alone tells nothing.
_GATED = ("access a gated repo", "cannot access gated repo", "is a gated dataset")
_NO_NETWORK = (
    "couldn't connect",
    "couldn't reach",
    "offline mode",
    "cannot find the requested files in the disk cache",
)
_NO_REPOSITORY = ("not a valid model identifier", "repo id must", "doesn't exist on the hub", "repository not found")


def hub_reason(kind: str, name: str, error: BaseException, *, revision: str | None = None) -> str:
    """One sentence: what was asked for, what went wrong, what to do.

    Args:
        kind: what `name` is, e.g. "model", "tokenizer", "dataset".
        error: what the Hugging Face libraries raised; its causes are looked at too.
        revision: the revision that was asked for.
    """
    causes = _causes(error)
    text = " ".join(str(cause) for cause in causes).lower()
    asked = f"the {kind} '{name}'" + (f" (revision '{revision}')" if revision else "")

    def came(*types: type[BaseException]) -> bool:
        return any(isinstance(cause, types) for cause in causes)

    if is_gated(error):
        return f"{asked} is gated on the Hub; accept its terms there and log in with `hf auth login`"
    if came(RevisionNotFoundError) or "not a valid git identifier" in text:
        return f"{asked} is on the Hub without this revision; take a branch, tag or commit of its page"
    if came(LocalEntryNotFoundError, OfflineModeIsEnabled, ConnectionError) or any(
        part in text for part in _NO_NETWORK
    ):
        why = "HF_HUB_OFFLINE is set" if constants.HF_HUB_OFFLINE else "the Hub cannot be reached"
        return f"{asked} is neither a folder nor whole in the local Hub cache, and {why}; connect to the network or give a folder"
    if came(EntryNotFoundError):
        return (
            f"{asked} lacks a file that it needs ({_first_line(error)}); check the name against the files on its page"
        )
    if came(RepositoryNotFoundError) or any(part in text for part in _NO_REPOSITORY):
        return f"no {kind} folder or Hub {kind} is called '{name}'; check the name (and, for private ones, `hf auth login`)"
    if "trust_remote_code" in text:
        return (
            f"{asked} brings code of its own, which is not run; read it, and if you trust it, set trust_remote_code: true "
            "in 01_language_models and pin its revision"
        )
    return f"expected a {kind} folder or Hub name; '{name}' could not be loaded: {_first_line(error)}; check its files"


def is_gated(error: BaseException) -> bool:
    """Whether the Hub refused because its terms are not accepted or nobody is logged in."""
    return any(
        isinstance(cause, GatedRepoError) or any(part in str(cause).lower() for part in _GATED)
        for cause in _causes(error)
    )


def require_safetensors(name_or_path: str | Path, *, revision: str | None = None) -> None:
    """Make sure that a model's weights are safetensors; those of the Hub are downloaded on the way, if they are not there.

    Raises:
        ValueError: there are no weights but pickles, or none; the index names files that are not safetensors; no such
            model, no access, no network, no such revision.
    """
    folder = Path(name_or_path)
    if folder.is_dir():
        files = {name: folder / name for name in (WEIGHTS, WEIGHTS_INDEX) if (folder / name).is_file()}
        place = f"the model folder '{folder}'"
    else:
        try:
            folder = Path(hf_hub_download(str(name_or_path), "config.json", revision=revision)).parent
            files = _downloaded_weights(str(name_or_path), revision, folder)
        except (OSError, HFValidationError) as error:
            raise ValueError(hub_reason("model", str(name_or_path), error, revision=revision)) from error
        place = f"the model '{name_or_path}'"
    if WEIGHTS in files or (WEIGHTS_INDEX in files and _only_safetensors(files[WEIGHTS_INDEX])):
        return
    raise ValueError(no_pickles(place, WEIGHTS, _pickles(folder), saver="model.save_pretrained(folder)"))


def _downloaded_weights(name: str, revision: str | None, snapshot: Path) -> dict[str, Path]:
    """The weights, or else the list of their parts; nothing if the Hub or the snapshot has only pickles."""
    for file in (WEIGHTS, WEIGHTS_INDEX):
        try:
            return {file: Path(hf_hub_download(name, file, revision=revision))}
        except LocalEntryNotFoundError:
            if file == WEIGHTS_INDEX and not _pickles(snapshot):
                raise
        except EntryNotFoundError:
            pass  # the Hub says that there is no such file; the caller tells what that means
    return {}


def no_pickles(place: str, expected: str, pickles: list[str], *, saver: str) -> str:
    """One sentence: `place` lacks `expected`; what it has are `pickles`, perhaps, and how to convert them with `saver`."""
    only = f", only {', '.join(pickles)}" if pickles else ""
    return (
        f"{place} has no {expected}{only}; a pickle can run any code when it "
        "is opened, so none is loaded: take a revision with safetensors (on the Hub often refs/pr/1), or convert it where "
        f"you trust it (torch.load(file, weights_only=True), then {saver}) and give that folder"
    )


def _only_safetensors(index: Path) -> bool:
    return all(str(file).endswith(".safetensors") for file in read_json(index)["weight_map"].values())


def _pickles(folder: Path) -> list[str]:
    return sorted(file.name for file in folder.iterdir() if file.suffix in PICKLES)


def _causes(error: BaseException) -> list[BaseException]:
    causes: list[BaseException] = []
    cause: BaseException | None = error
    while cause is not None and cause not in causes:
        causes.append(cause)
        cause = cause.__cause__ or cause.__context__
    return causes


def _first_line(error: BaseException) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0]
