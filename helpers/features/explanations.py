"""Labels by others: export features for a language model to label, import its answer, import Neuronpedia's explanations.

An import is checked as a whole before anything is taken from it; the table that it is for does not change
(`FeatureTable.with_labels` makes a new one). A file that is refused is refused with all of its faults at once.

**Export.** One JSON object:

    {"format": "feature-geometry features", "format_version": 1, "task": what to do, in words,
     "d_sae": 4096, "tokens_fingerprint": "...", "fingerprint": "...",
     "features": [{"id": 17, "density": 0.0021, "max_activation": 8.25, "words": ["king", "king", "queen"],
                   "contexts": [{"before": "the old", "token": " king", "after": " slept", "activation": 8.25}]}]}

The feature fires on `token`; `before` and `after` are there to be read. `activation` is in the dictionary's own units.

**Answer.** One JSON object that repeats the three lines that tell what was labelled:

    {"d_sae": 4096, "tokens_fingerprint": "...", "fingerprint": "...", "explained_by": "name of the labeller",
     "explanations": [{"id": 17, "label": "kings and queens"}]}

**Neuronpedia.** A list of {"modelId", "layer", "index", "description", ...}, as its explanation export gives it
(https://www.neuronpedia.org/api-doc, explanation export); `index` is the feature, and one feature may have several.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from helpers.features.contexts import Context, context_texts
from helpers.features.feature_table import FeatureTable
from helpers.storage import atomic_file, project_path, read_json

if TYPE_CHECKING:
    from helpers.corpus import TokenBatch

FORMAT, FORMAT_VERSION = "feature-geometry features", 1
_TASK = (
    "For every feature say in at most eight words what its tokens have in common. The feature fires on `token`; "
    "`before` and `after` are its context. Answer with one JSON object that repeats d_sae, tokens_fingerprint and "
    'fingerprint and holds "explained_by" (your name) and "explanations": [{"id": ..., "label": "..."}], one a feature.'
)
_FEATURES_AT_ONCE = 1 << 16  # whose contexts are held at once
_IDENTITY = ("d_sae", "tokens_fingerprint", "fingerprint")
_WIDTH_IN_LAYER = re.compile(r"[-_](\d+)([km])(?=[-_]|$)|[-_]fs(\d+)(?=[-_]|$)", re.IGNORECASE)


@dataclass(frozen=True, eq=False)
class Explanations:
    """Texts about features, of one source.

    Shapes:
        missing: (n_missing,) int64, features that are not dead and have no text; they keep the label that they have.
    Args:
        texts: feature -> its texts, in the order of the file.
        source: where they come from.
    """

    texts: Mapping[int, tuple[str, ...]]
    source: str
    missing: np.ndarray

    def labels(self) -> dict[int, str]:
        """Feature -> its first text."""
        return {feature: texts[0] for feature, texts in self.texts.items()}

    def label(self, table: FeatureTable) -> FeatureTable:
        """The table with these labels."""
        return table.with_labels(self.labels(), source=self.source)


def export_features(
    path: str | Path,
    table: FeatureTable,
    tokens: TokenBatch,
    tokenizer: Any,
    *,
    features: Iterable[int] | None = None,
    before: int = 16,
    after: int = 8,
) -> None:
    """Write features with their contexts as JSON for a language model to label (the format is told above).

    Args:
        table: the features; tokens: the token batch of their store.
        features: which; None takes all that are not dead.
        before, after: tokens of context on either side.
    Raises:
        ValueError: the batch is not the table's; a feature that is not in the dictionary.
    """
    if table.tokens_fingerprint and tokens.fingerprint() != table.tokens_fingerprint:
        raise ValueError("the tokens are not those that the features were described on; pass the batch of the store")
    chosen = np.flatnonzero(~table.dead) if features is None else np.asarray(list(features), dtype=np.int64)
    if chosen.size and not 0 <= chosen.min() <= chosen.max() < table.d_sae:
        raise ValueError(f"features must be in [0, {table.d_sae}); got {chosen.min()} to {chosen.max()}")
    head = {"format": FORMAT, "format_version": FORMAT_VERSION, "task": _TASK} | _identity(table)
    opening = json.dumps(head, indent=2, allow_nan=False, ensure_ascii=False).removesuffix("\n}")
    with atomic_file(path) as partial, partial.open("w", encoding="utf-8") as file:
        file.write(opening + ',\n  "features": [')
        for start in range(0, len(chosen), _FEATURES_AT_ONCE):
            some = chosen[start : start + _FEATURES_AT_ONCE]
            contexts = context_texts(tokens, table.examples.rows[some].ravel(), tokenizer, before=before, after=after)
            for number, feature in enumerate(some.tolist()):
                mine = contexts[number * table.n_examples : (number + 1) * table.n_examples]
                # A line a feature: the encoder that indents is many times slower.
                text = json.dumps(_described(table, feature, mine), allow_nan=False, ensure_ascii=False)
                file.write(("," if start or number else "") + "\n    " + text)
        file.write("\n  ]\n}\n")


def _described(table: FeatureTable, feature: int, contexts: Iterable[Context | None]) -> dict[str, Any]:
    """One feature of the export."""
    values = table.examples.values[feature].tolist()
    return {
        "id": feature,
        "density": float(table.density[feature]),
        "max_activation": float(table.max_activation[feature]),
        "words": table.example_words(feature),
        "contexts": [
            {"before": text.before, "token": text.token, "after": text.after, "activation": value}
            for text, value in zip(contexts, values, strict=True)
            if text is not None
        ],
    }


def read_explanations(path: str | Path, table: FeatureTable) -> Explanations:
    """Read a file of labels, whichever of the two kinds it is.

    Args:
        path: relative to the project; an object is an answer to our export, a list is Neuronpedia's.
    Raises:
        ValueError: as `read_answer` and `read_neuronpedia`.
    """
    path = project_path(path)
    content = _json(path)
    ours = isinstance(content, dict) and "fingerprint" in content
    return read_answer(path, table) if ours else read_neuronpedia(path, table)


def read_answer(path: str | Path, table: FeatureTable) -> Explanations:
    """Read and check a labeller's answer to `export_features`.

    Raises:
        ValueError: not such an answer; labels for another width, other tokens or another dictionary; features that the
            dictionary does not have, named twice, or with an empty label (all of these in one message).
    """
    content = _json(path)
    if not isinstance(content, dict) or not isinstance(content.get("explanations"), list):
        raise ValueError(f'{path}: expected a JSON object with a list "explanations"; see this module')  # noqa: TRY004 (a fault of the data)
    expected = _identity(table)
    for name in _IDENTITY:
        if content.get(name) != expected[name]:
            what = {"d_sae": "a dictionary of another width", "tokens_fingerprint": "other tokens"}
            raise ValueError(
                f"{path} labels {what.get(name, 'another dictionary')}: its {name} is {content.get(name)!r}, "
                f"this one's is {expected[name]!r}; export this dictionary and label it anew"
            )
    pairs = [_entry(path, number, entry, "id", "label") for number, entry in enumerate(content["explanations"])]
    faults = _faults(pairs, table.d_sae)
    if faults:
        raise ValueError(f"{path} cannot be used: {'; '.join(faults)}; correct the file and read it again")
    texts = {feature: (text,) for feature, text in pairs}
    return Explanations(texts, str(content.get("explained_by") or Path(path).stem), _missing(texts, table))


def read_neuronpedia(path: str | Path, table: FeatureTable, *, layer: str | None = None) -> Explanations:
    """Read explanations that Neuronpedia exports.

    Args:
        layer: which layer's entries to take, e.g. "8-res-jb"; None: the file must hold one only.
    Raises:
        ValueError: not such a file; several models or layers and none chosen; explanations of another width.
    Notes:
        The file does not state the dictionary's width. It is refused if its layer names another one ("...-res-16k"), or
        if it explains a feature that the dictionary does not have. Of a smaller dictionary's file whose layer names no
        width nothing tells; look at `missing`.
    """
    content = _json(path)
    entries = content.get("explanations") if isinstance(content, dict) else content
    if not isinstance(entries, list):
        raise ValueError(f"{path}: expected Neuronpedia's list of explanations; got {type(content).__name__}")  # noqa: TRY004 (a fault of the data)
    pairs = [_entry(path, number, entry, "index", "description") for number, entry in enumerate(entries)]
    places = [(str(entry.get("modelId", "")), str(entry.get("layer", ""))) for entry in entries]
    chosen = sorted({place for place in places if layer is None or place[1] == layer})
    if len(chosen) != 1:
        found = ", ".join(f"{model} {name}" for model, name in sorted(set(places))) or "nothing"
        raise ValueError(f"{path}: expected explanations of one layer; found {found}; name one with `layer`")
    pairs = [pair for pair, place in zip(pairs, places, strict=True) if place == chosen[0]]
    _check_width(path, pairs, chosen[0][1], table.d_sae)
    texts: dict[int, tuple[str, ...]] = {}
    for feature, text in pairs:
        if text and text not in texts.get(feature, ()):
            texts[feature] = (*texts.get(feature, ()), text)
    return Explanations(texts, f"Neuronpedia {' '.join(chosen[0])}", _missing(texts, table))


def _identity(table: FeatureTable) -> dict[str, Any]:
    found = (table.d_sae, table.tokens_fingerprint, table.fingerprint())
    return dict(zip(_IDENTITY, found, strict=True))


def _json(path: str | Path) -> Any:
    if not Path(path).is_file():
        raise ValueError(f"expected explanations in {path}, found no such file")
    try:
        return read_json(path)
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise ValueError(f"{path} is not JSON ({error}); was it cut short?") from error


def _entry(path: str | Path, number: int, entry: Any, id_key: str, text_key: str) -> tuple[int, str]:
    """(feature, text) of one entry; Neuronpedia writes the feature as a string."""
    feature = entry.get(id_key) if isinstance(entry, dict) else None
    text = entry.get(text_key) if isinstance(entry, dict) else None
    if isinstance(feature, str) and feature.isdecimal():
        feature = int(feature)
    if not isinstance(feature, int) or isinstance(feature, bool) or not isinstance(text, str):
        raise ValueError(  # noqa: TRY004 (a fault of the data)
            f'{path}: entry {number} should hold "{id_key}" (a feature) and "{text_key}" (a text); got {str(entry)[:80]}'
        )
    return feature, text.strip()


def _faults(pairs: list[tuple[int, str]], d_sae: int) -> list[str]:
    counts = Counter(feature for feature, _ in pairs)
    groups = {
        f"not in this dictionary of {d_sae} features": [feature for feature in counts if not 0 <= feature < d_sae],
        "named more than once": [feature for feature, count in counts.items() if count > 1],
        "without a label": sorted({feature for feature, text in pairs if not text}),
    }
    return [
        f"{len(features)} features {name} ({', '.join(map(str, sorted(features)[:5]))}{', ...' * (len(features) > 5)})"
        for name, features in groups.items()
        if features
    ]


def _missing(texts: Mapping[int, tuple[str, ...]], table: FeatureTable) -> np.ndarray:
    return np.setdiff1d(np.flatnonzero(~table.dead), np.array(list(texts), dtype=np.int64))


def _check_width(path: str | Path, pairs: list[tuple[int, str]], layer: str, d_sae: int) -> None:
    remedy = "find the export of the dictionary that was loaded"
    if match := _WIDTH_IN_LAYER.search(layer):
        number, unit, exact = match.groups()
        powers = {"k": (1000, 1024), "m": (1000**2, 1024**2)}
        # "16k" is 16,384, "65k" is 65,536 and "128k" is 131,072.
        told = {d_sae} if exact else {d_sae // power for power in powers[unit.lower()]}
        if int(exact or number) not in told:
            width = exact or number + unit
            raise ValueError(f"{path} explains a dictionary of width {width} ({layer}), this one has {d_sae}; {remedy}")
    largest = max((feature for feature, _ in pairs), default=0)
    if largest >= d_sae:
        raise ValueError(
            f"{path} explains feature {largest}, so its dictionary has a width of at least {largest + 1}; "
            f"this one has {d_sae}; {remedy}"
        )
