"""Seconds per 1,000 images: artgan's step against a plain step of the same networks, what each part pays, and against peers.

    ./scripts/benchmark train                                       64 px on a CPU
    ./scripts/benchmark train --device cuda --side 256 --batch 16 --width 64     and --batch 64

The plain step is float32 in NCHW memory, with Adam looped over parameters. The packages lightweight-gan (a variant of FastGAN)
and stylegan2-pytorch are timed in the same run when they are installed (no extra of artgan installs them). Penalties that fall
on every so many steps count as often as they fall: a round times one step of each kind and weighs it by its share of all steps.
Rounds are taken in turns, so that other work on the machine meets all of them. On a GPU, what a step waits for is counted.
"""

import argparse
import importlib.util
import statistics
import sys
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from types import ModuleType
from unittest.mock import patch

import torch
from torch import nn

from artgan.config import RunConfig, with_values
from artgan.datasets.collection import Collection, open_collection
from artgan.datasets.prepare import prepare
from artgan.datasets.recipe import Recipe
from artgan.datasets.sampler import Batches
from artgan.datasets.synthetic import write_collection_sources
from artgan.devices import describe_device
from artgan.errors import ConfigError
from artgan.training.context import build_context
from artgan.training.ema import update_ema
from artgan.training.micro_batches import PiecewiseSteps
from artgan.training.session import Session, open_session
from artgan.training.steps import discriminator_step, generator_step, kinds_of_steps

_WATCHED_STEPS = 5
_COMPILED = "compiled"


@dataclass(frozen=True)
class Trainer:
    """One way to train.

    Attributes:
        step: takes the step at a place, counted from the start of a run.
        kinds: a place of each kind of step, with that kind's share of all steps.
        networks: what it trains.
    """

    step: Callable[[int], None]
    kinds: dict[int, float]
    networks: nn.Module

    def mean(self, measure: Callable[[Callable[[], None]], float]) -> float:
        """Return what a step measures on average, from one of each kind."""
        return sum(share * measure(lambda place=place: self.step(place)) for place, share in self.kinds.items())


def artgan_trainer(session: Session) -> Trainer:
    """Return whole steps of training, data and moving average included."""
    state, config = session.state, session.config
    context = build_context(session)
    steps = PiecewiseSteps(state, context, print)
    batches = Batches(session.collection, 0, session.device, False)

    def step(place: int) -> None:
        torch.compiler.cudagraph_mark_step_begin()  # what the step before left in its graphs may be written over
        state.images_seen = place * config.training.batch_size
        images, labels = batches.batch(state.images_seen, config.training.batch_size)
        steps.take(discriminator_step, images, labels)
        steps.take(generator_step, images if context.objective.paired else None, labels)
        update_ema(state.ema, state.generator, 0.99)

    return Trainer(step, kinds_of_steps(context), nn.ModuleList([state.generator, state.discriminator]))


def plain(session: Session) -> None:
    """Take away what artgan does for speed, except bfloat16, which goes by the configuration."""
    contiguous(session)
    looped(session)


def contiguous(session: Session) -> None:
    """Take away channels-last memory."""
    for network in (session.state.generator, session.state.discriminator, session.state.ema):
        network.to(memory_format=torch.contiguous_format)


def looped(session: Session) -> None:
    """Take away fused optimizers."""
    state = session.state
    for name in ("optimizer_generator", "optimizer_discriminator"):
        (group,) = getattr(state, name).param_groups
        setattr(state, name, LoopedAdam(group["params"], group["lr"], group["betas"]))


class LoopedAdam(torch.optim.Adam):
    """Adam, one parameter after the other."""

    def __init__(self, parameters: list, rate: float, betas: tuple[float, float]) -> None:
        super().__init__(parameters, rate, betas, foreach=False, fused=False)

    def step(self, closure: None = None) -> None:
        self.found_inf = None  # only the fused one skips steps on the device
        super().step(closure)


def peers(side: int, batch: int, device: torch.device, only: str) -> dict[str, Trainer]:
    """Return the steps of each peer that is installed, by the network of ours that it stands beside.

    In their favor: no augmentation, no moving average, none of the gradient penalties that their trainers take every fourth
    step, no reading of values back from the device, and images that lie there already.
    """
    images = torch.rand(batch, 3, side, side, device=device)
    found: dict[str, Trainer] = {}
    with _without_their_gpu_check(device):
        if only != "stylegan2" and importlib.util.find_spec("lightweight_gan"):
            found["fastgan: peer lightweight-gan"] = _lightweight_gan(images)
        if only != "fastgan" and importlib.util.find_spec("stylegan2_pytorch"):
            found["stylegan2: peer stylegan2-pytorch"] = _stylegan2_pytorch(images)
    return found


