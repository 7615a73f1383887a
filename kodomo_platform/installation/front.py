"""The gate before Dagster's and MLflow's pages, in the same process: which requests may come in at all.

Both are made for a developer's own machine. Dagster answers to any host name and executes what changes something by GET
too, so any page in the operator's browser could launch or delete runs (DNS rebinding, cross-site requests). Who a person
is and what they may do is a reverse proxy's business.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, MutableMapping
from typing import Any
from urllib.parse import parse_qs, urlsplit

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]
Answer = Callable[[], tuple[int, str, str]]

LOCAL_HOSTS = ("127.0.0.1", "localhost", "[::1]")
_SAFE = {"GET", "HEAD", "OPTIONS"}


def host_name(header: str) -> str:
    """The name in a Host header or an address's authority, without its port, in lower case."""
    header = header.strip().lower()
    if header.startswith("["):
        name, _, port = header.partition("]")
        return name + "]" if not port or port.startswith(":") else header
    return header.rpartition(":")[0] if ":" in header else header


def refusal(
    method: str,
    path: str,
    query: str,
    headers: Iterable[tuple[bytes, bytes]],
    hosts: frozenset[str],
    *,
    websocket: bool = False,
) -> tuple[int, str] | None:
    """Why a request may not come in, as status and reason; None if it may.

    Args:
        hosts: names under which the pages may be reached, in lower case, without port.
    """
    values: dict[str, list[str]] = {}
    for name, value in headers:
        values.setdefault(name.decode("latin-1").lower(), []).append(value.decode("latin-1"))
    named = values.get("host", [])
    if len(named) != 1 or host_name(named[0]) not in hosts:
        return 421, "unknown host"
    origin = values.get("origin", [None])[-1]
    changes = websocket or method not in _SAFE
    if origin is not None:
        parts = urlsplit(origin)
        same = parts.scheme in ("http", "https") and parts.netloc.lower() == named[0].strip().lower()
        if not same and (changes or path.rstrip("/").endswith("graphql")):
            return 403, "another site's request"
    # browsers say where a request comes from; programs (MLflow's client, curl) say nothing
    site = values.get("sec-fetch-site", ["none"])[-1]
    visit = values.get("sec-fetch-mode", [""])[-1] == "navigate" and method in ("GET", "HEAD")
    if site in ("cross-site", "same-site") and not visit:
        return 403, "another site's request"
    if (
        path.rstrip("/").endswith("graphql")
        and method in ("GET", "HEAD")
        and not websocket
        and "query" in parse_qs(query)
    ):
        return 405, "queries are sent by POST"
    return None


class Front:
    """An ASGI application that lets in what `refusal` lets in, and answers a few addresses itself.

    Args:
        answers: path → (status, media type, text), for health and metrics.
    """

    def __init__(self, app: App, hosts: Iterable[str], answers: dict[str, Answer] | None = None) -> None:
        self.app = app
        self.hosts = frozenset(host.lower() for host in hosts)
        self.answers = answers or {}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] not in ("http", "websocket"):
            await self.app(scope, receive, send)
            return
        websocket = scope["type"] == "websocket"
        refused = refusal(
            scope.get("method", "GET"),
            scope["path"],
            scope.get("query_string", b"").decode("latin-1"),
            scope["headers"],
            self.hosts,
            websocket=websocket,
        )
        if refused is not None and websocket:
            await send({"type": "websocket.close", "code": 1008})
        elif refused is not None:
            await _text(send, refused[0], "text/plain; charset=utf-8", refused[1])
        elif not websocket and scope["path"] in self.answers:
            await _text(send, *self.answers[scope["path"]]())
        else:
            await self.app(scope, receive, _unframed(send))


def _unframed(send: Send) -> Send:
    """No other site may show the pages inside its own."""

    async def sending(message: MutableMapping[str, Any]) -> None:
        if message["type"] == "http.response.start":
            kept = [
                (name, value)
                for name, value in message.get("headers", [])
                if name.lower() != b"access-control-allow-origin"
            ]
            names = {name.lower() for name, _ in kept}
            for name, value in ((b"x-frame-options", b"SAMEORIGIN"), (b"x-content-type-options", b"nosniff")):
                if name not in names:
                    kept.append((name, value))
            message["headers"] = kept
        await send(message)

    return sending


async def _text(send: Send, status: int, media_type: str, text: str) -> None:
    headers = [(b"content-type", media_type.encode()), (b"cache-control", b"no-store")]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": text.encode()})
