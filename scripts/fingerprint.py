"""What artgan computes, as one sha256 a line: the proof that a change of structure changed no bit.

    ./scripts/fingerprint                       prints `name sha256` lines
    ./scripts/fingerprint --against COMMIT      does the same with a worktree of COMMIT, prints the names that differ, and
                                                ends with 1 if there are any; --expect 'help/*' says which may

It drives the command line alone, so that code may move between the commits: every file of configs/ shrunk and trained for a
few steps, samples, an evaluation, refined pictures of three looks, the help of all verbs, and what wrong commands are told.
Sums depend on the machine and on the versions of the libraries: compare within one machine. A commit's fingerprint is kept in
the repository's .git folder, for these versions, and not made again.
"""

import argparse
import fnmatch
import hashlib
import importlib.metadata
import io
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

from commands import artgan, made
from worktrees import ROOT, checkout, environment_of, git

_COLUMNS = "100"
_STEPS, _BATCH = 8, 8
# Wall clock and machine: the only values that may differ between two runs of the same code.
_VOLATILE = re.compile(r"seconds|minutes|updated|per_second|memory")


class Fingerprint:
    """Prints one line for each thing that was made."""

    def add(self, name: str, content: bytes | str) -> None:
        content = content.encode() if isinstance(content, str) else content
        print(name, hashlib.sha256(content).hexdigest(), flush=True)

    def json(self, name: str, text: str) -> None:
        """Add JSON, or lines of it, without what differs from run to run."""
        self.add(name, "\n".join(json.dumps(_lasting(json.loads(line)), sort_keys=True) for line in _documents(text)))

    def tensors(self, name: str, path: Path) -> None:
        """Add a safetensors file, one line for each part of a state."""
        from safetensors import safe_open

        parts: dict[str, hashlib._Hash] = {}
        with safe_open(path, "numpy") as file:
            for key in sorted(file.keys()):
                part = parts.setdefault(key.partition(".")[0], hashlib.sha256())
                tensor = file.get_tensor(key)
                part.update(f"{key} {tensor.dtype} {tensor.shape}".encode() + tensor.tobytes())
        whole = hashlib.sha256("".join(part.hexdigest() for part in parts.values()).encode())
        for part_name, part in parts.items() if len(parts) < 12 else [("all", whole)]:
            print(f"{name}/{part_name}", part.hexdigest(), flush=True)


def _documents(text: str) -> list[str]:
    return text.splitlines() if text.count("\n{") else [text]


def _lasting(value: object) -> object:
    if isinstance(value, dict):
        return {key: _lasting(entry) for key, entry in value.items() if not _VOLATILE.search(key)}
    return [_lasting(entry) for entry in value] if isinstance(value, list) else value


def helps(prints: Fingerprint, *verbs: str) -> None:
    """Add the help of a verb and of those below it."""
    text = made(*verbs, "--help")
    prints.add("/".join(["help", *verbs]), text)
    listed = re.search(r"^Commands:\n((?: .*\n)+)", text, re.MULTILINE)
    for verb in re.findall(r"^  (\w\S*)", listed[1], re.MULTILINE) if listed else []:
        helps(prints, *verbs, verb)


def refusals(prints: Fingerprint) -> None:
    """Add what wrong commands are told."""
    train = ("train", "--collection", "drawn", "--run", "none")
    wrong = {
        "unknown-key": (*train, "--set=seeed=1"),
        "wrong-type": (*train, "--set=training.batch_size=many"),
        "out-of-range": (*train, "--set=training.total_kimg=-1", "--set=model.width=0"),
        "unknown-name": (*train, "--set=model.generator=stylegan", "--set=objective.name=hing"),
        "not-together": (*train, "--set=augment.name=ada", "--set=objective.name=relativistic"),
        "no-effect": (*train, "--set=augment.pipe=bgc"),
        "no-collection": ("train", "--collection", "nowhere", "--run", "none"),
        "recipe-key": ("refine", "drawn", "--out", "none", "--set=style.lss=gram"),
        "recipe-value": ("refine", "drawn", "--out", "none", "--strength", "2", "--color", "maybe"),
        "recipe-together": ("refine", "drawn", "--out", "none", "--engine", "none", "--style-loss", "gram"),
        "features": ("evaluate", "drawn", "--collection", "drawn", "--features", "inception"),
        "metrics": ("evaluate", "drawn", "--collection", "drawn", "--metrics", "distance"),
        "no-model": ("sample", "nowhere", "--out", "none"),
        "resolution": ("prepare", "sources", "--out", "none", "--resolution", "0"),
    }
    for name, words in wrong.items():
        code, _, err = artgan(*words)
        prints.add(f"error/{name}", f"{code}\n{err.replace(os.environ['PYTHONPATH'], '.')}")


