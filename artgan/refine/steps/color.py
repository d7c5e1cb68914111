"""The color step: one map, fitted to the pooled colors of the series, so that the differences between pictures stay."""

from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field

from artgan.errors import ConfigError
from artgan.refine.steps.step import Apply, Setting, Step, Unit, one_by_one

if TYPE_CHECKING:
    from artgan.refine.color import Map
    from artgan.refine.materials import Materials


class ColorLook(Step):
    """The color step: keep, white balance, match, contrast, saturation, in that order."""

    mode: Literal["none", "keep", "match"] = "none"
    """`keep` the picture's own hue and chroma, or `match` a palette."""
    method: Literal["mkl", "reinhard", "sliced", "histogram"] = "mkl"
    """Of `match`: linear Monge-Kantorovich map, means and deviations, iterated 1-D transport, or lightness histogram."""
    strength: Unit = 1.0
    """Of `keep` and `match`."""
    per_picture: Unit = 0.0
    """0: one map for the whole series; 1: one for each picture; between: between."""
    white_balance: Unit = 0.0
    """Remove a color cast (shades of gray); in art the cast is often the style."""
    contrast: Unit = 0.0
    """Stretch lightness towards the full range."""
    saturation: Annotated[float, Field(ge=-1, le=1)] = 0.0
    """-1 gray, 0 as it is, 1 twice the chroma."""
    vibrance: Annotated[float, Field(ge=-1, le=1)] = 0.0
    """As saturation, for muted colors most."""

    @property
    def acts(self) -> bool:
        return (self.mode == "keep" and self.strength > 0) or self.is_mapped

    @property
    def is_mapped(self) -> bool:
        """Whether there is a color map, which is one function of a color."""
        matches = self.mode == "match" and self.strength > 0
        return matches or any((self.white_balance, self.contrast, self.saturation, self.vibrance))

    def check(self, materials: "Materials") -> None:
        if self.mode == "match" and materials.palette is None:
            raise ConfigError("--color match needs --palette PICTURE|COLLECTION|COLORS, or --style to take the colors from")

    def series_map(self, setting: Setting) -> "Map | None":
        """Fit the color map of the whole series; None where nothing is mapped."""
        from artgan.refine.grading import fit_grade, pool, samples_to_grade

        if not self.is_mapped:
            return None
        assert setting.samples is not None
        samples = [samples_to_grade(*setting.samples(key), self) for key in setting.keys]
        return fit_grade(pool(samples), setting.materials.palette, self, setting.seed)

    def begin(self, setting: Setting) -> Apply:
        import numpy as np

        from artgan.refine.canvas import Canvas
        from artgan.refine.color import keep_colors
        from artgan.refine.grading import between, fit_grade, samples_to_grade
        from artgan.refine.oklab import oklab_from_srgb

        shared = self.series_map(setting)
        samples_of = setting.samples
        assert samples_of is not None

        def map_of(canvas: Canvas) -> "Map | None":
            if shared is None or self.per_picture == 0:
                return shared
            own = fit_grade(samples_to_grade(*samples_of(canvas.key), self), setting.materials.palette, self, setting.seed)
            return between(shared, own, self.per_picture)

        def change(canvas: Canvas) -> Canvas:
            keeps = self.mode == "keep" and self.strength > 0 and canvas.is_changed
            color_map = map_of(canvas)
            if not keeps and color_map is None:
                return canvas
            oklab = canvas.oklab()
            if keeps:
                oklab = keep_colors(oklab, oklab_from_srgb(canvas.content), self.strength)
            if color_map is not None:
                oklab = color_map(oklab).astype(np.float32)
            return canvas.with_oklab(oklab)

        return one_by_one(change)
