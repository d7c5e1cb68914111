"""Where a cluster is, and whether tasks may be sent there: they travel as pickles, which run what they say."""

import ipaddress
import json
from pathlib import Path

from artgan.errors import ConfigError

_MAX_FILE_BYTES = 1 << 20
_EXPECTED = (
    "expected tls://HOST:PORT, tcp://127.0.0.1:PORT on this machine, or a scheduler file (dask scheduler --scheduler-file)"
)


def scheduler_address(text: str) -> str:
    """Return the address of a scheduler, given as such or as the file that the scheduler wrote.

    Raises:
        ConfigError: it is neither, or tasks would travel unencrypted through a network.
    """
    address = text if "://" in text else _address_in(Path(text))
    scheme, _, place = address.partition("://")
    if scheme not in ("tcp", "tls") or not place.rpartition(":")[2].isdecimal():
        raise ConfigError(f"--cluster {text}: cannot send tasks to '{address}'; {_EXPECTED}")
    check_private(address, f"--cluster {text}")
    return address


def check_private(address: str, who: str) -> None:
    """Refuse an address to which tasks would travel in the clear: whoever changes them on the way runs what he likes.

    Raises:
        ConfigError: neither TLS nor this machine's loopback.
    """
    if not address.startswith("tls://") and not _is_loopback(address):
        raise ConfigError(
            f"{who}: {address} is neither TLS nor on this machine alone; tasks travel as pickles, which run what they say, so "
            f"artgan sends them over tls:// or 127.0.0.1 only: start scheduler and workers with --tls-cert, --tls-key and "
            f"--tls-ca-file, or on 127.0.0.1 (--host 127.0.0.1)"
        )


def _is_loopback(address: str) -> bool:
    host = address.partition("://")[2].rpartition(":")[0].strip("[]")
    try:
        return address.startswith("tcp://") and (host == "localhost" or ipaddress.ip_address(host).is_loopback)
    except ValueError:  # a name, which may lead anywhere
        return False


def _address_in(path: Path) -> str:
    try:
        if path.stat().st_size > _MAX_FILE_BYTES:
            raise ValueError("too large")
        address = json.loads(path.read_text(encoding="utf-8"))["address"]
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
        raise ConfigError(f"--cluster {path}: no scheduler file can be read there ({error}); {_EXPECTED}") from error
    return str(address)


def announcement(text: str) -> str:
    """Return what is said before the first task is sent."""
    address = scheduler_address(text)
    way = "encrypted and signed by your certificates" if address.startswith("tls://") else "on this machine alone"
    return f"work goes to the cluster {address}; tasks travel as pickles, {way}: every process of the cluster is trusted"
