"""A generator as two ONNX graphs with half-size weights: latents to w, and styles to a picture.

They are apart because a page does between them what `generation.space` does: truncation, moves, and the way to another point.
"""

from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from artgan.errors import ArtganError
from artgan.generation.export import require_onnx, write_onnx
from artgan.generation.latents import latents_for_seeds
from artgan.generation.model_folder import Model
from artgan.generation.point import Point
from artgan.generation.sample import render
from artgan.images import to_uint8
from artgan.models.contract import GeneratorNetwork

PRECISIONS = ("fp16", "fp32")
TOLERANCE = 0.5  # of 255, on average over a picture: half of what a page promises
_CHECKED_SEEDS = (0, 1, 2)
_SMALLEST_HALVED = 256  # values: biases and gains stay as they are
_LARGEST_HALF = 65504.0


class _Mapping(nn.Module):
    """Latents `[1, latent_dim]` and, for a conditional model, labels `[1]` to w `[1, style_dim]`."""

    def __init__(self, generator: GeneratorNetwork) -> None:
        super().__init__()
        self.mapping = generator.mapping

    def forward(self, latents: Tensor, labels: Tensor | None = None) -> Tensor:
        """Return w; a copy where the mapping is the identity, which no graph may be."""
        return self.mapping(latents, labels) * 1.0


class _Synthesis(nn.Module):
    """Styles `[1, num_styles, style_dim]` to pictures `[1, 3, H, W]`."""

    def __init__(self, generator: GeneratorNetwork) -> None:
        super().__init__()
        self.generator = generator

    def forward(self, styles: Tensor) -> Tensor:
        return self.generator.synthesis(styles)


@dataclass(frozen=True)
class Graphs:
    """Two ONNX files, and how far their pictures are from PyTorch's.

    Attributes:
        mapping, synthesis: the bytes of the files.
        difference: mean of the worst seed checked, of 255.
    """

    mapping: bytes
    synthesis: bytes
    difference: float


def make_graphs(model: Model, precision: str = "fp16") -> Graphs:
    """Return the graphs of a model, compared with `artgan sample` on a few seeds by the runtime's kernels on this machine.

    Args:
        model: on the CPU.
        precision: of the weights in the file; they are computed with in float32.

    Raises:
        ConfigError: a library is missing.
        ArtganError: the runtime lacks an operator, or the pictures are not the same.
    """
    require_onnx()
    generator, conditional = model.generator, bool(model.card.classes)
    latents = latents_for_seeds([0], generator.latent_dim)
    inputs = (latents, torch.zeros(1, dtype=torch.int64)) if conditional else (latents,)
    styles = torch.zeros(1, generator.num_styles, generator.style_dim)
    with TemporaryDirectory(prefix="artgan-page-") as folder:
        parts = []
        for network, given, names, result in (
            (_Mapping(generator), inputs, ["latents", "labels"][: len(inputs)], "w"),
            (_Synthesis(generator), (styles,), ["styles"], "images"),
        ):
            path = Path(folder) / f"{result}.onnx"
            write_onnx(network.eval(), given, path, inputs=names, output=result)
            parts.append(_halved(path) if precision == "fp16" else path.read_bytes())
    mapping, synthesis = parts
    return Graphs(mapping, synthesis, _difference(model, mapping, synthesis, precision))


def _halved(path: Path) -> bytes:
    """Return a graph whose large weights are stored in 16 bits, each with a cast that the runtime folds when it loads."""
    import onnx
    from onnx import numpy_helper

    content = onnx.load(path)
    graph, casts = content.graph, []
    for tensor in graph.initializer:
        if tensor.data_type != onnx.TensorProto.FLOAT:
            continue
        values = numpy_helper.to_array(tensor)
        if values.size < _SMALLEST_HALVED or not np.abs(values).max() <= _LARGEST_HALF:
            continue
        name = tensor.name
        tensor.CopyFrom(numpy_helper.from_array(values.astype(np.float16), f"{name}_half"))
        casts.append(onnx.helper.make_node("Cast", [tensor.name], [name], to=onnx.TensorProto.FLOAT))
    nodes = [*casts, *graph.node]
    del graph.node[:]
    graph.node.extend(nodes)
    return content.SerializeToString()


def _difference(model: Model, mapping: bytes, synthesis: bytes, precision: str) -> float:
    """Return the largest mean difference, of 255, from the pictures that `artgan sample` makes."""
    sessions = [open_graph(mapping), open_graph(synthesis)]
    classes, worst = len(model.card.classes), 0.0
    labels = [seed % max(1, classes) for seed in _CHECKED_SEEDS]
    points = [Point(seed, classes=((label, 1.0),)) for seed, label in zip(_CHECKED_SEEDS, labels)]
    for seed, label, expected in zip(_CHECKED_SEEDS, labels, render(model.space, points)):
        given = {"latents": latents_for_seeds([seed], model.generator.latent_dim).numpy()}
        if classes:
            given["labels"] = np.array([label])
        styles = np.repeat(sessions[0].run(None, given)[0][:, None], model.generator.num_styles, axis=1)
        pixels = to_uint8(torch.from_numpy(sessions[1].run(None, {"styles": styles})[0]))[0].numpy()
        worst = max(worst, float(np.abs(pixels.astype(float) - expected).mean()))
    if not worst < TOLERANCE:
        way = "; --precision fp32 keeps all bits" if precision == "fp16" else ""
        raise ArtganError(f"the page's pictures would differ from artgan sample's by {worst:.2g} of 255 on average{way}")
    return worst


def open_graph(graph: bytes) -> Any:
    """Return a session of ONNX Runtime, whose kernels on the processor are those of the browser's WebAssembly.

    Raises:
        ArtganError: it lacks an operator, or the graph is damaged.
    """
    import onnxruntime

    try:
        return onnxruntime.InferenceSession(graph, providers=["CPUExecutionProvider"])
    except Exception as error:  # the runtime has its own kinds of errors
        lines = str(error).strip().splitlines() or [type(error).__name__]
        raise ArtganError(f"ONNX Runtime cannot run this model: {lines[0][:300]}") from error
