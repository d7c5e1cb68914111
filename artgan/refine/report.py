"""What a refine run did, in numbers and at a glance: `refine.json`, and `sheet.png` with before above after."""

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image, ImageOps

import artgan
from artgan.backbones.backbone import Backbone, load_backbone
from artgan.decode import decode_file
from artgan.devices import place
from artgan.file_names import join_names
from artgan.images import grid
from artgan.metrics.style_transfer import content_distance, gram_distance, gram_matrix, palette_distance, series_consistency
from artgan.overview import save_sheet
from artgan.progress import Listener, Progress, silent
from artgan.refine.canvas import resized
from artgan.refine.color import statistics_of
from artgan.refine.files import Result
from artgan.refine.grading import sample_pixels
from artgan.refine.materials import Materials
from artgan.refine.networks import without_frame
from artgan.refine.plan import REPORT, SHEET
from artgan.refine.recipe import Recipe
from artgan.refine.style_card import reduced_picture, spread_works

_SHEET_PICTURES = 8
_SHEET_TILE_PX = 192
_JUDGED_AT_PX = 256
_WORST = 8


@dataclass
class _Judge:
    """The backbone of the recipe, as a judge at one size, and the style's Gram matrices on it."""

    backbone: Backbone
    style_layers: tuple[str, ...]
    content_layers: tuple[str, ...]
    style: Mapping[str, np.ndarray]
    device: torch.device

    def features(self, pixels: np.ndarray) -> dict[str, np.ndarray]:
        return _features(self.backbone, pixels, self.device)


def write_report(
    out: Path,
    result: Result,
    recipe: Recipe,
    materials: Materials,
    device: torch.device,
    seconds: float,
    films: Sequence[Mapping[str, Any]] = (),
    on_progress: Listener = silent,
) -> dict[str, Any]:
    """Measure every picture against its source, its style and its palette, and write `refine.json` and `sheet.png`.

    Style and content distances use the recipe's backbone and layers, at a long side of 256 px; without a style step there
    are none. Every style counts by its weight; of a collection 16 evenly spread works are judged against.

    Args:
        films: lines of the films of the same run, with their flicker of 255. Without a picture there is no sheet.

    Returns:
        what `refine.json` holds.
    """
    judged = recipe.style.acts and materials.styles and result.written
    judge = _judge(recipe, materials, device) if judged else None
    target = statistics_of(materials.palette) if materials.palette is not None else None
    lines: list[dict[str, Any]] = []
    colors: dict[str, list[tuple[np.ndarray, np.ndarray]]] = {"before": [], "after": []}
    sheet: list[tuple[np.ndarray, np.ndarray]] = []
    for source, written in result.written.items():
        before, after = resized(decode_file(source).pixels, recipe.output.size_px), decode_file(written).pixels
        ours = {"before": statistics_of(sample_pixels(before)), "after": statistics_of(sample_pixels(after))}
        line: dict[str, Any] = {"file": written.name, "source": source.name}
        for when in ("before", "after"):
            colors[when].append((ours[when].mean, ours[when].covariance))
        if target is not None:
            line |= {f"palette_{when}": _palette(ours[when], target) for when in ("before", "after")}
        if judge is not None:
            line |= _distances(judge, before, after)
        lines.append(line)
        if len(sheet) < _SHEET_PICTURES:
            sheet.append((before, after))
        on_progress(Progress("judging", len(lines), len(result.written), "pictures"))
    key = "style_after" if judge is not None else "palette_after" if target is not None else None
    report = {
        "format": 1,
        "version": artgan.__version__,
        "recipe": recipe.as_dict(),
        "styles": [style.name for style in materials.styles],
        "judge": _protocol(judge),
        "seconds": round(seconds, 1),
        "pictures": lines,
        "films": list(films),
        "means": _means(lines),
        "consistency": {when: series_consistency(values) for when, values in colors.items()} if len(lines) > 1 else {},
        "worst_by": key,
        "worst": [line["file"] for line in sorted(lines, key=lambda line: -line[key])[:_WORST]] if key else [],
        "lost": result.lost,
        "failed": _by_name(result.failed),
    }
    (out / REPORT).write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")
    if sheet:
        pixels = before_after_sheet([pair[0] for pair in sheet], [pair[1] for pair in sheet])
        save_sheet(out / SHEET, pixels, "before and after")
    return report


def _by_name(reasons: Mapping[Path, str]) -> dict[str, str]:
    """Return reasons by the names of their files: a line for each, by its path where several are called the same."""
    count = Counter(source.name for source in reasons)
    return {source.name if count[source.name] == 1 else str(source): reason for source, reason in reasons.items()}


