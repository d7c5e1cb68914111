"""Evaluation against its peers: Fréchet distance, KID, Inception features, memory, and the second look at a collection.

    ./scripts/benchmark evaluate [frechet kid features bfloat16 memory again]

The Inception network has random weights: speed does not depend on them. `bfloat16` needs real ones and a folder of art.
"""

import os
import statistics
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import save_file

from artgan.backbones.backbone import load_backbone
from artgan.datasets.collection import Collection
from artgan.devices import place
from artgan.evaluation.judge import Judge
from artgan.evaluation.measure import evaluate
from artgan.evaluation.reference import Reference
from artgan.evaluation.subjects import Subject
from artgan.images import to_float
from artgan.metrics.features import FeatureBank
from artgan.metrics.frechet import fit_gaussian, frechet, frechet_distance
from artgan.metrics.kernel import kernel_distance, self_term
from artgan.metrics.sliced import monge_distance

DIM = 2048
CPU = torch.device("cpu")


def seconds(work) -> float:
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def features(count: int, seed: int, dim: int = DIM) -> np.ndarray:
    """Return positive, correlated rows, as pooled ReLU features are."""
    rng = np.random.default_rng(seed)
    mixing = np.random.default_rng(99).normal(size=(64, dim)).astype(np.float32) / 8
    rows = rng.normal(size=(count, 64)).astype(np.float32) @ mixing + 0.3 * rng.normal(size=(count, dim)).astype(np.float32)
    return np.maximum(rows, 0)


def textbook(x: np.ndarray, y: np.ndarray) -> float:
    """As most tools have it: covariances, then the square root of their product."""
    import scipy.linalg

    s1, s2 = np.cov(x, rowvar=False), np.cov(y, rowvar=False)
    root = scipy.linalg.sqrtm(s1 @ s2)
    return float(np.square(x.mean(0) - y.mean(0)).sum() + np.trace(s1) + np.trace(s2) - 2 * np.trace(root).real)


def benchmark_frechet() -> None:
    for n, m in ((4096, 4096), (500, 1000)):
        compare_frechet(features(n, 1), features(m, 2))


def compare_frechet(x: np.ndarray, y: np.ndarray) -> None:
    """Time the step from covariances to the trace of the root; the reference's factor is known, as it is in the cache."""
    import scipy.linalg

    first, reference = fit_gaussian(x), fit_gaussian(y)
    s1, s2 = np.cov(x, rowvar=False), np.cov(y, rowvar=False)

    def step() -> float:
        if len(x) > DIM:
            return float(np.sqrt(np.linalg.eigvalsh(reference.factor @ s1 @ reference.factor.T).clip(0)).sum())
        return frechet_distance(first, reference)

    ours, theirs = min(seconds(step) for _ in range(3)), seconds(lambda: scipy.linalg.sqrtm(s1 @ s2))
    interval = seconds(lambda: frechet(x, reference))
    print(f"frechet {len(x)}/{len(y)}, d={DIM}: {ours:.2f} s, sqrtm {theirs:.1f} s: {theirs / ours:.0f}x")
    print(
        f"  with its interval {interval:.1f} s; values: {frechet_distance(first, reference):.8f}, textbook {textbook(x, y):.8f}"
    )


def benchmark_kid() -> None:
    from torch_fidelity.metric_kid import kid_features_to_metric

    x, y = features(5000, 1), features(5000, 2)
    as_tensors = torch.from_numpy(x), torch.from_numpy(y)
    options = {"kid_subsets": 100, "kid_subset_size": 1000, "verbose": False}
    ratios, known = [], self_term(y)
    for _ in range(2):
        theirs = seconds(lambda: kid_features_to_metric(*as_tensors, **options))
        ours, cached = seconds(lambda: kernel_distance(x, y)), seconds(lambda: kernel_distance(x, y, known))
        ratios.append((theirs / ours, theirs / cached))
        print(f"kid 5000/5000: {ours:.2f} s ({cached:.2f} s with the reference's self-term), 100 subsets {theirs:.2f} s")
    print(f"  {statistics.median(a for a, _ in ratios):.1f}x, {statistics.median(b for _, b in ratios):.1f}x with it")


def random_inception(folder: Path) -> torch.nn.Module:
    """Return torch-fidelity's network with random weights, and write them where ours look."""
    from torch_fidelity import feature_extractor_inceptionv3 as module

    load = torch.nn.Module.load_state_dict
    module.load_state_dict_from_url = lambda *_, **__: {}
    torch.nn.Module.load_state_dict = lambda *_, **__: None
    peer = module.FeatureExtractorInceptionV3("peer", ["2048"])
    torch.nn.Module.load_state_dict = load
    save_file(peer.state_dict(), folder / "inception_fid_2015.safetensors")
    os.environ["ARTGAN_WEIGHTS"] = str(folder)
    return peer


