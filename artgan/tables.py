"""Look names up in the tables of the package: `{"name": "package.module:attribute"}`.

The tables stand in the `__init__` files of `backbones`, `models`, `objectives` and `augment`. They hold text only, so
that a name can be checked without importing torch; `resolve` imports the one module that is asked for. An entry that ends
with a slash, such as `timm/`, is a family: it stands for every name that begins with it.
"""

import difflib
import importlib
from collections.abc import Iterable, Mapping
from typing import Any

from artgan.errors import ConfigError


def nearest(name: str, names: Iterable[str]) -> str:
    """Return ` (did you mean 'x'?)` for the closest valid name, or nothing when none is close."""
    close = difflib.get_close_matches(name, list(names), n=1, cutoff=0.5)
    return f" (did you mean '{close[0]}'?)" if close else ""


def check_name(table: Mapping[str, str], name: str, what: str) -> str:
    """Return `name` if the table has it.

    Raises:
        ConfigError: the table lacks the name; the message lists the names it has.
    """
    if _entry(table, name) is None:
        known = ", ".join(f"{key}NAME" if key.endswith("/") else key for key in sorted(table))
        raise ConfigError(f"unknown {what} '{name}'{nearest(name, table)}: choose one of {known}")
    return name


def resolve(table: Mapping[str, str], name: str, what: str) -> Any:
    """Import and return the object that `table` names."""
    entry = _entry(table, check_name(table, name, what))
    assert entry is not None
    module_name, _, attribute = entry.partition(":")
    return getattr(importlib.import_module(module_name), attribute)


def _entry(table: Mapping[str, str], name: str) -> str | None:
    family, slash, rest = name.partition("/")
    return table.get(f"{family}/") if slash and rest else table.get(name)
