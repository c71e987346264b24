"""The whole flow on real input at a small size: every notebook runs, and its results mean what they claim."""

import json
import re
import subprocess
import sys
from pathlib import Path

import nbformat
import numpy as np
import pytest
import yaml

from helpers.activations import ActivationStore
from helpers.corpus import CORE_PROBE_KINDS
from helpers.features import WordTable
from helpers.geometry.circles import CirclePlane
from helpers.geometry.homology import Persistence
from helpers.geometry.mapper import MapperGraph
from helpers.matching import FeaturePairs, match_features
from helpers.steering import Condition, SteeringVector
from helpers.steering.effects import DownstreamEffect, FunctionalSimilarity
from helpers.steering.scores import Sweep
from helpers.steering.transfer import TransferScores
from tests.browser.chromium import CHROMIUM, NO_CHROMIUM, open_browser
from tests.browser.map_page import MapPage

ROOT = Path(__file__).resolve().parents[2]
SUCCESSORS = ("weekday", "month", "count_up", "count_down")

pytestmark = pytest.mark.slow


def test_models_learn_the_order_of_days_months_and_numbers(smoke_study):
    """At this size (a tenth of the demo's training) they know about half and more; chance is one of 7 to 21 words."""
    for run in "ab":
        metrics = smoke_study.result("01_language_models", run).metrics
        for kind in SUCCESSORS:
            assert metrics[f"accuracy_{kind}"] >= 0.4, (run, kind)
            assert metrics[f"accuracy_{kind}"] > metrics[f"untrained_accuracy_{kind}"] + 0.3
        assert {f"accuracy_{kind}" for kind in CORE_PROBE_KINDS} <= metrics.keys()
        assert metrics["loss"] < metrics["unigram_loss"] < metrics["untrained_loss"]


def test_dictionaries_rebuild_and_stay_sparse(smoke_study):
    for run in "ab":
        result = smoke_study.result("02_train_saes", run)
        assert result.metrics["l0"] == pytest.approx(result.params["k"], abs=0.1)
        assert result.metrics["fvu"] < 0.25 < result.metrics["control_fvu"]
        assert result.metrics["loss_recovered"] > 0.9


def test_rows_of_both_stores_are_the_same_tokens(smoke_study):
    result = smoke_study.result("03_save_activations", "main")
    a, b = (ActivationStore.open(result.artifact(f"store_{name}"), verify=True) for name in "ab")
    assert a.n_tokens == b.n_tokens == result.params["n_tokens"]
    assert np.array_equal(a.token_ids, b.token_ids) and np.array_equal(a.positions, b.positions)
    assert max(a.density, b.density) < 0.1


def test_matched_features_mean_the_same(smoke_study):
    metrics = smoke_study.result("04_match_features", "main").metrics
    assert metrics["n_pairs_above"] > 30
    assert metrics["same_concept"] > 0.6 and metrics["same_concept_null"] < 0.25
    assert metrics["same_top_tokens"] > 0.3 and metrics["same_top_tokens_null"] < 0.1
    assert metrics["chance_corr_99"] < 0.3


def test_what_partners_share_does_not_rest_on_the_tokens_that_chose_them(smoke_study):
    metrics = smoke_study.result("04_match_features", "main").metrics
    for score in ("same_top_tokens", "same_concept"):
        assert metrics[f"{score}_unseen"] > 5 * metrics[f"{score}_unseen_null"]
        # Half of the tokens decide about pairs and examples; a score made by the choice of tokens would fall to chance.
        assert metrics[f"{score}_unseen"] > 0.7 * metrics[score]
    assert 0 <= metrics["one_sided_a"] < 0.5 and 0 < metrics["one_sided_above"] < 0.5
    assert 0 <= metrics["twins_a"] <= 1 and 0 <= metrics["twins_b"] <= 1


