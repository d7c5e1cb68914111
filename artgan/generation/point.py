"""A point: what makes one picture of a model, as a value that can be written down, sent and read again.

The styles of a point are made in this order: the styles of a seed (its classes mixed in W) or stored ones; truncation;
moves along directions; the way towards another point; some layers taken from a third. Every step at its neutral value returns
its input, bit for bit, so that seed k is the same picture in a sheet, in the studio and as a key frame of a video.
"""

import base64
import binascii
import math
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

import numpy as np

from artgan.errors import DataError

MAX_SEED = 2**32 - 1
MAX_TRUNCATION = 2.0
MAX_CENTERS = 64
MAX_MOVE = 20.0
_MAX_STYLES = 1 << 16
_MAX_NESTING = 2


@dataclass(frozen=True)
class Point:
    """A place in the latent space of a model.

    Attributes:
        seed: of the latents z.
        styles: base64 of float32 `[num_styles, style_dim]`, in place of the seed's; from a projection.
        classes: `(label, weight)`; weights are divided by their sum. Empty: class 0, or none.
        truncation: 1 keeps the model's whole variety, 0 gives the center.
        centers: truncate towards the mean (0), or towards the nearest of so many k-means centers.
        moves: `(direction, amount)`, such as `("pca-1", 2.0)`, in standard deviations of W along it.
        toward, amount: linear interpolation in W towards another point; 0 is this one, 1 the other.
        mixed, layers: layers from `layers[0]` on and before `layers[1]` are those of another point.
        noise: key of the noise inputs; None takes the model's fixed noise. Generators without noise ignore it.
    """

    seed: int = 0
    styles: str = ""
    classes: tuple[tuple[int, float], ...] = ()
    truncation: float = 1.0
    centers: int = 0
    moves: tuple[tuple[str, float], ...] = ()
    toward: "Point | None" = None
    amount: float = 0.0
    mixed: "Point | None" = None
    layers: tuple[int, int] = (0, 0)
    noise: int | None = None

    def as_dict(self) -> dict[str, Any]:
        """Return plain JSON values; what is at its default is left out, except the seed."""
        content: dict[str, Any] = {} if self.styles else {"seed": self.seed}
        for field in fields(self)[1:]:
            value = getattr(self, field.name)
            if value != field.default:
                content[field.name] = value.as_dict() if isinstance(value, Point) else _plain(value)
        return content


def _plain(value: Any) -> Any:
    return [_plain(item) for item in value] if isinstance(value, tuple) else value


def pack_styles(styles: np.ndarray) -> str:
    """Return float32 `[num_styles, style_dim]` as text."""
    return base64.b64encode(styles.astype("<f4").tobytes()).decode()


def unpack_styles(text: str, num_styles: int, style_dim: int) -> np.ndarray:
    """Return the styles of `pack_styles`, float32 `[num_styles, style_dim]`.

    Raises:
        DataError: the text is something else, or the styles are those of another kind of model.
    """
    try:
        values = np.frombuffer(base64.b64decode(text, validate=True), "<f4")
    except (binascii.Error, ValueError) as error:
        raise DataError(f"the stored styles of this point cannot be read ({error})") from error
    if values.size != num_styles * style_dim or not np.isfinite(values).all():
        raise DataError(
            f"the stored styles of this point have {values.size} values, this model takes {num_styles} x {style_dim}: they are "
            f"of another model, or damaged"
        )
    return values.reshape(num_styles, style_dim).copy()


def point_from(content: Any, nesting: int = 0) -> Point:
    """Read a point that came from outside: a picture's metadata, a request, a file.

    Raises:
        DataError: an unknown key, a wrong type, or a value out of range; names the key, the value and the rule.
    """
    if not isinstance(content, Mapping):
        raise DataError(f"a point is an object such as {{'seed': 3}}, got a {type(content).__name__}")
    known = [field.name for field in fields(Point)]
    unknown = [str(key) for key in content if key not in known]
    if unknown:
        raise DataError(f"point: unknown key '{unknown[0][:40]}'; known are {', '.join(known)}")
    if nesting > _MAX_NESTING:
        raise DataError(f"point: nested more than {_MAX_NESTING} times")
    values = dict(content)
    others = {key: point_from(values[key], nesting + 1) for key in ("toward", "mixed") if values.get(key) is not None}
    return Point(
        seed=_whole("seed", values.get("seed", 0), MAX_SEED),
        styles=_text("styles", values.get("styles", ""), _MAX_STYLES * 8),
        classes=tuple(
            (_whole("classes", label, 100_000), _number("classes", weight, 0, 1e6))
            for label, weight in _pairs(values, "classes")
        ),
        truncation=_number("truncation", values.get("truncation", 1.0), 0, MAX_TRUNCATION),
        centers=_whole("centers", values.get("centers", 0), MAX_CENTERS),
        moves=tuple((_text("moves", n, 40), _number("moves", a, -MAX_MOVE, MAX_MOVE)) for n, a in _pairs(values, "moves")),
        toward=others.get("toward"),
        amount=_number("amount", values.get("amount", 0.0), 0, 1),
        mixed=others.get("mixed"),
        layers=_layers(values.get("layers", (0, 0))),
        noise=None if values.get("noise") is None else _whole("noise", values["noise"], MAX_SEED),
    )


def _pairs(values: Mapping[str, Any], key: str) -> list[tuple[Any, Any]]:
    pairs = values.get(key, ())
    if not isinstance(pairs, list | tuple) or len(pairs) > 1000:
        raise DataError(f"point.{key}: expected a list of pairs")
    if any(not isinstance(pair, list | tuple) or len(pair) != 2 for pair in pairs):
        raise DataError(f"point.{key}: expected pairs, got {str(pairs)[:60]}")
    return [(first, second) for first, second in pairs]


def _layers(value: Any) -> tuple[int, int]:
    if not isinstance(value, list | tuple) or len(value) != 2:
        raise DataError(f"point.layers: expected [first, end], got {str(value)[:40]}")
    return _whole("layers", value[0], 100), _whole("layers", value[1], 100)


def _whole(key: str, value: Any, high: int) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= high:
        raise DataError(f"point.{key}: expected a whole number from 0 to {high}, got {str(value)[:40]}")
    return value


def _number(key: str, value: Any, low: float, high: float) -> float:
    fits = isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value) and low <= value <= high
    if not fits:
        raise DataError(f"point.{key}: expected a number from {low:g} to {high:g}, got {str(value)[:40]}")
    return float(value)


def _text(key: str, value: Any, limit: int) -> str:
    if not isinstance(value, str) or len(value) > limit:
        raise DataError(f"point.{key}: expected a text of up to {limit} characters")
    return value
