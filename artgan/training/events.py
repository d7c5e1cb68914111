"""TensorBoard's event files, written record by record.

torch's `SummaryWriter` writes in a thread, which ends at the first full disk with a traceback and takes the writer with it.
"""

import os
import socket
import time
from pathlib import Path

import numpy as np
from tensorboard.compat.proto.event_pb2 import Event, SessionLog
from tensorboard.summary.writer.record_writer import RecordWriter
from torch.utils.tensorboard.summary import image, scalar

from artgan.storage import append_whole


class Events:
    """An event file of its own in a run.

    A record that there is no space for is left out; the file stays readable.

    Args:
        run: the run folder.
        begins_at: TensorBoard drops what earlier files say from this step on.

    Raises:
        OSError: here and in every method, where the file cannot be written.
    """

    def __init__(self, run: Path, begins_at: int) -> None:
        name = f"events.out.tfevents.{int(time.time())}.{socket.gethostname()}.{os.getpid()}.{time.monotonic_ns()}"
        self._file = (run / name).open("ab", buffering=0)
        self._records = RecordWriter(self)
        self._add(Event(file_version="brain.Event:2"), 0)
        self._add(Event(session_log=SessionLog(status=SessionLog.START)), begins_at)

    def scalars(self, values: dict[str, float], step: int) -> None:
        """Add values by their names."""
        for name, value in values.items():
            self._add(Event(summary=scalar(name, value)), step)

    def image(self, name: str, pixels: np.ndarray, step: int) -> None:
        """Add a picture, uint8 `[H, W, 3]`."""
        self._add(Event(summary=image(name, pixels, dataformats="HWC")), step)

    def write(self, record: bytes) -> None:
        """Take a framed record."""
        append_whole(self._file, record)

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def _add(self, event: Event, step: int) -> None:
        event.wall_time, event.step = time.time(), step
        self._records.write(event.SerializeToString())
