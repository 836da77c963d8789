"""Benches of servers: what a server says comes back, what it refuses and where there is none is not measured."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

import pytest
from bench.answers import NotMeasuredError
from bench.release.servers import post

from bench.release import ollama_server


class Stub(BaseHTTPRequestHandler):
    """Answers as Ollama does; refuses another model."""

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        known = body["model"] == "released"
        told: dict[str, Any] = {"response": f"{body['prompt']}\ufffd", "prompt_eval_count": len(body["prompt"])}
        self.send_response(200 if known else 404)
        self.end_headers()
        self.wfile.write(json.dumps(told if known else {"error": f"没有 {body['model']}"}, ensure_ascii=False).encode())

    def log_message(self, *told: Any) -> None:
        """Nothing."""


@pytest.fixture
def address() -> Iterator[str]:
    with HTTPServer(("127.0.0.1", 0), Stub) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


def test_what_a_server_says(address: str) -> None:
    assert ollama_server.asked(f"{address}/", "打印机 is", 16, raw=True) == ("打印机 is", 6)
    with pytest.raises(NotMeasuredError, match=r"refuses: .*没有 另一个"):
        post(address, {"model": "另一个", "prompt": ""})


def test_without_a_server_nothing_is_measured() -> None:
    with HTTPServer(("127.0.0.1", 0), Stub) as closed:
        address = f"http://127.0.0.1:{closed.server_port}"
    with pytest.raises(NotMeasuredError, match="no server that answers at"):
        ollama_server.asked(address, "打印机", 16, raw=False)
