"""Values into a schema: those of a document, then those that win over them; one error names every mistake with its place."""

import datetime
import json
from collections.abc import Iterable, Mapping
from typing import Any, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError

from artgan.errors import ConfigError
from artgan.schema.sentences import sentences
from artgan.schema.strict_yaml import Document, parse_scalar


class Section(BaseModel):
    """A schema or a part of one: immutable, strict in types, closed to unknown keys."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", strict=True, use_attribute_docstrings=True, allow_inf_nan=False, validate_default=True
    )


S = TypeVar("S", bound=Section)


def read(
    schema: type[S], document: Document, values: Mapping[str, Any] | None = None, typed: Mapping[str, str] | None = None
) -> S:
    """Return a schema's values.

    Args:
        schema: what to read.
        document: a file's values; left as it is.
        values: by dotted key, which win over the file's.
        typed: how a person gave a value, by dotted key: `--set seed=3` or `--strength 0.5`; errors name it so.

    Raises:
        ConfigError: some values are wrong; one message names all of them, each with file and line or as it was typed, what
            was expected and what was got.
    """
    data = json.loads(_as_json(document.data, document.source))
    places = {**document.places, **(typed or {})}
    for key, value in (values or {}).items():
        _put(data, key, value, places)
    try:
        return schema.model_validate_json(_as_json(data, document.source))
    except ValidationError as failure:
        raise ConfigError("\n".join(sentences(failure.errors(), schema, places, document.source))) from None


def check_values(schema: type[Section], values: Mapping[str, Any], typed: Mapping[str, str]) -> None:
    """Check each value by itself; whether it goes with the others is known only beside a whole document.

    Raises:
        ConfigError: some are wrong; one message names all of them.
    """
    data: dict[str, Any] = {}
    for key, value in values.items():
        _put(data, key, value, typed)
    try:
        schema.model_validate_json(_as_json(data, ""))
    except ValidationError as failure:
        if errors := [error for error in failure.errors() if error["loc"]]:
            raise ConfigError("\n".join(sentences(errors, schema, typed, ""))) from None


def parse_settings(texts: Iterable[str], example: str) -> tuple[dict[str, Any], dict[str, str]]:
    """Parse the `key=value` texts of `--set`.

    Returns:
        Values by dotted key, and how each was typed, for `read`.

    Raises:
        ConfigError: a text has no key or no value; `example` shows how one looks.
    """
    values, typed = {}, {}
    for text in texts:
        key, separator, value = text.partition("=")
        if not separator or not key.strip():
            raise ConfigError(f"--set {text}: expected key=value, for example --set {example}")
        values[key.strip()] = parse_scalar(value)
        typed[key.strip()] = f"--set {text}"
    return values, typed


def _put(data: dict[str, Any], key: str, value: Any, places: Mapping[str, str]) -> None:
    *sections, leaf = key.split(".")
    for depth, name in enumerate(sections, 1):
        child = data.setdefault(name, {})
        if not isinstance(child, dict):
            section = ".".join(sections[:depth])
            where = f" ({places[section]})" if section in places else ""
            raise ConfigError(f"{places.get(key, key)}: '{section}' is a value, not a section{where}")
        data = child
    data[leaf] = value


def _as_json(data: Mapping[str, Any], source: str) -> str:
    try:
        return json.dumps(data, default=_day)
    except (TypeError, ValueError, RecursionError) as error:
        raise ConfigError(f"{source + ': ' if source else ''}not plain numbers, texts, lists and sections ({error})") from None


def _day(value: Any) -> str:
    """Return a date as the text that it is to everybody but YAML."""
    if isinstance(value, datetime.date):
        return value.isoformat()
    raise TypeError(f"a value of the kind {type(value).__name__}")
