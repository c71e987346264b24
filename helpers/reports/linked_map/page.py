"""The linked map as one HTML file: styles, scripts and data inside, nothing fetched from anywhere."""

from __future__ import annotations

import re
from html import escape
from pathlib import Path

from helpers.reports.linked_map.content import LinkedMap
from helpers.storage import atomic_file

TEMPLATES = Path(__file__).resolve().parent.parent / "templates"
FOLDER = TEMPLATES / "linked_map"
#: The style of the cards is that of all cards of the suite.
STYLES = (FOLDER / "map.css", TEMPLATES / "cards.css")
#: In the order in which they are joined; later ones use earlier ones.
SCRIPTS = ("data.js", "colours.js", "plot.js", "selection.js", "card.js", "panel.js", "address.js", "main.js")


def linked_map_html(content: LinkedMap) -> str:
    """The page. It inflates its data in the browser, so a file with contexts of 65,536 features stays under 25 MB."""
    page = (FOLDER / "page.html").read_text(encoding="utf-8")
    scripts = "\n".join((FOLDER / name).read_text(encoding="utf-8") for name in SCRIPTS)
    parts = {
        "title": escape(content.title),
        "style": "\n".join(path.read_text(encoding="utf-8") for path in STYLES),
        "script": scripts,
        "points": content.first_paint(),
        "texts": content.texts(),
    }
    # All at once: a title may hold what looks like another place.
    return re.sub(r"\{\{(\w+)\}\}", lambda place: parts[place[1]], page)


def save_linked_map(content: LinkedMap, path: str | Path) -> None:
    """Write the page, atomically."""
    with atomic_file(path) as partial:
        partial.write_text(linked_map_html(content), encoding="utf-8")


def embedded_map(content: LinkedMap, *, height: int = 1080) -> str:
    """The page as a frame for a notebook's output: works in JupyterLab, in Colab and in a rendered page without network.

    Args:
        height: pixels.
    """
    return (
        # Inside a div: IPython takes a bare frame for a link to another page and warns.
        f'<div><iframe title="{escape(content.title)}" style="width: 100%; height: {height}px; border: 0" '
        f'srcdoc="{escape(linked_map_html(content))}"></iframe></div>'
    )
