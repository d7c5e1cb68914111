"""Pictures given one look."""

import os
from collections.abc import Iterable, Mapping
from typing import Any

from PIL import Image

from artgan.api.given import Picture, pixels_of, pixels_or_path, several
from artgan.progress import Listener, silent


def refine(
    pictures: Picture | Iterable[Picture],
    *,
    style: Picture | None = None,
    palette: Picture | None = None,
    look: str | os.PathLike[str] | None = None,
    settings: Mapping[str, Any] | None = None,
    device: str = "auto",
    on_progress: Listener = silent,
) -> list[Image.Image]:
    """Give pictures one look: style, colors, detail; in memory, as one series whose color map is fitted to all of them.

    Args:
        pictures: one or several, of any sizes.
        style: what to look like: a picture; or the path of one, of a folder of them, or of a collection.
        palette: whose colors `match` takes, likewise, or colors such as `#1b2a49,#d8c9a3`; the style's by default.
        look: a recipe's YAML file, or the name of one of `configs/refine/` such as `quick_cpu` or `soft_touch`.
        settings: values that win over the look, by dotted key: `{"style.strength": 0.5, "output.size_px": 1024}`. Where neither
            names a `style.backbone`, it is the first of vgg19, squeezenet1_1 and drawn whose weights are on this machine.
        device: `auto`, `cpu`, `cuda` or `cuda:1`.
        on_progress: told about every few steps.

    Raises:
        ConfigError: no such look, a wrong value, or a look that needs a style or palette where none is given.
        DataError: a picture cannot be read, or is too small for style.
        WeightsError: the named backbone's weights are not on this machine; those of `{"style.backbone": "drawn"}` always are.
    """
    from artgan import weights
    from artgan.backbones import STYLE_BACKBONES
    from artgan.devices import choose_device
    from artgan.refine.in_memory import materials_of, refine_pictures
    from artgan.refine.recipe import find_look, load_recipe

    recipe = load_recipe(None if look is None else find_look(look), settings, backbone=weights.first_found(STYLE_BACKBONES))
    series = [pixels_of(picture) for picture in several(pictures)]
    names = [f"picture {index}" for index in range(len(series))]
    colors = palette if isinstance(palette, str) and palette.startswith("#") else pixels_or_path(palette)
    materials = materials_of(recipe, pixels_or_path(style), colors)
    results = refine_pictures(series, names, recipe, materials, choose_device(device), on_progress)
    return [Image.fromarray(pixels) for pixels in results]