@contextmanager
def _without_their_gpu_check(device: torch.device) -> Iterator[None]:
    """Let the peers, which refuse to be imported and move themselves to a GPU, be built on a CPU as well."""
    sys.modules.setdefault("aim", ModuleType("aim"))  # a logger that one of them imports: a step has no use for it
    if device.type == "cuda":
        yield
        return
    with patch("torch.cuda.is_available", lambda: True), patch.object(nn.Module, "cuda", lambda module, *_: module):
        yield


def _lightweight_gan(images: torch.Tensor) -> Trainer:
    from lightweight_gan.lightweight_gan import LightweightGAN, gen_hinge_loss, hinge_loss

    latent_dim = 256
    gan = LightweightGAN(lr=2e-4, latent_dim=latent_dim, image_size=images.shape[-1])

    def step(place: int) -> None:
        gan.D_opt.zero_grad()
        latents = torch.randn(len(images), latent_dim, device=images.device)
        with torch.no_grad():
            fakes = gan.G(latents)
        *fake, _ = gan.D(fakes)
        *real, auxiliary = gan.D(images, calc_aux_loss=True)
        (sum(hinge_loss(*pair) for pair in zip(real, fake, strict=True)) + auxiliary).backward()
        gan.D_opt.step()
        gan.G_opt.zero_grad()
        *fake, _ = gan.D(gan.G(torch.randn(len(images), latent_dim, device=images.device)))
        sum(gen_hinge_loss(values, None) for values in fake).backward()
        gan.G_opt.step()

    return Trainer(step, {0: 1.0}, gan)


def _stylegan2_pytorch(images: torch.Tensor) -> Trainer:
    from stylegan2_pytorch.stylegan2_pytorch import StyleGAN2, gen_hinge_loss, hinge_loss

    side = images.shape[-1]
    gan = StyleGAN2(image_size=side)

    def fakes() -> torch.Tensor:
        styles = gan.S(torch.randn(len(images), 512, device=images.device))
        noise = torch.rand(len(images), side, side, 1, device=images.device)
        return gan.G(styles[:, None].expand(-1, gan.G.num_layers, -1), noise)

    def step(place: int) -> None:
        gan.D_opt.zero_grad()
        hinge_loss(gan.D(images)[0], gan.D(fakes().detach())[0]).backward()
        gan.D_opt.step()
        gan.G_opt.zero_grad()
        gen_hinge_loss(gan.D(fakes())[0], None).backward()
        gan.G_opt.step()

    return Trainer(step, {0: 1.0}, gan)


def matrix_rate(device: torch.device, dtype: torch.dtype) -> float:
    """Return the device's measured rate of multiplying matrices, in floating-point operations a second."""
    side = 8192 if device.type == "cuda" else 1024
    a, b = (torch.randn(side, side, device=device, dtype=dtype) for _ in range(2))
    best = min(seconds(lambda: a @ b, device) for _ in range(5))
    return 2 * side**3 / best


def step_operations(turn: Callable[[], object]) -> int:
    """Return the floating-point operations of convolutions and matrix products in a step."""
    from torch.utils.flop_counter import FlopCounterMode

    counter = FlopCounterMode(display=False)
    counter.mod_tracker = nullcontext()  # its hooks for a table by module break within penalties; a total needs none
    counter.mod_tracker.parents = {"Global"}
    with counter:
        turn()
    return counter.get_total_flops()


def trained_parameters(networks: nn.Module) -> int:
    return sum(parameter.numel() for parameter in networks.parameters() if parameter.requires_grad)


def seconds(turn: Callable[[], object], device: torch.device) -> float:
    started = time.perf_counter()
    turn()
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return time.perf_counter() - started


def waits(trainer: Trainer) -> int:
    """Return how often the host waits for the GPU in the first steps of a run, on which every penalty falls."""
    torch.cuda.set_sync_debug_mode("warn")
    try:
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            for place in range(_WATCHED_STEPS):
                trainer.step(place)
    finally:
        torch.cuda.set_sync_debug_mode("default")
    return sum("called a synchronizing CUDA operation" in str(warning.message) for warning in caught)


def busy_share(trainer: Trainer, device: torch.device) -> float:
    """Return the share of time in which the GPU runs a kernel, in the first steps of a run."""
    from torch.profiler import ProfilerActivity, profile

    with profile(activities=[ProfilerActivity.CUDA]) as profiler:
        spent = seconds(lambda: [trainer.step(place) for place in range(_WATCHED_STEPS)], device)
    spans = sorted((event.time_range.start, event.time_range.end) for event in profiler.events() if event.time_range.end)
    busy, reached = 0.0, 0.0
    for start, end in spans:
        busy += max(0.0, end - max(start, reached))
        reached = max(reached, end)
    return busy / 1e6 / spent


