"""Fixtures: a Hub cache of this test, which is all that the Hugging Face libraries see."""

from __future__ import annotations

from itertools import islice
from pathlib import Path

import pytest
from huggingface_hub import constants

from helpers.corpus import StoryWorld
from tests.stand_ins.models import FAMILIES, family_tokenizer, save, tiny_model


@pytest.fixture
def hub_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache, with the network off."""
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    return tmp_path / "hub"


@pytest.fixture(scope="session")
def family_folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Family -> a folder with a random model of two layers and its tokenizer."""
    texts = [document.text for document in islice(StoryWorld(seed=0, split="train").documents(), 200)]
    folders = {}
    for number, family in enumerate(FAMILIES):
        tokenizer = family_tokenizer(family, texts, n_vocab=600)
        folder = tmp_path_factory.mktemp(family)
        folders[family] = save(tiny_model(family, tokenizer, seed=number), tokenizer, folder)
    return folders
