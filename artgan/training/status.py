"""`status.json`: what a run is doing, for whoever watches it, true after every kind of end."""

import json
import socket
import time
from pathlib import Path
from typing import Any

from artgan.errors import DataError
from artgan.storage import check_format, is_held, write_whole

FORMAT_VERSION = 1
STATUS_FILE = "status.json"
LOCK_FILE = ".lock"
NOT_STARTED, TRAINING, FAILED, INTERRUPTED = "not started", "training", "failed", "interrupted"
_FRESH_SECONDS = 30.0  # a trainer that has just written is not asked whether it lives


def write_status(
    run: Path, state: str, images_seen: int, total_images: int, minutes_left: float | None = None, ends_at: int | None = None
) -> None:
    """Write what a run is doing, in one step.

    Args:
        run: its folder.
        state: in a word or two.
        images_seen: up to now.
        total_images: of its config.
        minutes_left: of training in this session, at its pace; None where it does not train, or has not measured it yet.
        ends_at: images that will be seen when this session ends.
    """
    left = {} if minutes_left is None else {"minutes_left": minutes_left, "ends_at": ends_at}
    content = {
        "format": FORMAT_VERSION,
        "state": state,
        "images_seen": images_seen,
        "total_images": total_images,
        "updated": time.time(),
        "host": socket.gethostname(),
        **left,
    }
    write_whole(run / STATUS_FILE, json.dumps(content) + "\n")


def read_status(run: Path) -> dict[str, Any]:
    """Return what a run is doing: `state`, and `images_seen`, `total_images` and `updated` where it has been trained.

    A trainer that was killed could not say so: a run of this machine that says `training`, and that nobody trains, is
    `interrupted`.

    Raises:
        ValueError, OSError: the file cannot be read, or is no JSON object.
        DataError: a newer artgan wrote it.
    """
    path = run / STATUS_FILE
    if not path.is_file():
        return {"state": NOT_STARTED}
    status = json.loads(path.read_text(encoding="utf-8"))
    if not isinstance(status, dict):
        raise ValueError("no JSON object")
    check_format(status, FORMAT_VERSION, str(path), DataError)
    written = status.get("updated")
    is_old = isinstance(written, int | float) and abs(time.time() - written) > _FRESH_SECONDS  # clocks also jump back
    is_ours = status.get("host") == socket.gethostname()
    if status.get("state") == TRAINING and is_ours and is_old and not is_held(run / LOCK_FILE):
        status["state"] = INTERRUPTED
    return {key: value for key, value in status.items() if key not in ("host", "format")}
