"""A small server for tests that speaks as an OpenAI-compatible endpoint, and says no, too much or nothing on request."""

from __future__ import annotations

import contextlib
import json
import random
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

Reply = str | bytes | tuple[int, bytes, Mapping[str, str]]
"""The text of an answer; a whole body; or status, body and headers."""
LOST = (0, b"", {})
"""The connection is closed without an answer."""


def written(number: int, lang: str) -> str:
    """An item that nobody wrote before."""
    draw = random.Random(f"{number} {lang}")
    a, b = draw.randrange(10, 99), draw.randrange(10, 99)
    if lang == "zh":
        signs = [chr(draw.randrange(0x4E00, 0x9F00)) for _ in range(18)]
        row = {"question": f"{''.join(signs)}有{a}，又来{b}，共几？", "answer": f"{a}+{b}=<<{a}+{b}={a + b}>>{a + b}\n#### {a + b}"}
    else:
        words = ["".join(draw.choice("bcdfgklmnpr") + draw.choice("aeiou") for _ in range(3)) for _ in range(18)]
        row = {
            "question": f"{' '.join(words)} {a} and {b}. How many?",
            "answer": f"{a}+{b}=<<{a}+{b}={a + b}>>{a + b}\n#### {a + b}",
        }
    return json.dumps(row, ensure_ascii=False)


@dataclass
class Chat:
    """What the endpoint answers. `first`: the next replies, then `usual` with the number of the request and its prompt; `asked`: the
    requests as they came, with their headers; `held`: while it is cleared, nothing is answered."""

    usual: Callable[[int, str], Reply] = lambda number, prompt: written(number, "zh" if "请" in prompt else "en")
    first: list[Reply] = field(default_factory=list)
    asked: list[Mapping[str, object]] = field(default_factory=list)
    headers: list[Mapping[str, str]] = field(default_factory=list)
    held: threading.Event = field(default_factory=threading.Event)
    arrived: threading.Event = field(default_factory=threading.Event)
    finish: str = "stop"
    url: str = ""

    def prompts(self) -> list[str]:
        return [body["messages"][0]["content"] for body in self.asked]  # type: ignore[index]

    def body(self, reply: Reply) -> tuple[int, bytes, Mapping[str, str]]:
        if isinstance(reply, tuple):
            return reply
        if isinstance(reply, bytes):
            return 200, reply, {}
        choice = {"index": 0, "message": {"role": "assistant", "content": reply}, "finish_reason": self.finish}
        usage = {"prompt_tokens": 7, "completion_tokens": 3}
        return 200, json.dumps({"model": "stub-2", "choices": [choice], "usage": usage}).encode(), {}


@contextlib.contextmanager
def speaking(chat: Chat) -> Iterator[Chat]:
    """Run the server; its address is `chat.url`."""
    chat.held.set()

    class Handler(BaseHTTPRequestHandler):
        def log_message(self, *_: object) -> None:
            pass

        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            assert self.path.partition("?")[0] == "/v1/chat/completions", self.path
            number = len(chat.asked)
            chat.asked.append(body)
            chat.headers.append(dict(self.headers))
            chat.arrived.set()
            chat.held.wait()
            reply = chat.first.pop(0) if chat.first else chat.usual(number, body["messages"][0]["content"])
            status, data, headers = chat.body(reply)
            with contextlib.suppress(OSError):
                if status:
                    self.send_response(status)
                    for name, value in {**headers, "Content-Length": str(len(data))}.items():
                        self.send_header(name, value)
                    self.end_headers()
                    self.wfile.write(data)
            self.close_connection = True

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    chat.url = f"http://127.0.0.1:{server.server_address[1]}/v1"
    try:
        yield chat
    finally:
        chat.held.set()
        server.shutdown()
        server.server_close()
        thread.join()
