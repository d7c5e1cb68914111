"""All that a GPU has to prove, in parts of at most 10 minutes each, the most valuable first; small on a CPU, to its end.

    ./scripts/benchmark gpu --pack paintings/       # where there is a network: make the folder gpu_pack/ (at most 60 MiB)
    ./scripts/benchmark gpu                         # where there is a GPU; it needs nothing but this checkout and gpu_pack/
    ./scripts/benchmark gpu --only speed-256,memory --out gpu_results

Each part writes OUT/PART.json when it ends: commands, seconds, exit codes, the last lines of each, and the numbers. A part
that has its file is not done again, so the same command goes on where it stopped. OUT/page.md shows all parts together.
"""

import argparse
import json
import os
import platform
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
PACK = ROOT / "gpu_pack"
PACK_BYTES = 60 << 20
PACKED_WORKS, PACKED_SIDE_PX, PACKED_QUALITY = 600, 256, 80
WEIGHTS = ("squeezenet1_1", "inception_fid_2015")
PART_SECONDS = 600
_LAST_LINES = 40
Words = list[str]


@dataclass(frozen=True)
class Scale:
    """How large everything is: for a GPU, or small, so that a CPU comes to the end of the same commands."""

    device: str
    side: int
    train_minutes: float
    speed_sides: tuple[int, int]
    rounds: int
    judged: int
    refined: int
    fit_minutes: float
    iterations: int
    metrics: str
    train_words: tuple[str, ...] = ()
    speed_words: tuple[str, ...] = ()

    @property
    def batch(self) -> str:
        return "16" if self.device == "cuda" else "4"


ON_GPU = Scale(
    "cuda", 256, 8.0, (256, 512), 8, 2000, 64, 5.0, 40, "distances,range,manifold,copying",
    ("--set", "training.evaluate_every_kimg=100000"),
    ("--width", "64"),
)  # fmt: skip
ON_CPU = Scale(
    "cpu", 32, 0.1, (32, 48), 1, 32, 4, 0.1, 2, "distances",
    ("--set", "model.width=8", "--set", "training.batch_size=4", "--set", "training.evaluate_every_kimg=100000"),
    ("--width", "8", "--discriminator-width", "8"),
)  # fmt: skip


@dataclass(frozen=True)
class Place:
    """Where the parts find and leave their things."""

    out: Path
    scale: Scale
    collection: Path
    features: str
    backbone: str

    @property
    def run(self) -> Path:
        return self.out / "run"


@dataclass(frozen=True)
class Part:
    """Commands that prove one thing, and the files with numbers that they leave."""

    about: str
    commands: Callable[[Place], list[Words]]
    numbers: tuple[str, ...] = ()
    pictures: tuple[str, ...] = field(default=())


def artgan(*words: object) -> Words:
    return [sys.executable, "-m", "artgan", *map(str, words)]


def own(*words: object) -> Words:
    return [sys.executable, *map(str, words)]


def _train(place: Place) -> list[Words]:
    scale = place.scale
    config = "configs/small_256.yaml" if scale.device == "cuda" else "configs/kaokore_cpu_64.yaml"
    settings = ["--set", f"training.device={scale.device}", "--set", f"model.backbone={place.backbone}"]
    found = artgan("evaluate", place.run, "--collection", place.collection, "--features", place.features, "--device",
                   scale.device, "--num-generated", scale.judged, "--metrics", scale.metrics,
                   "--json", place.out / "train-metrics.json")  # fmt: skip
    train = artgan("train", config, "--collection", place.collection, "--run", place.run, "--minutes", scale.train_minutes)
    sheet = artgan("sample", place.run, "--out", place.out / "train-samples", "--device", scale.device, "--force")
    return [[*train, *settings, *scale.train_words], found, sheet]


def _speed(side: int) -> Callable[[Place], list[Words]]:
    def commands(place: Place) -> list[Words]:
        scale = place.scale
        actual = scale.speed_sides[0 if side == 256 else 1]
        words = ["--device", scale.device, "--side", actual, "--batch", scale.batch, "--rounds", scale.rounds]
        words += [*scale.speed_words, "--backbone", place.backbone, *(["--ablate"] if scale.device == "cuda" else [])]
        return [own("scripts/benchmarks/train.py", *words, "--only", network) for network in ("fastgan", "stylegan2")]

    return commands


def _memory(place: Place) -> list[Words]:
    return [own(__file__, "--memory", place.collection, "--device", place.scale.device, "--backbone", place.backbone,
                "--out", place.out)]  # fmt: skip


