"""Each feature's group: by most hits, and the narrower group where words overlap."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np

from helpers.features import feature_groups
from helpers.features.concept_groups import ConceptGroup, ConceptGroups

WORDS = ("Monday", "Friday", "March", "dog", "talking")
GROUPS = ConceptGroups(
    (
        ConceptGroup("calendar", ("Monday", "Friday", "March", "year"), overlaps=("weekdays",)),
        ConceptGroup("weekdays", ("Monday", "Friday")),
        ConceptGroup("animals", ("dog", "cat")),
        ConceptGroup("kings", ("king",)),
    )
)


def table(*rows: tuple[str, ...]) -> SimpleNamespace:
    numbers = [[WORDS.index(word) if word else -1 for word in row] for row in rows]
    return SimpleNamespace(top_words=np.array(numbers, dtype=np.int32), words=WORDS, d_sae=len(rows))


def test_most_hits_win_and_of_equals_the_narrower_group():
    found = feature_groups(
        table(
            ("Monday", "Friday", "Monday", "dog", ""),  # three hits for both: weekdays is the narrower
            ("Monday", "Friday", "March", "March", ""),  # four for calendar, two for weekdays
            ("dog", "dog", "dog", "Monday", "Monday"),
            ("dog", "dog", "Monday", "talking", "talking"),  # two hits are noise
            ("talking", "talking", "talking", "talking", "talking"),  # "king" is not in it
            ("", "", "", "", ""),
        ),
        GROUPS,
    )
    assert found == ["weekdays", "calendar", "animals", "", "", ""]


def test_fewer_hits_may_be_enough():
    assert feature_groups(table(("dog", "dog", "Monday", "", "")), GROUPS, min_hits=2) == ["animals"]