def test_saved_pairs_are_those_of_the_stores(smoke_study):
    result, stores = smoke_study.result("04_match_features", "main"), smoke_study.result("03_save_activations", "main")
    saved = FeaturePairs.load(result.artifact("pairs"))
    a, b = (ActivationStore.open(stores.artifact(f"store_{name}")) for name in "ab")
    again = match_features(a, b, method="one_to_one", min_firings=result.params["min_firings"])
    assert np.array_equal(saved.ids_a, again.ids_a) and np.array_equal(saved.ids_b, again.ids_b)


def test_spaces_are_more_alike_than_wrong_pairings(smoke_study):
    result = smoke_study.result("05_compare_spaces", "main")
    smallest = 1 / (1 + result.params["n_permutations"])
    # svcca needs more pairs than the dimensions that it keeps of both sides: with a hundred it may have no value.
    undefined = set(result.metrics.get("undefined", ()))
    assert undefined <= {"svcca"}
    for measure in set(result.params["measures"]) - undefined:
        assert result.metrics[measure] > result.metrics[f"{measure}_null_mean"]
        assert result.metrics[f"{measure}_p"] == pytest.approx(smallest)
        assert result.metrics[f"{measure}_nulls_survived"] <= 3
    # Matched again on the first documents, and on all: the last step is the comparison itself.
    assert result.metrics["tokens"] == [10_000, 30_000]
    assert result.metrics["n_pairs_by_tokens"][-1] == result.metrics["n_pairs"]
    assert result.metrics["rsa_by_tokens"][-1] == pytest.approx(result.metrics["rsa"], abs=1e-12)


def test_maps_are_judged_and_linked(smoke_study):
    result = smoke_study.result("07_feature_maps", "main")
    metrics = result.metrics
    assert metrics["kept_firing_a"] > 3 * metrics["kept_chance"] and metrics["kept_random"] < 2 * metrics["kept_chance"]
    assert metrics["shared_firing_rows"] > metrics["shared_firing_rows_null"]
    assert metrics["partner_distance"] < metrics["wrong_partner_distance"]
    page = result.artifact("linked_map").read_text(encoding="utf-8")
    assert "linkedMap = unpack" in page and not re.search(r"""(src|href)=["']https?:""", page)
    report = (smoke_study.folder / "report" / "index.html").read_text(encoding="utf-8")
    assert 'href="pages/07_feature_maps.main.linked_map.html"' in report
    assert (smoke_study.folder / "report" / "pages" / "07_feature_maps.main.linked_map.html").is_file()


def test_meanings_are_arranged_alike_and_controls_hold(smoke_study):
    """So small a study has few features a group; what must hold at any size are the controls, and found beside truth."""
    result = smoke_study.result("06_semantic_subspaces", "main")
    metrics = result.metrics
    assert metrics["n_groups"] >= 10 and metrics["n_tests"] == 3 * metrics["n_groups"] * len(result.params["measures"])
    assert metrics["n_found_words"] >= 1
    assert all(metrics[f"mismatched_called_alike_{measure}"] <= 0.1 for measure in result.params["measures"])
    precisions = [value for name, value in metrics.items() if name.startswith("precision_a_") and value is not None]
    assert len(precisions) > 5 and np.mean(precisions) > 0.2  # random features: a few per cent
    rows = json.loads(result.artifact("subspaces").read_text(encoding="utf-8"))["rows"]
    assert all((row["p_value"] is None) == (row["undefined"] is not None) for row in rows)
    assert min(row["p_value"] for row in rows if row["p_value"] is not None) >= 1 / (
        1 + result.params["n_permutations"]
    )


