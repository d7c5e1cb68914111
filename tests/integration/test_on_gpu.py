"""What a GPU gives beside what the CPU gives in float64; the same tests in the CPU's float32 run everywhere."""

import pytest
import torch

from artgan.config import dump_config, with_values
from artgan.datasets.sampler import Batches
from artgan.generation.model_folder import load_model
from artgan.training.context import build_context
from artgan.training.session import open_session
from artgan.training.steps import discriminator_step, generator_step
from tests.integration.test_cli import artgan
from tests.integration.test_resume import COMBINATIONS, combined, tiny

pytestmark = pytest.mark.gpu
needs_gpu = pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA GPU on this machine")
DEVICES = ["cpu", pytest.param("cuda", marks=needs_gpu)]


def losses(values, collection, folder, device, precision):
    """Return what the first two steps say of themselves."""
    config = with_values(combined(values), {"training.device": device, "training.precision": precision})
    session = open_session(config, collection, folder)
    context = build_context(session, session.state, compiled=False)
    batches = Batches(collection, 0, session.device, horizontal_flip=False)
    images, labels = batches.batch(0, 8)
    images = images.to(session.state.dtype)
    said = discriminator_step(session.state, context, images, labels)
    said |= generator_step(session.state, context, images if context.objective.paired else None, labels)
    return {name: float(value) for name, value in said.items()}


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("values", [{}, *COMBINATIONS[:2]], ids=["fastgan", "stylegan2", "r3gan"])
def test_steps_have_the_losses_of_float64(collection, tmp_path, values, device):
    expected = losses(values, collection, tmp_path / "wide", "cpu", "float64")
    found = losses(values, collection, tmp_path / "narrow", device, "float32")
    assert found == pytest.approx(expected, rel=2e-3, abs=2e-3)


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("values", [{}, *COMBINATIONS[:2]], ids=["fastgan", "stylegan2", "r3gan"])
def test_pictures_are_those_of_float64(collection, tmp_path, values, device):
    session = open_session(combined(values), collection, tmp_path / "run")
    generator = session.state.ema
    latents = torch.randn(4, generator.latent_dim, generator=torch.Generator().manual_seed(1))
    with torch.inference_mode():
        expected = generator.double()(latents.double())
        found = generator.float().to(device)(latents.to(device)).cpu()
    assert torch.allclose(found.double(), expected, atol=1e-3)


@needs_gpu
def test_a_run_on_a_gpu_goes_on_and_is_judged_sampled_and_refined(collection_folder, tmp_path):
    (tmp_path / "run.yaml").write_text(dump_config(tiny(training__total_kimg=0.024, training__device="cuda")))
    run, gpu = tmp_path / "run", ("--device", "cuda")
    train = ("train", tmp_path / "run.yaml", "--collection", collection_folder, "--run", run)
    for words in (
        (*train, "--set", "training.total_kimg=0.016"),
        train,
        ("evaluate", run, "--collection", collection_folder, "--features", "random", "--num-generated", "8", *gpu),
        ("sample", run, "--out", tmp_path / "samples", "--seeds", "0-3", *gpu),
        ("refine", tmp_path / "samples", "--style", collection_folder, "--backbone", "random", "--size", "64", *gpu,
         "--set", "style.iterations=3", "--out", tmp_path / "refined"),
    ):  # fmt: skip
        assert artgan(*words) == 0, words
    assert load_model(run).card.images_seen == 24
