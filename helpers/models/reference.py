"""Where a study's model is: a small JSON file, so that a Hub model is not copied into every study."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import torch

from helpers.corpus import load_tokenizer, tokenizer_fingerprint
from helpers.models.loading import load_model
from helpers.params import LanguageModelParams
from helpers.storage import read_json, write_json

if TYPE_CHECKING:
    from transformer_lens.model_bridge import TransformerBridge
    from transformers import PreTrainedTokenizerBase


@dataclass(frozen=True)
class ModelReference:
    """One language model.

    source "folder": `name_or_path` is a Hugging Face model folder, relative to the file that holds this reference or
    absolute; "hub": a Hub name, or anything else that transformers can load. The other fields: see
    `helpers.models.load_model`.
    """

    source: Literal["folder", "hub"]
    name_or_path: str
    revision: str | None = None
    dtype: str = "float32"
    tokenizer: str = ""
    device_map: str = ""
    trust_remote_code: bool = False

    @classmethod
    def from_params(cls, params: LanguageModelParams) -> ModelReference:
        """The model that a run of 01_language_models ends with: its own folder "model", or a pretrained one."""
        if params.source != "pretrained":
            return cls("folder", "model", dtype=params.dtype)
        return cls(
            "hub",
            params.name_or_path,
            revision=params.revision,
            dtype=params.dtype,
            tokenizer=params.tokenizer,
            device_map=params.device_map,
            trust_remote_code=params.trust_remote_code,
        )

    def save(self, path: str | Path) -> None:
        """Write as JSON."""
        write_json(path, asdict(self))

    @classmethod
    def load(cls, path: str | Path) -> ModelReference:
        """Read back; a relative folder is resolved against the file's place."""
        path = Path(path)
        reference = cls(**read_json(path))
        if reference.source == "folder":
            return replace(reference, name_or_path=str((path.parent / reference.name_or_path).resolve()))
        return reference

    def load_model(self, *, device: str | torch.device, center_writing_weights: bool = False) -> TransformerBridge:
        """The model with hooks; see `helpers.models.load_model`."""
        return load_model(
            self.name_or_path,
            device=device,
            dtype=self.dtype,
            revision=self.revision,
            center_writing_weights=center_writing_weights,
            tokenizer=self.tokenizer,
            device_map=self.device_map,
            trust_remote_code=self.trust_remote_code,
        )

    def load_tokenizer(self) -> PreTrainedTokenizerBase:
        """The model's tokenizer: the one that is named, or that which comes with it; see `helpers.corpus.load_tokenizer`."""
        if self.tokenizer:
            return load_tokenizer(self.tokenizer, trust_remote_code=self.trust_remote_code)
        return load_tokenizer(self.name_or_path, revision=self.revision, trust_remote_code=self.trust_remote_code)


def load_shared_tokenizer(references: Mapping[str, ModelReference]) -> PreTrainedTokenizerBase:
    """The one tokenizer of several models.

    Raises:
        ValueError: two of them tokenise differently, so that a row would not be the same token in both.
    """
    if not references:
        raise ValueError("a shared tokenizer needs at least one model; got none")
    tokenizers = {name: reference.load_tokenizer() for name, reference in references.items()}
    fingerprints = {name: tokenizer_fingerprint(tokenizer) for name, tokenizer in tokenizers.items()}
    first = next(iter(references))
    other = next((name for name, value in fingerprints.items() if value != fingerprints[first]), None)
    if other is not None:
        raise ValueError(
            f"models '{first}' and '{other}' have different tokenizers, so their activations have no rows in common; "
            "give each a run of 03_save_activations of its own and name the second in activations_b of 04_match_features"
        )
    return tokenizers[first]