def test_a_model_with_its_own_tokenizer_is_matched_and_compared(smoke_study):
    """Its words are in pieces; rows are the units that both models have whole, in all notebooks that read the pairs."""
    matching = smoke_study.result("04_match_features", "a_c")
    metrics = matching.metrics
    assert (
        0.5 < metrics["share_one_to_one"] < 0.95 and metrics["tokens_per_unit_b"] > 1.1 > metrics["tokens_per_unit_a"]
    )
    assert max(metrics["lost_share_a"], metrics["lost_share_b"]) < 0.05
    a, c = (ActivationStore.open(matching.artifact("units") / side, verify=True) for side in "ab")
    assert a.n_tokens == c.n_tokens == metrics["n_units"] and np.array_equal(a.token_ids, c.token_ids)
    assert metrics["n_pairs_above"] > 20 and metrics["chance_corr_99"] < 0.3
    for score in ("same_concept", "same_top_tokens"):
        assert metrics[score] > 3 * metrics[f"{score}_null"] and metrics[f"{score}_unseen"] > 0.7 * metrics[score]
    compared = smoke_study.result("05_compare_spaces", "a_c")
    assert compared.metrics["tokens"][-1] == metrics["n_units"]
    assert compared.metrics["n_pairs_by_tokens"][-1] == compared.metrics["n_pairs"] == metrics["n_pairs_above"]
    assert compared.metrics["rsa"] > compared.metrics["rsa_null_mean"] and compared.metrics["rsa_p"] < 0.05
    families = smoke_study.result("17_feature_families", "a_c").metrics
    assert families["n_pairs"] == metrics["n_pairs_above"] and families["children_b"] > 0


@pytest.mark.browser
@pytest.mark.skipif(CHROMIUM is None, reason=NO_CHROMIUM)
def test_the_linked_map_of_the_study_works_as_a_file_and_in_the_report(smoke_study, tmp_path):
    file = smoke_study.result("07_feature_maps", "main").artifact("linked_map")
    with open_browser(tmp_path) as page:
        page.size(1400, 1000)
        opened = MapPage(page, file.as_uri())
        point, partner = opened.run("[app.pairs.a[0], app.pairs.b[0]]")
        opened.run(f"app.setHover({{s: 0, i: {point}}})")
        x, y = opened.run(f"app.plots[1].toScreen(app.plots[1].side.x[{partner}], app.plots[1].side.y[{partner}])")
        ring = f"app.plots[1].top.getContext('2d').getImageData({round(x) - 9}, {round(y)}, 1, 1).data[3]"
        assert opened.run(ring) > 0 and len(opened.cards) == 2
        opened.run("app.setQuery('concept:numbers')")
        assert sum(opened.run("app.found.map(f => f.length)")) > 0
        assert page.errors == [] and page.outside == []
        report = smoke_study.folder / "report" / "notebooks" / "07_feature_maps.main.html"
        page.load(
            report.as_uri(),
            ready="document.querySelector('iframe')?.contentDocument?.documentElement?.dataset.ready === 'yes'",
        )
        page.run(f"frames[0].linkedMap.then(app => app.pin({{s: 0, i: {point}}}))")
        assert page.run("frames[0].document.querySelectorAll('#card .fc').length") == 2
        assert page.errors == [] and page.outside == []


def test_families_are_kept_beyond_chance(smoke_study):
    metrics = smoke_study.result("17_feature_families", "main").metrics
    assert metrics["children_a"] > 10 and metrics["children_b"] > 10 and metrics["children_shuffled"] == 0
    for question in ("groups", "company"):
        assert metrics[f"{question}_kept"] > metrics[f"{question}_null"]
        assert metrics[f"{question}_p"] < 0.05


def test_the_taxonomy_is_found_and_right_angles_are_no_evidence(smoke_study):
    metrics = smoke_study.result("12_concept_hierarchy", "main").metrics
    for side in ("a", "b"):
        assert metrics[f"concepts_found_{side}"] > metrics[f"concepts_{side}"] / 4
        assert metrics[f"words_{side}"] > metrics[f"words_null_{side}"] + 0.1
        assert metrics[f"words_null_{side}"] == pytest.approx(0.5, abs=0.03)
    assert metrics["kinds_found_in_both"]
    assert metrics["agreement"] > 0 and metrics["agreement_p"] < 0.05
    assert max(metrics["steps_false_null_p"]) <= 0.05 < max(metrics["steps_p"])
    figures = smoke_study.folder / "12_concept_hierarchy" / "main" / "figures"
    assert {path.stem for path in figures.glob("*.png")} == {
        "cosines",
        "steps",
        "words",
        "kinds",
        "planes",
        "analogies",
    }


