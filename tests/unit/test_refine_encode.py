"""Finished pictures as files: what is written is what other programs read."""

import io

import numpy as np
import pytest
from PIL import Image, ImageCms

from artgan.decode import decode_file
from artgan.errors import DataError, StorageError
from artgan.metadata import COMPOSITE, TRAINED, read_metadata
from artgan.refine.encode import save, srgb_profile, to_eight_bits, to_sixteen_bits
from artgan.storage import write_whole

RANDOM = np.random.default_rng(0)
METADATA = {"kind": "sample", "seed": 3, "refine": {"recipe": {"style": {"engine": "none", "strength": 1.0}}}}


def test_dither_keeps_the_mean_of_a_shade_that_8_bits_lack_and_exact_values_as_they_are():
    shade = np.full((64, 64, 3), 100.3 / 255, np.float32)
    assert to_eight_bits(shade, dither=False).mean() == 100
    dithered = to_eight_bits(shade, dither=True)
    assert dithered.mean() == pytest.approx(100.3, abs=0.02)
    assert set(np.unique(dithered)) == {100, 101}
    exact = RANDOM.integers(0, 256, (40, 50, 3), dtype=np.uint8)
    assert np.array_equal(to_eight_bits(exact.astype(np.float32) / 255, dither=True), exact)


def test_a_dithered_ramp_has_no_bands():
    """Between two shades rounding makes one wide step; dithered means of columns rise all the way."""
    ramp = np.broadcast_to(np.linspace(100, 101, 256, dtype=np.float32)[None, :, None] / 255, (256, 256, 3))
    columns = to_eight_bits(ramp, dither=True).mean((0, 2)).reshape(16, 16).mean(1)
    assert (np.diff(columns) > 0.03).all()
    assert (np.diff(to_eight_bits(ramp, dither=False).mean((0, 2)).reshape(16, 16).mean(1)) == 0).sum() >= 13


@pytest.mark.parametrize(("file_format", "name"), [("png16", "a.png"), ("tiff16", "a.tif")])
def test_sixteen_bits_go_out_and_come_back_exactly(tmp_path, file_format, name):
    cv2 = pytest.importorskip("cv2")
    pixels = RANDOM.random((31, 47, 3)).astype(np.float32)
    path = tmp_path / name
    save(path, pixels, file_format, True, None, METADATA, TRAINED)
    read = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
    assert read.dtype == np.uint16
    assert np.array_equal(read[..., ::-1], to_sixteen_bits(pixels))
    assert np.abs(decode_file(path).pixels.astype(int) - np.rint(pixels * 255)).max() <= 1
    with Image.open(path) as image:
        image.load()
        assert image.info["icc_profile"] == srgb_profile()
    assert read_metadata(path) == METADATA


def test_uint8_pixels_are_kept_exactly_in_every_format(tmp_path):
    pixels = RANDOM.integers(0, 256, (20, 30, 3), dtype=np.uint8)
    for file_format, name in (("png", "a.png"), ("png16", "b.png"), ("tiff16", "c.tif")):
        save(tmp_path / name, pixels, file_format, True, None, METADATA, COMPOSITE)
    assert np.array_equal(np.asarray(Image.open(tmp_path / "a.png")), pixels)
    assert np.array_equal(to_sixteen_bits(pixels) // 257, pixels)


def test_the_profile_is_the_same_bytes_and_a_working_srgb():
    assert srgb_profile() == srgb_profile()
    assert "srgb" in ImageCms.getProfileDescription(ImageCms.ImageCmsProfile(io.BytesIO(srgb_profile()))).lower()


def test_a_source_profile_is_written_to_and_embedded(tmp_path):
    pixels = RANDOM.integers(0, 256, (16, 16, 3), dtype=np.uint8)
    save(tmp_path / "a.png", pixels, "png", True, srgb_profile(), METADATA, TRAINED)
    assert np.abs(decode_file(tmp_path / "a.png").pixels.astype(int) - pixels).max() <= 1
    with pytest.raises(DataError, match="its own profile cannot be written to"):
        save(tmp_path / "b.png", pixels, "png", True, b"junk", METADATA, TRAINED)


def test_a_file_is_whole_or_not_there(tmp_path):
    with pytest.raises(StorageError, match="cannot write"):
        write_whole(tmp_path / "missing" / "a.png", b"x")
    write_whole(tmp_path / "a.png", b"x")
    assert [path.name for path in tmp_path.iterdir()] == ["a.png"]
