"""The option of verbs that bring pictures to a size, and its check before any work."""

from typing import Annotated

import typer

from artgan import arguments
from artgan.errors import ConfigError

Enlarger = Annotated[
    str | None, typer.Option(help="What --size enlarges with: a fitted enlarger's folder, lanczos (default) or edge.")
]


def check_size(size: int | None, enlarger: str | None) -> None:
    """Check a size in pixels, and that there is one where there is something that enlarges to it.

    Raises:
        ConfigError: the size is out of range, or missing.
    """
    if size is not None:
        arguments.number("--size", size, *arguments.SIZES_PX)
    elif enlarger is not None:
        raise ConfigError("--enlarger goes with --size")
