"""Pieces of a page: embedded pictures and curves, and the templates that hold them."""

import base64
import io
from collections.abc import Mapping, Sequence
from functools import lru_cache
from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np
from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup
from PIL import Image

_Named = tuple[tuple[str, tuple[float, ...], tuple[float, ...]], ...]
_MARGINS_INCHES = (0.8, 0.5, 0.25, 0.25)  # left, bottom, right, top


def render(template: str, context: Mapping[str, Any]) -> str:
    """Fill a template of `artgan/report/templates`; text is escaped, a missing value is an error."""
    environment = Environment(
        loader=PackageLoader("artgan.report"), autoescape=True, undefined=StrictUndefined, trim_blocks=True
    )
    style = resources.files("artgan.report").joinpath("templates/style.css").read_text(encoding="utf-8")
    return environment.get_template(template).render(style=Markup(style), **context)


def picture(source: Path | np.ndarray, zoom: int = 1) -> Markup:
    """Return a data URL of a picture file or of uint8 `[H, W, 3]`, enlarged by whole pixels."""
    image = Image.open(source) if isinstance(source, Path) else Image.fromarray(source)
    if zoom > 1:
        image = image.resize((image.width * zoom, image.height * zoom), Image.Resampling.NEAREST)
    buffer = io.BytesIO()
    image.convert("RGB").save(buffer, format="PNG")
    return Markup("data:image/png;base64," + base64.b64encode(buffer.getvalue()).decode())


def curves(
    lines: Mapping[str, tuple[Sequence[float], Sequence[float]]],
    x_label: str,
    y_label: str,
    bands: Mapping[str, tuple[Sequence[float], Sequence[float]]] | None = None,
) -> Markup:
    """Draw named curves as inline SVG.

    Args:
        lines: name -> (x, y).
        x_label, y_label: axis titles.
        bands: name -> (low, high), drawn behind the curve of that name.
    """
    drawn = tuple((name, tuple(x), tuple(y)) for name, (x, y) in lines.items())
    behind = tuple((name, tuple(low), tuple(high)) for name, (low, high) in (bands or {}).items())
    return _curves(drawn, x_label, y_label, behind)


@lru_cache(maxsize=64)  # a run's page is written anew at its end, most often with the numbers of a moment ago
def _curves(lines: _Named, x_label: str, y_label: str, bands: _Named) -> Markup:
    figure, axes = _figure((6.4, 2.8))
    behind = {name: (low, high) for name, low, high in bands}
    for name, x, y in lines:
        (line,) = axes.plot(x, y, label=name, linewidth=1.6, marker="." if len(x) < 30 else None)
        if name in behind:
            axes.fill_between(x, *behind[name], color=line.get_color(), alpha=0.18, linewidth=0)
    axes.set_xlabel(x_label)
    axes.set_ylabel(y_label)
    if len(lines) > 1:
        axes.legend(frameon=False)
    return _svg(figure, axes)


def bars(values: Sequence[float], label: str) -> Markup:
    """Draw the distribution of some values as inline SVG."""
    figure, axes = _figure((4.8, 2.4))
    axes.hist(values, bins=min(40, max(5, len(set(values)))))
    axes.set_xlabel(label)
    axes.set_ylabel("pictures")
    return _svg(figure, axes)


def _figure(size_inches: tuple[float, float]) -> tuple[Any, Any]:
    """Return a figure and its axes, within margins wide enough for numbers: a layout that measures them draws twice."""
    from matplotlib.backends.backend_svg import FigureCanvasSVG
    from matplotlib.figure import Figure

    figure = Figure(figsize=size_inches)
    FigureCanvasSVG(figure)
    (width, height), (left, bottom, right, top) = size_inches, _MARGINS_INCHES
    return figure, figure.add_axes((left / width, bottom / height, 1 - (left + right) / width, 1 - (bottom + top) / height))


def _svg(figure: Any, axes: Any) -> Markup:
    axes.ticklabel_format(axis="y", scilimits=(-3, 5))  # long numbers have their power of ten above the axis
    axes.grid(alpha=0.25)
    axes.spines[["top", "right"]].set_visible(False)
    buffer = io.StringIO()
    figure.savefig(buffer, format="svg", transparent=True, metadata={"Date": None})
    svg = buffer.getvalue()
    return Markup(svg[svg.index("<svg") :])
