"""Parameters of 18_feature_effects: what makes no sense is refused."""

import pytest

from helpers.params import FeatureEffectsParams


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"ceiling": "main"}, "ceiling must be another run"),
        ({"strengths": [0.2, 0.2]}, "strengths must differ and be above 0"),
        ({"strengths": [0.0]}, "strengths must differ and be above 0"),
        ({"shifts": [0, 1]}, "shifts must differ and be at least 1"),
        ({"shifts": [2, 2]}, "shifts must differ and be at least 1"),
        ({"place_tasks": {"weekdays": "weekday_to_month"}}, "place_tasks"),
        ({"n_pairs": 3}, "n_pairs"),
    ],
)
def test_what_makes_no_sense_is_refused(change, message):
    with pytest.raises(ValueError, match=message):
        FeatureEffectsParams(matching="main", **change)


def test_ceiling_and_circles_need_not_be_named():
    params = FeatureEffectsParams(matching="main")
    assert params.ceiling == params.circles == ""
