"""The front page of a report, notebook by notebook: the first run in full, what other runs found one click away."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

MOST_ROWS = 8  # longer tables of numbers open on demand


class Page(Protocol):
    """What a section needs to know of one run (helpers.reports.index.StagePage)."""

    stage: str
    run: str
    title: str
    page: str
    result: Mapping[str, Any]
    figures: list[dict[str, str]]
    documents: list[dict[str, str]]


@dataclass(frozen=True)
class Section:
    """One notebook on the front page.

    Args:
        anchor: its name in addresses; title: its first heading.
        cards: headline numbers of the first run; rows: those of the other runs.
        figures: of the first run; more_figures: of the other runs; runs: names of the runs that these are from.
        documents: pages to explore, of all runs.
    """

    anchor: str
    title: str
    cards: list[dict[str, str]] = field(default_factory=list)
    rows: list[dict[str, str]] = field(default_factory=list)
    figures: list[dict[str, str]] = field(default_factory=list)
    more_figures: list[dict[str, str]] = field(default_factory=list)
    runs: list[str] = field(default_factory=list)
    documents: list[dict[str, str]] = field(default_factory=list)

    @property
    def rows_open(self) -> bool:
        """Whether the other runs' numbers are few enough to be shown at once."""
        return len(self.rows) <= MOST_ROWS


def sections(pages: Sequence[Page]) -> list[Section]:
    """One section for every notebook with something to show, in the order of the pages.

    The first run with numbers or figures is the one that is shown in full.
    """
    found: dict[str, Section] = {}
    for page in pages:
        numbers = [{**number, "page": page.page, "run": page.run} for number in headline_numbers(page.result)]
        figures = [{**figure, "page": page.page, "run": page.run} for figure in page.figures]
        documents = [{**document, "run": page.run} for document in page.documents]
        if not (numbers or figures or documents):
            continue
        if page.stage not in found:
            found[page.stage] = Section(page.stage, page.title, numbers, [], figures, [], [], documents)
            continue
        section = found[page.stage]
        section.rows.extend(numbers)
        section.more_figures.extend(figures)
        section.runs.extend([page.run] if figures else [])
        section.documents.extend(documents)
    return list(found.values())


@dataclass(frozen=True)
class Warned:
    """A warning of a run: its text, its page, and the other runs that rest on it."""

    name: str
    text: str
    page: str
    resting: list[str]


def warnings_of(pages: Sequence[Page]) -> list[Warned]:
    """Every warning once, in the order of the pages that carry it."""
    texts: dict[str, str] = {}
    carriers: dict[str, list[str]] = {}
    own = {f"{page.stage}/{page.run}": page.page for page in pages}
    for page in pages:
        for origin, text in (page.result.get("warnings") or {}).items():
            texts[origin] = str(text)
            carriers.setdefault(origin, []).append(f"{page.stage}/{page.run}")
    return [
        Warned(origin, text, own.get(origin, ""), [name for name in carriers[origin] if name != origin])
        for origin, text in texts.items()
    ]


def headline_numbers(result: Mapping[str, Any]) -> list[dict[str, str]]:
    """The headline numbers of a run: label, value, detail, and which runs they rest on that a warning is about."""
    values = result.get("headline") or []
    return [
        {key: str(value.get(key) or "") for key in ("label", "value", "detail")}
        | {"warning": ", ".join(result.get("warnings") or ())}
        for value in values
        if isinstance(value, Mapping)
    ]
