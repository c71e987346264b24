"""Models by Hub name: the loader against a Hub cache laid out like the real one, with real architectures and files."""

import json
import shutil
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from transformer_lens.model_bridge import TransformerBridge
from transformers import AutoModelForCausalLM

from helpers.models import ModelReference, hook_width, load_model, require_hook
from helpers.params import LanguageModelParams
from tests.stand_ins.cache import add_repository
from tests.stand_ins.models import FAMILIES

TEXT = "Tom was happy. The dog barked."
LOSSLESS = 1e-5  # float32 sums of a few dozen terms of size 1, in another order
# Hooks that presets name, beside those of the residual stream before and after a block.
HOOKS = ("hook_resid_pre", "hook_resid_post", "hook_mlp_out")


@pytest.mark.parametrize("family", FAMILIES)
def test_every_architecture_loads_by_its_hub_name(family: str, hub_cache: Path, family_folders) -> None:
    commit = add_repository(hub_cache, "someone/model", family_folders[family])
    reference = ModelReference("hub", "someone/model", revision=commit)
    model, tokenizer = reference.load_model(device="cpu"), reference.load_tokenizer()
    for hook in HOOKS:
        require_hook(model, f"blocks.1.{hook}")
        assert hook_width(model, f"blocks.1.{hook}") == 16
    input_ids = torch.tensor([tokenizer(TEXT)["input_ids"]])
    original = AutoModelForCausalLM.from_pretrained(family_folders[family], attn_implementation="eager").eval()
    with torch.no_grad():
        expected = original(input_ids).logits
        logits, cached = model.run_with_cache(input_ids, prepend_bos=False)
        layers = original(input_ids, output_hidden_states=True).hidden_states
    torch.testing.assert_close(logits, expected, atol=LOSSLESS, rtol=0)
    torch.testing.assert_close(cached["blocks.0.hook_resid_post"], layers[1], atol=LOSSLESS, rtol=0)
    torch.testing.assert_close(cached["blocks.1.hook_resid_pre"], layers[1], atol=LOSSLESS, rtol=0)
    starts_with_bos = FAMILIES[family] is not None
    assert (tokenizer(TEXT)["input_ids"][0] == tokenizer.bos_token_id) == starts_with_bos


@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
def test_dtype_of_the_weights(dtype: str, hub_cache: Path, family_folders) -> None:
    add_repository(hub_cache, "someone/model", family_folders["gpt_neox"])
    model = load_model("someone/model", device="cpu", dtype=dtype)
    assert {parameter.dtype for parameter in model.parameters()} == {getattr(torch, dtype)}


def test_a_device_map_takes_the_place_of_the_device(
    hub_cache: Path, family_folders, monkeypatch: pytest.MonkeyPatch
) -> None:
    add_repository(hub_cache, "someone/model", family_folders["gpt2"])
    boot, asked = TransformerBridge.boot_transformers, []

    def recorded(*arguments, **settings):
        asked.append({key: settings.get(key) for key in ("device", "device_map")})
        return boot(*arguments, **settings)

    monkeypatch.setattr(TransformerBridge, "boot_transformers", recorded)
    mapped, plain = (load_model("someone/model", device="cpu", **how) for how in ({"device_map": "sequential"}, {}))
    assert asked == [{"device": None, "device_map": "sequential"}, {"device": torch.device("cpu"), "device_map": None}]
    ids = torch.arange(5)[None]
    torch.testing.assert_close(mapped(ids.to(mapped.cfg.device)).cpu(), plain(ids), atol=LOSSLESS, rtol=0)


def test_revisions(hub_cache: Path, family_folders) -> None:
    """A branch, a tag and a commit name different weights of one model; one that is not cached is an error."""
    folders = {"main": family_folders["gpt2"], "refs/pr/1": family_folders["gpt_neo"]}
    commits = {
        revision: add_repository(hub_cache, "a/b", folder, revision=revision) for revision, folder in folders.items()
    }
    for revision, commit in commits.items():
        architecture = json.loads((folders[revision] / "config.json").read_text())["architectures"]
        for name in (revision, commit):
            assert load_model("a/b", device="cpu", revision=name).original_model.config.architectures == architecture
    with pytest.raises(
        ValueError, match=r"'a/b' \(revision 'v9'\) is neither a folder nor whole in the local Hub cache"
    ):
        load_model("a/b", device="cpu", revision="v9")


def test_a_tokenizer_from_elsewhere(hub_cache: Path, family_folders, tmp_path: Path) -> None:
    """Some models have their safetensors in a revision without a tokenizer."""
    bare = tmp_path / "bare"
    shutil.copytree(family_folders["gpt2"], bare, ignore=shutil.ignore_patterns("tokenizer*"))
    add_repository(hub_cache, "a/bare", bare)
    add_repository(hub_cache, "a/whole", family_folders["gpt2"])
    params = LanguageModelParams(
        source="pretrained", name_or_path="a/bare", tokenizer="a/whole", corpus={"kind": "story_world"}
    )
    ModelReference.from_params(params).save(tmp_path / "model.json")
    reference = ModelReference.load(tmp_path / "model.json")
    assert reference.load_tokenizer()("Tom")["input_ids"]
    assert reference.load_model(device="cpu").tokenizer is not None
    with pytest.raises(ValueError, match="'a/bare' has no tokenizer files .*; set `tokenizer`"):
        ModelReference("hub", "a/bare").load_tokenizer()


