"""Color maths against published values, closed forms and laws."""

import numpy as np
import pytest
import scipy.linalg

from artgan.refine.color import ColorStatistics, fit_monge_kantorovich, keep_colors, monge_kantorovich, statistics_of
from artgan.refine.oklab import (
    linear_from_oklab,
    linear_from_srgb,
    oklab_from_linear,
    oklab_from_srgb,
    srgb_from_linear,
    srgb_from_oklab,
)

RANDOM = np.random.default_rng(0)
# IEC 61966-2-1: linear sRGB from XYZ (D65).
LINEAR_FROM_XYZ = np.array(
    [[3.2404542, -1.5371385, -0.4985314], [-0.9692660, 1.8760108, 0.0415560], [0.0556434, -0.2040259, 1.0572252]]
)


def test_oklab_has_its_published_value():
    linear = LINEAR_FROM_XYZ @ np.array([0.20654008, 0.12197225, 0.05136952])
    assert oklab_from_linear(linear) == pytest.approx([0.5163401, 0.1546950, 0.0628957], abs=5e-5)


def test_white_black_and_gray_lie_on_the_axis():
    for value in (0.0, 0.2, 1.0):
        lightness, a, b = oklab_from_srgb(np.full(3, value))
        assert lightness == pytest.approx(np.cbrt(linear_from_srgb(np.array(value))), abs=1e-6)
        assert abs(a) < 1e-6
        assert abs(b) < 1e-6


def test_round_trips():
    srgb = RANDOM.random((1000, 3))
    assert srgb_from_linear(linear_from_srgb(srgb)) == pytest.approx(srgb, abs=1e-12)
    assert srgb_from_oklab(oklab_from_srgb(srgb)) == pytest.approx(srgb, abs=1e-6)
    assert linear_from_oklab(oklab_from_linear(srgb)) == pytest.approx(srgb, abs=1e-9)


def test_every_8_bit_color_survives():
    levels = np.stack(np.meshgrid(*[np.arange(0, 256, 15)] * 3), -1).reshape(-1, 3)
    assert np.array_equal(np.rint(srgb_from_oklab(oklab_from_srgb(levels / 255)) * 255), levels)


def test_a_color_outside_the_gamut_keeps_lightness_and_hue():
    oklab = np.array([[0.6, 0.4, 0.1], [0.9, -0.3, 0.3], [0.2, 0.05, -0.4]])
    shown = oklab_from_srgb(srgb_from_oklab(oklab))
    assert shown[:, 0] == pytest.approx(oklab[:, 0], abs=1e-3)
    hue = lambda lab: np.arctan2(lab[:, 2], lab[:, 1])  # noqa: E731
    assert hue(shown) == pytest.approx(hue(oklab), abs=1e-2)
    assert (np.hypot(shown[:, 1], shown[:, 2]) < np.hypot(oklab[:, 1], oklab[:, 2])).all()
    light = linear_from_srgb(srgb_from_oklab(oklab))
    assert (np.minimum(light, 1 - light).min(1) < 1e-4).all()  # no more than is needed: on the gamut's surface


def statistics(scale, mean):
    root = RANDOM.normal(size=(3, 3)) * scale
    return ColorStatistics(np.array(mean, float), root @ root.T + 1e-4 * np.eye(3))


def test_monge_kantorovich_moves_mean_and_covariance_exactly():
    source, target = statistics(0.1, [0.5, 0, 0]), statistics(0.2, [0.6, 0.1, -0.1])
    color_map = monge_kantorovich(source, target, bounded=False)
    moved = color_map.matrix @ source.covariance @ color_map.matrix.T
    assert moved == pytest.approx(target.covariance, abs=1e-6)
    assert color_map.matrix == pytest.approx(color_map.matrix.T, abs=1e-9)
    assert np.linalg.eigvalsh(color_map.matrix).min() > 0


def test_monge_kantorovich_equals_the_textbook_with_general_square_roots():
    source, target = statistics(0.1, [0, 0, 0]), statistics(0.2, [0, 0, 0])
    root = scipy.linalg.sqrtm(source.covariance).real
    inverse = np.linalg.inv(root)
    wanted = inverse @ scipy.linalg.sqrtm(root @ target.covariance @ root).real @ inverse
    assert monge_kantorovich(source, target, bounded=False).matrix == pytest.approx(wanted, abs=1e-4)


def test_monge_kantorovich_costs_no_more_than_other_maps_to_the_same_gaussian():
    """Transport cost E|Ax - x|^2 of the symmetric root against a rotated one with the same covariance."""
    source, target = statistics(0.1, [0, 0, 0]), statistics(0.2, [0, 0, 0])
    matrix = monge_kantorovich(source, target, bounded=False).matrix
    cost = lambda a: np.trace((a - np.eye(3)) @ source.covariance @ (a - np.eye(3)).T)  # noqa: E731
    cholesky = np.linalg.cholesky(target.covariance) @ np.linalg.inv(np.linalg.cholesky(source.covariance))
    assert cost(matrix) < cost(cholesky)


def test_a_map_to_its_own_colors_is_the_identity():
    source = statistics(0.1, [0.5, 0, 0])
    assert monge_kantorovich(source, source).matrix == pytest.approx(np.eye(3), abs=1e-6)


def test_gains_are_bounded_for_a_flat_picture():
    flat = ColorStatistics(np.zeros(3), 1e-9 * np.eye(3))
    gains = np.linalg.eigvalsh(monge_kantorovich(flat, statistics(0.2, [0, 0, 0])).matrix)
    assert 0.4 - 1e-9 <= gains.min() <= gains.max() <= 2.5 + 1e-9


def test_matching_a_picture_moves_its_statistics_to_the_target():
    picture = oklab_from_srgb(0.35 + 0.2 * RANDOM.random((2000, 3)))
    palette = oklab_from_srgb(0.5 + 0.2 * RANDOM.random((2000, 3)) * [1, 0.8, 0.6])
    moved, target = statistics_of(fit_monge_kantorovich(picture, palette)(picture)), statistics_of(palette)
    assert moved.mean == pytest.approx(target.mean, abs=1e-3)
    assert moved.covariance == pytest.approx(target.covariance, abs=1e-4)


def test_statistics_are_those_of_the_pixels():
    pixels = RANDOM.random((400, 3))
    assert statistics_of(pixels).mean == pytest.approx(pixels.mean(0))
    assert statistics_of(pixels).covariance == pytest.approx(np.cov(pixels.T, bias=True))


def test_keeping_colors_by_zero_is_the_same_object():
    picture = RANDOM.random((8, 8, 3))
    assert keep_colors(picture, picture[::-1], 0.0) is picture


def test_keep_takes_hue_and_chroma_from_the_content_and_lightness_from_the_style():
    stylized = 0.4 + 0.2 * RANDOM.random((16, 16, 3))
    content = 0.4 + 0.2 * RANDOM.random((16, 16, 3))
    shown = srgb_from_oklab(keep_colors(oklab_from_srgb(stylized), oklab_from_srgb(content), 1.0))
    kept = oklab_from_srgb(shown)
    assert kept[..., 0] == pytest.approx(oklab_from_srgb(stylized)[..., 0], abs=1e-4)
    assert kept[..., 1:] == pytest.approx(oklab_from_srgb(content)[..., 1:], abs=1e-4)