def _judge(place: Place) -> list[Words]:
    words = ["--collection", place.collection, "--device", place.scale.device, "--num-generated", place.scale.judged]
    words += ["--metrics", place.scale.metrics]
    space = artgan("evaluate", place.run, *words, "--features", place.features, "--json", place.out / "judge-metrics.json")
    return [space, own(__file__, "--picked", place.scale.refined, "--out", place.out), _refine(place)]


def _refine(place: Place) -> Words:
    picked = place.out / "picked"
    words = ["--style", place.collection, "--nearest", 4, "--device", place.scale.device, "--out", place.out / "refined"]
    return artgan(
        "refine",
        picked,
        *words,
        "--backbone",
        place.backbone,
        "--iterations",
        place.scale.iterations,
        "--force",
    )


def _enlarger(place: Place) -> list[Words]:
    out = place.out / "enlarger"
    words = ["--fit-enlarger", "--enlarge", 2, "--out", out, "--fit-minutes", place.scale.fit_minutes, "--force"]
    return [artgan("refine", place.collection, *words, "--device", place.scale.device)]


def _tests(place: Place) -> list[Words]:
    return [own("-m", "pytest", "-q", "-m", "gpu", "-p", "no:cacheprovider", "tests")]


# In the order of their value: whoever has only minutes has the most important ones.
PARTS = {
    "train": Part(
        "8 minutes of training at 256 px, judged and sampled", _train, ("train-metrics.json",), ("train-samples/grid.png",)
    ),
    "speed-256": Part(
        "seconds a thousand images, waits for the device and its busy share; float32, NCHW, looped Adam, compiled, CUDA graphs",
        _speed(256),
    ),
    "memory": Part("memory: what preflight foresees beside the peak of the same steps", _memory, ("memory-found.json",)),
    "speed-512": Part("the same at 512 px", _speed(512)),
    "judge": Part("judging and refining in batches", _judge, ("judge-metrics.json",), ("refined/sheet.png",)),
    "enlarger": Part("fitting an enlarger", _enlarger),
    "tests": Part("the tests that need a GPU, or gain by one", _tests),
}


def prepare_place(options: argparse.Namespace) -> Place:
    """Return where parts work; make the collection, once, of the packed works or of drawn ones."""
    scale = ON_GPU if options.device == "cuda" else ON_CPU
    options.out.mkdir(parents=True, exist_ok=True)
    collection = options.out / f"collection-{scale.side}"
    if not collection.exists():
        sources = PACK / "works"
        if not sources.is_dir():
            from artgan.datasets.synthetic import write_collection_sources

            sources = options.out / "sources"
            sources.mkdir(exist_ok=True)
            write_collection_sources(sources, 300 if scale.device == "cuda" else 80)
            print(f"no {PACK.name}/works: drawn pictures take their place", flush=True)
        words = ["--out", collection, "--resolution", scale.side, "--quiet", "--labels", "none"]
        subprocess.run(artgan("prepare", sources, *words), check=True, cwd=ROOT, env=environment())
    return Place(options.out, scale, collection, *_networks(scale.device == "cuda"))


def _networks(large: bool) -> tuple[str, str]:
    """Return the judge's space and the backbone that are available here, without a download."""
    from artgan.weights import find, first_found

    return "inception-768" if large and find("inception_fid_2015") else "random", first_found(("squeezenet1_1", "drawn"))


def environment() -> dict[str, str]:
    """Return the variables of every command: this checkout, the packed packages and weights, no network."""
    paths = [str(ROOT), str(PACK / "site"), os.environ.get("PYTHONPATH", "")]
    found = {"PYTHONPATH": os.pathsep.join(path for path in paths if path), "ARTGAN_OFFLINE": "1"}
    if (PACK / "weights").is_dir():
        found["ARTGAN_WEIGHTS"] = str(PACK / "weights")
    return os.environ | found


def run_part(name: str, part: Part, place: Place) -> dict[str, Any]:
    """Run a part's commands one after the other, within its 10 minutes, and return what came of them."""
    deadline, steps = time.monotonic() + PART_SECONDS, []
    for words in part.commands(place):
        started = time.monotonic()
        try:
            done = subprocess.run(
                words, cwd=ROOT, env=environment(), text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                timeout=max(1.0, deadline - started), check=False,
            )  # fmt: skip
            code, text = done.returncode, done.stdout
        except subprocess.TimeoutExpired as error:
            code, text = "out of time", (error.stdout or b"").decode(errors="replace")
        shown = " ".join(word.replace(str(ROOT) + os.sep, "").replace(sys.executable, "python") for word in words)
        steps.append(
            {
                "command": shown,
                "seconds": round(time.monotonic() - started, 1),
                "exit": code,
                "said": text.splitlines()[-_LAST_LINES:],
            }
        )
        if code != 0:
            break
    numbers = {file: json.loads((place.out / file).read_text()) for file in part.numbers if (place.out / file).is_file()}
    ok = all(step["exit"] == 0 for step in steps)
    return {"part": name, "about": part.about, "ok": ok, "steps": steps, "numbers": numbers, "machine": machine(place)}


