"""Color grading and detail against other libraries and laws."""

import numpy as np
import pytest

from artgan.refine.color import ColorStatistics, _Table, match_histogram, monge_kantorovich, statistics_of
from artgan.refine.detail import guided_filter, refine_detail, unsharp
from artgan.refine.grading import between, fit_grade, parse_palette, pool, sample_pixels, write_cube
from artgan.refine.oklab import linear_from_srgb, oklab_from_srgb, srgb_from_oklab
from artgan.refine.steps.color import ColorLook
from artgan.refine.steps.detail import DetailLook

RANDOM = np.random.default_rng(0)
METHODS = ("mkl", "reinhard", "sliced", "histogram")


def colors(count=4000, center=(0.5, 0.4, 0.3), spread=0.08):
    return oklab_from_srgb((np.array(center) + spread * RANDOM.normal(size=(count, 3))).clip(0.02, 0.98))


def test_monge_kantorovich_equals_pot():
    ot = pytest.importorskip("ot")
    roots = [RANDOM.normal(size=(3, 3)) * 0.2 for _ in range(2)]
    source, target = (
        ColorStatistics(mean, root @ root.T + 0.01 * np.eye(3)) for mean, root in zip(RANDOM.random((2, 3)), roots, strict=True)
    )
    matrix, offset = ot.gaussian.bures_wasserstein_mapping(source.mean, target.mean, source.covariance, target.covariance)
    ours = monge_kantorovich(source, target, bounded=False)
    assert ours.matrix == pytest.approx(matrix, abs=1e-6)
    pixels = RANDOM.random((10, 3))
    assert ours(pixels) == pytest.approx(pixels @ matrix + offset, abs=1e-6)


def test_histogram_matching_equals_scikit_image():
    """Where no value comes twice, the middle of a value's share and its upper end say the same."""
    exposure = pytest.importorskip("skimage.exposure")
    source, target = RANDOM.random((40, 50)), 0.3 + 0.5 * RANDOM.random((40, 50))
    values, mapped = match_histogram(source.ravel(), target.ravel())
    ours = np.interp(source, values, mapped)
    assert ours == pytest.approx(exposure.match_histograms(source, target), abs=1e-12)


def test_a_flat_area_goes_to_the_middle_of_its_share():
    """Half of a drawing is black: it takes the color a quarter up the target's range, not the one at its half."""
    source = np.concatenate([np.zeros(500), np.linspace(0.5, 1, 500)])
    values, mapped = match_histogram(source, np.linspace(0, 1, 1000))
    assert mapped[values == 0] == pytest.approx(0.25, abs=2e-3)
    assert mapped[values == 1] == pytest.approx(1, abs=2e-3)


@pytest.mark.parametrize(
    ("title", "written"),
    [
        ('two "words"\nand a line', "two words and a line"),
        ("Träumerei – 夢", "Traumerei"),
        ("x" * 500, "x" * 200),
    ],
)
def test_a_cube_has_a_title_that_every_reader_takes(tmp_path, title, written):
    write_cube(tmp_path / "a.cube", lambda oklab: oklab, title)
    lines = (tmp_path / "a.cube").read_text(encoding="ascii").splitlines()
    assert lines[0] == f'TITLE "{written}"'
    assert len(lines) == 2 + 33**3


@pytest.mark.parametrize(("radius", "epsilon"), [(1, 1e-4), (4, 0.01), (9, 0.1)])
def test_the_guided_filter_equals_opencv(radius, epsilon):
    cv2 = pytest.importorskip("cv2")
    guide, values = RANDOM.random((40, 50)).astype(np.float32), RANDOM.random((40, 50)).astype(np.float32)
    wanted = cv2.ximgproc.guidedFilter(guide, values, radius, epsilon)
    assert guided_filter(guide, values, radius, epsilon) == pytest.approx(wanted, abs=2e-4)


def test_unsharp_sharpens_edges_within_their_range():
    edge = np.full((20, 40), 0.3, np.float32)
    edge[:, 20:] = 0.7
    soft = np.apply_along_axis(lambda row: np.convolve(np.pad(row, 3, mode="edge"), np.ones(7) / 7, "valid"), 1, edge)
    sharp = unsharp(soft.astype(np.float32), 1.5, 1.5)
    assert np.abs(np.diff(sharp[10])).max() > 1.2 * np.abs(np.diff(soft[10])).max()
    assert sharp.min() >= 0.3 - 0.0101
    assert sharp.max() <= 0.7 + 0.0101
    flat = np.full((9, 9), 0.4, np.float32)
    assert np.array_equal(unsharp(flat, 1.0, 1.0), flat)