def test_weights_in_parts(hub_cache: Path, family_folders, tmp_path: Path) -> None:
    model = AutoModelForCausalLM.from_pretrained(family_folders["gpt2"])
    model.save_pretrained(tmp_path / "parts", max_shard_size="20KB")
    for file in family_folders["gpt2"].glob("tokenizer*"):
        shutil.copy(file, tmp_path / "parts")
    assert not (tmp_path / "parts" / "model.safetensors").exists()
    add_repository(hub_cache, "a/parts", tmp_path / "parts")
    loaded, whole = (load_model(x, device="cpu") for x in ("a/parts", family_folders["gpt2"]))
    torch.testing.assert_close(loaded(torch.arange(5)[None]), whole(torch.arange(5)[None]), atol=0, rtol=0)
    index = tmp_path / "parts" / "model.safetensors.index.json"
    index.write_text(index.read_text().replace('.safetensors"', '.bin"'))
    with pytest.raises(ValueError, match="has no model.safetensors; a pickle can run any code"):
        load_model(tmp_path / "parts", device="cpu")


class Bomb:
    """Opening its pickle writes a file."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self):
        return Path.touch, (self.path,)


def with_pickle(folder: Path, target: Path, *, weights: bool) -> Path:
    """A copy of a model folder with a pickle that gives itself away, with or without the safetensors beside it."""
    shutil.copytree(folder, target, ignore=None if weights else shutil.ignore_patterns("*.safetensors"))
    torch.save(
        load_file(folder / "model.safetensors") | {"bomb": Bomb(target / "opened")}, target / "pytorch_model.bin"
    )
    return target


@pytest.mark.parametrize("by", ["name", "folder"])
def test_a_pickle_is_never_opened(by: str, hub_cache: Path, family_folders, tmp_path: Path) -> None:
    for weights in (True, False):
        folder = with_pickle(family_folders["gpt2"], tmp_path / f"weights-{weights}", weights=weights)
        add_repository(hub_cache, f"a/{weights}", folder)
        place = folder if by == "folder" else f"a/{weights}"
        if weights:
            load_model(place, device="cpu")
        else:
            with pytest.raises(
                ValueError, match=r"only pytorch_model.bin; a pickle .* refs/pr/1\), or convert it .*weights_only"
            ):
                load_model(place, device="cpu")
        assert not (folder / "opened").exists()


def test_the_trap_would_have_gone_off(family_folders, tmp_path: Path) -> None:
    folder = with_pickle(family_folders["gpt2"], tmp_path / "bomb", weights=False)
    torch.load(folder / "pytorch_model.bin", weights_only=False)
    assert (folder / "opened").exists()


def with_code(folder: Path, target: Path) -> Path:
    """A model whose repository brings code, which gives itself away."""
    shutil.copytree(folder, target)
    config = json.loads((target / "config.json").read_text())
    config |= {"auto_map": {"AutoConfig": "own.OwnConfig", "AutoModelForCausalLM": "own.OwnModel"}, "model_type": "own"}
    (target / "config.json").write_text(json.dumps(config))
    (target / "own.py").write_text(
        f"from pathlib import Path\nPath({str(target / 'ran')!r}).touch()\n"
        "from transformers import GPT2Config, GPT2LMHeadModel\n"
        "class OwnConfig(GPT2Config):\n    model_type = 'own'\n"
        "class OwnModel(GPT2LMHeadModel):\n    config_class = OwnConfig\n"
    )
    return target


def test_code_of_a_repository_runs_only_if_a_parameter_says_so(
    family_folders, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("transformers.dynamic_module_utils.HF_MODULES_CACHE", str(tmp_path / "modules"))
    folder = with_code(family_folders["gpt2"], tmp_path / "own")
    with pytest.raises(ValueError, match="brings code of its own, which is not run; .* set trust_remote_code: true"):
        load_model(folder, device="cpu")
    assert not (folder / "ran").exists()
    load_model(folder, device="cpu", trust_remote_code=True)
    assert (folder / "ran").exists()


def test_a_name_that_is_not_there(hub_cache: Path) -> None:
    message = "'a/absent' is neither a folder nor whole in the local Hub cache, and HF_HUB_OFFLINE is set; connect"
    with pytest.raises(ValueError, match=message):
        load_model("a/absent", device="cpu")
    with pytest.raises(ValueError, match="no model folder or Hub model is called 'not/a/name'"):
        load_model("not/a/name", device="cpu")


def test_half_a_model_in_the_cache(hub_cache: Path, family_folders, tmp_path: Path) -> None:
    folder = tmp_path / "half"
    shutil.copytree(family_folders["gpt2"], folder, ignore=shutil.ignore_patterns("*.safetensors"))
    add_repository(hub_cache, "a/half", folder)
    with pytest.raises(ValueError, match="neither a folder nor whole in the local Hub cache"):
        load_model("a/half", device="cpu")


def test_what_belongs_to_pretrained_models_only() -> None:
    for setting in ({"device_map": "auto"}, {"trust_remote_code": True}, {"revision": "main"}):
        with pytest.raises(ValueError, match="is for source 'pretrained'"):
            LanguageModelParams(corpus={"kind": "story_world"}, **setting)
