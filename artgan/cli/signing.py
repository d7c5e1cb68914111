"""The option --sign of the verbs that make pictures and films."""

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from artgan.errors import ConfigError

if TYPE_CHECKING:
    from artgan.signing import Signature

Sign = Annotated[
    tuple[Path, Path] | None,
    typer.Option(
        metavar="CERT KEY",
        help="Sign what is made (C2PA) with a certificate chain and its key, PEM; not sheets, not WebM.",
    ),
]


def signature_of(sign: tuple[Path, Path] | None, formats: Iterable[str] = ()) -> "Signature | None":
    """Return what --sign names, or None without it; that it signs is tried here, before any work.

    Args:
        sign: the paths of the certificate chain and of the key.
        formats: of the films that are to be signed.

    Raises:
        ConfigError: a format has no place for a manifest.
        ConfigError, DataError, ArtganError: as `artgan.signing.load_signature`.
    """
    if sign is None:
        return None
    if "webm" in formats:
        raise ConfigError("--sign: WebM has no place for a manifest; MP4, GIF and WebP have")
    from artgan.signing import load_signature

    return load_signature(*sign)
