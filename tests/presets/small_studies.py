"""Presets with smaller numbers, and with some of their dictionaries, for tiny stand-ins of models and few texts.

What is left out is another layer, width or steering task of a kind that is run. With the environment variable
ALL_PRESET_RUNS=1 nothing is left out, and only the numbers are smaller.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from helpers.params import NOTEBOOKS, NotebookParams, Study
from helpers.params.registry import runs_read
from tests.presets.facts import dictionaries, preset

CONTEXT = 64
NARROWER = 64  # dictionaries that are trained: 8,192 features become 128
#: Dictionaries that are run; every kind of source, hook and stage of the preset is among them.
KEPT = {
    "gemma1_gemma2": ["one_12", "two_17"],
    "gemma2_steering": ["layer_20"],
    "gpt2_feature_splitting": ["w768", "w1536", "w3072"],
    "llama2_7b_steering": ["layer_13"],
    "pythia_160m_410m": ["a_mlp6", "b_mlp12"],
    "pythia_70m_160m": ["a_res3", "b_res6", "a_mlp3", "b_mlp6"],
    "pythia_70m_410m": ["a_mlp3", "b_mlp12"],
    "tinystories_1l_2l": ["a_8k", "a_16k", "a_32k", "b_16k"],
    "tinystories_gpt2_mlp": ["stories", "gpt2_8"],
    "tinystories_gpt2_residual": ["stories", "gpt2_8", "gpt2_11"],
}
#: Presets whose model, wide for a stand-in, is run in float32: a processor that has no bfloat16 multiplies 20 to 60 times
#: more slowly in it. Other presets run its family, and its notebooks, in bfloat16.
IN_FLOAT32 = ("gemma2_steering",)
#: Numbers for tiny models and few texts; thresholds of correlation lower, because so little is learnt.
SMALL: dict[str, Any] = {
    "device": "cpu",
    "context_size": CONTEXT,
    "n_eval_tokens": 600,
    "n_tokens": 5000,
    "n_permutations": 99,
    "n_draws": 19,
    "n_control_permutations": 19,
    "n_sweep_permutations": 9,
    "n_repeats": 5,
    "n_shuffles": 9,
    "token_steps": [2000],
    "min_firings": 5,
    "min_corr": 0.2,
    "strengths": [0.8],
    "n_baselines": 2,
    "n_resamples": 100,
    "n_text_rows": 500,
    "n_new": 3,
}
#: The same for dictionaries that are trained.
TRAINING: dict[str, Any] = {
    "k": 6,
    "n_train_tokens": 30_000,
    "batch_size": 256,
    "learning_rate": 2e-3,
    "dead_after_tokens": 10_000,
    "n_checkpoints": 0,
}


def kept_dictionaries(name: str) -> set[str]:
    """Runs of 02_train_saes that are run here."""
    return set(dictionaries(preset(name)) if _all_is_asked_for() else KEPT[name])


def _all_is_asked_for() -> bool:
    return os.environ.get("ALL_PRESET_RUNS") == "1"


def write_small_study(name: str, folder: Path) -> Path:
    """The preset `name` as a study file in `folder`, with small numbers, what is kept and the runs that need no more."""
    study, kept = preset(name), kept_dictionaries(name)
    done: dict[str, dict[str, dict[str, Any]]] = {}
    for notebook, runs in study.notebooks.items():
        smaller = {run: _smaller(notebook, params, kept) for run, params in runs.items()}
        done[notebook] = {
            run: values
            for run, values in smaller.items()
            if (notebook != "02_train_saes" or run in kept) and _has_all(notebook, values, kept, done)
        }
    if name in IN_FLOAT32 and not _all_is_asked_for():
        for values in done["01_language_models"].values():
            values["dtype"] = "float32"
    content = {"study": name, "title": study.title, "description": study.description}
    content["notebooks"] = {notebook: {"runs": runs} for notebook, runs in done.items()}
    path = folder / f"{name}.yaml"
    path.write_text(yaml.safe_dump(content, sort_keys=False), encoding="utf-8")
    return path


def differences(study: Study, small: Study) -> dict[str, set[str]]:
    """Parameter -> runs of `small` (notebook/run) in which it is not that of `study`."""
    found: dict[str, set[str]] = {}
    for notebook, runs in small.notebooks.items():
        for run, params in runs.items():
            original = study.params(notebook, run).model_dump()
            for key, value in params.model_dump().items():
                if value != original[key]:
                    found.setdefault(key, set()).add(f"{notebook}/{run}")
    return found


def _smaller(notebook: str, params: NotebookParams, kept: set[str]) -> dict[str, Any]:
    values = params.model_dump(mode="json", exclude_unset=True, exclude={"study", "run", "runs_folder"})
    fields = type(params).model_fields
    values |= {key: value for key, value in SMALL.items() if key in fields}
    if values.get("d_sae"):
        values |= TRAINING | {"d_sae": values["d_sae"] // NARROWER}
    if "task_names" in fields and not _all_is_asked_for():
        values["task_names"] = [values.get("shown", fields["shown"].default)]
    if notebook == "03_save_activations":
        values["dictionaries"] = [name for name in values["dictionaries"] if name in kept]
    return values


def _has_all(notebook: str, values: Mapping[str, Any], kept: set[str], done: Mapping[str, Mapping[str, Any]]) -> bool:
    """Whether the runs and dictionaries that it names are there."""
    named = {text for key in NOTEBOOKS[notebook].members for text in _texts(values.get(key))}
    return named <= kept and all(run in done[source] for _, source, run in runs_read(notebook, values))


def _texts(value: Any) -> list[str]:
    if isinstance(value, str):
        return [value]
    values = value.values() if isinstance(value, dict) else value or []
    return [text for item in values for text in _texts(item)]
