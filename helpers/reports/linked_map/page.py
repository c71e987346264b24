"""The linked map as one HTML file: styles, scripts and data inside, nothing fetched from anywhere."""

from __future__ import annotations

from html import escape
from pathlib import Path

from helpers.reports.linked_map.content import LinkedMap
from helpers.storage import atomic_file

FOLDER = Path(__file__).resolve().parent.parent / "templates" / "linked_map"
#: In the order in which they are joined; later ones use earlier ones.
SCRIPTS = ("data.js", "colours.js", "plot.js", "selection.js", "panel.js", "address.js", "main.js")


def linked_map_html(content: LinkedMap) -> str:
    """The page. It inflates its data in the browser, so a file with contexts of 65,536 features stays under 25 MB."""
    page = (FOLDER / "page.html").read_text(encoding="utf-8")
    scripts = "\n".join((FOLDER / name).read_text(encoding="utf-8") for name in SCRIPTS)
    parts = {
        "{{title}}": escape(content.title),
        "{{style}}": (FOLDER / "map.css").read_text(encoding="utf-8"),
        "{{script}}": scripts,
        "{{points}}": content.first_paint(),
        "{{texts}}": content.texts(),
    }
    for mark, text in parts.items():
        assert page.count(mark) == 1, mark
        page = page.replace(mark, text)
    return page


def save_linked_map(content: LinkedMap, path: str | Path) -> None:
    """Write the page, atomically."""
    with atomic_file(path) as partial:
        partial.write_text(linked_map_html(content), encoding="utf-8")


def embedded_map(content: LinkedMap, *, height: int = 760) -> str:
    """The page as a frame for a notebook's output: works in JupyterLab, in Colab and in a rendered page without network.

    Args:
        height: pixels.
    """
    return (
        f'<iframe title="{escape(content.title)}" style="width: 100%; height: {height}px; border: 0" '
        f'srcdoc="{escape(linked_map_html(content))}"></iframe>'
    )