def test_detail_at_zero_is_the_same_array_and_every_strength_does_something():
    lightness = RANDOM.random((32, 32)).astype(np.float32) * 0.2 + 0.4
    assert refine_detail(lightness, DetailLook(), 0, "a") is lightness
    for name in ("unsharp", "boost", "grain", "canvas"):
        changed = refine_detail(lightness, DetailLook(**{name: 0.5}), 0, "a")
        assert changed.shape == lightness.shape
        assert 0.001 < np.abs(changed - lightness).mean() < 0.2
    grain = [
        refine_detail(lightness, DetailLook(grain=0.5), seed, name) for seed, name in ((0, "a"), (0, "a"), (0, "b"), (1, "a"))
    ]
    assert np.array_equal(grain[0], grain[1])
    assert not np.array_equal(grain[0], grain[2])
    assert not np.array_equal(grain[0], grain[3])


@pytest.mark.parametrize("method", METHODS)
def test_every_method_comes_closer_to_its_palette_and_keeps_its_own_colors(method):
    source, palette = colors(), colors(center=(0.25, 0.3, 0.4), spread=0.06)
    mapped = fit_grade(source, palette, ColorLook(mode="match", method=method), 0)(source)
    gap = lambda one, other: np.abs(np.quantile(one[:, 0], PLACES) - np.quantile(other[:, 0], PLACES)).mean()  # noqa: E731
    assert gap(mapped, palette) < 0.25 * gap(source, palette)
    if method != "histogram":
        assert np.abs(mapped.mean(0) - palette.mean(0)).max() < 0.02
    same = fit_grade(source, source, ColorLook(mode="match", method=method), 0)(source)
    assert same == pytest.approx(source, abs=5e-3)


PLACES = np.linspace(0.05, 0.95, 10)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_table_is_the_line_through_its_knots(dtype):
    rng = np.random.default_rng(4)
    knots = np.sort(rng.uniform(-0.3, 0.9, 65))
    values = np.concatenate([[0.1], 0.1 + np.cumsum(rng.uniform(0.4, 2.5, 64) * np.diff(knots))])
    x = np.linspace(-0.3, 0.9, 5001)
    found = _Table.through(knots, values)(x.astype(dtype))
    beyond = np.minimum(x - knots[0], 0) + np.maximum(x - knots[-1], 0)
    assert found.dtype == dtype
    assert found == pytest.approx(np.interp(x, knots, values) + beyond, abs=1e-3)
    one = _Table.through(np.full(65, 0.5), np.full(65, 0.7))
    assert one(np.array([0.4, 0.5, 0.9], dtype)) == pytest.approx([0.6, 0.7, 1.1], abs=1e-6)


def test_transport_matches_marginals_that_a_linear_map_cannot():
    source = colors(spread=0.05)
    palette = np.concatenate([colors(2000, (0.2, 0.2, 0.3), 0.02), colors(2000, (0.8, 0.7, 0.5), 0.02)])
    gap = lambda one: np.abs(np.quantile(one[:, 0], PLACES) - np.quantile(palette[:, 0], PLACES)).mean()  # noqa: E731
    linear, whole = (fit_grade(source, palette, ColorLook(mode="match", method=name), 0)(source) for name in ("mkl", "sliced"))
    assert gap(whole) < gap(linear)


@pytest.mark.parametrize("method", METHODS)
def test_a_palette_of_one_color_moves_the_mean_and_keeps_some_contrast(method):
    source, palette = colors(), sample_pixels(parse_palette("#804020"))
    mapped = fit_grade(source, palette, ColorLook(mode="match", method=method), 0)(source)
    assert np.isfinite(mapped).all()
    assert abs(mapped[:, 0].mean() - palette[0, 0]) < 0.05
    if method in ("mkl", "sliced"):
        assert mapped[:, 0].std() > 0.3 * source[:, 0].std()


def test_white_balance_makes_a_gray_ramp_under_a_cast_gray():
    ramp = np.linspace(0.05, 0.8, 500)[:, None] * np.array([1.0, 0.9, 0.7])
    from artgan.refine.oklab import oklab_from_linear

    source = oklab_from_linear(ramp)
    balanced = fit_grade(source, None, ColorLook(white_balance=1.0), 0)(source)
    assert np.abs(balanced[:, 1:]).max() < 1e-6
    assert np.abs(source[:, 1:]).max() > 0.02
    half = fit_grade(source, None, ColorLook(white_balance=0.5), 0)(source)
    assert np.abs(half[:, 1:]).mean() == pytest.approx(np.abs(source[:, 1:]).mean() / 2, rel=1e-6)