def test_features_split_beyond_chance_and_by_meaning(smoke_study):
    metrics = smoke_study.result("08_feature_splitting", "main").metrics
    for shuffle in ("tokens", "directions"):
        assert metrics["a_64_to_a_children"] > 5 * metrics[f"a_64_to_a_children_{shuffle}"]
        assert metrics[f"a_64_to_a_children_{shuffle}_p"] == pytest.approx(1 / 10)
    inside = "a_64_to_a_children_inside_the_parent"
    assert metrics[inside] > metrics[f"{inside}_null"]
    assert metrics["effective_words_a"] < metrics["effective_words_a_64"]
    assert metrics["map_neighbours_kept"] > 3 * metrics["map_neighbours_chance"]


def test_mapper_graphs_stand_beside_random_points(smoke_study):
    result = smoke_study.result("09_mapper", "main")
    for space in ("firing", "decoder"):
        for side in "ab":
            for count in ("components", "loops", "branches"):
                assert result.metrics[f"{space}_{side}_{count}"] >= 0
                assert 0 < result.metrics[f"{space}_{side}_{count}_p"] <= 1
        assert 0 <= result.metrics[f"{space}_together"] <= 1
    assert result.metrics["firing_together"] > result.metrics["firing_together_null"]
    assert {figure["file"] for figure in result.figures} == {
        f"figures/{name}.png" for name in ("reach", "chance", "covers", "graphs")
    }
    page = result.artifact("mapper_graphs").read_text(encoding="utf-8")
    assert page.count("<svg") == 2 and "<script" not in page
    assert MapperGraph.load(result.artifact("graph_a")).n_nodes == page.split("</svg>")[0].count("<circle")


def test_loops_stand_beside_those_of_random_clouds(smoke_study):
    result = smoke_study.result("10_persistent_homology", "main")
    metrics = result.metrics
    assert metrics["n_clouds"] >= 3 and metrics["false_alarms"] <= 5 and metrics["sphere_voids"] == 1
    for side in "ab":
        assert 1 / (1 + result.params["n_runs"]) <= metrics[f"all_features_{side}_p"] <= 1
        bars = Persistence.load(result.artifact("bars") / f"all_features_{side}.npz")
        assert bars.landmarks.n == result.params["n_landmarks"] == len(bars.distances)
    assert {figure["file"] for figure in result.figures} == {
        f"figures/{name}.png" for name in ("known", "diagrams", "barcode", "betti", "images", "voids")
    }


def test_orders_of_words_stand_beside_shuffled_words(smoke_study):
    result = smoke_study.result("11_multidimensional_features", "main")
    for group in ("weekdays", "months", "numbers"):
        for model in "ab":
            assert 0 < result.metrics[f"{group}_{model}_p"] <= result.metrics[f"{group}_{model}_p_corrected"] <= 1
            assert -1 <= result.metrics[f"{group}_{model}_score"] <= 1
    assert result.metrics["candidates"] <= result.metrics["clusters"]
    figures = {figure["file"] for figure in result.figures}
    assert figures == {f"figures/{name}.png" for name in ("layers", "planes", "frequencies", "candidates")}
    planes = list(result.artifact("planes").glob("a_months_*_order.npz"))
    assert planes and CirclePlane.load(planes[0]).directions.shape == (2, 64)


