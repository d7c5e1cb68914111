"""What stands before every request: is it for us, from our page, from our user; and what every answer says."""

import hmac
import ipaddress
from collections.abc import Sequence
from http.cookies import CookieError, SimpleCookie
from urllib.parse import parse_qs, urlsplit

from starlette.types import ASGIApp, Message, Receive, Scope, Send

COOKIE = "artgan_studio"
_HEADERS = {
    "content-security-policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob:; media-src 'self' blob:; "
        "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "x-frame-options": "DENY",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "cache-control": "no-store",
}


class Guard:
    """Checks Host (against DNS rebinding), Origin (against other pages), and the token when there is one.

    Args:
        app: what is guarded.
        port: that the studio listens on.
        token: asked for on the first visit as `?token=...`, then kept in a cookie; None asks for none.
        any_address: the studio listens beyond this machine: Host may be any IP address or `host`.
        host: a name by which the studio is reached, beside localhost.
        allowed: what Host may say besides, as a tunnel or a forwarding service sends it: `localhost:9000`, or a name, which
            then goes with any port.
    """

    def __init__(
        self,
        app: ASGIApp,
        *,
        port: int,
        token: str | None = None,
        any_address: bool = False,
        host: str = "",
        allowed: Sequence[str] = (),
    ) -> None:
        self.app = app
        self.port = port
        self.token = token
        self.any_address = any_address
        self.names = {"localhost", "127.0.0.1", "[::1]"} | ({host.lower()} if host else set())
        self.allowed = {name.strip().lower() for name in allowed}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            if scope["type"] == "lifespan":
                await self.app(scope, receive, send)
            return
        headers = {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in scope["headers"]}
        refusal = self._refusal(scope, headers)
        if refusal is not None:
            await _respond(send, *refusal)
            return
        if scope["method"] == "GET" and self.token and scope["path"] != "/live.mjpg" and self._given_token(scope) is not None:
            await _respond(send, 303, "", {"location": "/", "set-cookie": self._cookie()})
            return

        async def send_guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message["headers"], *_encoded(_HEADERS)]
            await send(message)

        await self.app(scope, receive, send_guarded)

    def _refusal(self, scope: Scope, headers: dict[str, str]) -> tuple[int, str] | None:
        host = headers.get("host", "")
        if not self._known_host(host):
            shown = "".join(letter for letter in host[:100] if letter.isascii() and letter.isprintable())
            return 400, (
                f"this studio does not go by the name '{shown}'. If you reach it through a tunnel or a forwarding service, "
                f"start it with --allow-host {shown or 'NAME'}"
            )
        if headers.get("sec-fetch-site") in ("cross-site", "same-site") and scope["path"] != "/":
            return 403, "requests come from the studio's own page"
        origin = headers.get("origin")
        if origin is not None and urlsplit(origin).netloc.lower() != host.lower():
            return 403, "requests come from the studio's own page"
        if scope["method"] not in ("GET", "HEAD") and origin is None and "sec-fetch-site" in headers:
            return 403, "requests come from the studio's own page"
        if self.token and not self._knows_token(scope, headers):
            return 401, "open the studio by the address that it printed: it has a token"
        return None

    def _known_host(self, host: str) -> bool:
        if host.lower() in self.allowed or _without_port(host.lower()) in self.allowed:
            return True
        name, _, port = host.rpartition(":")
        if not port.isdecimal() or (name.startswith("[") and not name.endswith("]")):
            name, port = host, "80"
        if port != str(self.port):
            return False
        return name.lower() in self.names or (self.any_address and _is_address(name.strip("[]")))

    def _given_token(self, scope: Scope) -> str | None:
        values = parse_qs(scope["query_string"][:1000].decode("latin-1"), max_num_fields=20).get("token")
        return values[0] if values else None

    def _knows_token(self, scope: Scope, headers: dict[str, str]) -> bool:
        assert self.token is not None
        given = self._given_token(scope)
        if given is None:
            given = _cookie_value(headers.get("cookie", ""))
        return hmac.compare_digest(given.encode(), self.token.encode())

    def _cookie(self) -> str:
        return f"{COOKIE}={self.token}; Path=/; HttpOnly; SameSite=Strict"


def _cookie_value(header: str) -> str:
    try:
        morsel = SimpleCookie(header[:8000]).get(COOKIE)
    except CookieError:
        return ""
    return morsel.value if morsel else ""


def _without_port(host: str) -> str:
    name, _, port = host.rpartition(":")
    return name if port.isdecimal() and name else host


def _is_address(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True


def _encoded(headers: dict[str, str]) -> list[tuple[bytes, bytes]]:
    return [(name.encode(), value.encode()) for name, value in headers.items()]


async def _respond(send: Send, status: int, text: str, headers: dict[str, str] | None = None) -> None:
    content = (
        _HEADERS | {"content-type": "text/plain; charset=utf-8", "content-length": str(len(text.encode()))} | (headers or {})
    )
    await send({"type": "http.response.start", "status": status, "headers": _encoded(content)})
    await send({"type": "http.response.body", "body": text.encode()})
