"""Which feature space orders known mixtures best? A ladder of 0, 10, 25, 50 and 100 % of pictures that do not belong.

    ./scripts/benchmark ladder ART_FOLDER [NETWORK ...]

ART_FOLDER holds `kaokore_256` and `monet_256`. The reference is 600 painted heads of men. Mixed into 100, 300 or 1000 other
heads of men are heads of women (another subject, same hands), Monet's paintings (another style), or heads of men with noise
of 4 levels (another quality). Each rung is drawn 10 times. A cell has the share of pairs of draws that a metric puts in the
right order, of neighboring rungs and of 0 and 10 %, the hardest to see; 50 % is chance.
"""

import itertools
import sys
from collections import OrderedDict
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from artgan import seeding, weights
from artgan.backbones.backbone import load_backbone
from artgan.devices import place
from artgan.evaluation.resize import resize
from artgan.images import to_float
from artgan.metrics.frechet import fit_gaussian, frechet_distance
from artgan.metrics.kernel import kernel_distance, self_term

SPACES = OrderedDict(
    inception_fid_2015=(("64", "192", "768", "2048"), 299),
    squeezenet1_1=(("fire9",), 224),
    drawn=(("relu3_2", "relu4_2", "relu5_2"), 128),
    random=(("stage4",), 128),
)
RUNGS = (0.0, 0.1, 0.25, 0.5, 1.0)
DRAWS, NOISE, BATCH = 10, 4.0, 24


def read(paths: list[Path]) -> np.ndarray:
    return np.stack([np.asarray(Image.open(path).convert("RGB")) for path in paths])


def shuffled(folder: Path, pattern: str) -> list[Path]:
    paths = sorted(path for found in folder.glob(pattern) for path in found.rglob("*.jpg"))
    return [paths[row] for row in seeding.permutation(0, "ladder/pictures", 0, len(paths))]


def noisy(pictures: np.ndarray) -> np.ndarray:
    """Add normal noise to each picture, its own by its number."""
    shape = pictures.shape[1:]
    draws = (seeding.normal(0, "ladder/noise", index, 1, int(np.prod(shape))).reshape(shape) for index in range(len(pictures)))
    return np.stack([np.rint(p + NOISE * d).clip(0, 255).astype(np.uint8) for p, d in zip(pictures, draws, strict=True)])


@torch.inference_mode()
def features_of(network: str, layers: tuple[str, ...], side: int, pictures: np.ndarray) -> dict[str, np.ndarray]:
    backbone = place(load_backbone(network, layers), torch.device("cpu"))
    rows: dict[str, list[np.ndarray]] = {layer: [] for layer in layers}
    for start in range(0, len(pictures), BATCH):
        maps = backbone(resize(to_float(torch.from_numpy(pictures[start : start + BATCH])), side, "clean"))
        for layer in layers:
            rows[layer].append(maps[layer].mean((2, 3)).numpy())
    return {layer: np.concatenate(rows[layer]) for layer in layers}


def layers_at_hand(network: str, layers: tuple[str, ...]) -> tuple[str, ...]:
    """Return the layers whose weights are here; a file may hold only the first ones."""
    held = []
    for layer in layers:
        try:
            load_backbone(network, (layer,))
        except weights.WeightsError:
            continue
        held.append(layer)
    return tuple(held)


def climb(pools: dict[str, np.ndarray], intruders: str, count: int) -> dict[str, np.ndarray]:
    """Return the values of each metric, `[rungs, draws]`; rungs that need more intruders than there are stay out."""
    gaussian, own = fit_gaussian(pools["reference"]), self_term(pools["reference"])
    rungs = [share for share in RUNGS if round(share * count) <= len(pools[intruders])]
    values = {name: np.empty((len(rungs), DRAWS)) for name in ("fd", "kid")}
    for (rung, share), draw in itertools.product(enumerate(rungs), range(DRAWS)):
        foreign = round(share * count)
        order = seeding.permutation(0, f"ladder/{rung}/native", draw, len(pools["native"]))[: count - foreign]
        others = seeding.permutation(0, f"ladder/{rung}/foreign", draw, len(pools[intruders]))[:foreign]
        mixed = np.concatenate([pools["native"][order], pools[intruders][others]])
        values["fd"][rung, draw] = frechet_distance(fit_gaussian(mixed), gaussian)
        values["kid"][rung, draw] = kernel_distance(mixed, pools["reference"], own).value
    return values


def right_order(lower: np.ndarray, higher: np.ndarray) -> float:
    """Return the share of pairs of draws in which the rung with more intruders is judged worse."""
    return float((higher[:, None] > lower).mean())


def main(folder: Path, networks: list[str]) -> None:
    men, women = (shuffled(folder / "kaokore_256", who) for who in ("male-*", "female-*"))
    pictures = {"reference": read(men[:600]), "native": read(men[600:1600])}
    pictures |= {"women": read(women[:300]), "monet": read(shuffled(folder, "monet_256")), "noise": noisy(read(men[-300:]))}
    sizes = {name: len(pool) for name, pool in pictures.items()}
    print(f"pictures: {sizes}; a cell: right order of neighboring rungs / of 0 and 10 %, in percent")
    print(
        f"{'features':28} {'d':>5} {'mixed in':9}"
        + "".join(f" {metric} N={n:<7}" for n in (100, 300, 1000) for metric in ("fd ", "kid"))
    )
    stacked = np.concatenate(list(pictures.values()))
    ends = np.cumsum(list(sizes.values()))[:-1]
    for network, (layers, side) in SPACES.items():
        if networks and network not in networks:
            continue
        held = layers_at_hand(network, layers)
        for layer, rows in features_of(network, held, side, stacked).items():
            pools = dict(zip(sizes, np.split(rows, ends), strict=True))
            for intruders in ("women", "monet", "noise"):
                cells = []
                for count in (100, 300, 1000):
                    for values in climb(pools, intruders, count).values():
                        steps = [right_order(a, b) for a, b in itertools.pairwise(values)]
                        cells.append(f"{100 * np.mean(steps):5.1f} /{100 * steps[0]:5.1f}")
                print(
                    f"{network + ':' + layer:28} {rows.shape[1]:5} {intruders:9}" + "".join(f" {cell:>13}" for cell in cells),
                    flush=True,
                )


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2:])