def test_steering_is_scored_beside_chance(smoke_study):
    result = smoke_study.result("13_steering", "main")
    for task in ("weekday_to_month", "he_to_she"):
        for share in ("success", "kept"):
            low, value, high = (result.metrics[f"{task}_{share}{end}"] for end in ("_low", "", "_high"))
            assert 0 <= low <= value <= high <= 1 and low < high
        assert 0 <= result.metrics[f"{task}_random"] <= result.metrics[f"{task}_random_best"]
        held, controls = (result.metrics[f"{task}_condition_validation{end}"] for end in ("", "_controls"))
        assert 0 <= controls < held <= 1
    assert max(result.metrics["he_to_she_success"], result.metrics["weekday_to_month_success"]) > 0.3
    figures = {Path(figure["file"]).stem for figure in result.figures}
    assert figures >= {"layers", "tasks", "curve", "downstream", "fluency"}
    sweep = Sweep.load(result.artifact("sweeps") / "he_to_she_held_out.npz")
    assert set(sweep.spaces) >= {"model", "random", "shuffled"} and sweep.known.mean() > 0.5
    works = [
        task
        for task in result.params["task_names"]
        if result.metrics[f"{task}_success"] >= result.params["min_success"]
        and result.metrics[f"{task}_kept"] >= result.params["min_kept"]
    ]
    assert result.metrics["tasks_that_work"] == works and result.headline
    assert len(result.metrics["perplexity_only_where_due"]) == len(result.params["strengths"])
    assert min(result.metrics["perplexity_plain"], *result.metrics["perplexity_random_direction_always"]) >= 1
    assert DownstreamEffect.load(result.artifact("downstream")).layers[0].moved_norm > 0


def test_a_setting_of_steering_is_chosen_on_validation_and_scored_on_held_out_prompts(smoke_study):
    """What is told is what the saved sweeps hold, and the choice is the best of the validation sweep's harmless layers."""
    result = smoke_study.result("13_steering", "main")
    for task in result.params["task_names"]:
        validation, held_out = (
            Sweep.load(result.artifact("sweeps") / f"{task}_{part}.npz") for part in ("validation", "held_out")
        )
        layer, strength, way = (result.metrics[f"{task}_{name}"] for name in ("layer", "strength", "way"))
        in_model_space = validation.spaces == "model"
        least = result.params["min_kept"] + result.params["margin"] - 1e-9  # the sum is a hair above what is meant
        harmless = in_model_space & (validation.kept >= least)
        here = (
            in_model_space
            & (validation.layers == layer)
            & (validation.strengths == strength)
            & (validation.ways == way)
        )
        assert here.sum() == 1
        if harmless.any():
            assert harmless[here].all() and validation.success[here] == validation.success[harmless].max()
        name = f"layer {layer}" if way == "always" else f"layer {layer}, where due"
        there = (held_out.arms == name) & (held_out.strengths == strength)
        assert held_out.success[there] == pytest.approx(result.metrics[f"{task}_success"])
        assert held_out.kept[there] == pytest.approx(result.metrics[f"{task}_kept"])
        random = held_out.of_space("random", way=way)
        assert set(held_out.strengths[random]) == {strength} and len(random) == result.params["n_baselines"]
        vector = SteeringVector.load(result.artifact("vectors") / f"{task}.npz")
        assert vector.layer == layer and vector.residual_norm > 0
        condition = result.artifact("vectors") / f"{task}_condition.npz"
        assert condition.is_file() == (way == "where due")
        assert way == "always" or Condition.load(condition).hook_name == vector.hook_name


def test_the_command_ends_with_the_headline_and_the_report(smoke_study):
    report = smoke_study.folder / "report" / "index.html"
    assert smoke_study.output.rstrip().endswith(f"report: {report}")
    assert "Matched features of a and b: same concept" in smoke_study.output
    page = report.read_text(encoding="utf-8")
    assert "Smoke test: the demo study, small" in page and "have no result" not in page


def test_executed_notebooks_show_no_warnings(smoke_study):
    notebooks = list(smoke_study.folder.glob("*/*/executed.ipynb"))
    assert len(notebooks) == len(list(smoke_study.folder.glob("*/*/stage.json"))) >= 7
    for path in notebooks:
        for cell in nbformat.read(path, as_version=4).cells:
            for output in cell.get("outputs", []):
                if output.output_type == "stream" and output.name == "stderr":
                    assert "Warning" not in output.text, f"{path.parent}: {output.text}"


