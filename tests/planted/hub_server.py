"""A hub on this machine: the endpoints of the Hugging Face Hub that a push and a pull of a release use, with faults on request.

It keeps repositories in memory and speaks HTTP as `huggingface_hub` expects: make a repository, say which files go to large storage,
take them, commit, list, and serve files in parts. A fault answers requests whose method and path match with a status, cuts the answer
short, waits, or gives other bytes; `seen` has what was asked, without headers.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
import threading
import time
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any
from urllib.parse import unquote, urlsplit

TOKEN = "hf_planted_secret0123456789"
LARGE = 2000
"""Bytes above which a file goes to large storage."""


@dataclass
class Fault:
    """What happens to the next `times` requests with this method and path. `status`: the answer; `cut`: bytes of the file that are
    sent before the line is dropped; `seconds`: wait before answering; `spoil`: give other bytes of the same length."""

    method: str
    path: str
    times: int = 1
    status: int = 0
    cut: int = -1
    seconds: float = 0.0
    spoil: bool = False
    says: str = ""


@dataclass
class Repository:
    """Its files at the newest commit; `private` as its owner set it."""

    private: bool
    files: dict[str, bytes] = field(default_factory=dict)
    commits: list[str] = field(default_factory=list)


class HubServer:
    """`with HubServer() as hub:`; `hub.url` is its endpoint, `hub.repositories` what it holds, by ("models", "me/x")."""

    def __init__(self, writers: tuple[str, ...] = ("me",)) -> None:
        self.repositories: dict[tuple[str, str], Repository] = {}
        self.large: dict[str, bytes] = {}
        self.faults: list[Fault] = []
        self.seen: list[tuple[str, str]] = []
        self.ranges: list[str] = []
        self.writers = writers
        self.lock = threading.Lock()
        handler = type("Bound", (_Handler,), {"hub": self})
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        self.storage = f"http://localhost:{self._server.server_port}/storage"  # another host, as the storage of a hub is

    def __enter__(self) -> HubServer:
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None) -> None:
        self._server.shutdown()
        self._server.server_close()

    def asked(self, method: str, pattern: str) -> int:
        """How many requests there were."""
        return sum(m == method and re.search(pattern, p) is not None for m, p in self.seen)

    def fault(self, method: str, path: str) -> Fault | None:
        with self.lock:
            for fault in self.faults:
                if fault.times > 0 and fault.method == method and re.search(fault.path, path):
                    fault.times -= 1
                    return fault
        return None


class _Handler(BaseHTTPRequestHandler):
    hub: HubServer
    protocol_version = "HTTP/1.1"

    def log_message(self, format: str, *args: Any) -> None:
        pass

    def do_GET(self) -> None:
        self._answer("GET")

    def do_HEAD(self) -> None:
        self._answer("HEAD")

    def do_POST(self) -> None:
        self._answer("POST")

    def do_PUT(self) -> None:
        self._answer("PUT")

    def _answer(self, method: str) -> None:
        self.body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        if self.headers.get("Transfer-Encoding") == "chunked":
            while size := int(self.rfile.readline(), 16):
                self.body += self.rfile.read(size)
                self.rfile.readline()
            self.rfile.readline()
        self.path_only = unquote(urlsplit(self.path).path)
        with self.hub.lock:
            self.hub.seen.append((method, self.path_only))
        self.met = self.hub.fault(method, self.path_only)
        if self.met and self.met.seconds:
            time.sleep(self.met.seconds)
        if self.met and self.met.status:
            return self._json(self.met.status, {"error": self.met.says or f"planted {self.met.status}"})
        if self.path_only.startswith("/storage/"):  # as signed addresses of a storage are: without the token
            return self._stored(method)
        if self.headers.get("Authorization") != f"Bearer {TOKEN}":
            return self._json(401, {"error": "Invalid username or password."})
        for verb, pattern, reply in _ROUTES:
            if verb == method and (found := re.fullmatch(pattern, self.path_only)):
                return reply(self, *found.groups())
        return self._json(404, {"error": "no such endpoint"})

    def _json(self, status: int, value: Any, **headers: str) -> None:
        data = json.dumps(value).encode()
        self.send_response(status)
        for name, text in {"Content-Type": "application/json", "Content-Length": str(len(data)), **headers}.items():
            self.send_header(name, text)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(data)

    def _repository(self, kind: str, name: str) -> Repository | None:
        found = self.hub.repositories.get((kind, name))
        if found is None:
            self._json(404, {"error": "Repository not found"}, **{"X-Error-Code": "RepoNotFound"})
        return found

    def _writable(self, name: str) -> bool:
        if name.split("/")[0] in self.hub.writers:
            return True
        self._json(403, {"error": f"You don't have the rights to write to {name} with {TOKEN}"})
        return False

    def _create(self) -> None:
        asked = json.loads(self.body)
        name, kind = f"{asked['organization']}/{asked['name']}", f"{asked.get('type', 'model')}s"
        if not self._writable(name):
            return None
        if (kind, name) in self.hub.repositories:
            return self._json(409, {"error": "You already created this repo", "url": f"{self.hub.url}/{name}"})
        start = {".gitattributes": b"*.safetensors filter=lfs\n"}
        self.hub.repositories[kind, name] = Repository(asked.get("visibility") == "private", start, [_commit(start)])
        return self._json(200, {"url": f"{self.hub.url}/{'datasets/' if kind == 'datasets' else ''}{name}"})

    def _settings(self, kind: str, name: str) -> None:
        if (found := self._repository(kind, name)) and self._writable(name):
            found.private = json.loads(self.body)["visibility"] == "private"
            self._json(200, {})

    def _info(self, kind: str, name: str, _revision: str | None = None) -> None:
        if found := self._repository(kind, name):
            siblings = [{"rfilename": path} for path in sorted(found.files)]
            self._json(200, {"id": name, "sha": found.commits[-1], "private": found.private, "siblings": siblings, "tags": []})

    def _tree(self, kind: str, name: str, _revision: str) -> None:
        if found := self._repository(kind, name):
            rows: list[dict[str, Any]] = []
            for path, data in sorted(found.files.items()):
                row: dict[str, Any] = {"type": "file", "path": path, "size": len(data), "oid": _git(data)}
                if len(data) > LARGE:
                    row["lfs"] = {"oid": _sha256(data), "size": len(data), "pointerSize": 130}
                rows.append(row)
            self._json(200, rows)

    def _preupload(self, kind: str, name: str, _revision: str) -> None:
        if (found := self._repository(kind, name)) and self._writable(name):
            files = []
            for asked in json.loads(self.body)["files"]:
                row = {"path": asked["path"], "uploadMode": "lfs" if asked["size"] > LARGE else "regular", "shouldIgnore": False}
                if (data := found.files.get(asked["path"])) is not None:
                    row["oid"] = _sha256(data) if len(data) > LARGE else _git(data)
                files.append(row)
            self._json(200, {"files": files})

    def _batch(self, _kind: str | None, name: str) -> None:
        if self._writable(name):
            rows = []
            for asked in json.loads(self.body)["objects"]:
                row = {"oid": asked["oid"], "size": asked["size"]}
                if asked["oid"] not in self.hub.large:
                    row["actions"] = {"upload": {"href": f"{self.hub.storage}/{asked['oid']}"}}
                rows.append(row)
            self._json(200, {"transfer": "basic", "objects": rows})

    def _stored(self, method: str) -> None:
        oid = self.path_only.rsplit("/", 1)[1]
        if method == "PUT":
            if _sha256(self.body) != oid:
                return self._json(400, {"error": "other bytes"})
            with self.hub.lock:
                self.hub.large[oid] = self.body
            return self._json(200, {})
        return self._file(self.hub.large[oid], {})

    def _commit(self, kind: str, name: str, _revision: str) -> None:
        found = self._repository(kind, name)
        if found is None or not self._writable(name):
            return None
        files = dict(found.files)
        for line in self.body.splitlines():
            entry = json.loads(line)
            value = entry["value"]
            if entry["key"] == "file":
                files[value["path"]] = base64.b64decode(value["content"])
            elif entry["key"] == "lfsFile":
                if value["oid"] not in self.hub.large:
                    return self._json(400, {"error": "that file was never uploaded"})
                files[value["path"]] = self.hub.large[value["oid"]]
            elif entry["key"] == "deletedFile":
                del files[value["path"]]
        found.files = files
        found.commits.append(_commit(files))
        place = f"{self.hub.url}/{'datasets/' if kind == 'datasets' else ''}{name}"
        return self._json(200, {"commitUrl": f"{place}/commit/{found.commits[-1]}", "commitOid": found.commits[-1]})

    def _validate(self) -> None:
        self._json(200, {"errors": [], "warnings": []})

    def _resolve(self, kind: str | None, name: str, _revision: str, path: str) -> None:
        found = self._repository("datasets" if kind else "models", name)
        if found is None:
            return None
        if path not in found.files:
            return self._json(404, {"error": "Entry not found"}, **{"X-Error-Code": "EntryNotFound"})
        data = found.files[path]
        headers = {"X-Repo-Commit": found.commits[-1], "ETag": f'"{_git(data)}"'}
        if len(data) <= LARGE:
            return self._file(data, headers)
        self.hub.large[_sha256(data)] = data
        linked = {
            "X-Linked-Etag": f'"{_sha256(data)}"',
            "X-Linked-Size": str(len(data)),
            "Location": f"{self.hub.storage}/{_sha256(data)}",
        }
        return self._json(302, {}, **headers, **linked)

    def _file(self, data: bytes, headers: dict[str, str]) -> None:
        if self.met and self.met.spoil:
            data = bytes([data[0] ^ 1]) + data[1:]
        begin = int(match[1]) if (match := re.match(r"bytes=(\d+)-", self.headers.get("Range") or "")) else 0
        self.send_response(206 if match else 200)
        if match:
            self.hub.ranges.append(match[0])
            self.send_header("Content-Range", f"bytes {begin}-{len(data) - 1}/{len(data)}")
        for name, text in {"Content-Length": str(len(data) - begin), "Accept-Ranges": "bytes", **headers}.items():
            self.send_header(name, text)
        self.end_headers()
        if self.command == "HEAD":
            return
        if self.met and self.met.cut >= 0:
            self.wfile.write(data[begin : begin + self.met.cut])
            self.wfile.flush()
            self.close_connection = True
            self.connection.close()
            return
        self.wfile.write(data[begin:])


_KIND, _REPO = "(models|datasets)", "([^/]+/[^/]+)"
_ROUTES: tuple[tuple[str, str, Any], ...] = (
    ("POST", "/api/repos/create", _Handler._create),
    ("POST", "/api/validate-yaml", _Handler._validate),
    ("GET", f"/api/{_KIND}/{_REPO}", _Handler._info),
    ("GET", f"/api/{_KIND}/{_REPO}/revision/([^/]+)", _Handler._info),
    ("GET", f"/api/{_KIND}/{_REPO}/tree/([^/]+)", _Handler._tree),
    ("PUT", f"/api/{_KIND}/{_REPO}/settings", _Handler._settings),
    ("POST", f"/api/{_KIND}/{_REPO}/preupload/([^/]+)", _Handler._preupload),
    ("POST", f"/api/{_KIND}/{_REPO}/commit/([^/]+)", _Handler._commit),
    ("POST", f"/(?:(datasets)/)?{_REPO}.git/info/lfs/objects/batch", _Handler._batch),
    ("GET", f"/(?:(datasets)/)?{_REPO}/resolve/([^/]+)/(.+)", _Handler._resolve),
    ("HEAD", f"/(?:(datasets)/)?{_REPO}/resolve/([^/]+)/(.+)", _Handler._resolve),
)


def _sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def _git(data: bytes) -> str:
    return hashlib.sha1(b"blob %d\0" % len(data) + data).hexdigest()


def _commit(files: dict[str, bytes]) -> str:
    digest = hashlib.sha1()
    for name in sorted(files):
        digest.update(f"{name}\0{_git(files[name])}\n".encode())
    return digest.hexdigest()
