"""Write docs/reference.md from the command line and the schemas.

python scripts/reference.py           # write docs/reference.md
python scripts/reference.py --check   # fail where it is not up to date
"""

import inspect
import json
import re
import sys
import textwrap
import types
import typing
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import typer
from pydantic import BaseModel

from artgan import api
from artgan.cli import app
from artgan.config import RunConfig
from artgan.refine.recipe import Recipe, load_recipe, shipped_looks
from artgan.schema.strict_yaml import shipped_documents

ROOT = Path(__file__).parents[1]
REFERENCE = ROOT / "docs" / "reference.md"
WIDTH = 128


def page() -> str:
    """Return docs/reference.md."""
    parts = [
        "# Reference",
        "Every verb with its options, the functions for Python, every key of a run's configuration and of a look.\n"
        "`python scripts/reference.py` writes this page from the program; a test compares the two.",
        "## Verbs",
        *_verbs(),
        "## Functions for Python",
        *_functions(),
        "## Configuration of a run",
        "Keys of a YAML file for `artgan train`, and of `--set KEY=VALUE`; `--print-schema` prints the schema for editors.",
        *_section(RunConfig, ""),
        "Configurations that come with artgan, in `configs/`:",
        _wrapped(", ".join(f"`{name}`" for name in sorted(shipped_documents())) + "."),
        "## Looks",
        "Keys of a YAML file for `artgan refine --recipe`, and of its `--set KEY=VALUE`.",
        *_section(Recipe, ""),
        "Looks that come with artgan, known by name:",
        "\n".join(_bullet(f"`{name}`: {load_recipe(path).description}") for name, path in sorted(shipped_looks().items())),
    ]
    return "\n\n".join(parts) + "\n"


def _verbs() -> Iterator[str]:
    group = typer.main.get_command(app)
    context = typer.Context(group, info_name="artgan")
    for name in group.list_commands(context):
        yield from _verb(group.get_command(context, name), f"artgan {name}", "###")
    yield "### Global options"
    yield "\n".join(_option(parameter) for parameter in group.params if parameter.name != "help")


def _verb(command: Any, name: str, level: str) -> Iterator[str]:
    yield f"{level} {name}"
    yield _paragraphs(inspect.cleandoc(command.help or ""))
    if hasattr(command, "list_commands"):
        context = typer.Context(command, info_name=name)
        for child in command.list_commands(context):
            yield from _verb(command.get_command(context, child), f"{name} {child}", level + "#")
        return
    if parameters := [parameter for parameter in command.params if parameter.name != "help"]:
        yield "\n".join(_option(parameter) for parameter in parameters)
    example = (command.epilog or "").split("\n\n")[0]
    if example.startswith("Example: "):
        command_line = re.split(r"\. (?=[A-Z]\w+ )", example.removeprefix("Example: "))[0]
        yield _wrapped(f"Example: `{command_line}`")


def _option(parameter: Any) -> str:
    names = ", ".join(f"`{option}`" for option in (*parameter.opts, *parameter.secondary_opts))
    is_flag = getattr(parameter, "is_flag", False)
    if parameter.param_type_name == "argument":
        names = f"`{parameter.name.upper()}`" + (" ..." if parameter.nargs == -1 else "")
    elif not is_flag:
        names += f" {_value(parameter.type_descriptor.annotation)}" + (" (may repeat)" if parameter.multiple else "")
    help_text = parameter.help or ""
    shown = parameter.default not in (None, "", [], ()) and not is_flag and "efault" not in help_text
    default = f" Default: `{parameter.default}`." if shown and not callable(parameter.default) else ""
    return _bullet(f"{names}: {help_text}{default}")


def _value(kind: Any) -> str:
    """Return what stands after an option, such as `PATH`."""
    if isinstance(kind, type) and not typing.get_args(kind):
        return {int: "N", float: "X", str: "TEXT"}.get(kind, "PATH" if issubclass(kind, Path) else kind.__name__.upper())
    inner = [_value(part) for part in typing.get_args(kind) if part not in (type(None), Ellipsis)]
    return " ".join(inner)


