"""The report of a study as a web server shows it, under a folder as GitHub Pages has it: every link is found, nothing is
loaded from elsewhere, and nothing tells of the machine that made it."""

from __future__ import annotations

import re
import threading
import urllib.request
from functools import partial
from html.parser import HTMLParser
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import urldefrag, urljoin

import pytest

pytestmark = pytest.mark.slow  # the smoke study is run first

ADDRESS_ATTRIBUTES = ("href", "src", "srcset", "data", "poster", "action")
#: What a style sheet loads: url(...) other than a part of the page or data inside it, and @import.
LOADED_BY_STYLES = re.compile(r"""url\(\s*['"]?(?!data:|#)[^)]*\)|@import[^;]*;""")


class Addresses(HTMLParser):
    """(tag, address) of everything that a page loads or links to."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[tuple[str, str]] = []

    def handle_starttag(self, tag, attrs):
        self.found += [(tag, value) for name, value in attrs if name in ADDRESS_ATTRIBUTES and value]


class QuietHandler(SimpleHTTPRequestHandler):
    def log_message(self, format, *arguments):
        pass


def addresses(text: str) -> list[tuple[str, str]]:
    parser = Addresses()
    parser.feed(text)
    return [(tag, address) for tag, address in parser.found if not address.startswith(("data:", "#"))]


def is_elsewhere(address: str) -> bool:
    return re.match(r"[a-z][a-z0-9+.-]*:|/", address) is not None


@pytest.fixture
def site(smoke_study):
    """Address of the report, served one folder below the server's root."""
    handler = partial(QuietHandler, directory=str(smoke_study.folder))
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}/report/"
    server.shutdown()
    server.server_close()


def test_every_link_of_the_served_report_is_found_and_nothing_is_loaded_from_elsewhere(site, smoke_study):
    seen, waiting = set(), [site]
    while waiting:
        address = waiting.pop()
        seen.add(address)
        with urllib.request.urlopen(address) as answer:  # a missing file is an error here
            content = answer.read()
        if answer.headers.get_content_type() != "text/html":
            continue
        text = content.decode("utf-8")
        found = addresses(text)
        assert [(tag, link) for tag, link in found if is_elsewhere(link) and tag != "a"] == [], address
        assert [link for _, link in found if is_elsewhere(link) and not link.startswith("https://")] == [], address
        assert "".join(LOADED_BY_STYLES.findall(text)) == "", address
        links = {urldefrag(urljoin(address, link)).url for _, link in found if not is_elsewhere(link)}
        assert all(link.startswith(site) for link in links), address
        waiting += sorted(links - seen - set(waiting))
    files = {path.relative_to(smoke_study.folder / "report") for path in (smoke_study.folder / "report").rglob("*.*")}
    reached = {Path(address.removeprefix(site) or "index.html") for address in seen}
    assert reached == files, "a file that no page links to, or the reverse"
    assert len([path for path in files if path.suffix == ".html"]) > 10


def test_the_report_does_not_tell_where_it_was_made(smoke_study):
    places = {str(smoke_study.runs_folder), str(Path(__file__).resolve().parents[2]), str(Path.home())} - {"/"}
    for page in (smoke_study.folder / "report").rglob("*.html"):
        text = page.read_text(encoding="utf-8")
        assert [place for place in places if f"{place}/" in text] == [], page.name