def benchmark_features() -> None:
    with tempfile.TemporaryDirectory() as folder:
        peer = random_inception(Path(folder))
        pixels = np.random.default_rng(0).integers(0, 256, (48, 256, 256, 3), dtype=np.uint8)
        empty = np.arange(0)
        judge = Judge("inception-2048", Collection(Path(folder), "x", pixels, (), empty, empty, empty, "0" * 64), CPU)
        images = torch.from_numpy(pixels).permute(0, 3, 1, 2).contiguous()
        ours = lambda: judge.extract(lambda rows: (pixels[row] for row in rows), 48, "x", lambda _: None)  # noqa: E731
        ratios = []
        with torch.inference_mode():
            ours(), peer(images[:24])
            for _ in range(5):
                theirs = seconds(lambda: (peer(images[:24]), peer(images[24:])))
                ratios.append(theirs / seconds(ours))
        median = statistics.median(ratios)
        print(
            f"inception, {torch.get_num_threads()} threads, 256 px: {48 * median / theirs:.0f} images/s, torch-fidelity",
            end=" ",
        )
        print(f"{48 / theirs:.0f}: {median:.2f}x (of {min(ratios):.2f} to {max(ratios):.2f}), resize included in both")


def benchmark_bfloat16() -> None:
    """How far the distance moves when the network runs in bfloat16; 1e-3 is what would be allowed."""
    from PIL import Image

    paths = sorted(Path(os.environ["ARTGAN_ART"]).rglob("*.jpg"))[:600]
    backbone = place(load_backbone("inception_fid_2015", ("768",)), CPU)
    rows: dict[bool, list[np.ndarray]] = {False: [], True: []}
    for start in range(0, len(paths), 24):
        pixels = np.stack(
            [np.asarray(Image.open(path).convert("RGB").resize((299, 299), 3)) for path in paths[start : start + 24]]
        )
        for low in rows:
            with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16, enabled=low):
                rows[low].append(backbone(to_float(torch.from_numpy(pixels)))["768"].float().mean((2, 3)).numpy())
    full, low = np.concatenate(rows[False]), np.concatenate(rows[True])
    wanted = frechet_distance(fit_gaussian(full[::2]), fit_gaussian(full[1::2]))
    moved = frechet_distance(fit_gaussian(low[::2]), fit_gaussian(full[1::2]))
    print(f"bfloat16 against float32: FD-768 {moved:.6f} against {wanted:.6f}, relative {abs(moved / wanted - 1):.1e}")


def benchmark_memory(count: int = 50_000) -> None:
    """Peak resident memory over that with the reference of 2,000 loaded; Linux can set the peak back."""
    reference = features(2000, 2)
    gaussian, known = fit_gaussian(np.concatenate([reference, features(500, 3)])), self_term(reference)
    kernel_distance(reference[:64], reference, known)  # libraries loaded, threads started
    base = resident_megabytes("VmRSS")
    bank = FeatureBank()
    for start in range(0, count, 500):
        bank.append(features(500, 10 + start))
    steps = {"frechet": lambda: frechet(bank, gaussian), "mind": lambda: monge_distance(bank, reference)}
    steps |= {"kid": lambda: kernel_distance(bank, reference, known)}
    for name, step in steps.items():
        Path("/proc/self/clear_refs").write_text("5")
        spent = seconds(step)
        peak = resident_megabytes("VmHWM") - base
        print(
            f"memory, {count:,} samples, d={DIM}, {name} in {spent:.0f} s: {peak:.0f} MB above model and reference", flush=True
        )


def resident_megabytes(field: str) -> float:
    lines = Path("/proc/self/status").read_text().splitlines()
    return int(next(line for line in lines if line.startswith(field)).split()[1]) / 1024


def benchmark_again() -> None:
    """The reference of a collection of 2,000, for the second time in a fresh judge."""
    with tempfile.TemporaryDirectory() as folder:
        os.environ["ARTGAN_CACHE"] = folder
        pixels = np.random.default_rng(0).integers(0, 256, (2000, 32, 32, 3), dtype=np.uint8)
        collection = Collection(
            Path(folder), "x", pixels, (), np.zeros(2000, int), np.arange(1900), np.arange(1900, 2000), "1" * 64
        )
        few = Subject(lambda rows: (pixels[row] for row in rows), 2, ["0", "1"], {})
        times = []
        for _ in range(2):
            judge = Judge("random", collection, CPU)
            evaluate(judge, few, ["distances", "manifold"])
            reference = Reference(judge)
            times.append(seconds(lambda it=reference: (it.known.gaussian, it.known.manifold, it.floor_of("fd"))))
        print(f"a known collection: its reference is read in {times[-1] * 1000:.0f} ms")


if __name__ == "__main__":
    for name in sys.argv[1:] or ("frechet", "kid", "features", "memory", "again"):
        globals()[f"benchmark_{name}"]()
