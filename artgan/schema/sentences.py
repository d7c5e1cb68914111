"""What is wrong with values, in sentences: where it stands, what was got, the nearest right word, what was expected.

What is expected follows from the schema's types and bounds, not from the words of the library that checks them.
"""

from collections.abc import Iterable, Mapping
from types import UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from artgan.tables import nearest

_INT64_MAX = 2**63 - 1


def sentences(errors: Iterable[Any], schema: type[BaseModel], places: Mapping[str, str], source: str) -> list[str]:
    """Return a sentence for each of pydantic's errors.

    Args:
        errors: of `ValidationError.errors()`.
        schema: which was to be read.
        places: by dotted key, `file:line`, or a value as it was typed on the command line: `--strength 2`.
        source: names the document where a key has no place; may be empty.
    """
    return [_sentence(error, schema, places, source) for error in errors]


def _sentence(error: Any, schema: type[BaseModel], places: Mapping[str, str], source: str) -> str:
    keys = list(error["loc"])
    if error["type"] == "missing" and keys and isinstance(keys[-1], int):  # a list that is too short: its error names an entry
        keys.pop()
    path = ".".join(map(str, keys))
    place = next((places[key] for key in _upwards(path) if key in places), source)
    is_typed, where = place.startswith("--"), f"{place}: " if place else ""
    if error["type"] == "extra_forbidden":
        known = list(getattr(_kind_at(schema, keys[:-1])[0], "model_fields", ()))
        return f"{where}unknown key '{path}'{nearest(str(keys[-1]), known) or ': known are ' + ', '.join(known)}"
    if error["type"] == "value_error":  # a sentence of our own
        return f"{where}{'' if is_typed or not path else path + ': '}{error['ctx']['error']}"
    kind, field = _kind_at(schema, keys)
    hint = nearest(str(error["input"]), map(str, get_args(kind)) if get_origin(kind) is Literal else ())
    got = place if is_typed else f"{where}{path} = {error['input']!r}"
    return f"{got}{hint}: expected {_expected(kind, field) or error['msg'][0].lower() + error['msg'][1:]}"


def _upwards(path: str) -> Iterable[str]:
    """Yield a dotted key and the sections around it, from the innermost."""
    while path:
        yield path
        path = path.rpartition(".")[0]


def _kind_at(schema: type[BaseModel], keys: Iterable[str | int]) -> tuple[Any, list[Any]]:
    """Return the type that a value should have, without `None`, and what else is said of it."""
    kind: Any = schema
    said: list[Any] = []
    for key in keys:
        inner = get_args(kind)
        if isinstance(kind, type) and issubclass(kind, BaseModel):
            field = kind.model_fields[str(key)]
            kind, said = field.annotation, [field, *field.metadata]
        elif get_origin(kind) is tuple and isinstance(key, int):
            kind, said = inner[0] if inner[-1] is Ellipsis else inner[key], []
        else:  # of a mapping
            kind, said = inner[-1] if inner else Any, []
        kind, said = _plain(kind, said)
    return kind, said


def _plain(kind: Any, said: list[Any]) -> tuple[Any, list[Any]]:
    """Take `None` and annotations off a type."""
    if get_origin(kind) in (Union, UnionType):
        kept = [part for part in get_args(kind) if part is not type(None)]
        return _plain(kept[0], said) if len(kept) == 1 else (kind, said)
    if get_origin(kind) is Annotated:
        kind, *annotations = get_args(kind)
        more = [entry for part in annotations for entry in (part, *(part.metadata if isinstance(part, FieldInfo) else ()))]
        return _plain(kind, said + more)
    return kind, said


def _expected(kind: Any, said: list[Any]) -> str:
    """Say what a value should be; nothing where the type alone does not tell."""
    if get_origin(kind) is Literal:
        choices = get_args(kind)
        return f"one of {', '.join(map(str, choices))}" if len(choices) > 1 else str(choices[0])
    if kind in (int, float):
        return _number(kind is int, said)
    if kind is bool:
        return "true or false"
    if kind is str:
        examples = next((part.examples for part in said if getattr(part, "examples", None)), None)
        return f"a text such as {', '.join(map(str, examples))}" if examples else "a text"
    if get_origin(kind) is tuple:
        inner = get_args(kind)
        return "a list" if inner[-1] is Ellipsis else f"a list of {len(inner)}"
    if get_origin(kind) is dict:
        return "names, each with its value"
    return "keys with values below it" if isinstance(kind, type) and issubclass(kind, BaseModel) else ""


def _number(whole: bool, said: list[Any]) -> str:
    bounds: dict[str, float] = {
        name: getattr(part, name) for part in said for name in ("ge", "gt", "le", "lt") if hasattr(part, name)
    }
    if whole:  # whole numbers above 0 are those from 1 on
        steps = {"gt": ("ge", 1), "lt": ("le", -1)}
        bounds = {steps.get(name, (name, 0))[0]: value + steps.get(name, (name, 0))[1] for name, value in bounds.items()}
    noun = "a whole number" if whole else "a number"
    from_on, above, up_to, below = (_written(bounds[name]) if name in bounds else "" for name in ("ge", "gt", "le", "lt"))
    if from_on and not (up_to or below):
        return f"{noun} of {from_on} or more"
    if from_on:
        return f"{noun} from {from_on} to {up_to or 'below ' + below}"
    limits = [f"above {above}" if above else "", f"up to {up_to}" if up_to else f"below {below}" if below else ""]
    return f"{noun} {', '.join(filter(None, limits))}".rstrip()


def _written(value: float) -> str:
    if value == _INT64_MAX:
        return "2^63 - 1"
    return f"{value:,.0f}" if abs(value) >= 1e6 else f"{value:g}"