def _functions() -> Iterator[str]:
    for name in ("prepare", "open_collection", "train", "evaluate", "load_model", "generate", "refine"):
        function = getattr(api, name)
        text = inspect.getdoc(function) or ""
        summary, _, rest = text.partition("\n\nArgs:\n")
        arguments, _, errors = rest.partition("\n\nRaises:\n")
        yield f"### artgan.{name}"
        yield _paragraphs(summary.partition("\n\nRaises:\n")[0])
        defaults = {key: value.default for key, value in inspect.signature(function).parameters.items()}
        errors = errors or summary.partition("\n\nRaises:\n")[2]
        bullets = [_argument(entry, defaults) for entry in _entries(arguments)] if arguments else []
        bullets += [f"raises `{entry.partition(':')[0]}`:{entry.partition(':')[2]}" for entry in _entries(errors)]
        yield "\n".join(map(_bullet, bullets))


def _entries(block: str) -> list[str]:
    """Return the entries of a section of a docstring, each on one line."""
    return [" ".join(entry.split()) for entry in re.split(r"\n(?=\S)", textwrap.dedent(block))]


def _argument(entry: str, defaults: dict[str, Any]) -> str:
    name, _, text = entry.partition(":")
    default = defaults[name]
    plain = default is not inspect.Parameter.empty and default is not None and not callable(default)
    return f"`{name}`{f' (default `{default!r}`)' if plain else ''}:{text}"


def _section(section: type[BaseModel], prefix: str) -> Iterator[str]:
    own, nested = [], []
    for name, field in section.model_fields.items():
        kind = field.annotation
        if inspect.isclass(kind) and issubclass(kind, BaseModel):
            nested.append((name, kind))
        else:
            text = (field.description or "").replace(" * ", " \\* ")
            own.append(_bullet(f"`{prefix}{name}` ({_kind(kind, field)}, default `{_default(field.default)}`): {text}"))
    if own:
        yield "\n".join(own)
    for name, kind in nested:
        yield f"### {prefix}{name}"
        yield _paragraphs(inspect.cleandoc(kind.__doc__ or ""))
        yield from _section(kind, f"{prefix}{name}.")


def _kind(kind: Any, field: Any = None) -> str:
    """Return a type in words, with its bounds."""
    origin, arguments = typing.get_origin(kind), typing.get_args(kind)
    bounds = _bounds(getattr(field, "metadata", ()))
    if origin is typing.Annotated:
        return _kind(arguments[0]) + _bounds(item for data in arguments[1:] for item in getattr(data, "metadata", ()))
    if origin is typing.Literal:
        return "one of " + ", ".join(f"`{value}`" for value in arguments) if len(arguments) > 1 else f"`{arguments[0]}`"
    if origin in (typing.Union, types.UnionType):
        return " or ".join(_kind(argument) for argument in arguments) + bounds
    if origin is tuple:
        inner = [_kind(argument) for argument in arguments if argument is not Ellipsis]
        return f"list of {inner[0]}" if Ellipsis in arguments else f"list of {len(inner)}: {inner[0]}"
    if origin is dict:
        return f"{_kind(arguments[1])} by name"
    words = {int: "whole number", float: "number", str: "text", bool: "true or false", type(None): "null"}
    return words.get(kind, str(kind)) + bounds


def _bounds(metadata: Any) -> str:
    signs = {"gt": "above", "ge": "from", "lt": "below", "le": "to"}
    found = [
        f"{signs[key]} {getattr(item, key):g}" for item in metadata for key in signs if getattr(item, key, None) is not None
    ]
    return f" {' '.join(found)}" if found else ""


def _default(value: Any) -> str:
    """Return a value as YAML has it."""
    if isinstance(value, tuple):
        return "[" + ", ".join(_default(item) for item in value) + "]"
    return json.dumps(value) if value is None or isinstance(value, bool | dict) else str(value)


def _bullet(text: str) -> str:
    return "- " + textwrap.fill(
        " ".join(text.split()), WIDTH - 2, subsequent_indent="  ", break_long_words=False, break_on_hyphens=False
    )


def _wrapped(text: str) -> str:
    return textwrap.fill(" ".join(text.split()), WIDTH, break_long_words=False, break_on_hyphens=False)


def _paragraphs(text: str) -> str:
    return "\n\n".join(_wrapped(paragraph) for paragraph in text.split("\n\n"))


if __name__ == "__main__":
    if "--check" in sys.argv:
        if page() != REFERENCE.read_text(encoding="utf-8"):
            sys.exit("docs/reference.md is not what the program says: run python scripts/reference.py")
    else:
        REFERENCE.write_text(page(), encoding="utf-8")
