"""Parameters of 13_steering and 14_steering_transfer: what makes no sense is refused."""

import pytest
from pydantic import ValidationError

from helpers.params import SteeringParams, SteeringTransferParams

NEEDED = {"activations": "main", "dictionary": "a"}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"task_names": ["he_to_she"]}, "shown must be one of task_names"),
        ({"task_names": ["weekday_to_month"] * 2}, "task_names must differ"),
        ({"strengths": [0.5, 0.0]}, "strengths must differ and be above 0"),
        ({"strengths": [0.5, 0.5]}, "strengths must differ and be above 0"),
        ({"strengths": []}, "strengths"),
        ({"at": "new"}, "at"),
        ({"min_kept": 1.1}, "min_kept"),
        ({"n_baselines": 0}, "n_baselines"),
        ({"n_new": 1}, "n_new"),
        ({"min_success": -0.1}, "min_success"),
        ({"n_resamples": 99}, "n_resamples"),
        ({"dictionary": ""}, "dictionary"),
        ({"strenghts": [0.5]}, "strenghts"),
    ],
)
def test_values_that_make_no_sense_are_refused(changes, message):
    with pytest.raises(ValidationError, match=message):
        SteeringParams(**(NEEDED | changes))


def test_the_defaults_are_a_valid_choice():
    assert SteeringParams(**NEEDED).shown == "weekday_to_month"


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"strengths": [0.5, -0.5]}, "strengths must differ and be above 0"),
        ({"strengths": [0.5, 0.5]}, "strengths must differ and be above 0"),
        ({"strengths": []}, "strengths"),
        ({"matching": ""}, "matching"),
        ({"removal_tasks": {"weekdays": "weekday_to_month"}}, "removal_tasks"),
        ({"min_corr": 1.5}, "min_corr"),
        ({"min_success": 0.0}, "min_success"),
        ({"n_tokens": 999}, "n_tokens"),
        ({"n_folds": 1}, "n_folds"),
        ({"max_layers": 0}, "max_layers"),
        *[
            ({name: 0}, name)
            for name in ("n_features", "n_pursued", "n_runs", "n_shuffles", "n_random", "n_removed", "n_shown")
        ],
        ({"n_removal_runs": 0}, "n_removal_runs"),
        ({"n_layers": 2}, "n_layers"),
    ],
)
def test_a_transfer_that_makes_no_sense_is_refused(changes, message):
    assert SteeringTransferParams(matching="main").strengths
    with pytest.raises(ValidationError, match=message):
        SteeringTransferParams(**({"matching": "main"} | changes))
