import math

import pytest
import torch

from artgan.augment.ada import PIPES, Ada
from artgan.augment.resampling import SYM6, Warp


def identity(count):
    return torch.eye(3, dtype=torch.float64)[:2].expand(count, 2, 3).clone()


def smooth(height, width):
    """A picture without fine detail, in the order `[1, 3, H, W]`."""
    y = torch.linspace(0, 2 * math.pi, height, dtype=torch.float64)[:, None]
    x = torch.linspace(0, 2 * math.pi, width, dtype=torch.float64)[None]
    return torch.stack([torch.sin(x) * torch.cos(y), torch.cos(2 * x + y), torch.sin(y).expand(height, width)])[None]


def test_sym6_is_orthogonal_to_its_even_shifts():
    taps = torch.tensor(SYM6, dtype=torch.float64)
    assert float(taps.sum()) == pytest.approx(math.sqrt(2), abs=1e-9)
    for shift in range(1, 6):
        assert float((taps[2 * shift :] * taps[: -2 * shift]).sum()) == pytest.approx(0, abs=1e-9)
    assert float(taps.square().sum()) == pytest.approx(1, abs=1e-9)


def test_no_change_gives_the_image_back():
    images = torch.rand(2, 3, 32, 24, dtype=torch.float64)
    assert torch.allclose(Warp()(images, identity(2)), images, atol=1e-10)


def test_a_whole_shift_moves_pixels_and_reflects_at_the_edge():
    images = torch.rand(1, 3, 32, 32, dtype=torch.float64)
    matrix = identity(1)
    matrix[:, 0, 2] = 5
    moved = Warp()(images, matrix)
    assert torch.allclose(moved[:, :, :, :24], images[:, :, :, 5:29], atol=1e-10)
    assert torch.allclose(moved[:, :, :, 28], images[:, :, :, 30], atol=0.2)


def test_mirror_and_turns_go_about_the_center():
    images = smooth(48, 48)
    matrix = identity(1)
    matrix[:, 0, 0] = -1
    inside = (..., slice(4, -4), slice(4, -4))
    assert torch.allclose(Warp()(images, matrix)[inside], images.flip(3)[inside], atol=0.01)
    quarter = torch.tensor([[[0.0, 1.0, 0.0], [-1.0, 0.0, 0.0]]], dtype=torch.float64)
    turned = Warp()(images, quarter)
    assert min((turned - images.rot90(k, (2, 3)))[inside].abs().max() for k in (1, 3)) < 0.01


@pytest.mark.parametrize("pipe", PIPES)
def test_probability_zero_changes_nothing_and_one_changes_everything(pipe):
    images = torch.rand(4, 3, 32, 32, dtype=torch.float64) * 2 - 1
    draws = torch.rand(4, Ada.num_draws, dtype=torch.float64)
    assert torch.allclose(Ada(pipe, 0.0, 0.8).double()(images, draws), images, atol=1e-9)
    changed = Ada(pipe, 1.0, 0.8).double()(images, draws)
    assert all((a - b).abs().mean() > 0.05 for a, b in zip(changed, images, strict=True))
    assert torch.allclose(Ada(pipe, 1.0, 0.8).double()(images[2:3], draws[2:3]), changed[2:3], atol=1e-10)


@pytest.mark.parametrize("pipe", PIPES)
def test_each_change_happens_as_often_as_asked(pipe):
    torch.manual_seed(0)
    images = smooth(16, 16).expand(600, -1, -1, -1)
    draws = torch.rand(600, Ada.num_draws, dtype=torch.float64)
    changed = Ada(pipe, 0.1, 0.8).double()(images, draws)
    share = ((changed - images).abs().amax((1, 2, 3)) > 1e-9).double().mean()
    chances = {"art": 8, "bgc": 11}[pipe]  # of the pipe's gates, those that change this picture
    assert share > 1 - 0.9 ** (chances - 3)
    assert share < 1 - 0.9 ** (chances + 3)


def test_the_art_pipe_keeps_orientation_hue_and_lightness_order():
    """A ramp of gray stays gray and rising; a picture's left stays left."""
    ramp = torch.linspace(-0.5, 0.5, 64, dtype=torch.float64).expand(1, 3, 64, 64)
    draws = torch.rand(50, Ada.num_draws, dtype=torch.float64)
    changed = Ada("art", 1.0, 0.8).double()
    for draw in draws:
        draw[-3:] = torch.tensor([0.999999, 0.01, 0.01])  # the box of the cutout into a corner
        out = changed(ramp, draw[None])[0]
        assert (out.std(0) < 1e-9).all()
        assert out[0, 40:, 40:].mean(0)[-12:].mean() > out[0, 40:, 40:].mean(0)[:12].mean() - 0.3
        middle = out[0, 32:, 20:50].mean(0)
        assert middle[-1] > middle[0]


@pytest.mark.parametrize("pipe", PIPES)
def test_it_is_differentiable_twice(pipe):
    augment = Ada(pipe, 1.0, 0.8).double()
    images = torch.rand(1, 3, 6, 6, dtype=torch.float64, requires_grad=True)
    draws = torch.rand(1, Ada.num_draws, dtype=torch.float64)
    assert torch.autograd.gradcheck(lambda x: augment(x, draws), (images,))
    assert torch.autograd.gradgradcheck(lambda x: augment(x, draws).square(), (images,))


def observe(augment, sign, steps, batch=64):
    for _ in range(steps):
        augment.observe(torch.tensor(sign), batch)
    return float(augment.probability)


def test_the_probability_follows_the_signs_up_to_the_cap_and_down_to_zero():
    """The paper: every fourth step, by 4 batch / 500,000."""
    augment = Ada("art", None, 0.8)
    assert observe(augment, 1.0, 3) == 0
    assert observe(augment, 1.0, 1) == pytest.approx(4 * 64 / 500_000)
    assert observe(augment, 0.59, 4) == pytest.approx(0, abs=1e-9)
    assert observe(augment, -1.0, 8) == 0
    assert observe(augment, 1.0, 8000, batch=640) == pytest.approx(0.8)


def test_a_fixed_probability_stays():
    augment = Ada("bgc", 0.3, 0.8)
    assert observe(augment, 1.0, 40) == pytest.approx(0.3)
