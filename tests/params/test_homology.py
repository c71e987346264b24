"""Parameters of notebook 10."""

import pytest
from pydantic import ValidationError

from helpers.params import HomologyParams


def test_an_alpha_that_no_p_value_can_reach_is_refused():
    assert HomologyParams(matching="main", n_runs=19, alpha=0.05).n_runs == 19
    with pytest.raises(ValidationError, match="alpha 0.01 cannot be reached with n_runs=50"):
        HomologyParams(matching="main", n_runs=50, alpha=0.01)


def test_groups_must_differ():
    with pytest.raises(ValidationError, match="groups must differ"):
        HomologyParams(matching="main", groups=["weekdays", "weekdays"])
