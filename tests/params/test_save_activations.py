"""Parameters of 03_save_activations: what makes no sense is refused."""

import pytest
from pydantic import ValidationError

from helpers.params import SaveActivationsParams

GOOD = {"dictionaries": ["a", "b"], "corpus": {"kind": "story_world"}}


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"dictionaries": ["a", "a"]}, "dictionaries must differ"),
        (
            {"explanations": {"c": "labels.json"}},
            r"explanations are for dictionaries of this run, \['a', 'b'\]; got \['c'\]",
        ),
        ({"max_samples": 0}, "max_samples"),
        ({"n_tokens": 1}, "n_tokens"),
    ],
)
def test_values_that_make_no_sense_are_refused(changed, message):
    with pytest.raises(ValidationError, match=message):
        SaveActivationsParams(**(GOOD | changed))
