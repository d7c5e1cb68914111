"""Whose art it is: what the sources say about rights, so that it can be printed and kept with the collection."""

from collections.abc import Sequence
from pathlib import Path

import yaml

from artgan import object_store
from artgan.datasets import remote
from artgan.errors import ArtganError

_CARD = "README.md"
_MAX_CARD_BYTES = 1 << 20
_HUB = "hf://datasets/"


def stated_rights(sources: Sequence[Path | str]) -> list[str]:
    """Return a line for every source that has a card, or ought to have one: its license, or that none is stated.

    A card is a `README.md` with a `license` in its YAML header, as data hubs ask for it.
    """
    lines = []
    for source in map(str, sources):
        card = _card_of(source)
        if card is None:
            continue
        license_name = _license_in(card)
        if license_name:
            lines.append(f"{source}: license '{license_name}', says its card; look at the rights of each work all the same")
        else:
            lines.append(f"{source}: its card states no license; find out before you share anything made of it")
    return lines


def _card_of(source: str) -> bytes | None:
    """Return the card of a source; nothing when it is a hub's and cannot be read; None when it is not of a kind with cards."""
    if source.startswith(_HUB):
        owner_and_name = source.removeprefix(_HUB).split("/")[:2]
        try:
            return remote.read_url(_HUB + "/".join(owner_and_name) + "/" + _CARD)
        except ArtganError:
            return b""
    if object_store.is_url(source) or not (Path(source) / _CARD).is_file():
        return None
    with (Path(source) / _CARD).open("rb") as file:
        return file.read(_MAX_CARD_BYTES)


def _license_in(card: bytes) -> str | None:
    text = card[:_MAX_CARD_BYTES].decode("utf-8", "replace").replace("\r\n", "\n")
    if not text.startswith("---\n"):
        return None
    try:
        header = yaml.safe_load(text[4:].split("\n---", 1)[0])
    except (yaml.YAMLError, RecursionError, ValueError):
        return None
    value = header.get("license_name") or header.get("license") if isinstance(header, dict) else None
    if isinstance(value, list):
        value = ", ".join(map(str, value))
    return str(value)[:200] if value else None
