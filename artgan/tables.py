"""Tables of the package: a name, and a row with what is known of it before anything heavy is imported.

They stand in the `__init__` files of `backbones`, `models`, `objectives`, `augment` and `metrics`. A row holds plain facts and
where the thing itself is, as text, so that the configuration can check a name without importing torch; `load` imports the one
module that is asked for. A name that ends with a slash, such as `timm/`, is a family: it stands for every name that begins
with it.
"""

import difflib
import importlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from artgan.errors import ConfigError


@dataclass(frozen=True)
class Row:
    """What a table knows of a name; each room adds the facts of its own things, and a fact that is forgotten is a TypeError.

    Attributes:
        place: `package.module:attribute` of the thing itself.
    """

    place: str

    def load(self) -> Any:
        """Import the module and return the thing."""
        module_name, _, attribute = self.place.partition(":")
        return getattr(importlib.import_module(module_name), attribute)


R = TypeVar("R", bound=Row)


class Table(dict[str, R], Generic[R]):
    """Rows by name.

    Args:
        what: one of them, for messages: "generator".
        rows: by name.
    """

    def __init__(self, what: str, rows: Mapping[str, R]) -> None:
        super().__init__(rows)
        self.what = what

    def row(self, name: str) -> R:
        """Return the row of a name, or of its family.

        Raises:
            ConfigError: there is none; the message lists the names.
        """
        family, slash, rest = name.partition("/")
        found = self.get(f"{family}/") if slash and rest else self.get(name)
        if found is None:
            known = ", ".join(f"{key}NAME" if key.endswith("/") else key for key in sorted(self))
            raise ConfigError(f"unknown {self.what} '{name}'{nearest(name, self)}: choose one of {known}")
        return found

    def check(self, name: str) -> str:
        """Return the name if the table has it.

        Raises:
            ConfigError: as in `row`.
        """
        self.row(name)
        return name

    def load(self, name: str) -> Any:
        """Import and return what the name stands for."""
        return self.row(name).load()

    def where(self, fact: str, value: Any = True) -> tuple[str, ...]:
        """Return the names whose rows have this value for a fact, in the table's order."""
        return tuple(name for name, row in self.items() if getattr(row, fact) == value)

    def values_of(self, fact: str) -> str:
        """Say a fact of every row, for people: "0.0004 for `fastgan`, 0.0025 for `stylegan2`"."""
        return ", ".join(f"{getattr(row, fact):g} for `{name}`" for name, row in self.items())


def nearest(name: str, names: Iterable[str]) -> str:
    """Return ` (did you mean 'x'?)` for the closest valid name, or nothing when none is close."""
    close = difflib.get_close_matches(name, list(names), n=1, cutoff=0.5)
    return f" (did you mean '{close[0]}'?)" if close else ""
