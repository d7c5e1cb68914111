"""Writing the page of a model: graphs, runtime and facts as files that a browser opens from anywhere."""

import base64
import gzip
import json
from dataclasses import dataclass, replace
from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np
from jinja2 import Environment, PackageLoader, StrictUndefined

import artgan
from artgan import seeding
from artgan.errors import StorageError
from artgan.generation.latents import LATENT_STREAM
from artgan.generation.model_folder import Model
from artgan.generation.point import Point, pack_styles
from artgan.metadata import TRAINED, xmp
from artgan.modelpage.graphs import make_graphs
from artgan.modelpage.runtime import BUILDS, PACKAGE, VERSION, Runtime
from artgan.progress import Listener, Progress, silent

PART_BYTES = 20_000_000  # characters of a file: hosts commonly take files of up to 25 MB
_STATIC = ("page.css", "icon.svg", "latents.js", "parts.js", "model.js", "png.js", "page.js")
_STEPS = 3


@dataclass(frozen=True)
class Look:
    """What a page says and starts with.

    Attributes:
        title, artist, license: shown, and written into every picture that is saved; empty ones are left out.
        seed, truncation: at the start.
        favourites: points that the page opens with.
        precision: of the weights in the files, `fp16` or `fp32`.
        engine: `wasm`, or `webgpu`, which falls back to the former.
    """

    title: str = ""
    artist: str = ""
    license: str = ""
    seed: int = 0
    truncation: float = 1.0
    favourites: tuple[Point, ...] = ()
    precision: str = "fp16"
    engine: str = "wasm"


@dataclass(frozen=True)
class Made:
    """What was written: bytes in all, the largest file's, and the mean difference from `artgan sample`, of 255."""

    total: int
    largest: int
    difference: float


def write_page(model: Model, runtime: Runtime, out: Path, look: Look, on_progress: Listener = silent) -> Made:
    """Write the folder of a page; what is in `out` under other names stays.

    Args:
        model: on the CPU.
        runtime: the build that `look.engine` names.
        out: made where it is not.
        look: texts and start.
        on_progress: told about each step.

    Raises:
        ConfigError, ArtganError: see `make_graphs`; nothing is written then.
        StorageError: the folder cannot be written.
    """
    on_progress(Progress("exporting", 0, _STEPS, "steps"))
    graphs = make_graphs(model, look.precision)
    on_progress(Progress("exporting", 1, _STEPS, "steps"))
    contents = {"glue": runtime.glue, "wasm": runtime.wasm, "mapping": graphs.mapping, "synthesis": graphs.synthesis}
    files: dict[str, bytes] = {}
    listed = {}
    for name, data in contents.items():
        pieces = _parts(name, data)
        listed[name] = list(pieces)
        files |= pieces
    on_progress(Progress("exporting", 2, _STEPS, "steps"))
    script = f"runtime/{BUILDS[look.engine].script}"
    facts = _facts(model, look, listed, script)
    files["data/facts.js"] = f"window.artganFacts = {json.dumps(facts, sort_keys=True)};\n".encode()
    files[script] = runtime.script
    files["index.html"] = _index(model, look, facts).encode()
    files["NOTICE.txt"] = f"runtime/ and data/ hold ONNX Runtime Web {VERSION}, Microsoft, MIT licence.\n".encode()
    folder = resources.files("artgan.modelpage").joinpath("static")
    files |= {name: folder.joinpath(name).read_bytes() for name in _STATIC}
    _write(out, files)
    on_progress(Progress("exporting", _STEPS, _STEPS, "steps"))
    sizes = [len(data) for data in files.values()]
    return Made(sum(sizes), max(sizes), graphs.difference)


def _parts(name: str, data: bytes) -> dict[str, bytes]:
    """Return a file as scripts of base64, each small enough for common hosts; a browser unpacks the gzip."""
    text = base64.b64encode(gzip.compress(data, mtime=0)).decode()
    pieces = [text[start : start + PART_BYTES] for start in range(0, len(text), PART_BYTES)]
    return {
        f"data/{name}-{place:02d}.js": f'parts.take("{name}", {place}, "{piece}");\n'.encode()
        for place, piece in enumerate(pieces)
    }


def _facts(model: Model, look: Look, files: dict[str, list[str]], script: str) -> dict[str, Any]:
    space, classes = model.space, model.card.classes
    means = np.concatenate([space.centers(label, 0).cpu().numpy() for label in range(max(1, len(classes)))])
    key = seeding.stream_key(0, LATENT_STREAM)
    credits = {"artist": look.artist, "copyright": look.license, "description": look.title}
    credits = {name: text for name, text in credits.items() if text}
    return {
        "name": model.name,
        "modelHash": model.sha256,
        "version": artgan.__version__,
        "width": space.width_px,
        "height": space.height_px,
        "latentDim": model.generator.latent_dim,
        "styleDim": model.generator.style_dim,
        "layers": model.generator.num_styles,
        "key": [f"{key & (2**64 - 1):016x}", f"{key >> 64:016x}"],
        "classes": list(classes),
        "means": _floats(means),
        "directions": [{"name": name, "step": _floats(item.step.cpu().numpy())} for name, item in space.directions.items()],
        "favourites": [_plain(model, point).as_dict() for point in look.favourites],
        "start": {"seed": look.seed, "truncation": look.truncation},
        "credits": credits,
        "xmp": xmp(TRAINED, credits),
        "files": files,
        "runtime": {"name": f"{PACKAGE} {VERSION}", "script": script, "webgpu": look.engine == "webgpu"},
    }


def _floats(values: np.ndarray) -> str:
    return base64.b64encode(np.ascontiguousarray(values, "<f4").tobytes()).decode()


def _plain(model: Model, point: Point) -> Point:
    """Return a point that the page can make: one with centers or other points in it by its styles; noise is the model's own."""
    point = replace(point, noise=None)
    if point.centers or point.toward is not None or point.mixed is not None:
        return Point(styles=pack_styles(model.space.styles([point])[0].cpu().numpy()))
    return point


def _index(model: Model, look: Look, facts: dict[str, Any]) -> str:
    environment = Environment(
        loader=PackageLoader("artgan.modelpage", "static"), autoescape=True, undefined=StrictUndefined, trim_blocks=True
    )
    card = model.card
    rights = "; ".join(map(str, card.collection.get("rights", ())))
    about = f"{model.name}: a {card.architecture} generator at {facts['width']} x {facts['height']} px, made with artgan"
    about += f"; its training pictures: {rights[:500]}" if rights else ""
    return environment.get_template("index.html.j2").render(
        title=look.title or model.name,
        credit=", ".join(text for text in (look.artist, look.license) if text),
        about=about,
        width=facts["width"],
        height=facts["height"],
        seed=look.seed,
        truncation=look.truncation,
        scripts=["latents.js", "parts.js", "model.js", "png.js", "data/facts.js", "page.js"],
    )


def _write(out: Path, files: dict[str, bytes]) -> None:
    """Write every file; parts of an earlier page are removed first, and nothing else is."""
    try:
        for path in (out / "data").glob("*-[0-9][0-9].js"):
            path.unlink()
        for name, data in files.items():
            path = out / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(data)
    except OSError as error:
        raise StorageError(f"cannot write the page {out}: {error.strerror or error}") from error
