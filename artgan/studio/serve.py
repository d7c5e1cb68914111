"""The studio's server: an open socket, a guard for it, and the address to open."""

import functools
import secrets
import socket
from collections.abc import Sequence
from dataclasses import dataclass

import uvicorn

from artgan.errors import ConfigError
from artgan.studio.app import build_app
from artgan.studio.connections import PatientConnection
from artgan.studio.guard import Guard
from artgan.studio.live import Live
from artgan.studio.session import Session

_LOCAL = "127.0.0.1"
_OWN_NAMES = ("localhost", "127.0.0.1")
_MAX_CONNECTIONS = 100
_IDLE_SECONDS = 10


@dataclass(frozen=True)
class Server:
    """A studio that is about to run.

    Attributes:
        url: what to open; holds the token when there is one.
        server: of uvicorn.
        opened: the listening socket.
    """

    url: str
    server: uvicorn.Server
    opened: socket.socket

    def run(self) -> None:
        """Serve until Ctrl-C."""
        self.server.run(sockets=[self.opened])


def is_alone(listen: str | None, allowed: Sequence[str]) -> bool:
    """Return whether nobody beyond this machine is meant to reach a studio; see `open_server`."""
    return listen is None and all(name.lower().partition(":")[0] in _OWN_NAMES for name in allowed)


def open_server(
    session: Session, port: int, listen: str | None = None, allowed: Sequence[str] = (), live: Live | None = None
) -> Server:
    """Bind and return a server.

    Args:
        session: what it serves.
        port: 0 takes a free one.
        listen: an address beyond this machine; a token is then made and asked for. None binds 127.0.0.1.
        allowed: what else requests may call the studio; a name beyond this machine makes a token as well.
        live: a live picture to show as a stream at /live.mjpg.

    Raises:
        ConfigError: the address cannot be bound.
    """
    address = listen or _LOCAL
    try:
        family, _, _, _, place = socket.getaddrinfo(address, port, type=socket.SOCK_STREAM)[0]
        opened = socket.socket(family, socket.SOCK_STREAM)
        opened.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            opened.bind(place)
        except OSError:
            opened.close()
            raise
    except OSError as error:
        raise ConfigError(f"the studio cannot listen on {address}:{port} ({error.strerror}); try another --port") from error
    port = opened.getsockname()[1]
    token = None if is_alone(listen, allowed) else secrets.token_urlsafe(24)
    guard = functools.partial(
        Guard, port=port, token=token, any_address=listen is not None, host=listen or "", allowed=tuple(allowed)
    )
    config = uvicorn.Config(
        build_app(session, guard, live),
        http=PatientConnection,
        log_level="error",  # a warning for each stranger who is turned away would fill the terminal
        access_log=False,
        limit_concurrency=_MAX_CONNECTIONS,
        timeout_keep_alive=_IDLE_SECONDS,
        h11_max_incomplete_event_size=16 << 10,
        server_header=False,
        ws="none",
    )
    server = uvicorn.Server(config)
    if live is not None:
        live.ended = lambda: server.should_exit
    shown = f"[{address}]" if ":" in address else address
    return Server(f"http://{shown}:{port}/" + (f"?token={token}" if token else ""), server, opened)