def test_memory_stays_small(smoke_study):
    """Two stages run side by side at most, so half of 4 GiB each."""
    for path in smoke_study.folder.glob("*/*/results.json"):
        result = smoke_study.result(path.parent.parent.name, path.parent.name)
        assert result.peak_memory_mib < 2048, path


def test_a_second_run_does_nothing(smoke_study):
    before = {path: path.stat().st_mtime_ns for path in smoke_study.folder.glob("*/*/results.json")}
    assert "everything is up to date, nothing was run" in smoke_study.command("run", "smoke")
    assert before == {path: path.stat().st_mtime_ns for path in before}


def test_vectors_are_carried_from_model_to_model(smoke_study):
    result = smoke_study.result("14_steering_transfer", "main")
    metrics = result.metrics
    assert metrics["self_transfer_error"] < 1e-6 and metrics["strength"] in (0.4, 0.8)
    for method in ("matched_features_encoded", "decoder_rows", "ridge_map", "Procrustes_map"):
        assert 0 < metrics[f"{method}_logit_difference_p"] <= 1
    scores = TransferScores.load(result.artifact("transfer"))
    assert scores.nulls_of("ridge map") == ("tokens shuffled", "random vectors") and scores.n_prompts > 1
    assert {"layers", "removals"} <= {Path(figure["file"]).stem for figure in result.figures}
    assert len(result.headline) == 3
    assert 0 <= metrics["own_success"] <= 1 and metrics["own_logit_difference"] > 0
    assert metrics["own_success"] == pytest.approx(scores.own["success"].mean())
    for method in scores.methods:
        name = f"{method.replace(', ', '_').replace(' ', '_')}"
        low, value, high = (metrics[f"{name}_logit_difference{end}"] for end in ("_low", "", "_high"))
        assert low <= value <= high and value == pytest.approx(scores.share(method, "logit_difference").value)
        vector = SteeringVector.load(result.artifact("vectors") / f"{name}.npz")
        assert vector.model == "b" and vector.hook_name == scores.settings["hook_name"]
    assert metrics["ridge_map_logit_difference"] > 3 * metrics["ridge_map_logit_difference_null"]
    for domain in result.params["removal_tasks"]:
        ps = [value for key, value in metrics.items() if key.startswith(f"removal_{domain}_p_")]
        assert len(ps) == 3 and 1 / (1 + result.params["n_removal_runs"]) <= min(ps) and max(ps) <= 1


def test_feature_effects_stand_beside_chance(smoke_study):
    result = smoke_study.result("18_feature_effects", "main")
    metrics = result.metrics
    assert metrics["rank_attribution"] > metrics["rank_activation"]
    assert metrics["whole_a"] == pytest.approx(1, abs=1e-3) == metrics["whole_b"]
    assert 0 < metrics["functional_frequency_p"] <= 1 and -1 <= metrics["functional"] <= 1
    assert 0 < metrics["sum_place_a_p"] <= 1
    drawn = {Path(figure["file"]).stem for figure in result.figures}
    assert {"rankings", "effects", "restored_a", "restored_b", "functional", "bands", "sums"} <= drawn
    similarity = FunctionalSimilarity.load(result.artifact("functional"))
    assert similarity.n_pairs == metrics["functional_pairs"] and len(result.headline) >= 4


def papermill_alone(stage: str, out: Path, *parameters: str) -> str:
    command = [sys.executable, "-m", "papermill", f"notebooks/{stage}.ipynb", str(out), "--cwd", ".", *parameters]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stderr


def test_a_notebook_runs_alone_with_papermill(smoke_study, tmp_path):
    settings = ["-p", "study", "smoke", "-p", "runs_folder", str(smoke_study.runs_folder), "-p", "run", "alone"]
    papermill_alone("05_compare_spaces", tmp_path / "out.ipynb", *settings, "-p", "n_permutations", "50")
    alone, main = (smoke_study.result("05_compare_spaces", run).metrics for run in ("alone", "main"))
    assert alone["rsa"] == pytest.approx(main["rsa"], abs=1e-12)


