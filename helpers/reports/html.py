"""An executed notebook as one HTML page that reads well and needs no network: prose first, code folded."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path
from typing import Any

import nbformat
from nbconvert import HTMLExporter
from pygments.formatters import HtmlFormatter
from traitlets.config import Config

from helpers.storage import atomic_file

TEMPLATES = Path(__file__).parent / "templates"
#: Lines that a progress bar draws: "Training:  45%|####", or "12.3k tokens [00:05, 2.4k tokens/s]".
PROGRESS_LINE = re.compile(r"\d+\s?%\s*\||\[\d+:\d+[<,].*\]\s*$|^\s*$")


@dataclass(frozen=True)
class PageLink:
    """A link of the bar at the top of a page; without `href` it is plain text (where the reader is)."""

    text: str
    href: str | None = None


def stylesheet() -> str:
    """The styles of all pages, with code highlighting for light and dark."""
    return f"{(TEMPLATES / 'style.css').read_text(encoding='utf-8')}\n{_highlighting()}"


@cache
def _highlighting() -> str:
    light = HtmlFormatter(style="default", nobackground=True).get_style_defs(".highlight")
    dark = HtmlFormatter(style="github-dark", nobackground=True).get_style_defs(".highlight")
    return f"{light}\n@media (prefers-color-scheme: dark) {{\n{dark}\n}}"


def without_progress(text: str) -> str:
    """What a terminal would still show after progress bars were redrawn, without the bars themselves."""
    shown = (line.rsplit("\r", 1)[-1] for line in text.replace("\r\n", "\n").rstrip("\r").split("\n"))
    return "\n".join(line for line in shown if not PROGRESS_LINE.search(line)).strip("\n")


def wrap_tables(html: str) -> str:
    """Give every table its own horizontal scroll, so that a wide one does not widen the page."""
    return html.replace("<table", '<div class="scroll"><table').replace("</table>", "</table></div>")


def notebook_failure(notebook: Any) -> str | None:
    """The first error of an executed notebook as one line, or None."""
    for cell in notebook.cells:
        for output in cell.get("outputs", []):
            if output.output_type == "error":
                return f"{output.ename}: {output.evalue}".splitlines()[0]
    return None


def read_notebook(path: str | Path) -> Any:
    """Read a notebook file.

    Raises:
        ValueError: the file is missing or no notebook.
    """
    try:
        return nbformat.read(path, as_version=4)
    except (OSError, ValueError, AttributeError, nbformat.ValidationError) as error:
        raise ValueError(f"{path} cannot be read as a notebook ({error}); execute it again") from error


def notebook_title(notebook: Any, default: str) -> str:
    """The first heading of the notebook's prose, without the stars of emphasis."""
    for cell in notebook.cells:
        heading = re.search(r"^#\s+(.+)$", cell.source, flags=re.MULTILINE) if cell.cell_type == "markdown" else None
        if heading:
            return heading.group(1).strip().replace("*", "")
    return default


def notebook_html(notebook: Any, *, title: str, links: Sequence[PageLink] = ()) -> str:
    """The page of an executed notebook.

    Args:
        notebook: nbformat node.
        title: of the browser tab.
        links: bar at the top; none without links.
    """
    exporter = HTMLExporter(
        template_name="notebook",
        extra_template_basedirs=[str(TEMPLATES)],
        filters={"without_progress": without_progress, "wrap_tables": wrap_tables},
        config=Config({"CSSHTMLHeaderPreprocessor": {"enabled": False}, "TagRemovePreprocessor": _hidden_cells()}),
    )
    page = {
        "title": title,
        "css": stylesheet(),
        "links": [asdict(link) for link in links],
        "failure": notebook_failure(notebook),
    }
    body, _ = exporter.from_notebook_node(notebook, resources={"page": page})
    return body


def _hidden_cells() -> dict[str, Any]:
    # papermill marks its own cells; the injected parameters stay, the banner about a failure is ours to draw.
    return {"enabled": True, "remove_cell_tags": {"papermill-error-cell-tag"}}


def render_notebook(
    notebook: str | Path, html: str | Path, *, title: str | None = None, links: Sequence[PageLink] | None = None
) -> Path:
    """Render an executed notebook of a run to one self-contained HTML file, atomically.

    Args:
        notebook: runs/<study>/<stage>/<run>/executed.ipynb.
        html: where to write.
        title: of the page; by default the notebook's first heading.
        links: bar at the top; by default the way back to the study's report and the place of the page.
    Returns:
        The path written.
    Raises:
        ValueError: the notebook cannot be read.
    """
    html = Path(html)
    node = read_notebook(notebook)
    place = f"{html.parent.parent.name} / {html.parent.name}"
    if links is None:
        links = (PageLink("Report", "../../report/index.html"), PageLink(place))
    body = notebook_html(node, title=title or notebook_title(node, place), links=links)
    with atomic_file(html) as partial:
        partial.write_text(body, encoding="utf-8")
    return html
