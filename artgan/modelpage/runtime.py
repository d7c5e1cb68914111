"""ONNX Runtime Web, which runs a model in the browser: an npm package, found on this machine and checked by sha256.

No package index of Python has it, and nothing of it is part of artgan. The plain WebAssembly build is what a page takes by
default: one thread, so that it needs no headers of a server.
"""

import hashlib
import json
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from artgan.errors import ConfigError, DataError

PACKAGE = "onnxruntime-web"
VERSION = "1.30.0"
INSTALL = f"npm install {PACKAGE}@{VERSION}"
VARIABLE = "ARTGAN_ORT_WEB"
_MAX_BYTES = 64 << 20


@dataclass(frozen=True)
class Build:
    """The three files of one build of the runtime, by name; `SHA256` has the digest of each."""

    script: str
    glue: str
    wasm: str


BUILDS = {
    "wasm": Build("ort.wasm.min.js", "ort-wasm-simd-threaded.mjs", "ort-wasm-simd-threaded.wasm"),
    "webgpu": Build("ort.webgpu.min.js", "ort-wasm-simd-threaded.asyncify.mjs", "ort-wasm-simd-threaded.asyncify.wasm"),
}
SHA256 = {
    "ort.wasm.min.js": "faece07e84faa9001f5104bbe4e5c70861d06cb2376a0dea1fa0ad33a67adc81",
    "ort-wasm-simd-threaded.mjs": "e13f7f94fc51b4ca72b12faeb1ee95f4ace6dfbc8939bc718aabdc0a27c4299b",
    "ort-wasm-simd-threaded.wasm": "3398c10d07d229bd91b364548e130e0e51a8e5704b88c7c083ebbeb78842dee2",
    "ort.webgpu.min.js": "7d65dad7eb4564ad98db9924a259af2e2c68ebfbdbf254fa5d728f1c5736e07a",
    "ort-wasm-simd-threaded.asyncify.mjs": "3d1c85995364bb643302fc6fd877a0c3ba5ae72401815e0f24828a53d9191e28",
    "ort-wasm-simd-threaded.asyncify.wasm": "39f9f0894d478800487ed9f7dbe92618498db320cf55c8e3d89adff8dce658da",
}


@dataclass(frozen=True)
class Runtime:
    """The files of one build, read and checked."""

    script: bytes
    glue: bytes
    wasm: bytes


def load_runtime(given: Path | None, kind: str) -> Runtime:
    """Read one build of the runtime.

    Args:
        given: the package's folder, its `dist`, or a folder with `node_modules`; None looks in `ARTGAN_ORT_WEB`, then for
            `node_modules` in this folder and those above.
        kind: a key of `BUILDS`.

    Raises:
        ConfigError: it is not there, or of another version.
        DataError: a file is damaged.
    """
    names = BUILDS[kind]
    folder = _find(given, names.wasm)
    return Runtime(*(_checked(folder, name) for name in (names.script, names.glue, names.wasm)))


def _find(given: Path | None, name: str) -> Path:
    if given is None and os.environ.get(VARIABLE):
        given = Path(os.environ[VARIABLE])
    bases = [given] if given is not None else [Path.cwd(), *Path.cwd().parents]
    for folder in (place for base in bases for place in _places(base)):
        if (folder / name).is_file():
            return folder
    where = f"{given} has none" if given is not None else "there is none in node_modules here or above"
    raise ConfigError(
        f"a page needs ONNX Runtime Web, and {where}: {INSTALL}, and run again here; --runtime FOLDER names another place"
    )


def _places(base: Path) -> Iterator[Path]:
    yield from (base, base / "dist", base / PACKAGE / "dist", base / "node_modules" / PACKAGE / "dist")


def _checked(folder: Path, name: str) -> bytes:
    path = folder / name
    try:
        if path.stat().st_size > _MAX_BYTES:
            raise DataError(f"{path}: {path.stat().st_size / 1e6:.0f} MB, more than any file of {PACKAGE}")
        data = path.read_bytes()
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read ({error.strerror}); {INSTALL} brings it") from error
    if hashlib.sha256(data).hexdigest() != SHA256[name]:
        found = _version(folder)
        if found not in (None, VERSION):
            raise ConfigError(f"{path} is of {PACKAGE} {found}; a page takes {VERSION}, which it was tested with: {INSTALL}")
        raise DataError(f"{path} is not the file of {PACKAGE} {VERSION} (its sha256 differs): install it again, {INSTALL}")
    return data


def _version(folder: Path) -> str | None:
    try:
        return str(json.loads((folder.parent / "package.json").read_text(encoding="utf-8"))["version"])[:40]
    except (OSError, ValueError, KeyError, TypeError):
        return None