def test_contrast_stretches_lightness_alone_and_saturation_chroma_alone():
    source = colors(spread=0.03)
    stretched = fit_grade(source, None, ColorLook(contrast=1.0), 0)(source)
    assert np.array_equal(stretched[:, 1:], source[:, 1:])
    assert stretched[:, 0].std() == pytest.approx(2.5 * source[:, 0].std(), rel=1e-6)
    gray = fit_grade(source, None, ColorLook(saturation=-1.0), 0)(source)
    assert np.abs(gray[:, 1:]).max() == 0
    assert np.array_equal(gray[:, 0], source[:, 0])
    muted, vivid = np.array([[0.5, 0.02, 0.0]]), np.array([[0.5, 0.24, 0.0]])
    lift = fit_grade(source, None, ColorLook(vibrance=1.0), 0)
    assert lift(muted)[0, 1] / 0.02 > 1.8
    assert lift(vivid)[0, 1] / 0.24 < 1.1


def test_nothing_asked_is_no_map_and_the_slider_goes_between():
    source = colors()
    assert fit_grade(source, None, ColorLook(), 0) is None
    assert fit_grade(source, colors(), ColorLook(mode="match", strength=0.0), 0) is None
    one = fit_grade(source, None, ColorLook(saturation=-1.0), 0)
    other = fit_grade(source, None, ColorLook(saturation=1.0), 0)
    assert between(one, other, 0) is one
    assert between(one, other, 1) is other
    assert between(one, other, 0.5)(source) == pytest.approx(source)


def test_a_series_of_casts_becomes_one_series():
    """Five pictures under different casts: with a map for each picture the spread of mean colors falls."""
    casts = [(0.5 + 0.2 * np.array(cast)) for cast in ((1, 0, 0), (0, 1, 0), (0, 0, 1), (0.5, 0.5, 0), (0, 0, 0))]
    series = [colors(1000, cast, 0.05) for cast in casts]
    palette = colors(4000, (0.5, 0.5, 0.4), 0.08)
    look = ColorLook(mode="match", per_picture=1.0)
    spread = lambda parts: np.std([part.mean(0) for part in parts], axis=0).mean()  # noqa: E731
    assert spread([fit_grade(part, palette, look, 0)(part) for part in series]) < 0.1 * spread(series)


def test_samples_speak_for_the_picture_and_pools_stay_bounded():
    picture = (RANDOM.random((300, 500, 3)) * 255).astype(np.uint8)
    found, whole = statistics_of(sample_pixels(picture)), statistics_of(oklab_from_srgb(picture.reshape(-1, 3) / 255))
    assert len(sample_pixels(picture)) <= 17_000
    assert found.mean == pytest.approx(whole.mean, abs=6e-3)
    assert found.covariance == pytest.approx(whole.covariance, abs=2e-3)
    assert len(pool([sample_pixels(picture)] * 100)) <= 1_000_100
    assert len(sample_pixels(np.zeros((1, 1, 3), np.uint8))) == 1


def test_the_cube_is_the_map_on_a_lattice(tmp_path):
    source = colors()
    color_map = fit_grade(source, colors(center=(0.2, 0.3, 0.6)), ColorLook(mode="match"), 0)
    write_cube(tmp_path / "look.cube", color_map, "look")
    lines = (tmp_path / "look.cube").read_text().splitlines()
    assert lines[:2] == ['TITLE "look"', "LUT_3D_SIZE 33"]
    table = np.array([[float(value) for value in line.split()] for line in lines[2:]])
    assert table.shape == (33**3, 3)
    for red, green, blue in ((0, 0, 0), (5, 10, 30), (32, 0, 16)):
        color = np.array([[red, green, blue]]) / 32
        wanted = srgb_from_oklab(color_map(oklab_from_srgb(color)))
        assert table[red + 33 * green + 33 * 33 * blue] == pytest.approx(wanted[0], abs=1e-6)


def test_the_published_value_of_srgb_to_linear():
    assert linear_from_srgb(np.array([0.5])) == pytest.approx([0.21404114], abs=1e-7)
