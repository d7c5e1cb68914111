"""The command line names the choices of rooms that it must not import for --help; these names are the rooms' own."""

import pytest

from artgan.cli import evaluate, sample, video
from artgan.evaluation.resize import RESIZES
from artgan.generation.paths import BANDS, EASINGS
from artgan.generation.video import MEDIA_TYPES
from artgan.images import SUFFIX_OF
from artgan.selection import MEASURES


@pytest.mark.parametrize(
    ("said", "known"),
    [
        (evaluate._RESIZES, RESIZES),
        (sample.FORMATS, tuple(SUFFIX_OF)),
        (sample.MEASURES, tuple(MEASURES)),
        (sample.MIX_BANDS, BANDS),
        (video.EASINGS, tuple(EASINGS)),
        (video.FORMATS, tuple(MEDIA_TYPES)),
    ],
)
def test_the_command_line_knows_the_words_of_the_rooms(said, known):
    assert said == known
