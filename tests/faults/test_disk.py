"""Fault 8, 9 and 11: no space, no place, and what cannot be deleted."""

import resource
import shutil
import subprocess
from contextlib import contextmanager, suppress

import pytest

from artgan.errors import StorageError
from artgan.generation.model_folder import load_model
from artgan.storage import append_whole
from artgan.training.checkpoint import list_checkpoints, load_newest
from artgan.training.disk import bytes_in, least_gb, sizes_of
from artgan.training.loop import Outcome
from artgan.training.run_log import read_metrics
from artgan.training.status import read_status
from tests.integration.test_cli import refused
from tests.integration.test_resume import assert_same, run, stop_after, tiny

SMALL = {
    "model__generator": "r3gan",
    "model__discriminator": "r3gan",
    "objective__name": "relativistic",
    "model__width": 2,
    "model__discriminator_width": 2,
    "model__latent_dim": 4,
    "training__total_kimg": 1,
    "training__log_every_kimg": 0.004,
    "training__checkpoint_every_kimg": 0.008,
    "training__sample_every_kimg": 1,
    "training__evaluate_every_kimg": 1,
}


@contextmanager
def no_file_over(limit_bytes):
    """Make every write beyond a size fail, as a quota does; yield what lifts the limit."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)

    def lift():
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))

    resource.setrlimit(resource.RLIMIT_FSIZE, (limit_bytes, hard))
    try:
        yield lift
    finally:
        lift()


def fill_up(filler):
    """Write until the disk has no space."""
    with filler.open("wb", buffering=0) as file, suppress(OSError):
        while True:
            file.write(b"\0" * 4096)


@pytest.fixture
def small_disk(tmp_path):
    """A disk of eight megabytes, where this machine lets tests mount one."""
    place = tmp_path / "disk"
    place.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=8m", "none", str(place)], capture_output=True, text=True)
    if mounted.returncode:
        pytest.skip(f"a disk cannot be mounted here: {mounted.stderr.strip()}")
    yield place
    subprocess.run(["umount", "--lazy", str(place)], check=True)


def trained(collection, folder, steps=6, **options):
    """Train a few steps and stop, which makes a checkpoint and no evaluation."""
    return run(tiny(**SMALL), collection, folder, stop_requested=stop_after(steps), **options)


def test_a_save_without_space_leaves_the_run_going_and_the_next_one_succeeds(collection, tmp_path):
    trained(collection, tmp_path / "calm")
    said = []
    with no_file_over(100_000) as lift:

        def hear(event):
            if event.task == "disk":
                said.append(event.note)
                if event.note.startswith("checkpoints cannot be written"):
                    lift()

        state, outcome = trained(collection, tmp_path / "run", on_progress=hear)
    assert outcome is Outcome.STOPPED
    (refusal,) = [note for note in said if note.startswith("checkpoints cannot be written (cannot save a checkpoint in ")]
    assert "File too large" in refusal
    assert "training goes on, and each interval tries again" in refusal
    assert said[-1] == "checkpoints are written again"
    newest = load_newest(tmp_path / "run" / "checkpoints")
    assert newest.info["images_seen"] == state.images_seen == 24
    assert_same(newest.tensors, load_newest(tmp_path / "calm" / "checkpoints").tensors)


def test_the_last_checkpoint_of_a_session_is_not_done_without(collection, tmp_path):
    trained(collection, tmp_path, 2)
    with no_file_over(100_000), pytest.raises(StorageError, match=r"cannot save a checkpoint .*Earlier checkpoints are whole"):
        trained(collection, tmp_path, 2)
    assert StorageError.exit_code == 5
    assert read_status(tmp_path)["state"] == "failed"
    assert load_newest(tmp_path / "checkpoints").info["images_seen"] == 8
    trained(collection, tmp_path, 2)
    assert load_newest(tmp_path / "checkpoints").info["images_seen"] == 16


def test_a_full_disk_loses_no_line_and_no_model(collection, small_disk):
    """Whatever a run writes meets ENOSPC for a while: lines, status, curves, checkpoints."""
    folder, filler, said = small_disk / "run", small_disk / "filler", []

    def hear(event):
        if event.task == "disk":
            said.append(event.note)
            if event.note.startswith("checkpoints cannot"):
                filler.unlink()
        elif not said and event.done >= 0.004 and not filler.exists():
            fill_up(filler)

    trained(collection, folder, on_progress=hear)
    assert any(note.startswith("status files cannot be written (") and "No space left" in note for note in said)
    assert "checkpoints are written again" in said
    seen = [line["images_seen"] for line in read_metrics(folder) if line["kind"] == "train"]
    assert seen == [4, 8, 12, 16, 20, 24]
    assert load_newest(folder / "checkpoints").info["images_seen"] == 24
    assert load_model(folder / "model" / "latest").card.images_seen == 24


def test_a_run_stays_within_its_limit(collection, tmp_path):
    """Old checkpoints and every second sheet go; what trains is what trains without a limit."""
    often = {**SMALL, "training__sample_every_kimg": 0.004, "training__keep_checkpoints": 9}
    run(tiny(**often), collection, tmp_path / "free", stop_requested=stop_after(10))
    limit = int(0.57 * bytes_in(tmp_path / "free"))
    taken = []
    state, outcome = run(
        tiny(**often, training__max_disk_gb=limit / 1e9),
        collection,
        tmp_path / "held",
        stop_requested=stop_after(10),
        on_progress=lambda event: taken.append(bytes_in(tmp_path / "held")),
    )
    assert outcome is Outcome.STOPPED
    assert max(*taken, bytes_in(tmp_path / "held")) <= limit
    newest = load_newest(tmp_path / "held" / "checkpoints")
    assert newest.info["images_seen"] == state.images_seen == 40
    assert_same(newest.tensors, load_newest(tmp_path / "free" / "checkpoints").tensors)
    sheets, all_sheets = ([path.name for path in sorted((tmp_path / name / "samples").iterdir())] for name in ("held", "free"))
    assert 2 < len(sheets) < len(all_sheets)
    assert (sheets[0], sheets[-1]) == (all_sheets[0], all_sheets[-1])


def test_a_limit_that_is_reached_ends_the_run(collection, collection_folder, tmp_path, capsys):
    state, _ = trained(collection, tmp_path / "run", 2)
    least = least_gb(tmp_path / "run", sizes_of(state))
    said = []
    (tmp_path / "run" / "notes.bin").write_bytes(b"\0" * 300_000)  # as of somebody who keeps other files there
    with pytest.raises(StorageError, match=r"training\.max_disk_gb = .* leaves no room for .* goes on from the newest"):
        run(
            tiny(**SMALL, training__max_disk_gb=least),
            collection,
            tmp_path / "run",
            stop_requested=stop_after(4),
            on_progress=lambda event: said.append(event.note),
        )
    assert read_status(tmp_path / "run")["state"] == "failed"
    assert load_newest(tmp_path / "run" / "checkpoints").info["images_seen"] == 8
    words = ("train", "--collection", collection_folder, "--set", "model.backbone=random", "--quiet", "--run")
    tight = ("--set", "training.max_disk_gb=0.001", "--set", "training.device=cpu")
    refused(capsys, 5, r"max_disk_gb = 0\.001, and it cannot save with less than .* GB", *words, tmp_path / "new", *tight)


def test_a_record_is_appended_whole_or_not_at_all(tmp_path):
    with (tmp_path / "lines").open("ab", buffering=0) as file:
        append_whole(file, b"first\n")
        with no_file_over(10), pytest.raises(OSError, match="File too large"):
            append_whole(file, b"second is longer\n")
        assert (tmp_path / "lines").read_bytes() == b"first\n"
        append_whole(file, b"third\n")
    assert (tmp_path / "lines").read_bytes() == b"first\nthird\n"


def test_a_run_that_nothing_can_be_written_into_ends_before_training(collection_folder, small_disk, tmp_path, capsys):
    subprocess.run(["mount", "-o", "remount,ro", str(small_disk)], check=True)
    (tmp_path / "file").write_text("no folder")
    words = ("train", "--collection", collection_folder, "--set", "model.backbone=random", "--quiet", "--run")
    refused(capsys, 5, r"cannot write into the run .*disk/run: .*Read-only.*Choose another --run", *words, small_disk / "run")
    refused(capsys, 5, "cannot write into the run", *words, tmp_path / "file" / "run")


def test_a_run_folder_that_vanishes_ends_no_training(collection, tmp_path):
    """As where a network drive goes away: what stands when it is back is whole."""
    folder, gone = tmp_path / "run", []

    def hear(event):
        if event.done >= 0.004 and not gone:
            gone.append(shutil.rmtree(folder))

    trained(collection, folder, on_progress=hear)
    assert load_newest(folder / "checkpoints").info["images_seen"] == 24


def test_an_old_checkpoint_that_cannot_be_deleted_stops_no_save(collection, small_disk, tmp_path, caplog):
    folder = tmp_path / "run"
    trained(collection, folder, 2)
    (oldest,) = list_checkpoints(folder / "checkpoints")
    subprocess.run(["mount", "--bind", str(oldest), str(oldest)], check=True)  # which can be neither moved nor removed
    try:
        trained(collection, folder, 4)
    finally:
        subprocess.run(["umount", "--lazy", str(oldest)], check=True)
    assert "an old checkpoint cannot be deleted" in caplog.text
    assert [path.name[-2:] for path in list_checkpoints(folder / "checkpoints")] == ["08", "16", "24"]
    trained(collection, folder, 2)
    assert not oldest.exists()
