"""What the benches of servers share: one request of JSON over HTTP, and our own greedy continuation."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from typing import Any

import torch

from bench.answers import NotMeasuredError
from skyloom.model.decoder import Decoder


def post(url: str, body: dict[str, Any]) -> dict[str, Any]:
    """The server's answer, JSON. NotMeasuredError if it refuses, or there is none."""
    request = urllib.request.Request(url, json.dumps(body).encode(), {"Content-Type": "application/json"})
    try:
        with urllib.request.urlopen(request, timeout=600) as told:
            return dict(json.load(told))
    except urllib.error.HTTPError as refused:
        raise NotMeasuredError(f"{url} refuses: {refused.read(500).decode('utf-8', 'replace')}") from refused
    except (OSError, ValueError) as problem:
        raise NotMeasuredError(f"no server that answers at {url}: {problem}") from problem


@torch.no_grad()
def greedy(model: Decoder, ids: list[int], length: int, eos: int) -> tuple[list[int], list[float]]:
    """Our continuation, with how far each token's logit lies above the second one's."""
    found: list[int] = []
    gaps: list[float] = []
    while len(found) < length and (not found or found[-1] != eos):
        values, tokens = model(torch.tensor([ids + found]))[0, -1].topk(2)
        found.append(int(tokens[0]))
        gaps.append(float(values[0] - values[1]))
    return found, gaps
