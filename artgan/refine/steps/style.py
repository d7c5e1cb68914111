"""The style step: pictures take the look of a picture or a collection, by optimisation or by a fitted network."""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Annotated, ClassVar, Literal, Self

from pydantic import Field, model_validator

from artgan import weights
from artgan.backbones import BACKBONES, LIGHT, LIGHT_BACKBONES
from artgan.errors import ConfigError, DataError
from artgan.refine.steps.step import MIN_SIDE_PX, Apply, Cost, Report, Setting, Size, Step, Unit, Weight, Workload

if TYPE_CHECKING:
    from artgan.refine.canvas import Canvas
    from artgan.refine.materials import Materials
    from artgan.refine.stylist import Engine


class StyleLook(Step):
    """The style step."""

    engine: Literal["optimize", "feedforward", "none"] = "optimize"
    """`optimize` solves for each picture, `feedforward` applies a fitted network, `none` leaves style out."""
    strength: Unit = 1.0
    """How far from the picture's own style statistics to the style's: 0 is the input, 1 the full look."""
    backbone: str = "vgg19"
    """The feature network; `light`: `squeezenet1_1` where it is on this machine, otherwise `drawn`, which comes with artgan."""
    style_layers: tuple[str, ...] = ()
    """Empty: the backbone's own."""
    content_layers: tuple[str, ...] = ()
    """Empty: the backbone's own."""
    loss: Literal["moments", "gram", "wasserstein", "sliced"] = "moments"
    """How style is measured."""
    content: Literal["features", "self_similarity"] = "features"
    """What of the picture is kept: features where they are, or only how they relate to each other."""
    content_weight: float | None = Field(default=None, ge=0, allow_inf_nan=False)
    """Beside a style weight of 1; null: the backbone's own."""
    variation_weight: Weight = 0.5
    """Of total variation, beside a style weight of 1; it scales with the strength."""
    optimizer: Literal["lbfgs", "adam"] = "lbfgs"
    """L-BFGS with a history for each picture, or Adam with averaged iterates, which takes several times the steps."""
    iterations: Annotated[int, Field(ge=1, le=100_000)] = 40
    """Steps at each scale."""
    learning_rate: Annotated[float, Field(gt=0, le=1)] = 0.02
    """Of Adam, in units of the [0, 1] pixel range."""
    patience: Annotated[int, Field(ge=0, le=100_000)] = 0
    """Stop a picture at a scale when its loss fell by less than 1 % over so many steps; 0 never stops early."""
    scale_ratio: Annotated[float, Field(ge=1.2, le=4)] = 2.0
    """Between neighbouring scales: 2, or 1.4142 for finer steps."""
    style_scale: Annotated[float, Field(gt=0.05, le=8)] = 1.0
    """Size of the style's strokes, relative to the picture; the style picture is never enlarged."""
    pooling: Literal["max", "average"] = "max"
    """Average pooling gives smoother pictures (VGG alone)."""
    start: Literal["content", "style", "noise"] = "content"
    """What the optimisation starts from."""
    nearest: Annotated[int, Field(ge=0, le=1000)] = 0
    """With a collection as style: take the style of so many works nearest to each picture; 0 takes the whole collection."""
    tile_px: Annotated[int, Field(ge=0, le=8192)] = 0
    """Work in tiles of this side, for pictures over memory, with the statistics of the whole picture; 0: untiled."""

    first_pass: ClassVar[bool] = True

    @property
    def acts(self) -> bool:
        return self.engine != "none" and self.strength > 0

    @property
    def is_solved(self) -> bool:
        """Whether pictures are solved one by one by optimisation."""
        return self.acts and self.engine == "optimize"

    @property
    def is_fitted(self) -> bool:
        """Whether a fitted network makes the look."""
        return self.acts and self.engine == "feedforward"

    @model_validator(mode="after")
    def _fits(self) -> Self:
        additive = self.loss != "sliced" and self.content == "features"
        if self.tile_px and not additive:
            raise ValueError("tile_px needs the loss gram, moments or wasserstein and content: features, which are sums")
        if self.tile_px and self.tile_px < 128:
            raise ValueError(f"tile_px {self.tile_px}: expected 0 or 128 and more")
        return self

    def resolved(self) -> Self:
        backbone = weights.first_found(LIGHT_BACKBONES) if self.backbone == LIGHT else self.backbone
        row = BACKBONES.row(backbone)
        if not row.style_layers and not (self.style_layers and self.content_layers):
            raise ConfigError(
                f"--backbone {self.backbone}: has no style layers of its own; name some with --style-layers and "
                f"--content-layers, or choose one of {', '.join(name for name, row in BACKBONES.items() if row.style_layers)}"
            )
        weight = row.content_weight if self.content_weight is None else self.content_weight
        own = {
            "backbone": backbone,
            "style_layers": self.style_layers or row.style_layers,
            "content_layers": self.content_layers or row.content_layers,
        }
        return self.model_copy(update={**own, "content_weight": weight})

    def check(self, materials: "Materials") -> None:
        if self.is_solved and not materials.styles:
            raise ConfigError("refine needs --style PICTURE|COLLECTION; for color and detail alone add --engine none")
        if self.is_fitted:
            _check_network(materials)
        if len(materials.masks) not in (0, 1, len(materials.styles)):
            raise ConfigError(
                f"{len(materials.masks)} masks and {len(materials.styles)} styles: give one mask, or one for each style"
            )
        if len(materials.masks) > 1 and len(set(materials.weights)) > 1:
            raise ConfigError("--style-weights with a mask for each style: the masks say how much each counts; leave one out")
        if materials.masks and self.loss == "sliced":
            raise ConfigError("--mask needs --style-loss gram, moments or wasserstein")
        if self.nearest and all(style.count == 1 for style in materials.styles):
            raise ConfigError("--nearest needs a collection or a folder as --style")

    def check_size(self, size: Size, name: str) -> None:
        height, width = size
        if self.acts and min(height, width) < MIN_SIDE_PX:
            raise DataError(
                f"{name} is {width}x{height} px: style needs a short side of at least {MIN_SIDE_PX} px; use --engine none"
            )

    def cost(self, workload: Workload) -> Cost:
        from artgan.refine.probe import network_cost, optimization_cost

        return network_cost(workload) if self.is_fitted else optimization_cost(self, workload)

    def prepare(self, sizes: Sequence[Size], setting: Setting, on_progress: Callable[..., None]) -> None:
        self._engine(setting).prepare(sizes, on_progress)

    def begin(self, setting: Setting) -> Apply:
        from artgan.refine.optimize import Iterate
        from artgan.refine.stylist import with_less_memory

        engine = self._engine(setting)

        def apply(batch: "Sequence[Canvas]", report: Report) -> "list[Canvas]":
            def on_iterate(iterate: Iterate) -> None:
                report(iterate.share, f"{iterate.side_px} px, loss {iterate.loss:.4f}")

            contents, masks = [canvas.content for canvas in batch], [canvas.masks for canvas in batch]
            starts = [canvas.start for canvas in batch if canvas.start is not None]
            styled = with_less_memory(engine, contents, masks, on_iterate, starts if len(starts) == len(batch) else ())
            return [canvas.with_srgb(pixels) for canvas, pixels in zip(batch, styled, strict=True)]

        return apply

    def _engine(self, setting: Setting) -> "Engine":
        from artgan.refine.feedforward import load_network
        from artgan.refine.stylist import Stylist

        materials = setting.materials
        if self.is_fitted:
            assert materials.network is not None
            return load_network(materials.network, self.strength, setting.device)
        return Stylist(self, materials.styles, materials.weights, setting.device, setting.seed)


def _check_network(materials: "Materials") -> None:
    """Check that there is a fitted network, and that it paints the styles that are named: its pictures are measured by them."""
    from artgan.refine.feedforward import fitted_styles

    network = materials.network
    if network is None:
        raise ConfigError(
            "--engine feedforward needs --network FOLDER, made by: artgan refine SAMPLES --style PICTURE --fit FOLDER"
        )
    if len(materials.masks) > 1:
        raise ConfigError("--engine feedforward takes one --mask: its network paints one look")
    fitted = fitted_styles(network)
    if materials.styles and [style.sha256 for style in materials.styles] != [sha256 for _, sha256 in fitted]:
        names = ", ".join(name for name, _ in fitted)
        raise ConfigError(f"--network {network}: was fitted to {names}; leave --style out, or give the same file")
