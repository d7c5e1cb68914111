"""Training that outlives the page and the studio: a process of its own session, known by what its run folder says.

`order.json` says what was asked for, `train.log` what was said, `status.json` where training is. A lock says that the process
is there, and a file `.stop` asks it to save and end: no process number is kept that another process could have by then.
"""

import contextlib
import json
import signal
import subprocess
import sys
import tempfile
import threading
import time
import traceback
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from artgan.config import load_config
from artgan.datasets.collection import open_collection
from artgan.errors import ArtganError, ConfigError, DataError
from artgan.progress import PlainListener
from artgan.storage import is_held, only_one, write_whole
from artgan.studio.workspace import ORDER_FILE

LOG_FILE = "train.log"
_LOCK, _STOP = ".trainer.lock", ".stop"
_LOOK_SECONDS, _BEGINNING_SECONDS = 0.5, 60.0
_STOPPED_EARLY = "stopped before training began"
_MAX_READ, _LOG_LINES = 64 << 10, 12
_MINUTES = (0.05, 10_000.0)


@dataclass(frozen=True)
class TrainingOrder:
    """What the page asked for.

    Attributes:
        collection: its name in the workspace.
        minutes: of training, in this session.
        mirror: whether works may be mirrored.
    """

    collection: str
    minutes: float
    mirror: bool = False


def check_minutes(value: Any) -> float:
    """Return a number of minutes.

    Raises:
        DataError: it is none, or out of range.
    """
    low, high = _MINUTES
    if isinstance(value, bool) or not isinstance(value, int | float) or not low <= value <= high:
        raise DataError(f"minutes: expected a number from {low:g} to {high:,.0f}, got {str(value)[:40]}")
    return float(value)


def start(run: Path, order: TrainingOrder) -> "subprocess.Popen[bytes]":
    """Start to train a run, or to go on, in a process that nothing of the studio ends.

    Raises:
        ConfigError: it is being trained.
        StorageError: the run cannot be written.
    """
    if is_held(run / _LOCK):
        raise ConfigError(f"{run.name} is being trained already")
    run.mkdir(parents=True, exist_ok=True)
    (run / _STOP).unlink(missing_ok=True)
    write_whole(run / ORDER_FILE, json.dumps(asdict(order)) + "\n")
    apart: dict[str, Any] = {"start_new_session": True}
    if sys.platform == "win32":
        apart = {"creationflags": subprocess.CREATE_NEW_PROCESS_GROUP | subprocess.DETACHED_PROCESS}
    with (run / LOG_FILE).open("ab") as log:
        return subprocess.Popen(_command("train", run), stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT, **apart)


def begin_to_try(collection: Path) -> "subprocess.Popen[bytes]":
    """Start to try a few steps on a collection, in a process that prints what it found as a line of JSON."""
    return subprocess.Popen(
        _command("try", collection), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )


def _command(kind: str, folder: Path) -> list[str]:
    return [sys.executable, "-m", "artgan.studio.trainer", kind, str(folder)]


def stop(run: Path) -> None:
    """Ask the process that trains a run to save and end.

    Raises:
        DataError: none does.
    """
    if not is_held(run / _LOCK):
        raise DataError(f"{run.name} is not being trained from here")
    (run / _STOP).touch()


def read_order(run: Path) -> TrainingOrder | None:
    """Return what was asked of a run last, or None where the studio did not train it or the file is damaged."""
    try:
        content = json.loads((run / ORDER_FILE).read_text(encoding="utf-8")[:_MAX_READ])
        order = TrainingOrder(str(content["collection"]), check_minutes(content["minutes"]), content["mirror"] is True)
    except (OSError, ValueError, KeyError, TypeError, RecursionError, DataError):
        return None
    return order if order.collection == Path(order.collection).name else None


