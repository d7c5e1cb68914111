"""A generator for other programs: ONNX and torch.export, each checked against PyTorch before it is written."""

import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from artgan.errors import ArtganError, ConfigError
from artgan.generation.latents import latents_for_seeds, truncate
from artgan.generation.model_folder import Model
from artgan.models.contract import GeneratorNetwork
from artgan.storage import building

TOLERANCE = 1e-4
_CHECKED_SEEDS = (0, 1, 2)
_OPSET = 18
_LOG_ERRORS = 3


class Exported(nn.Module):
    """Latents `[N, latent_dim]`, truncation (a scalar) and, for a conditional model, labels `[N]` to images `[N, 3, H, W]`."""

    means: Tensor

    def __init__(self, generator: GeneratorNetwork, means: Tensor) -> None:
        super().__init__()
        self.generator = generator
        self.register_buffer("means", means)

    def forward(self, latents: Tensor, truncation: Tensor, labels: Tensor | None = None) -> Tensor:
        """Return images in [-1, 1], as the generator does."""
        mean = self.means[0] if labels is None else self.means[labels]
        return self.generator.synthesis(truncate(self.generator.mapping(latents, labels), mean, truncation))  # type: ignore[arg-type]


def export_model(model: Model, out: Path) -> float:
    """Write `X.onnx` or `X.pt2` and return the largest difference from PyTorch on a few seeds, of a range of 2.

    Args:
        model: on the CPU.
        out: its suffix says which.

    Raises:
        ConfigError: another suffix, or a library is missing.
        ArtganError: what was exported does not give the same pictures; nothing is written then.
    """
    classes = len(model.card.classes)
    means = torch.cat([model.space.centers(label, 0) for label in range(max(1, classes))]).clone()
    network = Exported(model.generator, means).eval()
    inputs = _inputs(model, classes, _CHECKED_SEEDS)
    with torch.no_grad():
        expected = network(*inputs).numpy()
    with building(out) as partial:
        produced = _write_onnx(network, inputs, partial) if out.suffix == ".onnx" else _write_pt2(network, inputs, partial)
        difference = float(np.abs(produced - expected).max())
        if not difference <= TOLERANCE:
            raise ArtganError(f"{out}: the exported generator differs from PyTorch by {difference:.2g}, over {TOLERANCE:g}")
    return difference


def _inputs(model: Model, classes: int, seeds: tuple[int, ...]) -> tuple[Tensor, ...]:
    latents, truncation = latents_for_seeds(seeds, model.generator.latent_dim), torch.tensor(0.8)
    labels = torch.arange(len(seeds)) % max(1, classes)
    return (latents, truncation, labels) if classes else (latents, truncation)


def _dynamic(inputs: tuple[Tensor, ...]) -> tuple[dict[int, Any] | None, ...]:
    batch = torch.export.Dim("batch", min=1, max=4096)
    return ({0: batch}, None, {0: batch})[: len(inputs)]


def _write_pt2(network: Exported, inputs: tuple[Tensor, ...], path: Path) -> np.ndarray:
    if path.suffix != ".pt2":
        raise ConfigError(f"--out {path.name}: expected a name that ends in .onnx or .pt2")
    program = torch.export.export(network, inputs, dynamic_shapes=_dynamic(inputs))
    torch.export.save(program, path)
    with torch.no_grad():
        return program.module()(*inputs).numpy()


def require_onnx(otherwise: str = "") -> None:
    """Check that the libraries for ONNX are here.

    Raises:
        ConfigError: one is missing.
    """
    try:
        import onnxruntime
        import onnxscript  # noqa: F401
    except ImportError:
        raise ConfigError(f"ONNX needs its libraries: pip install 'artgan[onnx]'{otherwise}") from None
    onnxruntime.set_default_logger_severity(_LOG_ERRORS)  # it warns of machines without a GPU


def write_onnx(
    network: nn.Module,
    given: tuple[Tensor, ...],
    path: Path,
    *,
    inputs: Sequence[str],
    output: str,
    dynamic: tuple[dict[int, Any] | None, ...] | None = None,
) -> None:
    """Write a network as ONNX.

    Args:
        network: in evaluation mode.
        given: example inputs.
        path: of the file.
        inputs, output: names.
        dynamic: for each input its dynamic axes; None keeps all sizes.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the exporter warns about its own insides
        torch.onnx.export(
            network,
            given,
            str(path),
            input_names=inputs,
            output_names=[output],
            dynamic_shapes=dynamic,
            opset_version=_OPSET,
            dynamo=True,
            external_data=False,
            verbose=False,
        )


def _write_onnx(network: Exported, inputs: tuple[Tensor, ...], path: Path) -> np.ndarray:
    require_onnx("; --out X.pt2 works without them")
    import onnxruntime

    names = ["latents", "truncation", "labels"][: len(inputs)]
    write_onnx(network, inputs, path, inputs=names, output="images", dynamic=_dynamic(inputs))
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    return session.run(None, {name: value.numpy() for name, value in zip(names, inputs, strict=True)})[0]