def test_groups_without_enough_pairs_are_told_and_stop_nothing(smoke_study, tmp_path):
    """Real dictionaries may hold hardly any feature of a group; that is an answer, and the words are still compared."""
    settings = ["-p", "study", "smoke", "-p", "runs_folder", str(smoke_study.runs_folder), "-p", "run", "scarce"]
    main = smoke_study.result("06_semantic_subspaces", "main").params
    path = tmp_path / "scarce.yaml"
    same = {
        name: main[name] for name in ("activations", "pairs", "n_permutations", "n_draws", "n_control_permutations")
    }
    path.write_text(yaml.safe_dump(same | {"groups": ["weekdays", "numbers"], "min_corr": 0.999}))
    papermill_alone("06_semantic_subspaces", tmp_path / "out.ipynb", *settings, "-f", str(path))
    result = smoke_study.result("06_semantic_subspaces", "scarce")
    label = next(iter(main["pairs"]))
    assert result.metrics["strongest"] is None and result.metrics[f"n_scored_{label}"] == 0
    assert result.headline[0]["value"] == "0 of 0"
    assert result.headline[0]["detail"] == "no group has enough pairs to be tested"
    assert result.metrics["n_scored_words"] > 0
    assert "words" not in {Path(figure["file"]).stem for figure in result.figures}


def test_a_balanced_sample_and_its_export(smoke_study, tmp_path):
    """Sentences with chosen words only; what is to be labelled is exported."""
    settings = ["-p", "study", "smoke", "-p", "runs_folder", str(smoke_study.runs_folder), "-p", "run", "balanced"]
    words = ["Monday", "dog", "happy"]
    path = tmp_path / "balanced.yaml"
    path.write_text(
        yaml.safe_dump({"only_words": words, "max_samples": 30, "dictionaries": ["a"], "kind": "feature_acts"})
    )
    papermill_alone("03_save_activations", tmp_path / "out.ipynb", *settings, "-f", str(path))
    result = smoke_study.result("03_save_activations", "balanced")
    found = WordTable.load(result.artifact("words"))
    counts = [sum(found.words[number] == word for number in found.word_ids) for word in words]
    assert min(counts) >= 30 and found.n_tokens < 30 * len(words) * 40  # sentences of the story world are short
    exported = json.loads(result.artifact("to_label_a").read_text(encoding="utf-8"))
    assert exported["d_sae"] == smoke_study.result("02_train_saes", "a").params["d_sae"] and exported["features"]


def test_the_readme_commands_work(smoke_study, tmp_path):
    """Every command line of the README, with the smoke study in place of the demo and nothing left to run. Those for a
    cluster and for a report on the web are tested in test_slurm and test_hosted_report.
    """
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    blocks = re.findall(r"```bash\n(.*?)```", text, flags=re.DOTALL)
    lines = [line.split("#")[0].strip() for block in blocks for line in block.splitlines()]
    elsewhere = ("--profile", "http.server", "/tmp/pages")
    commands = [line for line in lines if line and not any(part in line for part in elsewhere)]
    assert len(commands) >= 8
    for line in commands:
        words = line.replace("demo", "smoke").split()
        if words[0] == "make":
            done = subprocess.run(
                ["make", "--dry-run", line.split()[1]],
                cwd=ROOT,
                capture_output=True,
                text=True,
                check=False,
                timeout=60,
            )
            assert done.returncode == 0, f"{line}: {done.stderr}"
        elif words[:3] == ["python", "-m", "helpers"]:
            command, *rest = words[3:]
            # Another study than this one would run for an hour: that its file is good and fits is all that is asked.
            other = command == "run" and rest[0] != "smoke"
            smoke_study.command(*(["check", rest[0]] if other else [command, *rest]))
        else:
            assert words[0] == "papermill", f"no test runs the README's command: {line}"
            stage = Path(words[1]).stem
            place = ["-p", "study", "smoke", "-p", "runs_folder", str(smoke_study.runs_folder), "-p", "run", "readme"]
            papermill_alone(stage, tmp_path / "out.ipynb", *words[words.index("-p") :], *place)