def prepared(prints: Fingerprint) -> None:
    """Prepare drawn works by class, and as landscapes."""
    from artgan.datasets.synthetic import write_collection_sources

    write_collection_sources(Path("sources"), works_per_class=8)
    options = {
        "drawn": ("--resolution", "32", "--holdout", "0.1"),
        "wide": ("--resolution", "40x32", "--fit", "smart", "--duplicates", "exact"),
        "padded": ("--resolution", "64", "--fit", "pad", "--matte", "#204060", "--tiles", "2", "--labels", "none"),
    }
    for name, words in options.items():
        made("prepare", "sources", "--out", name, *words, "--workers", "1")
        prints.add(f"prepare/{name}/images.npy", Path(name, "images.npy").read_bytes())
        prints.add(f"prepare/{name}/index.jsonl", Path(name, "index.jsonl").read_bytes())
    made("export", "drawn", "--out", "drawn.zip")
    prints.add("export/drawn.zip", Path("drawn.zip").read_bytes())


# What a shrunk run has beside the sizes: between them, everything that keeps a state is met.
_MORE = {
    "kaokore_cpu_64": ("evaluation.features=random",),
    "large_256": ("objective.penalty_every=2", "training.micro_batch=4"),
    "rectangle_320x256": ("training.precision=bfloat16", "training.micro_batch=4"),
    "small_512": ("model.discriminator=fastgan", "augment.name=ada"),
    "small_1024": ("model.conditional=true", "objective.name=relativistic", "augment.horizontal_flip=true"),
    "transfer_256": ("training.freeze_stages=2", "objective.penalty_every=4"),
}

_RESUMED = ("large_256", "small_1024")