def variants(arguments: argparse.Namespace, collection: Collection, folder: Path) -> dict[str, Trainer]:
    """Return the steps of each network pair as artgan trains it, plain, and with one part taken away or added."""
    base = {
        "model.width": arguments.width, "model.discriminator_width": arguments.discriminator_width,
        "model.backbone": arguments.backbone, "training.batch_size": arguments.batch, "training.device": arguments.device,
    }  # fmt: skip
    found: dict[str, Trainer] = {}

    def add(title: str, change: Callable[[Session], None] | None = None, **values: object) -> None:
        more = {key.replace("__", "."): value for key, value in values.items()}
        session = open_session(with_values(RunConfig(), base | more), collection, folder / title)
        if change:
            change(session)
        found[title] = artgan_trainer(session)

    for generator, discriminator, objective in (
        ("fastgan", arguments.discriminator, "hinge"),
        ("stylegan2", "stylegan2", "nonsaturating"),
    ):
        if arguments.only not in ("", generator):
            continue
        parts = {"model__generator": generator, "model__discriminator": discriminator, "objective__name": objective}
        add(f"{generator}: artgan", **parts)
        add(f"{generator}: plain", plain, **parts, training__precision="float32")
        if arguments.ablate:
            add(f"{generator}: float32", **parts, training__precision="float32")
            add(f"{generator}: NCHW", contiguous, **parts)
            add(f"{generator}: looped Adam", looped, **parts)
            add(f"{generator}: {_COMPILED}", **parts, training__compile=True)
            if arguments.device.startswith("cuda"):
                with patch.object(torch, "compile", partial(torch.compile, mode="reduce-overhead")):
                    add(f"{generator}: {_COMPILED}, CUDA graphs", **parts, training__compile=True)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--side", type=int, default=64)
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--width", type=int, default=16)
    parser.add_argument("--discriminator-width", type=int, default=64)
    parser.add_argument("--discriminator", default="projected")
    parser.add_argument("--backbone", default="squeezenet1_1", help="random needs no weights")
    parser.add_argument("--rounds", type=int, default=8)
    parser.add_argument("--only", default="", choices=("fastgan", "stylegan2"))
    parser.add_argument(
        "--ablate", action="store_true", help="also one part at a time, torch.compile, and on a GPU its CUDA graphs"
    )
    arguments = parser.parse_args()
    device = torch.device(arguments.device)
    with TemporaryDirectory() as folder:
        write_collection_sources(Path(folder, "in"), 40)
        prepare([Path(folder, "in")], Path(folder, "collection"), Recipe(arguments.side, arguments.side, holdout=0.0))
        collection = open_collection(Path(folder, "collection"))
        theirs = peers(arguments.side, arguments.batch, device, arguments.only)
        found = variants(arguments, collection, Path(folder)) | theirs
        for title, trainer in list(found.items()):
            try:
                trainer.mean(lambda turn: seconds(turn, device))  # kernels chosen, optimizers filled, graphs compiled
            except (RuntimeError, ConfigError) as error:
                if _COMPILED not in title:
                    raise
                print(f"{title} does not run here: {' '.join(str(error).split())[:200]}")
                del found[title]
        spent: dict[str, list[float]] = {title: [] for title in found}
        for _ in range(arguments.rounds):
            for title, trainer in found.items():
                spent[title].append(trainer.mean(lambda turn: seconds(turn, device)))
        print(f"{describe_device(device)}, torch {torch.__version__}, {arguments.side} px, batch {arguments.batch}")
        report(found, spent, device, arguments.batch)
        reading = Batches(collection, 0, device, False)
        read = statistics.median(seconds(lambda: reading.batch(0, arguments.batch), device) for _ in range(20))
        first = next(iter(spent.values()))
        print(f"reading a batch: {read / statistics.median(first):.1%} of the first step above")


def report(found: dict[str, Trainer], spent: dict[str, list[float]], device: torch.device, batch: int) -> None:
    rates = {dtype: matrix_rate(device, dtype) for dtype in (torch.float32, torch.bfloat16)}
    for title, trainer in found.items():
        median = statistics.median(spent[title])
        size = trained_parameters(trainer.networks) / 1e6
        line = f"{title:36} {size:6.1f} M parameters {median * 1000 / batch:8.2f} s/kimg"
        network = title.partition(":")[0]
        ours = spent[f"{network}: artgan"]
        ratios = [theirs / mine for theirs, mine in zip(spent[title], ours, strict=True)]
        line += f"   {statistics.median(ratios):5.2f}x the time of artgan's ({min(ratios):.2f} to {max(ratios):.2f})"
        if title.endswith(": artgan"):
            dtype = torch.bfloat16 if rates[torch.bfloat16] > rates[torch.float32] else torch.float32
            operations = trainer.mean(step_operations)
            line += f"; {operations / median / rates[dtype]:.0%} of the device's {str(dtype)[6:]} matrix rate"
            if device.type == "cuda":
                line += f"; GPU busy {busy_share(trainer, device):.0%}, {waits(trainer)} waits in {_WATCHED_STEPS} steps"
        print(line)


if __name__ == "__main__":
    main()
