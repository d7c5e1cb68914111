"""The detail step: texture, edges, grain and canvas, on lightness alone."""

from typing import Annotated

from pydantic import Field

from artgan.refine.steps.step import Apply, Setting, Step, Unit, one_by_one


class DetailLook(Step):
    """The detail step, on lightness alone."""

    unsharp: Unit = 0.0
    """Sharpens edges; halos are cut."""
    unsharp_radius_px: Annotated[float, Field(ge=0.3, le=20)] = 1.2
    """Width of the edges that `unsharp` sharpens."""
    boost: Unit = 0.0
    """Guided-filter boost of texture; large edges stay."""
    boost_radius_px: Annotated[int, Field(ge=1, le=64)] = 6
    """Size of the texture that `boost` strengthens."""
    grain: Unit = 0.0
    """Seeded film grain."""
    canvas: Unit = 0.0
    """A woven canvas."""

    @property
    def acts(self) -> bool:
        return any((self.boost, self.unsharp, self.grain, self.canvas))

    def begin(self, setting: Setting) -> Apply:
        import numpy as np

        from artgan.refine.canvas import Canvas
        from artgan.refine.detail import refine_detail

        def change(canvas: Canvas) -> Canvas:
            oklab = canvas.oklab().copy()
            oklab[..., 0] = refine_detail(np.ascontiguousarray(oklab[..., 0]), self, setting.seed, canvas.name)
            return canvas.with_oklab(oklab)

        return one_by_one(change)