def trained(prints: Fingerprint, config: Path) -> None:
    """Train one configuration, shrunk; some in two sessions."""
    name = config.stem
    more = _MORE.get(name, ())
    values = {
        "model.width": 8,
        "model.discriminator_width": 8,
        "model.latent_dim": 16,
        "training.batch_size": _BATCH,
        "training.log_every_kimg": 2 * _BATCH / 1000,
        "training.sample_every_kimg": _STEPS * _BATCH / 1000,
        "training.evaluate_every_kimg": _STEPS * _BATCH / 1000,
        "training.checkpoint_every_kimg": _STEPS * _BATCH / 1000,
        "training.device": "cpu",
        "evaluation.features": "random",
        "evaluation.num_generated": 8,
    }
    if "discriminator: projected" in config.read_text(encoding="utf-8") and "model.discriminator=fastgan" not in more:
        values |= {"model.backbone": "random", "model.backbone_input_px": 64}
    collection = "wide" if "rectangle" in name else "drawn"
    words: list[object] = ["train", config, "--collection", collection, "--run", f"runs/{name}"]
    words += [f"--set={key}={value}" for key, value in values.items()] + [f"--set={text}" for text in more]
    words += ["--init", "runs/large_256"] if name.startswith("transfer") else []
    for steps in (_STEPS // 2, _STEPS) if name in _RESUMED else (_STEPS,):
        made(*words, f"--set=training.total_kimg={steps * _BATCH / 1000}")
    run = Path("runs", name)
    newest = max((run / "checkpoints").iterdir())
    prints.tensors(f"train/{name}/state", newest / "state.safetensors")
    prints.json(f"train/{name}/state.json", (newest / "state.json").read_text())
    prints.json(f"train/{name}/metrics.jsonl", (run / "metrics.jsonl").read_text())
    prints.add(f"train/{name}/config.yaml", (run / "config.yaml").read_bytes())
    prints.json(f"train/{name}/model.json", (run / "model" / "best" / "config.json").read_text())
    prints.tensors(f"train/{name}/model", run / "model" / "best" / "model.safetensors")
    for sheet in sorted((run / "samples").iterdir()):
        prints.add(f"train/{name}/{sheet.name}", sheet.read_bytes())


def folder(prints: Fingerprint, name: str, path: Path, but: tuple[str, ...] = ()) -> None:
    """Add each file below a folder."""
    for file in sorted(path.rglob("*")):
        if file.is_file() and file.name not in but:
            prints.add(f"{name}/{file.relative_to(path)}", file.read_bytes())


def sampled(prints: Fingerprint) -> None:
    """Sample, mix, move, film and find, with the smallest runs of two architectures."""
    made("sample", "runs/conditional_256", "--out", "samples", "--seeds", "0-3", "--truncation", "0.7", "--class", "waves")
    folder(prints, "sample/class", Path("samples"))
    made("sample", "runs/large_256", "--out", "mixed", "--seeds", "0-2", "--mix", "3,4", "--format", "tiff", "--centers", "3")
    folder(prints, "sample/mixed", Path("mixed"))
    made("sample", "runs/small_256", "--out", "chosen", "--seeds", "0-7", "--select", "2", "--collection", "drawn",
         "--features", "random")  # fmt: skip
    folder(prints, "sample/chosen", Path("chosen"))
    made("directions", "runs/large_256", "--out", "directions", "--seeds", "0")
    folder(prints, "directions", Path("directions"))
    made("video", "runs/small_256", "--out", "film.webp", "--seeds", "0,1", "--steps", "3", "--size", "32")
    prints.add("video/film.webp", Path("film.webp").read_bytes())
    made("project", "runs/small_256", "samples/seed-0000.png", "--out", "found", "--steps", "2", "--backbone", "random",
         "--video", "none")  # fmt: skip
    folder(prints, "project", Path("found"))


def evaluated(prints: Fingerprint) -> None:
    """Measure a run and a folder of pictures."""
    judged = ("--collection", "drawn", "--features", "random", "--num-generated")
    made("evaluate", "runs/small_256", *judged, "24", "--json", "metrics.json")
    prints.json("evaluate/run", Path("metrics.json").read_text())
    made("evaluate", "chosen", *judged, "2", "--resize", "legacy-torch", "--json", "folder.json")
    prints.json("evaluate/folder", Path("folder.json").read_text())


def refined(prints: Fingerprint) -> None:
    """Refine in three looks, none of which needs weights, and in one engine each."""
    style = sorted(Path("sources/waves").glob("*.png"))[0]
    learned = ("--backbone", "random", "--iterations", "3", "--size", "64")
    looks = {
        "painterly": ("--style", style, *learned),
        "collection": ("--style", "drawn", "--nearest", "2", "--style-loss", "gram", *learned),
        "palette_strong": ("--palette", style, "--grain", "0.5"),
        "print_16_bit": ("--white-balance", "0.5", "--canvas", "0.3", "--color", "match", "--palette", "#203040,#d0c0a0"),
    }
    for name, words in looks.items():
        made("refine", "samples/seed-0000.png", "samples/seed-0001.png", "--recipe", name, "--out", f"refined/{name}", *words)
        folder(prints, f"refine/{name}", Path("refined", name), but=("refine.json",))
        prints.json(f"refine/{name}/refine.json", Path("refined", name, "refine.json").read_text())


def fingerprint() -> None:
    """Make everything in the working directory, and print a line for each thing made."""
    prints = Fingerprint()
    helps(prints)
    prepared(prints)
    refusals(prints)
    configs = sorted((Path(os.environ["PYTHONPATH"]) / "configs").glob("*.yaml"))
    for config in configs:
        trained(prints, config)
    steps: tuple[Callable[[Fingerprint], None], ...] = (sampled, evaluated, refined)
    for step in steps:
        step(prints)


def of_tree(tree: Path, place: Path) -> dict[str, str]:
    """Return the fingerprint of the artgan in `tree`, made in `place`, the same for both: paths stand in metadata."""
    place.mkdir()
    variables = {"COLUMNS": _COLUMNS, "ARTGAN_CACHE": str(place / "cache"), "ARTGAN_OFFLINE": "1", "PYTHONHASHSEED": "0"}
    environment = {key: value for key, value in environment_of(tree).items() if key != "ARTGAN_WEIGHTS"} | variables
    program = [sys.executable, __file__, "--here"]
    with subprocess.Popen(program, cwd=place, env=environment, stdout=subprocess.PIPE, text=True) as process:
        lines = dict(line.split() for line in _shown(process.stdout))
    if process.returncode:
        sys.exit(f"the fingerprint of {tree} broke off; the error stands above")
    return lines


def of_commit(commit: str, place: Path) -> dict[str, str]:
    """Return the fingerprint of a commit, from the last time if nothing that bears on it has changed."""
    installed = sorted(f"{part.name} {part.version}" for part in importlib.metadata.distributions())
    key = hashlib.sha256("\n".join([*installed, sys.version, Path(__file__).read_text(encoding="utf-8")]).encode())
    with checkout(commit) as tree:
        exact = git("rev-parse", "HEAD", tree=tree)
        kept = Path(git("rev-parse", "--path-format=absolute", "--git-common-dir"), "artgan-fingerprints")
        kept /= f"{exact[:16]}-{key.hexdigest()[:16]}"
        if not kept.is_file():
            lines = of_tree(tree, place)
            kept.parent.mkdir(exist_ok=True)
            kept.write_text("".join(f"{name} {digest}\n" for name, digest in lines.items()), encoding="utf-8")
    return dict(line.split() for line in kept.read_text(encoding="utf-8").splitlines())


def _shown(lines: io.TextIOBase) -> Iterator[str]:
    for line in lines:
        if sys.stderr.isatty():
            print(f"\r\033[K{line.split()[0]}", end="", file=sys.stderr, flush=True)
        yield line
    if sys.stderr.isatty():
        print("\r\033[K", end="", file=sys.stderr)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--against", metavar="COMMIT", help="compare with this commit")
    parser.add_argument("--expect", metavar="PATTERN", action="append", default=[], help="names that may differ; may repeat")
    parser.add_argument("--here", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.here:
        fingerprint()
        return
    commit = git("rev-parse", options.against) if options.against else None  # now: a branch may move on meanwhile
    with tempfile.TemporaryDirectory(prefix="artgan-") as scratch:
        place = Path(scratch, "made")
        here = Path(scratch, "tree")
        for part in ("artgan", "configs"):  # a copy, so that editing may go on
            shutil.copytree(ROOT / part, here / part, ignore=shutil.ignore_patterns("__pycache__"))
        ours = of_tree(here, place)
        if commit is None:
            print("\n".join(f"{name} {digest}" for name, digest in ours.items()))
            return
        place.rename(Path(scratch, "ours"))
        theirs = of_commit(commit, place)
    different = [name for name in {**theirs, **ours} if ours.get(name) != theirs.get(name)]
    surprises = [name for name in different if not any(fnmatch.fnmatch(name, pattern) for pattern in options.expect)]
    for name in different:
        how = "only here" if name not in theirs else f"only in {options.against}" if name not in ours else "differs"
        print(f"{name}: {how}{'' if name in surprises else ', as expected'}")
    print(f"{len(ours)} names, {len(different)} different from {options.against}, {len(surprises)} of them unexpected")
    sys.exit(bool(surprises))


if __name__ == "__main__":
    main()
