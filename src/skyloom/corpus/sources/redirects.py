"""Redirects of web servers that sources are read from: none may lead into this machine or its network.

Input: an address that a server sends a reader to. Output: none, or an OSError. A server that the user named may answer with the
address of another one, as download services do; it must not make Skyloom read what only this machine can reach (a local service,
a cloud's metadata) and put it into a corpus. What the user names is read, wherever it lies.
"""

from __future__ import annotations

import asyncio
import ipaddress
import socket
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import aiohttp

_INSIDE = [
    ipaddress.ip_network(text)
    for text in (
        "0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12", "192.168.0.0/16",
        "::/127", "fc00::/7", "fe80::/10",
    )
]  # fmt: skip
"""This machine and private networks. Not 198.18.0.0/15, by which some proxies stand for any host."""


def is_inside(address: str) -> bool:
    """Is an IP address one of this machine or of a private network?"""
    found = ipaddress.ip_address(address.partition("%")[0])
    if isinstance(found, ipaddress.IPv6Address):
        found = found.ipv4_mapped or found.sixtofour or found
    return any(found in network for network in _INSIDE if network.version == found.version)


def web_options(path: str) -> dict[str, Any]:
    """What fsspec needs to open a path so that redirects are checked; nothing for what is no address of a web server."""
    options = {"get_client": _client}
    if path.startswith(("http://", "https://")):
        return options
    return {scheme: options for scheme in ("http", "https") if f"::{scheme}://" in path}


async def _client(**options: Any) -> aiohttp.ClientSession:
    import aiohttp

    trace = aiohttp.TraceConfig()
    trace.on_request_redirect.append(_check)
    return aiohttp.ClientSession(trace_configs=[trace], **options)


async def _check(session: aiohttp.ClientSession, context: SimpleNamespace, params: aiohttp.TraceRequestRedirectParams) -> None:
    """Called before a redirect is followed. OSError if it leads inside, from another server."""
    from yarl import URL

    place = params.response.headers.get("Location") or params.response.headers.get("URI") or ""
    try:
        target = params.url.join(URL(place))
        if target.origin() == params.url.origin():
            return
        found = await asyncio.get_running_loop().getaddrinfo(target.host, target.port, type=socket.SOCK_STREAM)
        inside = any(is_inside(str(address[0])) for *_, address in found)
    except (ValueError, OSError) as problem:
        raise OSError(f"{params.url} leads to an address that cannot be read") from problem
    if inside:
        raise OSError(f"{params.url} leads to {target.host}, which is this machine or in its network; name that address to read it")
