"""Style transfer against the plain recipe that people use, at one fixed Gram distance; color and detail; the fitted network.

The peer is the neural-style tutorial's recipe, written here: VGG19, L-BFGS, 300 steps, one scale, weights 1e6 and 1. Both are
judged by the same relative Gram distance at the full size, and by how much of the content is left; the ratio is peer time over
ours for the first of our results that is as near to the style as the peer's. Give pictures and a style:

    ./scripts/benchmark refine CONTENT.jpg STYLE.jpg [SIDE_PX] [STEPS]
"""

import sys
import time
from pathlib import Path

import numpy as np
import torch
from torch.nn import functional as F

from artgan.backbones.backbone import load_backbone
from artgan.decode import decode_file
from artgan.devices import describe_device
from artgan.errors import WeightsError
from artgan.images import to_float
from artgan.refine.canvas import canvas_of, resized
from artgan.refine.feedforward import NetworkStylist, StyleNetwork
from artgan.refine.grading import sample_pixels
from artgan.refine.losses import content_loss, statistics
from artgan.refine.materials import Materials
from artgan.refine.networks import pad_by_replication
from artgan.refine.recipe import make_recipe
from artgan.refine.steps.step import Setting
from artgan.refine.style_card import source_of_picture
from artgan.refine.stylist import Stylist

FULL = (["relu1_1", "relu2_1", "relu3_1", "relu4_1", "relu5_1"], ["relu4_2"])
SHORT = (["relu1_1", "relu2_1", "relu3_1"], ["relu3_3"])
CPU = torch.device("cpu")


def layers_at_hand():
    try:
        load_backbone("vgg19", [*FULL[0], *FULL[1]])
    except WeightsError:
        print("the available VGG19 weights end before relu5_1: both use relu1_1, relu2_1, relu3_1 and content relu3_3")
        return SHORT
    return FULL


def judge(backbone, style_layers, content_layers, style, content):
    """Return what gives the (style, content) distances of images."""
    with torch.no_grad():
        targets = {layer: statistics(value, "gram").second for layer, value in backbone(style).items() if layer in style_layers}
        kept = backbone(content)

    def distances(images):
        with torch.no_grad():
            features = backbone(images)
        parts = [
            (statistics(features[layer], "gram").second - gram).square().sum() / gram.square().sum()
            for layer, gram in targets.items()
        ]
        return torch.stack(parts).mean().item(), content_loss(features, kept, content_layers).item()

    return distances


def tutorial(content, style, style_layers, content_layers, steps):
    """The tutorial: L-BFGS on the pixels, Gram over positions and channels, style 1e6, content 1.

    In the peer's favor: a strong Wolfe line search, without which it diverged where the weights end at relu3_4, and the picture
    of its lowest loss is taken, since even so it may end in numbers that are none.
    """
    backbone = load_backbone("vgg19", [*style_layers, *content_layers])
    gram = lambda x: x.flatten(2) @ x.flatten(2).transpose(1, 2) / x[0].numel()  # noqa: E731
    with torch.no_grad():
        wanted = {layer: gram(value) for layer, value in backbone(style).items() if layer in style_layers}
        kept = backbone(content)
    image = ((content + 1) / 2).contiguous().clone().requires_grad_(True)  # the tutorial's range
    optimizer = torch.optim.LBFGS([image], max_iter=20, line_search_fn="strong_wolfe")
    count, lowest, best = 0, float("inf"), content
    while count < steps:

        def closure():
            nonlocal count, lowest, best
            optimizer.zero_grad()
            features = backbone(2 * image - 1)
            loss = 1e6 * sum(F.mse_loss(gram(features[layer]), target) for layer, target in wanted.items())
            loss = loss + sum(F.mse_loss(features[layer], kept[layer]) for layer in content_layers)
            loss.backward()
            count += 1
            if loss.item() < lowest:
                lowest, best = loss.item(), image.detach().clone()
            return loss

        optimizer.step(closure)
        with torch.no_grad():
            image.clamp_(0, 1)
    return 2 * best.clamp(0, 1) - 1


def timed(work):
    started = time.perf_counter()
    result = work()
    return result, time.perf_counter() - started


