"""Style losses against their definitions, closed forms and double-precision eigen solutions."""

import numpy as np
import pytest
import scipy.linalg
import torch

from artgan.metrics.style_transfer import content_distance, gram_distance, gram_matrix, palette_distance, series_consistency
from artgan.refine.losses import (
    Statistics,
    between,
    bures,
    content_loss,
    covariance,
    mixture,
    self_similarity_loss,
    statistics,
    style_distance,
    total_variation,
)

LOSSES = ("gram", "moments", "wasserstein", "sliced")


def features(seed=0, batch=1, channels=6, side=8):
    return torch.randn(batch, channels, side, side, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def covariances(seed, channels=7):
    root = np.random.default_rng(seed).normal(size=(channels, channels))
    return root @ root.T / channels + 0.1 * np.eye(channels)


@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
def test_moments_equal_their_definition_and_their_gradient_finite_differences(layout):
    values = features(batch=2).contiguous(memory_format=layout)
    found = statistics(values, "moments")
    flat = values.flatten(2)
    assert torch.allclose(found.second, torch.einsum("bip,bjp->bij", flat, flat) / 64)
    assert torch.allclose(found.mean, flat.mean(2))
    small = features(batch=2, channels=3, side=3).contiguous(memory_format=layout).requires_grad_(True)
    assert torch.autograd.gradcheck(lambda x: covariance(statistics(x, "moments")).sin().sum((1, 2)), small)


@pytest.mark.parametrize("loss", LOSSES)
def test_style_is_zero_at_its_target_and_does_not_see_where_things_are(loss):
    values = features()
    target = statistics(values, loss)
    shuffled = values.flatten(2)[:, :, torch.randperm(64)].view_as(values)
    for same in (values, shuffled):
        assert style_distance(statistics(same, loss), target, target, loss).item() == pytest.approx(0, abs=1e-7)
    assert style_distance(statistics(2 * values, loss), target, target, loss).item() > 0.3


def test_gram_distance_from_nothing_is_one():
    target = statistics(features(), "gram")
    nothing = statistics(torch.zeros(1, 6, 8, 8, dtype=torch.float64), "gram")
    assert style_distance(nothing, target, target, "gram").item() == pytest.approx(1)


def test_the_covariance_part_of_wasserstein_equals_general_matrix_roots():
    a, b = covariances(0), covariances(1)
    root = scipy.linalg.sqrtm(b).real
    wanted = np.trace(a + b - 2 * scipy.linalg.sqrtm(root @ a @ root).real)
    assert bures(torch.from_numpy(a)[None], torch.from_numpy(b)[None]).item() == pytest.approx(wanted, rel=1e-3)
    assert bures(torch.from_numpy(a)[None], torch.from_numpy(a)[None]).item() == pytest.approx(0, abs=1e-9)


def test_a_covariance_that_is_not_finite_spoils_its_own_picture_alone():
    values = features(batch=2).requires_grad_(True)
    broken = values * torch.tensor([torch.nan, 1.0]).view(2, 1, 1, 1)
    target = statistics(features(seed=1), "wasserstein")
    losses = style_distance(statistics(broken, "wasserstein"), target, target, "wasserstein")
    assert losses.isfinite().tolist() == [False, True]
    losses[1].backward()
    assert values.grad[1].isfinite().all()


def test_a_plain_color_as_style_is_a_place_to_go():
    """Its covariance is nothing; a distance relative to nothing would leave no say to the color."""
    plain = torch.full((1, 6, 8, 8), 2.0, dtype=torch.float64)
    target = statistics(plain, "moments")
    rough_and_right = statistics(plain + 0.1 * features(), "moments")
    plain_and_wrong = statistics(0.5 * plain, "moments")
    distances = [style_distance(found, target, target, "moments").item() for found in (rough_and_right, plain_and_wrong)]
    assert distances[0] < distances[1] < 10


def test_wasserstein_between_gaussians_equals_pot():
    ot = pytest.importorskip("ot")
    one, other = features(1, side=24), 1.5 * features(2, side=24) + 0.3
    a, b = statistics(one, "wasserstein"), statistics(other, "wasserstein")
    flat = [value.flatten(2)[0].T.numpy() for value in (one, other)]
    wanted = ot.gaussian.bures_wasserstein_distance(
        flat[0].mean(0), flat[1].mean(0), np.cov(flat[0].T, bias=True), np.cov(flat[1].T, bias=True)
    )
    size = b.second.diagonal(dim1=1, dim2=2).sum()
    assert style_distance(a, b, b, "wasserstein").item() == pytest.approx(wanted**2 / size.item(), rel=1e-3)


def test_the_gradient_of_wasserstein_equals_the_eigen_solution_and_finite_differences():
    """d/dA tr(A + B - 2 (B^1/2 A B^1/2)^1/2) = I - B^1/2 (B^1/2 A B^1/2)^(-1/2) B^1/2, in float64."""
    a, b = torch.from_numpy(covariances(3))[None].requires_grad_(True), torch.from_numpy(covariances(4))[None]
    (slope,) = torch.autograd.grad(bures(a, b).sum(), a)
    ridge = 1e-4 * b[0].diagonal().mean().item() * np.eye(7)
    first, second = a.detach()[0].numpy() + ridge, b[0].numpy() + ridge
    values, vectors = np.linalg.eigh(second)
    root = (vectors * np.sqrt(values)) @ vectors.T
    values, vectors = np.linalg.eigh(root @ first @ root)
    wanted = np.eye(7) - root @ (vectors / np.sqrt(values)) @ vectors.T @ root
    assert slope[0].numpy() == pytest.approx(wanted, abs=1e-9)
    values = features(5, channels=3, side=4).requires_grad_(True)
    target = statistics(features(6, channels=3, side=4), "wasserstein")
    assert torch.autograd.gradcheck(
        lambda x: style_distance(statistics(x, "wasserstein"), target, target, "wasserstein"), values
    )


def test_fewer_positions_than_channels_still_have_a_gradient():
    values = torch.randn(1, 32, 2, 2, requires_grad=True)
    target = statistics(torch.randn(1, 32, 3, 3), "wasserstein")
    loss = style_distance(statistics(values, "wasserstein"), target, target, "wasserstein")
    (slope,) = torch.autograd.grad(loss.sum(), values)
    assert slope.isfinite().all()
    assert slope.abs().max() > 0


def test_moments_of_a_mixture_are_those_of_both_pictures_together():
    one, other = features(7), features(8) + 2
    mixed = mixture([statistics(one, "gram"), statistics(other, "gram")], [1, 1])
    together = statistics(torch.cat([one, other], 3), "gram")
    assert torch.allclose(mixed.mean, together.mean)
    assert torch.allclose(covariance(mixed), covariance(together))


def test_a_mask_of_ones_and_zeros_is_a_crop():
    values = features(9)
    mask = torch.zeros(1, 1, 8, 8, dtype=torch.float64)
    mask[..., :3] = 1
    masked, cropped = statistics(values, "moments", mask), statistics(values[..., :3], "moments")
    assert torch.allclose(masked.mean, cropped.mean)
    assert torch.allclose(masked.second, cropped.second)


def test_quantiles_of_one_channel_are_its_sorted_values():
    values = torch.randperm(128, dtype=torch.float64).view(1, 1, 8, 16)
    quantiles = statistics(values, "sliced").quantiles
    assert torch.allclose(quantiles.abs().sort().values, torch.arange(128.0, dtype=torch.float64).view(1, 1, -1), atol=1e-5)


def test_content_losses_are_zero_at_the_content_and_see_what_they_should():
    found = {"a": features(10)}
    assert content_loss(found, found, ["a"]).item() == 0
    assert content_loss({"a": 0 * found["a"]}, found, ["a"]).item() == pytest.approx(1)
    assert self_similarity_loss(found, found, ["a"]).item() == pytest.approx(0, abs=1e-9)
    assert self_similarity_loss({"a": 3 * found["a"]}, found, ["a"]).item() == pytest.approx(0, abs=1e-9)
    assert self_similarity_loss({"a": features(11)}, found, ["a"]).item() > 0.1


def test_total_variation_of_a_ramp_is_its_slope_squared():
    ramp = torch.arange(8.0).view(1, 1, 1, 8).expand(1, 3, 8, 8) * 0.1
    assert total_variation(ramp).item() == pytest.approx(0.01, rel=1e-5)
    assert total_variation(torch.full((1, 3, 4, 4), 0.3)).item() == 0


@pytest.mark.parametrize("loss", LOSSES)
def test_every_loss_is_one_number_for_each_picture(loss):
    values = features(12, batch=3)
    target = statistics(features(13), loss)
    together = style_distance(statistics(values, loss), target, target, loss)
    alone = torch.cat([style_distance(statistics(value[None], loss), target, target, loss) for value in values])
    assert torch.allclose(together, alone)


def test_metrics_agree_with_the_losses_and_with_pot():
    ours, theirs = features(14)[0], features(15)[0]
    grams = [{"a": gram_matrix(value.numpy())} for value in (ours, theirs)]
    target = statistics(theirs[None], "gram")
    wanted = style_distance(statistics(ours[None], "gram"), target, target, "gram").item()
    assert gram_distance(*grams) == pytest.approx(wanted)
    found = content_distance({"a": ours.numpy()}, {"a": theirs.numpy()})
    assert found == pytest.approx(content_loss({"a": ours[None]}, {"a": theirs[None]}, ["a"]).item())
    ot = pytest.importorskip("ot")
    means, spreads = np.array([0.5, 0.1, 0.0]), [covariances(1, 3), covariances(2, 3)]
    distance = palette_distance((means, spreads[0]), (means + 0.2, spreads[1]))
    assert distance == pytest.approx(ot.gaussian.bures_wasserstein_distance(means, means + 0.2, *spreads), rel=1e-8)


def test_a_series_of_equal_colors_is_consistent_and_a_cast_shows():
    mean, spread = np.array([0.5, 0.0, 0.0]), 0.01 * np.eye(3)
    same = series_consistency([(mean, spread)] * 3)
    assert same == pytest.approx({"mean_spread": 0, "range_spread": 0, "palette_spread": 0}, abs=1e-7)
    cast = series_consistency([(mean, spread), (mean + np.array([0, 0.2, 0]), spread)])
    assert cast["mean_spread"] == pytest.approx(0.1)
    assert cast["palette_spread"] == pytest.approx(0.2)
    assert cast["range_spread"] == pytest.approx(0)


def test_statistics_map_reaches_every_tensor():
    held = statistics(features(), "sliced").map(lambda tensor: tensor * 0)
    assert isinstance(held, Statistics)
    assert max(tensor.abs().max() for tensor in (held.mean, held.second, held.quantiles)) == 0


def test_half_way_lies_between_and_is_no_mixture():
    """Halves of two constant pictures have a covariance; the way from one to the other has none anywhere."""
    means = features(channels=4, side=1).float().mean((2, 3)), features(1, channels=4, side=1).float().mean((2, 3))
    one, other = (Statistics(mean, mean[:, :, None] * mean[:, None]) for mean in means)
    half = between(one, other, 0.5)
    assert covariance(half).abs().max() < 1e-6
    assert covariance(mixture([one, other], [1, 1])).abs().max() > 1e-3
    assert torch.allclose(half.mean, (one.mean + other.mean) / 2)
    for end, share in ((one, 0.0), (other, 1.0)):
        assert torch.allclose(between(one, other, share).second, end.second, atol=1e-6)
