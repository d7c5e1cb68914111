"""Orders from controllers by Open Sound Control, over UDP and from this machine alone.

Anything may send a datagram to an open port. What is no OSC is dropped, values are checked where a point is made of them, and
times in bundles are not waited for.
"""

import logging
import socket
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from artgan.errors import ConfigError

HOST = "127.0.0.1"
_MAX_DATAGRAM = 8192
_MAX_MESSAGES = 64  # of a bundle
_WAKE_SECONDS = 0.25
Order = Callable[[str, Sequence[Any]], None]


class OscServer:
    """Listens in a thread of its own until it is closed.

    Args:
        port: 0 takes a free one.
        order: called with the address and the values of every message.

    Raises:
        ConfigError: python-osc is not installed, or the port is taken.
    """

    def __init__(self, port: int, order: Order) -> None:
        try:
            from pythonosc import osc_packet
        except ImportError:
            raise ConfigError("--osc needs its library: pip install 'artgan[live]'") from None
        self._packet = osc_packet.OscPacket
        self._order = order
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        try:
            self._socket.bind((HOST, port))
        except OSError as error:
            self._socket.close()
            raise ConfigError(f"--osc {port}: cannot be listened on ({error.strerror}); try another") from error
        self._socket.settimeout(_WAKE_SECONDS)
        self.port: int = self._socket.getsockname()[1]
        self.dropped = 0
        self._closing = threading.Event()
        logging.getLogger().addFilter(_is_no_stranger)
        self._thread = threading.Thread(target=self._run, name="osc", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Stop listening."""
        self._closing.set()
        self._thread.join(timeout=5)
        self._socket.close()
        logging.getLogger().removeFilter(_is_no_stranger)

    def _run(self) -> None:
        while not self._closing.is_set():
            try:
                data, _ = self._socket.recvfrom(_MAX_DATAGRAM + 1)
            except TimeoutError:
                continue
            except OSError:  # such as a sender that is gone, on some systems
                continue
            self._take(data)

    def _take(self, data: bytes) -> None:
        try:
            if len(data) > _MAX_DATAGRAM:
                raise ValueError("too long")
            messages = self._packet(data).messages
        except Exception:  # whatever is wrong with it, it is no order
            self.dropped += 1
            return
        for timed in messages[:_MAX_MESSAGES]:
            self._order(timed.message.address, list(timed.message.params))


def _is_no_stranger(record: logging.LogRecord) -> bool:
    """Return whether a line may go to the terminal: python-osc's have bytes of the datagram in them, thousands at will."""
    return "pythonosc" not in Path(record.pathname).parts
