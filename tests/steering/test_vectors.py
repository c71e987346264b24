"""Steering vectors: made by hand again, saved, read back."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from helpers.steering import (
    SteeringVector,
    contrastive_pairs,
    difference_of_means,
    edit_features,
    feature_vector,
    given_vector,
    mean_activation,
    mean_residual_norm,
    plane_step,
    prompt_states,
    steered_logits,
)
from helpers.steering.making import _main_direction
from tests.steering.conftest import D_SAE, HOOK, make_sae, prompts_of

TOWARD, AWAY = prompts_of([5, 9, 11], [21, 8], [17, 4]), prompts_of([6], [30, 12, 44, 3])
WHO = {"hook_name": HOOK, "name": "a"}
# float32 sums of another order than by hand, about 1e-6 of values near 1
ATOL = 1e-5


@pytest.mark.parametrize("token", ["last", "mean"])
def test_difference_of_means_by_hand(model, token):
    found = difference_of_means(model, TOWARD, AWAY, **WHO, token=token, details={"words": "months"})
    sides = [[prompt_states(model, side.part(i, i + 1), hook_name=HOOK, token=token)[0] for i in range(side.n_prompts)] for side in (TOWARD, AWAY)]  # fmt: skip
    expected = sum(sides[0]) / 3 - sum(sides[1]) / 2
    assert np.allclose(found.vector, expected, atol=ATOL)
    assert (found.hook_name, found.model, found.layer, found.method) == (HOOK, "a", 1, "difference of means")
    assert found.details == {"token": token, "n_toward": 3, "n_away": 2, "words": "months"}
    everything = prompts_of([5, 9, 11], [21, 8], [17, 4], [6], [30, 12, 44, 3])
    assert found.residual_norm == pytest.approx(mean_residual_norm(model, everything, hook_name=HOOK), rel=1e-5)
    back = difference_of_means(model, AWAY, TOWARD, **WHO, token=token)
    assert np.allclose(back.vector, -found.vector, atol=1e-12)


def test_pairs(model):
    pairs = TOWARD.part(0, 2), AWAY
    mean = contrastive_pairs(model, *pairs, **WHO)
    states = [prompt_states(model, side, hook_name=HOOK) for side in pairs]
    assert np.allclose(mean.vector, ((states[0][0] - states[1][0]) + (states[0][1] - states[1][1])) / 2)
    one = contrastive_pairs(model, TOWARD.part(0, 1), AWAY.part(0, 1), **WHO)
    assert np.allclose(one.vector, states[0][0] - states[1][0], atol=ATOL)
    main = contrastive_pairs(model, *pairs, **WHO, summary="main_direction")
    assert main.vector @ mean.vector > 0 and not np.allclose(main.vector, mean.vector, atol=1e-3)
    with pytest.raises(ValueError, match="as many prompts on both sides; got 3 and 2"):
        contrastive_pairs(model, TOWARD, AWAY, **WHO)
    with pytest.raises(ValueError, match="summary is"):
        contrastive_pairs(model, *pairs, **WHO, summary="median")


def test_the_main_direction_is_not_led_astray_by_small_differences():
    """Planted: differences along one direction, of very different sizes, with noise on another axis."""
    rng = np.random.default_rng(2)
    direction = np.array([0.6, 0.8, 0, 0])
    differences = np.outer(rng.uniform(0.5, 3, 200), direction) + rng.normal(size=(200, 1)) * [0, 0, 0.5, 0]
    found = _main_direction(differences)
    cosine = found @ direction / np.linalg.norm(found)
    assert cosine > 0.999 and np.linalg.norm(found) == pytest.approx(differences.mean(axis=0) @ direction, rel=0.01)
    assert np.allclose(_main_direction(-differences), -found)


def test_mean_activation(model):
    found = mean_activation(model, TOWARD, **WHO)
    assert np.allclose(found.vector, prompt_states(model, TOWARD, hook_name=HOOK).mean(axis=0))


def test_two_sets_that_do_not_differ(model):
    with pytest.raises(ValueError, match="two sides do not differ"):
        difference_of_means(model, TOWARD, TOWARD, **WHO)


def test_features_write_their_rows(model, prompts, loaded):
    found = feature_vector(loaded, {2: 1.5, 7: -0.5}, name="a", details={"labels": "made up"})
    rows = loaded.sae.W_dec.double().numpy()
    assert np.allclose(found.vector, 1.5 * rows[2] - 0.5 * rows[7])
    assert found.details == {"weights": {"2": 1.5, "7": -0.5}, "labels": "made up"} and found.hook_name == HOOK
    one = feature_vector(loaded, {2: 1.0}, name="a")
    by_vector, by_feature = steered_logits(
        model, prompts, [one.add(strength=3, at="last"), edit_features(loaded, amounts={2: 3}, at="last")]
    )
    assert np.allclose(by_vector, by_feature, atol=ATOL)
    for weights in ({}, {D_SAE: 1.0}):
        with pytest.raises(ValueError, match="expected features with ids"):
            feature_vector(loaded, weights, name="a")
    with pytest.raises(ValueError, match="not zero"):
        feature_vector(loaded, {2: 0.0}, name="a")
    with pytest.raises(ValueError, match="normalize_activations"):
        feature_vector(replace(loaded, sae=make_sae(normalize_activations="layer_norm")), {2: 1.0}, name="a")


def test_a_step_round_a_circle():
    basis = np.array([[1.0, 0, 0, 0], [0, 0, 1.0, 0]])
    quarter = plane_step(basis, start=0, stop=np.pi / 2, radius=2)
    assert np.allclose(quarter, [-2, 0, 2, 0])
    assert np.allclose(plane_step(basis, start=np.pi / 2, stop=0, radius=2), -quarter)
    with pytest.raises(ValueError, match="orthonormal"):
        plane_step(2 * basis, start=0, stop=1)
    with pytest.raises(ValueError, match="one angle to another"):
        plane_step(basis, start=0.5, stop=0.5 + 2 * np.pi)


def test_units_of_strength(vector):
    made = given_vector(vector, **WHO, residual_norm=10.0)
    relative = made.add(strength=0.5, unit="residual_norm")
    assert np.linalg.norm(relative.strength * relative.step) == pytest.approx(5.0)
    assert np.linalg.norm(made.add(strength=3, unit="absolute").step) == pytest.approx(1.0)
    assert np.allclose(made.add().step, vector) and np.allclose(made.project_out().unit, vector / made.norm)
    with pytest.raises(ValueError, match="measure it"):
        given_vector(vector, **WHO).add(unit="residual_norm")


def test_saved_and_read_back(vector, tmp_path):
    made = given_vector(vector, **WHO, method="by hand", residual_norm=3.25, details={"words": ["Monday", "März"]})
    made.save(tmp_path / "v.npz")
    back = SteeringVector.load(tmp_path / "v.npz")
    assert np.array_equal(back.vector, made.vector) and back.vector.dtype == np.float64
    assert {**vars(back), "vector": 0} == {**vars(made), "vector": 0}
    changed = made.changed(2 * vector, method="doubled", details={"by": 2})
    assert changed.details == {"by": 2, "from": {"method": "by hand", "words": ["Monday", "März"]}}


def test_what_cannot_be_read(vector, tmp_path):
    path = tmp_path / "v.npz"
    with pytest.raises(ValueError, match="found no such file"):
        SteeringVector.load(path)
    path.write_bytes(b"PK nothing")
    with pytest.raises(ValueError, match="cannot be read as a steering vector"):
        SteeringVector.load(path)
    np.savez(path, format_version=np.int64(99), vector=vector, told=np.array("{}"))
    with pytest.raises(ValueError, match="newer than"):
        SteeringVector.load(path)
    with pytest.raises(ValueError, match="not zero"):
        given_vector(np.zeros(3), **WHO)
