"""A linked map in a browser, with the questions that tests ask of it."""

from __future__ import annotations

from pathlib import Path

from helpers.reports.linked_map import LinkedMap, save_linked_map
from tests.browser.chromium import Page

READY = "document.documentElement?.dataset.ready === 'yes'"


class MapPage:
    """An open map; `app` is its state."""

    def __init__(self, page: Page, address: str):
        self.page = page
        self.address = address
        self.load(address)

    @classmethod
    def of(cls, page: Page, content: LinkedMap, folder: Path) -> MapPage:
        """Save the map and open the file."""
        save_linked_map(content, folder / "map.html")
        return cls(page, (folder / "map.html").as_uri())

    def load(self, address: str) -> None:
        self.page.load(address, ready=READY)
        self.run("linkedMap.then(app => { window.app = app; })")

    def run(self, script: str):
        """The value of a script."""
        return self.page.run(script)

    def reset(self) -> None:
        """As after opening, without opening it again."""
        self.page.mouse("mouseMoved", 2, 2)
        self.page.errors.clear()
        self.run(
            "app.whole(); app.setMode(app.firstMode); app.setTool('pan'); setTheme('light'); app.restyle();"
            "app.sort = {column: 0, descending: true}; document.activeElement.blur();"
            "document.getElementById('colour').value = app.firstMode; window.scrollTo(0, 0);"
        )

    def point(self, s: int, i: int) -> tuple[float, float]:
        """Where a point is in the window."""
        x, y = self.run(
            f"(() => {{ const p = app.plots[{s}], b = p.top.getBoundingClientRect();"
            f"const [x, y] = p.toScreen(p.side.x[{i}], p.side.y[{i}]); return [b.left + x, b.top + y]; }})()"
        )
        return x, y

    def hover(self, s: int, i: int) -> None:
        self.page.mouse("mouseMoved", *self.point(s, i))

    def click(self, s: int, i: int) -> None:
        self.page.click(*self.point(s, i))

    def press(self, selector: str) -> None:
        """Click an element of the page with the mouse, scrolled to where it can be seen."""
        box = self.run(
            f"(() => {{ const node = document.querySelector({selector!r}); node.scrollIntoView({{block: 'center'}});"
            "const b = node.getBoundingClientRect(); return [b.left + b.width / 2, b.top + b.height / 2]; })()"
        )
        self.page.click(*box)

    def type(self, text: str) -> None:
        """Into what has the focus."""
        self.page.call("Input.insertText", text=text)

    @property
    def cards(self) -> list[str]:
        """Text of every card, in the order of the page; the map of a card is its first word."""
        return self.run("[...document.querySelectorAll('#card .fc')].map(card => card.innerText.replace(/\\s+/g, ' '))")

    @property
    def rows(self) -> list[list[str]]:
        """Cells of the table."""
        return self.run(
            "[...document.querySelectorAll('#table tbody tr')].map(r => [...r.cells].map(c => c.innerText))"
        )

    def lit(self, s: int) -> list[int]:
        """Points of a map with a ring around them: ink on the upper canvas nine pixels from the point, all around."""
        return self.run(
            f"(() => {{ const p = app.plots[{s}], pen = p.top.getContext('2d'); const ink = (x, y) => pen.getImageData(Math.round(x * p.ratio), Math.round(y * p.ratio), 1, 1).data[3] > 0;"
            "return [...Array(p.side.n).keys()].filter(i => { const [x, y] = p.toScreen(p.side.x[i], p.side.y[i]); return [[9, 0], [-9, 0], [0, 9], [0, -9]].every(([dx, dy]) => ink(x + dx, y + dy)); }); })()"
        )

    def stands_out(self, s: int) -> list[int]:
        """Points that are not drawn faintly."""
        return self.run(
            f"[...app.plots[{s}].drawn].filter(i => app.plots[{s}].colours[4 * i + 3] > 60).sort((p, q) => p - q)"
        )

    def lines(self) -> int:
        """Pixels of the lines between the maps."""
        return self.run(
            "(() => { const c = app.lines, d = c.getContext('2d').getImageData(0, 0, c.width, c.height).data; let n = 0; for (let k = 3; k < d.length; k += 4) n += d[k] > 0; return n; })()"
        )
