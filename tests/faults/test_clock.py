"""Fault 30: clocks that jump, beside the locks that tests/unit/test_training_parts.py holds."""

import itertools
import json
import time

from artgan.training.run_log import read_metrics
from artgan.training.status import INTERRUPTED, TRAINING, read_status, write_status
from tests.faults.test_disk import trained


def test_a_clock_that_jumps_back_changes_no_measured_time(collection, tmp_path, monkeypatch):
    """As when a machine meets its time server in the middle of a run: each look at the clock is an hour earlier."""
    now, hours = time.time(), itertools.count()
    monkeypatch.setattr(time, "time", lambda: now - 3600 * next(hours))
    state, _ = trained(collection, tmp_path)
    lines = [line for line in read_metrics(tmp_path) if line["kind"] == "train"]
    assert [line["images_seen"] for line in lines] == [4, 8, 12, 16, 20, 24]
    assert 0 < lines[0]["training_minutes"] < lines[1]["training_minutes"] < 10
    assert all(line["images_per_second"] > 0 for line in lines)
    assert state.training_seconds > 0


def test_a_status_from_the_future_is_not_believed_for_ever(tmp_path):
    """The trainer was killed before the clock went back a day: nobody holds the lock, so nobody trains."""
    write_status(tmp_path, TRAINING, 8, 48)
    status = json.loads((tmp_path / "status.json").read_text())
    (tmp_path / "status.json").write_text(json.dumps(status | {"updated": time.time() + 86_400}))
    assert read_status(tmp_path)["state"] == INTERRUPTED