def state_of(run: Path, alive: bool = False) -> dict[str, Any]:
    """Return `state`, `busy` (a process trains it), `images_seen`, and the last lines of the log.

    Args:
        run: its folder.
        alive: whether a process is known that may not have said so yet.
    """
    from artgan.training.status import FAILED, TRAINING, read_status

    try:
        status = read_status(run)
    except (OSError, ValueError, RecursionError):
        status = {}
    state, updated, seen = (status.get(key) for key in ("state", "updated", "images_seen"))
    state = state if isinstance(state, str) else "unreadable"
    ordered = (run / ORDER_FILE).stat().st_mtime if (run / ORDER_FILE).is_file() else 0.0
    is_new = isinstance(updated, int | float) and updated >= ordered
    busy = alive or is_held(run / _LOCK) or (not is_new and _may_be_beginning(run / LOG_FILE, ordered))
    if busy and (run / _STOP).exists():
        state = "saving"
    elif busy and not is_new:
        state = "starting"
    log = _last_lines(run / LOG_FILE)
    if not busy and not is_new:
        state = "stopped" if log[-1:] == [_STOPPED_EARLY] else FAILED
    return {
        "state": state,
        "busy": busy or state == TRAINING,
        "images_seen": seen if isinstance(seen, int) else 0,
        "log": log,
    }


def _may_be_beginning(log: Path, ordered: float) -> bool:
    """Return whether a process that was just started may not have come to its first line: only then has it the lock."""
    try:
        spoke = log.stat().st_size > 0 and log.stat().st_mtime >= ordered
    except OSError:
        return False
    return not spoke and time.time() - ordered < _BEGINNING_SECONDS


def _last_lines(log: Path) -> list[str]:
    try:
        with log.open("rb") as file:
            file.seek(max(0, log.stat().st_size - _MAX_READ))
            text = file.read().decode(errors="replace")
    except OSError:
        return []
    return [line[:500] for line in text.splitlines() if line.strip()][-_LOG_LINES:]


def _train(run: Path) -> int:
    """Do what the run's order says."""
    with _only_trainer(run):
        order = read_order(run)
        if order is None:
            raise DataError(f"{run / ORDER_FILE} is missing or damaged")
        # A studio that a script began in the background ignores SIGINT, which is a terminal's, and so would this process.
        signal.signal(signal.SIGINT, signal.default_int_handler)
        threading.Thread(target=_watch_for_stop, args=(run / _STOP,), daemon=True).start()
        print(f"--- {order.minutes:g} minutes, {time.strftime('%Y-%m-%d %H:%M')}", flush=True)
        overrides = ["augment.horizontal_flip=true"] if order.mirror else []
        own = run / "config.yaml"
        chosen = load_config(own, overrides) if own.is_file() else None
        opened = open_collection(run.parent.parent / "collections" / order.collection)
        from artgan.training.start import Order, train_run  # what can be wrong with the order is said before torch is read

        try:
            train_run(Order(opened, run, chosen, overrides, order.minutes), say=_say, on_progress=PlainListener(sys.stdout))
        finally:
            (run / _STOP).unlink(missing_ok=True)
    return 0


@contextlib.contextmanager
def _only_trainer(run: Path) -> Iterator[None]:
    with only_one(run / _LOCK, ConfigError(f"{run.name} is being trained already")):
        yield


def _watch_for_stop(file: Path) -> None:
    while not file.exists():
        time.sleep(_LOOK_SECONDS)
    signal.raise_signal(signal.SIGINT)


def _try(collection: Path) -> int:
    """Try a few steps and print `seconds_per_kimg` and `memory_gb`."""
    from artgan.training.start import Order, try_run

    with tempfile.TemporaryDirectory() as folder:
        found = try_run(Order(open_collection(collection), Path(folder) / "run"), say=lambda text: None)
    print(json.dumps({"seconds_per_kimg": found.seconds_per_kimg, "memory_gb": found.memory_gb}))
    return 0


def _say(text: str) -> None:
    print(text, flush=True)


def main(words: list[str]) -> int:
    """Run one of the two kinds of work; the exit code is that of `artgan train`."""
    try:
        kind, folder = words
        return {"train": _train, "try": _try}[kind](Path(folder))
    except ArtganError as error:
        print(f"artgan: {error}", flush=True)
        return error.exit_code
    except KeyboardInterrupt:
        print(_STOPPED_EARLY, flush=True)
        return 130
    except Exception:
        traceback.print_exc()
        return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
