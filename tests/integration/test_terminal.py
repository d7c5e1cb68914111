"""What a terminal does loses no work and tells no stories: it closes, lacks characters, sends Ctrl-C."""

import contextlib
import io
import os
import signal
import subprocess
import sys
import time
from functools import partial

import pytest
from PIL import Image

from artgan.cli.terminal import EnduringStream, Interrupted, hearing, noted_interrupts
from artgan.progress import MINUTES, PlainListener, Progress, describe
from tests.integration.test_cli import artgan


def started(*words, **options):
    return subprocess.Popen([sys.executable, "-m", "artgan", *map(str, words)], stderr=subprocess.PIPE, text=True, **options)


@pytest.fixture(scope="module")
def many_works(tmp_path_factory):
    """Works that keep every verb busy for longer than the test waits; no two files have the same bytes."""
    folder = tmp_path_factory.mktemp("many")
    buffer = io.BytesIO()
    Image.linear_gradient("L").resize((3000, 3000)).convert("RGB").save(buffer, "JPEG")
    for index in range(250):
        (folder / f"{index:03d}.jpg").write_bytes(buffer.getvalue() + str(index).encode())
    return folder


@pytest.mark.slow
@pytest.mark.parametrize("verb", ["sample", "refine", "prepare"])
@pytest.mark.parametrize("seconds", [1.5, *(pytest.param(delay, marks=pytest.mark.long) for delay in (0.3, 3.0))])
def test_ctrl_c_in_the_first_seconds_is_a_silent_130(verb, seconds, trained_model, many_works, tmp_path):
    words = {
        "sample": (trained_model.folder, "--seeds", "0-9999"),
        "refine": (many_works, "--engine", "none", "--boost", "1", "--jobs", "2", "--size", "4096"),
        "prepare": (many_works, "--workers", "2", "--resolution", "2048"),
    }
    unignored = partial(signal.signal, signal.SIGINT, signal.SIG_DFL)  # a shell's background ignores it, and rightly so
    process = started(verb, *words[verb], "--out", tmp_path / "out", "--quiet", start_new_session=True, preexec_fn=unignored)
    time.sleep(seconds)
    os.killpg(process.pid, signal.SIGINT)
    _, said = process.communicate(timeout=60)
    assert (process.returncode, said) == (130, "")


def test_an_interrupt_that_a_library_swallows_is_heard_at_the_next_progress(request):
    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background ignores it
    request.addfinalizer(lambda: signal.signal(signal.SIGINT, before))
    event = Progress("task", 1, 2, "", "")
    with noted_interrupts() as was_interrupted, hearing(quiet=True) as listen:
        listen(event)
        with contextlib.suppress(Interrupted):
            signal.raise_signal(signal.SIGINT)
        with pytest.raises(Interrupted):
            listen(event)
        listen(event)
        assert was_interrupted()


@pytest.mark.parametrize("quiet", [False, True])
def test_a_stopped_verb_says_what_stands_in_one_line(quiet, request, capsys):
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    request.addfinalizer(lambda: signal.signal(signal.SIGINT, before))
    with (
        noted_interrupts(),
        contextlib.suppress(Interrupted),
        hearing(quiet=quiet, if_stopped="the same command goes on") as listen,
    ):
        listen(Progress("preparing", 214, 403, "files"))
        signal.raise_signal(signal.SIGINT)
    said = capsys.readouterr().err
    assert said == ("" if quiet else "stopped at 214/403 files (preparing): the same command goes on\n")
    with contextlib.suppress(ValueError), hearing(quiet=False, if_stopped="the same command goes on"):
        raise ValueError("a fault, no stop")
    assert capsys.readouterr().err == ""


def test_a_reader_that_leaves_is_no_error():
    read, write = os.pipe()
    with os.fdopen(write, "w", encoding="ascii") as raw:
        stream = EnduringStream(raw)
        os.close(read)
        listen = PlainListener(stream)
        for place in range(3):
            listen(Progress("task", place, None, "", "note"))
        stream.write("and more")
        stream.flush()
        assert stream.isatty() is False
    stream = EnduringStream(raw)  # closed by now
    stream.write("x")
    stream.flush()


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs /dev/full")
def test_a_log_on_a_full_disk_ends_no_work_and_is_said_at_the_end(trained_model, tmp_path):
    with open("/dev/full", "w") as full:
        process = started("sample", trained_model.folder, "--out", tmp_path / "a", "--seeds", "0", stdout=full)
        _, said = process.communicate(timeout=120)
    assert process.returncode == 5
    assert (tmp_path / "a" / "seed-0000.png").is_file()
    assert "the work is done, but what it said could not be written" in said


def test_streams_that_were_closed_before_artgan_began_are_no_error(trained_model, monkeypatch):
    monkeypatch.setattr(sys, "stdout", None)
    monkeypatch.setattr(sys, "stderr", None)
    assert artgan("info", trained_model.folder) == 0
    assert (sys.stdout, sys.stderr) == (None, None)


@pytest.mark.parametrize("verb", [("info", "Bäume 夢"), ("refine", "Bäume 夢", "--out", "ö", "--engine", "none")])
def test_a_console_that_cannot_show_a_character_shows_an_escape(verb, tmp_path):
    plain = {"PYTHONIOENCODING": "ascii:strict", "LC_ALL": "POSIX", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    environment = os.environ | plain | {"PYTHONPATH": os.getcwd()}
    process = started(*verb, cwd=tmp_path, env=environment, stdout=subprocess.PIPE)
    _, said = process.communicate(timeout=60)
    assert process.returncode in (2, 3)
    assert "artgan: " in said
    assert "\\u5922" in said or "\\udc" in said
    assert "bug" not in said


def test_what_is_shown_escapes_what_the_console_lacks():
    raw = io.BytesIO()
    stream = EnduringStream(io.TextIOWrapper(raw, "latin-1"))
    stream.write("ü 夢\n")
    stream.flush()
    assert raw.getvalue().decode("latin-1") == "ü \\u5922\n"


def test_what_took_longer_than_it_was_given_has_no_time_left():
    """A step that began in time ends after it."""
    assert describe(Progress("training", 15.02, 15.0, MINUTES), 901.0) == "training: 15.0/15.0 min, 0 s left"


def test_time_left_is_told_only_once_it_can_be():
    """The first fiftieth of the work tells nothing, unless it took a minute."""
    assert "left" not in describe(Progress("style", 0.0005, 1.0, "pictures"), 5.0)
    assert describe(Progress("style", 0.02, 1.0, "pictures"), 5.0).endswith(", 4 min 05 s left")
    assert describe(Progress("training", 1.0, 400.0, "kimg"), 60.0).endswith(", 6 h 39 min left")
