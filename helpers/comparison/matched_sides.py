"""The two sides of a matching: stores whose row i is the same text, and what is needed to read them.

Dictionaries of one run of notebook 03 share its tokens. Where two runs have different tokens, because their models have
different tokenizers or because they took other parts of the same texts, both stores are pooled into the units that the
tokens have in common, and whoever reads the sides reads units as tokens.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from helpers.activations import ActivationStore, share_rows
from helpers.corpus import Corpus, TokenBatch, load_tokenizer, open_corpus, tokenizer_fingerprint
from helpers.features import TopExamples, top_examples
from helpers.models import ModelReference
from helpers.params import SaveActivationsParams
from helpers.storage import read_json, write_json

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

#: What a run of 04_match_features leaves if its sides were aligned: a folder with all that `MatchedSides` has.
UNITS = "units"
_REPORT, _TOKENS, _TOKENIZER = "alignment.json", "tokens", "tokenizer"
SIDES = ("a", "b")


class Result(Protocol):
    """What an earlier notebook left (helpers.results.StageResult)."""

    @property
    def params(self) -> Mapping[str, Any]: ...  # pragma: no cover

    @property
    def artifacts(self) -> Mapping[str, Any]: ...  # pragma: no cover

    def artifact(self, name: str) -> Path: ...  # pragma: no cover


Read = Callable[[str, str], Result]


@dataclass(frozen=True, eq=False)
class MatchedSides:
    """Two stores with the same rows.

    Args:
        names: of the two dictionaries.
        store_a, store_b: row i of both is the i-th kept token of `tokens`.
        tokens: tokens of the texts, or units; tokenizer: decodes their ids.
        examples: of a and of b, the tokens on which every feature fires most.
        corpus: the texts.
        alignment: `AlignedRows.report`, if the rows are units; None if they are tokens.
    """

    names: tuple[str, str]
    store_a: ActivationStore
    store_b: ActivationStore
    tokens: TokenBatch
    tokenizer: PreTrainedTokenizerBase
    examples: tuple[TopExamples, TopExamples]
    corpus: Corpus
    alignment: Mapping[str, float] | None


def open_sides(read: Read, matching: Mapping[str, Any], *, folder: str | Path) -> MatchedSides:
    """Open the two sides that a matching is to be made of, on the same rows.

    Args:
        read: gives the result of a notebook's run, e.g. `stage.upstream`.
        matching: parameters of 04_match_features.
        folder: where aligned sides are written; nothing is, if both runs have the same tokens.
    Raises:
        ValueError: a run does not hold its dictionary; tokens of another tokenizer than the model's; the runs' tokens
            cannot be aligned (other texts, no document in common, saved without their places: `align_rows`); stores
            that cannot be pooled.
    """
    side_a, side_b = (_side(read, matching, side) for side in SIDES)
    shared = share_rows(
        side_a.store,
        side_b.store,
        tokens_a=side_a.tokens,
        tokens_b=side_b.tokens,
        tokenizer_a=side_a.tokenizer,
        tokenizer_b=side_b.tokenizer,
        folder=folder,
    )
    if shared.alignment is None:
        return _token_sides(side_a, side_b)
    n_examples = side_a.examples.n_examples
    sides = MatchedSides(
        names=(side_a.name, side_b.name),
        store_a=shared.store_a,
        store_b=shared.store_b,
        tokens=shared.tokens,
        tokenizer=shared.tokenizer,
        examples=_both(top_examples(store, n_examples=n_examples) for store in (shared.store_a, shared.store_b)),
        corpus=side_a.corpus,
        alignment=shared.alignment.report(),
    )
    _save_units(sides, Path(folder))
    return sides


def load_sides(read: Read, run: str) -> MatchedSides:
    """The sides of a finished run of 04_match_features.

    Raises:
        ValueError: something that the run rests on, or has left, is gone or altered.
    """
    matching = read("04_match_features", run)
    if UNITS not in matching.artifacts:
        side_a, side_b = (_side(read, matching.params, side) for side in SIDES)
        if side_a.tokens.fingerprint() != side_b.tokens.fingerprint():
            raise ValueError(
                f"04_match_features/{run} rests on runs of 03_save_activations whose tokens have become different since; "
                f"run 04_match_features with run='{run}' again"
            )
        return _token_sides(side_a, side_b)
    folder = matching.artifact(UNITS)
    store_a, store_b = (ActivationStore.open(folder / side) for side in SIDES)
    return MatchedSides(
        names=_names(matching.params),
        store_a=store_a,
        store_b=store_b,
        tokens=TokenBatch.load(folder / _TOKENS),
        tokenizer=load_tokenizer(folder / _TOKENIZER),
        examples=_both(TopExamples.load(_examples_path(folder, side)) for side in SIDES),
        corpus=_corpus(read("03_save_activations", matching.params["activations"])),
        alignment=read_json(folder / _REPORT),
    )


def load_matched_stores(read: Read, run: str) -> tuple[ActivationStore, ActivationStore]:
    """The stores that a finished run of 04_match_features matched, row for row; its models are not needed.

    Raises:
        ValueError: as `load_sides`.
    """
    matching = read("04_match_features", run)
    if UNITS in matching.artifacts:
        folder = matching.artifact(UNITS)
        paths = [folder / side for side in SIDES]
    else:
        sources = [_source(read, matching.params, side) for side in SIDES]
        paths = [
            source.artifact(f"store_{name}") for source, name in zip(sources, _names(matching.params), strict=True)
        ]
    return ActivationStore.open(paths[0]), ActivationStore.open(paths[1])


@dataclass(frozen=True, eq=False)
class _Side:
    """One dictionary, as its run of 03_save_activations left it."""

    name: str
    store: ActivationStore
    tokens: TokenBatch
    tokenizer: PreTrainedTokenizerBase
    examples: TopExamples
    corpus: Corpus


def _token_sides(side_a: _Side, side_b: _Side) -> MatchedSides:
    """Both sides as they are, with the same tokens."""
    return MatchedSides(
        names=(side_a.name, side_b.name),
        store_a=side_a.store,
        store_b=side_b.store,
        tokens=side_a.tokens,
        tokenizer=side_a.tokenizer,
        examples=(side_a.examples, side_b.examples),
        corpus=side_a.corpus,
        alignment=None,
    )


def _both(examples: Iterable[TopExamples]) -> tuple[TopExamples, TopExamples]:
    examples_a, examples_b = examples
    return examples_a, examples_b


def _side(read: Read, matching: Mapping[str, Any], side: str) -> _Side:
    run, name = _run(matching, side), matching[f"dictionary_{side}"]
    source = _source(read, matching, side)
    model = read("02_train_saes", name).params["model"]
    tokenizer = ModelReference.load(read("01_language_models", model).artifact("model")).load_tokenizer()
    tokens = TokenBatch.load(source.artifact("tokens"))
    if tokenizer_fingerprint(tokenizer) != tokens.tokenizer_fingerprint:
        raise ValueError(
            f"the tokens of 03_save_activations/{run} were made by another tokenizer than that of model '{model}', whose "
            f"dictionary '{name}' is; run 03_save_activations with run='{run}' again"
        )
    return _Side(
        name=name,
        store=ActivationStore.open(source.artifact(f"store_{name}")),
        tokens=tokens,
        tokenizer=tokenizer,
        examples=TopExamples.load(source.artifact(f"examples_{name}")),
        corpus=_corpus(source),
    )


def _source(read: Read, matching: Mapping[str, Any], side: str) -> Result:
    """The run of 03_save_activations that holds a side's dictionary."""
    run, name = _run(matching, side), matching[f"dictionary_{side}"]
    source = read("03_save_activations", run)
    if f"store_{name}" not in source.artifacts:
        held = ", ".join(item.removeprefix("store_") for item in source.artifacts if item.startswith("store_"))
        raise ValueError(
            f"dictionary_{side} '{name}' is not in 03_save_activations/{run}, which has {held or 'none'}; name another "
            f"dictionary, or the run that holds it in activations{'_b' if side == 'b' else ''}"
        )
    return source


def _run(matching: Mapping[str, Any], side: str) -> str:
    return (matching.get("activations_b") if side == "b" else None) or matching["activations"]


def _names(matching: Mapping[str, Any]) -> tuple[str, str]:
    return matching["dictionary_a"], matching["dictionary_b"]


def _corpus(source: Result) -> Corpus:
    return open_corpus(SaveActivationsParams(**source.params).corpus)


def _examples_path(folder: Path, side: str) -> Path:
    return folder / f"examples_{side}.npz"


def _save_units(sides: MatchedSides, folder: Path) -> None:
    """Add to the pooled stores what `load_sides` needs."""
    sides.tokens.save(folder / _TOKENS)
    sides.tokenizer.save_pretrained(folder / _TOKENIZER)
    for side, examples in zip(SIDES, sides.examples, strict=True):
        examples.save(_examples_path(folder, side))
    write_json(folder / _REPORT, sides.alignment)