def machine(place: Place) -> dict[str, str]:
    import torch

    from artgan.devices import describe_device

    found = {"device": describe_device(torch.device(place.scale.device)), "torch": str(torch.__version__)}
    return found | {"python": platform.python_version(), "features": place.features, "backbone": place.backbone}


def page(out: Path) -> str:
    """Return what all finished parts found, as Markdown."""
    lines = ["# What a GPU has to prove", ""]
    for name, part in PARTS.items():
        file = out / f"{name}.json"
        if not file.is_file():
            lines += [f"## {name}", f"{part.about}: not yet run.", ""]
            continue
        found = json.loads(file.read_text())
        lines += [f"## {name}", f"{part.about}: {'done' if found['ok'] else '**failed**'}.", ""]
        lines += [", ".join(f"{key} {value}" for key, value in found["machine"].items()), ""]
        for step in found["steps"]:
            lines += [
                f"`{step['command']}`: {step['seconds']} s, exit {step['exit']}",
                "",
                "```",
                *step["said"][-20:],
                "```",
                "",
            ]
        lines += [f"![{picture}]({picture})" for picture in part.pictures if (out / picture).is_file()]
    return "\n".join(lines) + "\n"


def measure_memory(collection: Path, device_name: str, backbone: str, out: Path) -> None:
    """Write what preflight foresees and what the same number of steps takes, in GB."""
    import torch

    from artgan.config import RunConfig, with_values
    from artgan.datasets.collection import open_collection
    from artgan.datasets.sampler import Batches
    from artgan.devices import peak_host_bytes
    from artgan.training.context import build_context
    from artgan.training.micro_batches import PiecewiseSteps
    from artgan.training.preflight import preflight
    from artgan.training.session import open_session
    from artgan.training.steps import discriminator_step, generator_step

    device = torch.device(device_name)
    values = {"training.device": device_name, "model.backbone": backbone}
    values |= {} if device_name == "cuda" else {"model.width": 8, "training.batch_size": 4}
    session = open_session(with_values(RunConfig(), values), open_collection(collection), out / "memory-run")
    foreseen = preflight(session, print)
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
    context = build_context(session, session.state, compiled=False)
    steps = PiecewiseSteps(session.state, context, print)
    batches = Batches(session.collection, session.config.seed, session.device, False)
    for place in range(5):
        session.state.images_seen = place * context.batch_size
        images, labels = batches.batch(session.state.images_seen, context.local_batch)
        images = images.to(session.state.dtype)
        steps.take(discriminator_step, images, labels)
        steps.take(generator_step, images if context.objective.paired else None, labels)
    peak = torch.cuda.max_memory_allocated(device) if device.type == "cuda" else peak_host_bytes()
    found = {"foreseen_gb": round(foreseen.memory_gb, 3), "peak_gb": round(peak / 1e9, 3)}
    (out / "memory-found.json").write_text(json.dumps(found) + "\n")
    print(found)


def pick(out: Path, count: int) -> None:
    """Copy some samples for refining."""
    folder = out / "picked"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    samples = sorted((out / "train-samples").glob("seed-*.png"))[:count]
    for path in samples:
        shutil.copyfile(path, folder / path.name)
    print(f"{len(samples)} samples")


