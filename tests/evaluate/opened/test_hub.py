"""A model by its name on the hub: downloaded once from a server that speaks as the hub does, then found without it."""

from __future__ import annotations

import hashlib
import http.server
import json
import threading
from collections.abc import Iterator
from pathlib import Path

import huggingface_hub
import pytest
import torch

from skyloom.core.errors import StorageError
from skyloom.evaluate.opened import OpeningOptions, open_model
from tests.evaluate.opened.small import save_llama

REVISION = "0123456789abcdef0123456789abcdef01234567"


class Hub(http.server.ThreadingHTTPServer):
    """Serves the files of one folder as a repository."""

    name = "team/llama-tiny"

    def __init__(self, folder: Path) -> None:
        super().__init__(("127.0.0.1", 0), Answers)
        self.folder = folder
        self.asked: list[str] = []
        self.status = 200


class Answers(http.server.BaseHTTPRequestHandler):
    server: Hub

    def log_message(self, *_: object) -> None: ...

    def do_HEAD(self) -> None:
        self.answer(body=False)

    def do_GET(self) -> None:
        self.answer(body=True)

    def answer(self, body: bool) -> None:
        self.server.asked.append(f"{self.command} {self.path}")
        files = {p.name: p for p in self.server.folder.iterdir()}
        name = self.path.rpartition("/")[2].partition("?")[0]
        entries = [{"type": "file", "path": n, "size": p.stat().st_size, "oid": REVISION} for n, p in files.items()]
        if self.server.status != 200 or not self.path.removeprefix("/api/models").startswith(f"/{self.server.name}"):
            self.send(b'{"error": "no such repository"}', self.server.status if self.server.status != 200 else 404, body)
        elif "/tree/" in self.path:
            self.send(json.dumps(entries).encode(), 200, body)
        elif self.path.startswith("/api/models"):
            siblings = [{"rfilename": n} for n in files]
            self.send(json.dumps({"id": self.server.name, "sha": REVISION, "siblings": siblings}).encode(), 200, body)
        elif name in files:
            data = files[name].read_bytes()
            self.send(data, 200, body, {"X-Repo-Commit": REVISION, "ETag": f'"{hashlib.sha1(data).hexdigest()}"'})
        else:
            self.send(b"", 404, body)

    def send(self, data: bytes, status: int, body: bool, headers: dict[str, str] | None = None) -> None:
        self.send_response(status)
        for key, value in {"Content-Length": str(len(data)), **(headers or {})}.items():
            self.send_header(key, value)
        self.end_headers()
        if body:
            self.wfile.write(data)


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    server = Hub(save_llama(tmp_path / "served"))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    address = f"http://127.0.0.1:{server.server_address[1]}"
    monkeypatch.setattr(huggingface_hub.constants, "ENDPOINT", address)
    monkeypatch.setattr(
        huggingface_hub.constants, "HUGGINGFACE_CO_URL_TEMPLATE", address + "/{repo_id}/resolve/{revision}/{filename}"
    )
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path / "缓存"))
    yield server
    server.shutdown()
    server.server_close()


def test_a_name_is_downloaded_once_and_then_opened_offline(hub: Hub, tmp_path: Path) -> None:
    (hub.folder / "training_args.bin").write_bytes(b"not for us")
    (hub.folder / "modeling_own.py").write_text("raise SystemExit", encoding="utf-8")
    model, plain = open_model(hub.name), open_model(str(tmp_path / "served"))
    tokens = torch.arange(2, 22).view(2, 10)
    assert torch.equal(model(tokens), plain(tokens)) and model.encode(["天空 sky"]) == plain.encode(["天空 sky"])
    assert (model.name, model.place.kind) == (hub.name, plain.place.kind)
    fetched = {path.partition("/resolve/")[2].rpartition("/")[2] for path in hub.asked if path.startswith("GET")}
    assert "model.safetensors" in fetched and not fetched & {"training_args.bin", "modeling_own.py"}, "neither pickles nor code"
    before = len(hub.asked)
    again = open_model(hub.name, OpeningOptions(offline=True))
    assert torch.equal(again(tokens), plain(tokens)) and len(hub.asked) == before
    assert again.place.digest == model.place.digest


@pytest.mark.parametrize(("name", "status"), [("team/no-such-model", 200), ("team/llama-tiny", 401), ("team/llama-tiny", 429)])
def test_a_refusal_is_a_sentence(hub: Hub, name: str, status: int) -> None:
    hub.status = status
    with pytest.raises(StorageError, match=f"{name} cannot be downloaded from the Hugging Face hub"):
        open_model(name)
