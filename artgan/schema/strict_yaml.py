"""YAML that says what it means: no tags, no aliases, no duplicate keys, `2e-3` is a number, every key knows its line."""

import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

import artgan
from artgan.errors import ConfigError
from artgan.tables import nearest

_LIMIT_BYTES = 1 << 20
_EXPONENT_FLOAT = re.compile(r"^[-+]?(\d+\.?\d*|\.\d+)[eE][-+]?\d+$")


@dataclass(frozen=True)
class Document:
    """A parsed mapping, `{dotted path: "file:line"}` for its keys, and the file's name."""

    data: dict[str, Any]
    places: dict[str, str]
    source: str


class _Loader(yaml.SafeLoader):
    """The safe loader, without aliases: they can expand without bound."""

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        if self.check_event(yaml.AliasEvent):
            mark = self.peek_event().start_mark
            raise yaml.MarkedYAMLError(problem="aliases are not allowed", problem_mark=mark)
        return super().compose_node(parent, index)


# YAML 1.1 takes `2e-3` for a text; people mean the number.
_Loader.add_implicit_resolver("tag:yaml.org,2002:float", _EXPONENT_FLOAT, list("-+.0123456789"))


def shipped_documents(folder: str = "") -> dict[str, Path]:
    """Return the files of `configs/` or of a folder in it, by name: in the installed package, or in the checkout around it."""
    package = Path(artgan.__file__).parent
    folders = [root / "configs" / folder for root in (package, package.parent)]
    return {path.stem: path for place in folders for path in sorted(place.glob("*.yaml"))}


def find_document(given: str | os.PathLike[str], folder: str = "") -> Path:
    """Return the file that is meant: one that exists, or by its name one of `configs/` or of a folder in it.

    A folder of that name, such as the results of a look, is not meant.

    Raises:
        ConfigError: neither; the message names those that come with artgan.
    """
    path = Path(given)
    if path.exists() and not path.is_dir():
        return path
    shipped = shipped_documents(folder)
    if (name := os.fspath(given)) in shipped:
        return shipped[name]
    names = ", ".join(shipped)
    raise ConfigError(f"{path}: no such file{nearest(path.stem, shipped)}; by name there are those of artgan: {names}")


def parse_document(path: Path) -> Document:
    """Read a YAML file that holds one mapping.

    Raises:
        ConfigError: the file cannot be read, is too large, or is not such YAML; the message gives file and line.
    """
    try:
        if path.stat().st_size > _LIMIT_BYTES:
            raise ConfigError(f"{path}: larger than 1 MB, this is not a configuration")
        text = path.read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        raise ConfigError(f"{path}: no such file") from None
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: cannot be read as text ({error})") from error
    return parse_text(text, str(path))


def parse_text(text: str, source: str) -> Document:
    """Parse YAML text that holds one mapping; `source` names it in errors."""
    try:
        loader = _Loader(text)
    except yaml.YAMLError as error:  # characters that no YAML may hold
        raise ConfigError(f"{source}: not valid YAML ({error})") from None
    try:
        node = loader.get_single_node()
        if node is None:
            return Document({}, {}, source)
        if not isinstance(node, yaml.MappingNode):
            raise ConfigError(f"{source}: expected `key: value` lines, got something else")
        places: dict[str, str] = {}
        _collect_places(node, "", source, places)
        return Document(loader.construct_document(node), places, source)
    except yaml.MarkedYAMLError as error:
        line = f":{error.problem_mark.line + 1}" if error.problem_mark else ""
        raise ConfigError(f"{source}{line}: {error.problem or 'not valid YAML'}") from None
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise ConfigError(f"{source}: not valid YAML ({error})") from None
    finally:
        loader.dispose()


def parse_scalar(text: str) -> Any:
    """Parse the value of `--set key=value`: a number, true, a text, or a list such as `[color, cutout]`."""
    return parse_text(f"value: {text}", "--set").data["value"]


def _collect_places(node: yaml.MappingNode, prefix: str, source: str, places: dict[str, str]) -> None:
    for key, value in node.value:
        place = f"{source}:{key.start_mark.line + 1}"
        if not isinstance(key, yaml.ScalarNode):
            raise ConfigError(f"{place}: a key must be a plain word")
        path = f"{prefix}{key.value}"
        if path in places:
            raise ConfigError(f"{place}: key '{path}' stands twice, first at {places[path]}")
        places[path] = place
        if isinstance(value, yaml.MappingNode):
            _collect_places(value, f"{path}.", source, places)
