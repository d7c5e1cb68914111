"""A run's sheets as a film: all of them, in order, each under its number; what is wrong is said."""

import numpy as np
import pytest
from PIL import Image

from artgan.errors import DataError
from artgan.overview import save_sheet
from artgan.report.time_lapse import sheets_of, time_lapse
from tests.integration.test_cli import artgan, refused


@pytest.fixture
def run(tmp_path):
    (tmp_path / "samples").mkdir()
    for images, gray in ((0, 0), (500, 100), (1000, 200)):
        save_sheet(tmp_path / "samples" / f"images-{images:012d}.png", np.full((64, 65, 3), gray, np.uint8), "samples")
    return tmp_path


def test_every_sheet_comes_in_order_and_fades_into_the_next(run):
    frames = list(time_lapse(sheets_of(run), 20))
    assert {frame.shape for frame in frames} == {(64 + 16, 64, 3)}
    shades = [int(frame[0, 0, 0]) for frame in frames]
    assert shades == sorted(shades)
    assert {0, 100, 200} <= set(shades)
    assert any(0 < shade < 100 for shade in shades)
    assert sum(shade == 200 for shade in shades) >= 40  # two seconds
    assert (frames[0][64:] < 128).any()  # the line below has words


def test_the_film_of_a_run_is_written(run, tmp_path, capsys):
    assert artgan("video", run, "--time-lapse", "--out", tmp_path / "film.webp", "--fps", "10") == 0
    assert "3 sheets" in capsys.readouterr().out
    with Image.open(tmp_path / "film.webp") as film:
        assert film.n_frames > 4  # equal ones are one
    refused(capsys, 2, "--time-lapse shows", "video", run, "--time-lapse", "--liked", "--out", tmp_path / "x.webp")


def test_too_few_broken_or_foreign_sheets_are_said(run, tmp_path):
    _, second, third = sheets_of(run)
    save_sheet(second, np.zeros((32, 32, 3), np.uint8), "samples")
    with pytest.raises(DataError, match="of another size"):
        list(time_lapse(sheets_of(run), 5))
    second.write_bytes(b"no picture")
    with pytest.raises(DataError, match=r"not a picture of a known format.*; remove it"):
        list(time_lapse(sheets_of(run), 5))
    for path in (second, third):
        path.unlink()
    (second.parent / "images-mine.png").write_bytes(b"somebody else's")
    with pytest.raises(DataError, match=r"needs two sheets of samples or more, samples/ has 1"):
        sheets_of(run)
