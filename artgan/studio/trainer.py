"""Training that outlives the page and the studio: a process of its own session, known by what its run folder says.

`order.json` says what was asked for, `train.log` what was said, `status.json` where training is. A lock says that the process
is there, and a file `.stop` asks it to save and end: no process number is kept that another process could have by then.
"""

import contextlib
import json
import signal
import subprocess
import sys
import threading
import time
import traceback
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from artgan.errors import ArtganError, ConfigError, DataError
from artgan.storage import is_held, only_one, write_whole
from artgan.studio.workspace import ORDER_FILE

LOG_FILE = "train.log"
_LOCK, _STOP = ".trainer.lock", ".stop"
_LOOK_SECONDS = 0.5
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


def start(run: Path, order: TrainingOrder) -> subprocess.Popen:
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
    with (run / LOG_FILE).open("ab") as log:
        return _child(["train", str(run)], log)


def forecast(collection: Path, mirror: bool) -> subprocess.Popen:
    """Start to try a few steps in a process of its own, which prints what it found as JSON: see `_forecast`."""
    return _child(["forecast", str(collection), str(int(mirror))], subprocess.PIPE)


def _child(words: list[str], output: Any) -> subprocess.Popen:
    apart: dict[str, Any] = {"start_new_session": True}
    if sys.platform == "win32":
        apart = {"creationflags": subprocess.CREATE_NEW_PROCESS_GROUP | subprocess.DETACHED_PROCESS}
    command = [sys.executable, "-m", "artgan.studio.trainer", *words]
    return subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT, **apart)


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
        status = {"state": "unreadable"}
    ordered = (run / ORDER_FILE).stat().st_mtime if (run / ORDER_FILE).is_file() else 0.0
    is_new = float(status.get("updated") or 0.0) >= ordered
    busy, state = alive or is_held(run / _LOCK), status["state"]
    if busy and (run / _STOP).exists():
        state = "saving"
    elif busy and not is_new:
        state = "starting"
    elif not busy and not is_new:
        state = FAILED
    return {
        "state": state,
        "busy": busy or state == TRAINING,
        "images_seen": int(status.get("images_seen") or 0),
        "log": _last_lines(run / LOG_FILE),
    }


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
        threading.Thread(target=_watch_for_stop, args=(run / _STOP,), daemon=True).start()
        from artgan.config import load_config
        from artgan.datasets.collection import open_collection
        from artgan.progress import PlainListener
        from artgan.training.start import Order, train_run

        print(f"--- {order.minutes:g} minutes, {time.strftime('%Y-%m-%d %H:%M')}", flush=True)
        overrides = ["augment.horizontal_flip=true"] if order.mirror else []
        own = run / "config.yaml"
        chosen = load_config(own, overrides) if own.is_file() else None
        opened = open_collection(run.parent.parent / "collections" / order.collection)
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


def _forecast(collection: Path, mirror: bool) -> int:
    """Try a few steps and print one line of JSON: `seconds_per_kimg`, `memory_gb`, `works`, or `error`."""
    import tempfile

    from artgan.datasets.collection import open_collection
    from artgan.training.start import Order, try_run

    overrides = ["augment.horizontal_flip=true"] if mirror else []
    with tempfile.TemporaryDirectory() as folder:
        opened = open_collection(collection)
        found = try_run(Order(opened, Path(folder) / "run", None, overrides), say=lambda text: None)
    print(json.dumps({"seconds_per_kimg": found.seconds_per_kimg, "memory_gb": found.memory_gb}))
    return 0


def _say(text: str) -> None:
    print(text, flush=True)


def main(words: list[str]) -> int:
    """Run one of the two kinds of work; the exit code is that of `artgan train`."""
    try:
        if words[0] == "train":
            return _train(Path(words[1]))
        return _forecast(Path(words[1]), words[2] == "1")
    except ArtganError as error:
        print(f"artgan: {error}", flush=True)
        return error.exit_code
    except KeyboardInterrupt:
        print("stopped; what was saved stays, and Train goes on from there", flush=True)
        return 130
    except Exception:
        traceback.print_exc()
        return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