def summary(report: Mapping[str, Any]) -> str:
    """Return the report as a small table for a terminal."""
    names = {"style": "style distance", "content": "content distance", "palette": "palette distance"}
    rows = []
    for name, title in names.items():
        before, after = report["means"].get(f"{name}_before"), report["means"].get(f"{name}_after")
        if after is not None:
            rows.append((title, "" if before is None else f"{before:.4f}", f"{after:.4f}"))
    if report["consistency"]:
        spread = {when: values["palette_spread"] for when, values in report["consistency"].items()}
        rows.append(("colors within the series", f"{spread['before']:.4f}", f"{spread['after']:.4f}"))
    lines = [f"{'':26}{'before':>10}{'after':>10}"] if rows else []
    lines += [f"{title:26}{before:>10}{after:>10}" for title, before, after in rows]
    if len(report["worst"]) > 1:
        far = "style" if report["worst_by"] == "style_after" else "palette"
        lines.append(f"furthest from the {far}: {', '.join(report['worst'])}")
    return "\n".join([*lines, *_remarks(report["pictures"])])


def _remarks(pictures: Sequence[Mapping[str, Any]]) -> list[str]:
    """Return what to know of pictures that came out further from the style than they were."""
    styled = [line for line in pictures if "style_after" in line]
    worse = [line["file"] for line in styled if line["style_after"] > line["style_before"]]
    if not worse:
        return []
    return [
        f"{len(worse)} of {len(styled)} pictures are further from the style than they were: {join_names(worse)}; try "
        f"another --style, a smaller --size, or --engine none"
    ]


def before_after_sheet(before: Sequence[np.ndarray], after: Sequence[np.ndarray]) -> np.ndarray:
    """Return a sheet with up to 8 pictures above their results, uint8 `[H, W, 3]`."""
    shown = range(min(len(before), _SHEET_PICTURES))
    tiles = [_tile(before[index]) for index in shown] + [_tile(after[index]) for index in shown]
    return grid(np.stack(tiles), columns=len(shown))


def _tile(pixels: np.ndarray) -> np.ndarray:
    image = ImageOps.contain(Image.fromarray(pixels), (_SHEET_TILE_PX, _SHEET_TILE_PX), Image.Resampling.LANCZOS)
    tile = Image.new("RGB", (_SHEET_TILE_PX, _SHEET_TILE_PX), (255, 255, 255))
    tile.paste(image, ((_SHEET_TILE_PX - image.width) // 2, (_SHEET_TILE_PX - image.height) // 2))
    return np.asarray(tile)


def _judge(recipe: Recipe, materials: Materials, device: torch.device) -> _Judge:
    look = recipe.style
    backbone = place(without_frame(load_backbone(look.backbone, [*look.style_layers, *look.content_layers])), device)
    grams: dict[str, np.ndarray] = {}
    total = sum(materials.weights)
    for style, weight in zip(materials.styles, materials.weights, strict=True):
        works = spread_works(style)
        for pixels in works:
            features = _features(backbone, pixels, device)
            for layer in look.style_layers:
                part = weight / total / len(works) * gram_matrix(features[layer])
                grams[layer] = grams.get(layer, 0) + part
    return _Judge(backbone, look.style_layers, look.content_layers, grams, device)


@torch.no_grad()
def _features(backbone: Backbone, pixels: np.ndarray, device: torch.device) -> dict[str, np.ndarray]:
    images = reduced_picture(pixels, _JUDGED_AT_PX, device)
    return {layer: values[0].float().cpu().numpy() for layer, values in backbone(images).items()}


def _distances(judge: _Judge, before: np.ndarray, after: np.ndarray) -> dict[str, float]:
    alike = resized(after, max(before.shape[:2]))  # a look may enlarge
    ours, theirs = judge.features(alike), judge.features(before)
    grams = {
        name: {layer: gram_matrix(found[layer]) for layer in judge.style_layers} for name, found in (("a", ours), ("b", theirs))
    }
    return {
        "style_before": gram_distance(grams["b"], judge.style),
        "style_after": gram_distance(grams["a"], judge.style),
        "content_after": content_distance(ours, {layer: theirs[layer] for layer in judge.content_layers}),
    }


def _palette(ours: Any, target: Any) -> float:
    return palette_distance((ours.mean, ours.covariance), (target.mean, target.covariance))


def _protocol(judge: _Judge | None) -> dict[str, Any] | None:
    if judge is None:
        return None
    return {
        "backbone": judge.backbone.name,
        "weights_sha256": judge.backbone.weights_sha256,
        "style_layers": list(judge.style_layers),
        "content_layers": list(judge.content_layers),
        "long_side_px": _JUDGED_AT_PX,
    }


def _means(lines: Sequence[Mapping[str, Any]]) -> dict[str, float]:
    keys = [key for key in (lines[0] if lines else {}) if key not in ("file", "source")]
    return {key: float(np.mean([line[key] for line in lines])) for key in keys}
