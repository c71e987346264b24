"""A Hub on this machine: answers what the Hugging Face libraries ask of huggingface.co, from folders.

    <root>/models/<org>/<name>/<revision>/...     <root>/datasets/<org>/<name>/<revision>/...

A repository named "gated" is refused as the Hub refuses one whose terms are not accepted.
"""

from __future__ import annotations

import hashlib
import json
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import unquote, urlsplit

_FILE = re.compile(r"/(?:(datasets)/)?([^/]+/[^/]+)/resolve/([^/]+)/(.+)")
_TREE = re.compile(r"/api/(models|datasets)/([^/]+/[^/]+)/(tree|paths-info)/([^/]+)/?(.*)")
_INFO = re.compile(r"/api/(models|datasets)/([^/]+/[^/]+)(?:/revision/([^/]+))?")


@contextmanager
def hub_server(root: Path) -> Iterator[str]:
    """Serve `root` while the block runs; yields the address, for HF_ENDPOINT."""
    handler = type("Handler", (_Handler,), {"root": root})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    server.daemon_threads, server.block_on_close = True, False
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


class _Handler(BaseHTTPRequestHandler):
    root: Path
    protocol_version = "HTTP/1.1"

    def do_HEAD(self) -> None:
        self._answer()

    def do_GET(self) -> None:
        self._answer()

    def do_POST(self) -> None:
        self.body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self._answer()

    def log_message(self, format: str, *arguments: object) -> None:
        """Quiet."""

    def _answer(self) -> None:
        path = unquote(urlsplit(self.path).path)
        if match := _FILE.fullmatch(path):
            self._file(match[1] or "models", match[2], match[3], match[4])
        elif match := _TREE.fullmatch(path):
            self._tree(*match.groups())
        elif match := _INFO.fullmatch(path):
            self._info(match[1], match[2], match[3] or "main")
        else:
            self._send(404, b"{}")

    def _revision(self, kind: str, name: str, revision: str) -> Path | None:
        """The folder of a revision or commit; otherwise the refusal is sent."""
        repository = self.root / kind / name
        if name.endswith("/gated"):
            return self._refuse(403, "GatedRepo")
        if not repository.is_dir():
            return self._refuse(401, "RepoNotFound")
        for folder in repository.iterdir():
            if revision in (folder.name, _commit(folder)):
                return folder
        return self._refuse(404, "RevisionNotFound")

    def _file(self, kind: str, name: str, revision: str, path: str) -> None:
        folder = self._revision(kind, name, revision)
        if folder is None:
            return
        if not (folder / path).is_file():
            self._refuse(404, "EntryNotFound", commit=_commit(folder))
            return
        content = (folder / path).read_bytes()
        headers = {"X-Repo-Commit": _commit(folder), "ETag": f'"{_digest(content)}"', "Accept-Ranges": "bytes"}
        status = 200
        if match := re.fullmatch(r"bytes=(\d+)-(\d*)", self.headers.get("Range", "")):
            start, stop = int(match[1]), int(match[2] or len(content) - 1) + 1
            headers["Content-Range"] = f"bytes {start}-{min(stop, len(content)) - 1}/{len(content)}"
            content, status = content[start:stop], 206
        self._send(status, content, headers)

    def _tree(self, kind: str, name: str, what: str, revision: str, path: str) -> None:
        folder = self._revision(kind, name, revision)
        if folder is None:
            return
        if what == "paths-info":
            asked = json.loads(self.body)["paths"]
            entries = [folder / each for each in asked if (folder / each).exists() and each]
        elif not (folder / path).is_dir():
            self._refuse(404, "EntryNotFound", commit=_commit(folder))
            return
        else:
            entries = sorted((folder / path).rglob("*"))
        self._send_json([_entry(entry, folder) for entry in entries])

    def _info(self, kind: str, name: str, revision: str) -> None:
        folder = self._revision(kind, name, revision)
        if folder is not None:
            files = [{"rfilename": str(file.relative_to(folder))} for file in folder.rglob("*") if file.is_file()]
            facts = {"id": name, "sha": _commit(folder), "siblings": files, "tags": [], "downloads": 0, "likes": 0}
            self._send_json(facts | {"private": False, "gated": False, "disabled": False})

    def _refuse(self, status: int, code: str, **facts: str) -> None:
        headers = {"X-Error-Code": code, "X-Error-Message": code}
        self._send(status, b"", headers | ({"X-Repo-Commit": facts["commit"]} if facts else {}))

    def _send_json(self, content: object) -> None:
        self._send(200, json.dumps(content).encode(), {"Content-Type": "application/json"})

    def _send(self, status: int, content: bytes, headers: dict[str, str] | None = None) -> None:
        self.send_response(status)
        for key, value in (headers or {}).items():
            self.send_header(key, value)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)


def _entry(path: Path, folder: Path) -> dict[str, object]:
    name = {"path": str(path.relative_to(folder))}
    if path.is_dir():
        return {"type": "directory", "oid": "0" * 40, "size": 0, **name}
    return {"type": "file", "oid": _digest(path.read_bytes()), "size": path.stat().st_size, **name}


def _commit(folder: Path) -> str:
    return hashlib.sha1(str(folder).encode()).hexdigest()


def _digest(content: bytes) -> str:
    return hashlib.sha1(content).hexdigest()