def style_race(content, style, side, steps):
    style_layers, content_layers = layers_at_hand()
    content, style = (resized(picture, side) for picture in (content, style))
    images, look = (to_float(torch.from_numpy(np.array(picture)[None])) for picture in (content, style))
    backbone = pad_by_replication(load_backbone("vgg19", [*style_layers, *content_layers]))
    distances = judge(backbone, style_layers, content_layers, look, images)
    before, _ = distances(images)
    print(f"{content.shape[1]}x{content.shape[0]} px, {torch.get_num_threads()} threads; Gram distance before: {before:.4f}")
    peer, peer_seconds = timed(lambda: tutorial(images, look, style_layers, content_layers, steps))
    wanted, peer_content = distances(peer)
    print(f"tutorial, {steps} steps: style {wanted:.5f}, content {peer_content:.3f} in {peer_seconds:.1f} s")
    if not wanted < before:
        sys.exit("the tutorial's L-BFGS diverged on these pictures: no ratio")
    # The tutorial's weights leave next to nothing of the content and know no smoothness; the last line has our own defaults.
    alike = {"style__loss": "gram", "style__content_weight": 0.001, "style__variation_weight": 0.0}
    rows = [(f"{count} steps a scale", {**alike, "style__iterations": count}) for count in (10, 20, 40, 80)]
    reached = float("inf")
    for name, look_of_row in [*rows, ("defaults", {})]:
        if reached <= wanted and name != "defaults":
            continue
        recipe = make_recipe(style__style_layers=style_layers, style__content_layers=content_layers, **look_of_row)
        stylist = Stylist(recipe.style, [source_of_picture("style", style)], [1.0], CPU)
        result, seconds = timed(lambda stylist=stylist: stylist([content])[0])
        reached, kept = distances(torch.from_numpy(result).permute(2, 0, 1)[None] * 2 - 1)
        ratio = f"{peer_seconds / seconds:.1f} times as fast"
        print(f"artgan, {name}: style {reached:.5f}, content {kept:.3f} in {seconds:.1f} s: {ratio}")


def color_and_detail(content, palette):
    """Each way of coloring, with boost and unsharp, from decoded pixels to finished ones; the map is fitted once."""
    side = min(content.shape[:2])
    picture, target = resized(content[:side, :side], 512), sample_pixels(palette)
    looks = {method: {"color__mode": "match", "color__method": method} for method in ("mkl", "reinhard", "histogram", "sliced")}
    looks |= {
        "contrast and vibrance": {"color__contrast": 0.4, "color__vibrance": 0.2},
        "saturation": {"color__saturation": 1.0},
    }
    for name, values in looks.items():
        recipe = make_recipe(style__engine="none", detail__boost=0.4, detail__unsharp=0.3, **values)
        setting = Setting(0, Materials(palette=target), CPU, ["a"], lambda _: (sample_pixels(picture), None))
        steps = [step.begin(setting) for step in recipe.steps if step.acts]

        def finish(steps=steps):
            canvas = canvas_of(picture, "a", "a")
            for step in steps:
                (canvas,) = step([canvas], lambda share, note: None)
            return canvas.srgb()

        finish()
        _, seconds = timed(lambda finish=finish: [finish() for _ in range(10)])
        print(f"color and detail at 512x512, {name}: {10 / seconds:.1f} pictures/s on one core")


def batch_on_gpu(content, style):
    """Sixteen pictures of 256 px one by one and as one batch, both after a first run."""
    pictures, device = [resized(content, 256)] * 16, torch.device("cuda")
    stylist = Stylist(make_recipe(style__backbone="squeezenet1_1").style, [source_of_picture("style", style)], [1.0], device)
    stylist(pictures)
    _, together = timed(lambda: stylist(pictures))
    _, alone = timed(lambda: [stylist([picture]) for picture in pictures])
    print(f"16 pictures of 256 px on {describe_device(device)}: one by one {alone:.2f} s, together {together:.2f} s")


def fitted_network(content):
    picture = np.ascontiguousarray(np.broadcast_to(resized(content, 256)[:1, :1], (256, 256, 3)))
    stylist = NetworkStylist(StyleNetwork(), 1.0, CPU)
    stylist([picture])
    _, seconds = timed(lambda: [stylist([picture]) for _ in range(5)])
    print(f"fitted network at 256x256: {5 / seconds:.1f} pictures/s on {torch.get_num_threads()} threads")


if __name__ == "__main__":
    if len(sys.argv) < 3:
        sys.exit(__doc__)
    first, second = (decode_file(Path(name)).pixels for name in sys.argv[1:3])
    color_and_detail(first, second)
    fitted_network(first)
    if torch.cuda.is_available():
        batch_on_gpu(first, second)
    style_race(first, second, int(sys.argv[3]) if len(sys.argv) > 3 else 256, int(sys.argv[4]) if len(sys.argv) > 4 else 300)
