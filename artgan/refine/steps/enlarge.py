"""The enlarge step: twice or four times the size, by a network that was fitted to works, or by a classical way."""

from typing import TYPE_CHECKING, Annotated, Literal, get_args

from pydantic import Field

from artgan.errors import ConfigError, DataError
from artgan.refine.steps.step import Apply, Cost, Setting, Size, Step, Unit, Weight, Workload
from artgan.schema.reader import Section

if TYPE_CHECKING:
    from artgan.refine.canvas import Canvas
    from artgan.refine.materials import Materials

Way = Literal["network", "lanczos", "edge"]
CLASSICAL_WAYS = get_args(Way)[1:]


class EnlargeLook(Step):
    """The enlarge step."""

    factor: Literal[1, 2, 4] = 1
    """Of both sides; 1 keeps the size."""
    way: Way = "network"
    """A fitted enlarger; or `lanczos`; or `edge`: Lanczos without halos, whose average is the small picture again."""
    texture: Unit | None = None
    """Of a network: 0 is nearest to the picture, 1 has the works' full texture; null: what was best on held-out works."""
    tile_px: Annotated[int, Field(ge=16, le=4096)] = 192
    """Side of the tiles, in pixels of the small picture: less takes less memory, and the result is the same."""

    @property
    def acts(self) -> bool:
        return self.factor > 1

    def check(self, materials: "Materials") -> None:
        from artgan.refine.enlarging.folder import read_enlarger

        if self.acts and self.way != "network" and self.texture is not None:
            raise ConfigError(f"--texture is of a fitted enlarger: {self.way} adds none")
        if not self.acts or self.way != "network":
            return
        if materials.enlarger is None:
            raise ConfigError(
                f"--enlarge {self.factor} needs --enlarger FOLDER, made by: artgan refine WORKS --fit-enlarger --out FOLDER; "
                f"or a classical way, which adds no texture: --enlarger {' or '.join(CLASSICAL_WAYS)}"
            )
        made_for = read_enlarger(materials.enlarger).factor
        if made_for != self.factor:
            raise ConfigError(
                f"--enlarger {materials.enlarger}: enlarges {made_for} times, --enlarge asks for {self.factor}: give --enlarge "
                f"{made_for}, or fit one with: artgan refine WORKS --fit-enlarger --enlarge {self.factor} --out FOLDER"
            )

    def check_size(self, size: Size, name: str) -> None:
        from artgan.decode import MAX_PIXELS

        height, width = self.size_after(size)
        if self.acts and height * width > MAX_PIXELS:  # which artgan would not read again
            raise DataError(
                f"{name}: would be {width}x{height} px, over the limit of {MAX_PIXELS:,} pixels; give a smaller --size"
            )

    def size_after(self, size: Size) -> Size:
        return size[0] * self.factor, size[1] * self.factor

    def cost(self, workload: Workload) -> Cost:
        from artgan.refine.enlarging.apply import enlarging_cost

        return enlarging_cost(self, workload)

    def begin(self, setting: Setting) -> Apply:
        from artgan.refine.enlarging.apply import enlarger_of_look
        from artgan.refine.steps.step import one_by_one

        enlarge = enlarger_of_look(self, setting.materials.enlarger, setting.device)

        def change(canvas: "Canvas") -> "Canvas":
            return canvas.with_srgb(enlarge(canvas.srgb(), canvas.name))

        return one_by_one(change)


class EnlargerFit(Section):
    """How `--fit-enlarger` fits a network; a picture does not depend on it."""

    crop_px: int | None = Field(default=None, ge=32, le=512, multiple_of=4)
    """Side of the crops of works, at the large size; null: 128, or what is usual among smaller works."""
    batch_size: Annotated[int, Field(ge=1, le=256)] = 4
    """Crops a step."""
    width: Annotated[int, Field(ge=4, le=256)] = 48
    """Channels of the network."""
    blocks: Annotated[int, Field(ge=1, le=32)] = 8
    """Residual blocks of the network."""
    backbone: str | None = None
    """That the discriminator and the feature loss look through; null: squeezenet1_1 where its weights are, otherwise drawn."""
    learning_rate: Annotated[float, Field(gt=0, le=1)] = 5e-4
    """Of the network."""
    discriminator_rate: Annotated[float, Field(gt=0, le=1)] = 4e-4
    """Of the discriminator."""
    fidelity_steps: Annotated[int, Field(ge=0, le=1_000_000)] = 1000
    """First steps, by the pixel loss alone: what the texture 0 shows."""
    pixel_weight: Weight = 5.0
    """Of the mean absolute difference of pixels in [-1, 1]."""
    feature_weight: Weight = 1.0
    """Of the mean absolute difference of the discriminator's standardised features."""
    adversarial_weight: Weight = 0.1
    """Of the hinge loss."""
    own_outputs: Unit = 0.25
    """Where a model is given: so many of its samples a crop, enlarged without a large counterpart."""
    blurred: Unit = 0.3
    """Share of crops that are blurred before they are reduced."""
    jpeg: Unit = 0.25
    """Share of crops that become JPEGs when they are reduced."""
    work_px: Annotated[int, Field(ge=64, le=16384)] = 1024
    """Shorter side that larger works are reduced to."""
    holdout: Annotated[float, Field(gt=0, le=0.5)] = 0.05
    """Share of works that is judged on, where no collection says which."""
    check_every: Annotated[int, Field(ge=1, le=1_000_000)] = 250
    """Steps from one judgement on held-out works to the next."""
    patience: Annotated[int, Field(ge=1, le=1000)] = 12
    """Stop when so many judgements in a row were no better than the best."""
