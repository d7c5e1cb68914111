"""What beginners' collections ask for: shapes that lose much, few works."""

import numpy as np
import pytest
from PIL import Image

from artgan.datasets.advice import about_mirroring, about_shapes, about_works
from artgan.datasets.recipe import Recipe
from artgan.evaluation.verdict import standing_of_run
from tests.conftest import ROOT
from tests.integration.test_cli import artgan


def lines(*sizes):
    return [{"status": "kept", "width": width, "height": height} for width, height in sizes]


@pytest.mark.parametrize(
    ("sizes", "side", "offered"),
    [
        ([(450, 337)] * 9, 64, "--resolution 80x64 keeps 94% of it"),
        ([(337, 450)] * 9, 256, "--resolution 256x320 keeps 94% of it"),
        ([(900, 600)] * 9, 64, "--resolution 96x64 keeps 100% of it"),
        ([(450, 337)] * 9 + [(337, 450)] * 9, 64, None),  # no frame suits both
        ([(500, 460)] * 9, 64, None),  # little is cut
    ],
)
def test_a_frame_that_keeps_more_is_offered(sizes, side, offered):
    said = about_shapes(lines(*sizes), Recipe(side, side))
    assert (said == []) if offered is None else (offered in str(said[0]))


def test_works_that_are_not_cropped_need_no_other_frame():
    for recipe in (Recipe(64, 64, fit="pad"), Recipe(64, 64, tiles=4), Recipe(64, 80)):
        assert about_shapes(lines(*[(450, 337)] * 9), recipe) == []


def test_few_works_are_said_with_what_helps():
    assert "too few to learn from" in str(about_works(4)[0])
    assert "tends to copy" in str(about_works(150)[0])
    assert about_works(2000) == []
    assert "augment.horizontal_flip=true" in str(about_mirroring(383)[0])
    assert about_mirroring(5000) == about_mirroring(4) == []


def test_in_the_page_it_speaks_of_the_pages_controls():
    """No flag, no verb, no key of a configuration; and what is to be pressed is there."""
    shapes = about_shapes(lines(*[(900, 600)] * 9), Recipe(64, 64))
    runs = [([], 500, None), ([], 30_000, 0.1)]
    said = [*about_works(4), *about_works(150), *about_mirroring(383), *shapes, *(standing_of_run(*run).advice for run in runs)]
    for advice in said:
        assert not any(sign in advice.pressed for sign in ("--", "artgan ", ".html", "=true", "command"))
    static = ROOT / "artgan" / "studio" / "static"
    page = "".join((static / name).read_text() for name in ("index.html", "app.js", "door.js"))
    pressed = " ".join(advice.pressed for advice in said)
    for control in ("Their mirror images are works too", "Pixels", "Prepare", "Train on", "Start"):
        assert control in pressed
        assert control in page


def test_prepare_says_it(tmp_path, capsys):
    for index in range(4):
        pixels = np.random.default_rng(index).integers(0, 256, (90, 120, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(tmp_path / f"{index}.png")
    assert artgan("prepare", tmp_path, "--out", tmp_path.parent / f"{tmp_path.name}-out", "--resolution", "32") == 0
    said = capsys.readouterr().out
    assert "4 works are too few to learn from" in said
    assert "--resolution 40x32" in said
