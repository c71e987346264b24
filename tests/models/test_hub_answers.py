"""What the loaders say when the Hub refuses, and that they download and stream: against a Hub on this machine.

One process does all of it, because the Hugging Face libraries read the Hub's address when they are imported.
"""

import json
import os
import shutil
import subprocess
import sys

import pyarrow as pa
import pyarrow.parquet
import pytest

from tests.conftest import ROOT
from tests.stand_ins.saes import random_weights, save_sparsify
from tests.stand_ins.server import hub_server

TEXTS = [f"Story number {number}." for number in range(50)]
PROBE = """
import json, sys
from helpers.corpus import HubCorpus, load_tokenizer
from helpers.models import load_model
from helpers.saes import SaeReference, load_sae

def said(action):
    try:
        return str(action())
    except ValueError as error:
        return f"ValueError: {error}"

def model(name, **settings):
    return lambda: load_model(name, device="cpu", **settings).cfg.n_layers

def sae(release, sae_id, source="sparsify"):
    return lambda: load_sae(SaeReference(source, "blocks.3.hook_mlp_out", release=release, sae_id=sae_id)).sae.cfg.d_sae

def texts(name, start=0, **settings):
    return lambda: [document.text for _, document in zip(range(3), HubCorpus(name, **settings).documents(start))]

print(json.dumps({name: said(action) for name, action in {
    "model": model("org/model"), "gated": model("org/gated"), "absent": model("org/absent"),
    "revision": model("org/model", revision="v9"), "branch": model("org/model", revision="v1"),
    "pickles": model("org/pickles"), "tokenizer": lambda: load_tokenizer("org/gated"),
    "sae": sae("org/saes", "layers.3.mlp"), "no sae": sae("org/saes", "layers.9.mlp"), "gated sae": sae("org/gated", "layers.3"),
    "release": sae("org/gated", "x", "release"),
    "texts": texts("org/texts"), "later texts": texts("org/texts", 40), "gated texts": texts("org/gated"),
    "absent texts": texts("org/absent"), "split": texts("org/texts", split="test"),
}.items()}))
"""


@pytest.fixture(scope="module")
def answers(family_folders, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    root = tmp_path_factory.mktemp("hub")
    models = root / "models" / "org"
    for revision in ("main", "v1"):
        shutil.copytree(family_folders["gpt2"], models / "model" / revision)
    shutil.copytree(family_folders["gpt2"], models / "pickles" / "main", ignore=shutil.ignore_patterns("*.safetensors"))
    (models / "pickles" / "main" / "pytorch_model.bin").write_bytes(b"a pickle")
    save_sparsify(models / "saes" / "main" / "layers.3.mlp", random_weights(16, 40), k=4)
    data = root / "datasets" / "org" / "texts" / "main" / "data"
    data.mkdir(parents=True)
    pyarrow.parquet.write_table(pa.table({"text": TEXTS}), data / "train-00000-of-00001.parquet")
    home = tmp_path_factory.mktemp("home")
    with hub_server(root) as address:
        environment = {name: value for name, value in os.environ.items() if not name.startswith("HF_")}
        environment |= {"HF_ENDPOINT": address, "HF_HOME": str(home), "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
        done = subprocess.run(
            [sys.executable, "-c", PROBE], env=environment, capture_output=True, text=True, timeout=300, check=False
        )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


@pytest.mark.parametrize(
    ("what", "answer"),
    [
        ("model", "2"),
        ("branch", "2"),
        ("sae", "40"),
        ("texts", str(TEXTS[:3])),
        ("later texts", str(TEXTS[40:43])),
    ],
)
def test_what_is_there_is_downloaded_or_streamed(what: str, answer: str, answers: dict[str, str]) -> None:
    assert answers[what] == answer


@pytest.mark.parametrize(
    ("what", "parts"),
    [
        ("gated", ["the model 'org/gated' is gated on the Hub", "`hf auth login`"]),
        ("tokenizer", ["the tokenizer 'org/gated' is gated on the Hub", "`hf auth login`"]),
        ("gated sae", ["the SAE 'org/gated' is gated on the Hub", "`hf auth login`"]),
        ("release", ["the SAE 'org/gated' is gated on the Hub", "`hf auth login`"]),
        ("gated texts", ["'org/gated train' could not be read", "`hf auth login`"]),
        ("absent", ["no model folder or Hub model is called 'org/absent'", "check the name"]),
        ("absent texts", ["'org/absent train' could not be read", "check name, config, split and revision"]),
        ("split", ["'org/texts test' could not be read", "check name, config, split and revision"]),
        (
            "revision",
            ["'org/model' (revision 'v9') is on the Hub without this revision", "take a branch, tag or commit"],
        ),
        ("pickles", ["the model 'org/pickles' has no model.safetensors", "refs/pr/1", "weights_only=True"]),
        ("no sae", ["the SAE 'org/saes' lacks a file", "asked for: layers.9.mlp (source: sparsify)"]),
    ],
)
def test_a_refusal_is_one_sentence_that_says_what_to_do(what: str, parts: list[str], answers: dict[str, str]) -> None:
    message = answers[what]
    assert message.startswith("ValueError: ") and "\n" not in message
    for part in parts:
        assert part in message
