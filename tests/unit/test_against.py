"""How `scripts/benchmark --against` judges pairs: the interval of a median, against its definition and SciPy's."""

import subprocess
import sys

import numpy as np
import pytest
from scipy import stats

from tests.conftest import ROOT

sys.path.insert(0, str(ROOT / "scripts"))

from against import MOST, PAIRS, interval


@pytest.mark.parametrize("count", range(6, 41))
def test_the_interval_covers_the_median_and_no_narrower_one_does(count):
    """P(the k-th smallest <= median <= the k-th largest) is 1 - 2 P(Binomial(n, 1/2) < k), whatever the distribution."""
    low, high = interval([float(place) for place in range(1, count + 1)][::-1])
    assert low + high == count + 1
    outside = stats.binom(count, 0.5)
    assert 1 - 2 * outside.cdf(low - 1) >= 0.95 > 1 - 2 * outside.cdf(low)


def test_the_interval_is_that_of_scipy():
    ratios = np.random.default_rng(3).lognormal(0, 0.1, PAIRS)
    found = stats.quantile_test(ratios, q=1.0, p=0.5).confidence_interval(0.95)
    assert interval(ratios.tolist()) == (found.low, found.high)
    assert interval(ratios.tolist()) == (sorted(ratios)[1], sorted(ratios)[7])  # as its documentation says of nine


def test_nine_pairs_hold_the_median_as_often_as_is_said():
    ratios = np.random.default_rng(0).lognormal(np.log(MOST), 0.3, (4000, PAIRS))
    ends = np.array([interval(row) for row in ratios.tolist()])
    held = ((ends[:, 0] <= MOST) & (ends[:, 1] >= MOST)).mean()
    assert abs(held - (1 - 20 / 512)) < 0.012  # four deviations


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (
            ["ladder", "--against", "HEAD"],
            "the benchmark ladder compares no commits; those that do are prepare, duplicates",
        ),
        (["duplicates", "--against", "HEAD", "--pairs", "5"], "--pairs 5: expected 6 or more"),
        (["duplicates", "--against", "nowhere"], "--against nowhere: this repository has no such commit"),
    ],
)
def test_what_it_does_not_serve_is_refused_in_one_line(words, message):
    told = subprocess.run([sys.executable, "scripts/against.py", *words], cwd=ROOT, capture_output=True, text=True)
    assert (told.returncode, told.stdout, len(told.stderr.splitlines())) == (1, "", 1)
    assert message in told.stderr