def pack(sources: list[Path]) -> None:
    """Make the folder that travels: works encoded again, weights that are found here, and wheels that the machine may lack."""
    from PIL import Image

    from artgan.datasets.sources import find_files
    from artgan.decode import decode
    from artgan.errors import ArtganError
    from artgan.weights import find

    shutil.rmtree(PACK, ignore_errors=True)
    (PACK / "works").mkdir(parents=True)
    (PACK / "weights").mkdir()
    for name in WEIGHTS:
        path = find(name)
        if path is None:
            print(f"without {name}: it is not on this machine (artgan weights fetch {name})")
        else:
            shutil.copyfile(path, PACK / "weights" / path.name)
    wheels = ["--dest", str(PACK / "wheels"), "--only-binary", ":all:", "--python-version", "3.12", "-q"]
    platforms = [word for tag in ("manylinux2014_x86_64", "manylinux_2_28_x86_64") for word in ("--platform", tag)]
    pip = [sys.executable, "-m", "pip", "download", *wheels, *platforms, "-c", "constraints.txt", "pydantic", "pillow"]
    subprocess.run(pip, check=True, cwd=ROOT)
    files = find_files(sources)
    for index, file in enumerate(files[:: max(1, len(files) // PACKED_WORKS)][:PACKED_WORKS]):
        if packed_bytes() > PACK_BYTES - (1 << 20):
            print(f"{PACK.name} is full at {index} works")
            break
        try:
            picture = Image.fromarray(decode(file.read()).pixels)
        except ArtganError as error:
            print(f"{file.where}: {error}")
            continue
        share = PACKED_SIDE_PX / min(picture.size)
        if share < 1:
            picture = picture.resize([max(1, round(side * share)) for side in picture.size], Image.Resampling.LANCZOS)
        picture.save(PACK / "works" / f"{index:04d}.jpg", quality=PACKED_QUALITY)
    print(f"{PACK.name}: {len(list((PACK / 'works').iterdir()))} works, {packed_bytes() / (1 << 20):.1f} MiB")


def packed_bytes() -> int:
    return sum(path.stat().st_size for path in PACK.rglob("*") if path.is_file())


def unpack_wheels() -> None:
    """Install the packed wheels beside the checkout, for this command alone."""
    if (PACK / "wheels").is_dir() and not (PACK / "site").is_dir():
        words = ["--no-index", "--no-deps", "--target", str(PACK / "site"), "-q"]
        wheels = [str(path) for path in (PACK / "wheels").glob("*.whl") if _fits(path.name)]
        if wheels:
            subprocess.run([sys.executable, "-m", "pip", "install", *words, *wheels], check=True)
    for path in (PACK / "site", ROOT):
        if str(path) not in sys.path:
            sys.path.insert(0, str(path))
    os.environ.update(environment())


def _fits(wheel: str) -> bool:
    tag = re.search(r"-(?:cp|py)(\d+)[^-]*-[^-]+-[^-]+\.whl$", wheel)
    return tag is not None and tag[1] in ("3", f"{sys.version_info[0]}{sys.version_info[1]}")


def main() -> None:
    """Pack, or run the parts that have no result yet."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pack", type=Path, nargs="+", metavar="SOURCE", help="make gpu_pack/ of these works, and stop")
    parser.add_argument("--only", default=",".join(PARTS), help=f"which of {', '.join(PARTS)}")
    parser.add_argument("--out", type=Path, default=ROOT / "gpu_results")
    parser.add_argument("--device", choices=("cuda", "cpu"))
    for hidden, kind in (("--memory", Path), ("--picked", int), ("--backbone", str)):
        parser.add_argument(hidden, type=kind, help=argparse.SUPPRESS)
    options = parser.parse_args()
    options.out = options.out.absolute()
    if options.pack:
        pack(options.pack)
        return
    unpack_wheels()
    if options.picked is not None:
        pick(options.out, options.picked)
        return
    if options.memory is not None:
        measure_memory(options.memory, options.device, options.backbone, options.out)
        return
    wanted = options.only.split(",")
    if unknown := [name for name in wanted if name not in PARTS]:
        parser.error(f"--only {','.join(unknown)}: there are {', '.join(PARTS)}")
    import torch

    options.device = options.device or ("cuda" if torch.cuda.is_available() else "cpu")
    place = prepare_place(options)
    failed = []
    for name in wanted:
        target = options.out / f"{name}.json"
        if target.is_file():
            found = json.loads(target.read_text(encoding="utf-8"))
            print(f"{name}: {'done' if found['ok'] else 'FAILED'} before")
        else:
            started = time.monotonic()
            found = run_part(name, PARTS[name], place)
            text = json.dumps(found, indent=2) + "\n"
            target.with_suffix(".part").write_text(text, encoding="utf-8")
            target.with_suffix(".part").replace(target)  # so that a kill leaves no half of it
            print(f"{name}: {'done' if found['ok'] else 'FAILED'} in {time.monotonic() - started:.0f} s", flush=True)
        failed += [] if found["ok"] else [name]
        (options.out / "page.md").write_text(page(options.out), encoding="utf-8")
    print(f"{options.out / 'page.md'}" + (f"; failed: {', '.join(failed)} (remove its file to try again)" if failed else ""))
    sys.exit(bool(failed))


if __name__ == "__main__":
    main()
