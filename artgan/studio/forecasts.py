"""What minutes of training give: images by a few steps that are tried on this machine, and what so many images usually show.

What they show was measured at 64 px (docs/results.md, docs/guide.md): 2,280 painted heads were patches and first faces after 19
thousand images, heads, some torn, after 51, nine in ten heads after 140, and sheets had holes up to 16 thousand; 285 paintings
of one painter were banks, trees and sails after 25 minutes of a core. Nothing larger was measured.
"""

import json
import subprocess
from pathlib import Path
from typing import Any

from artgan.studio import trainer

SHEETS: list[tuple[float, str]] = [
    (0, "fog and patches in the colors of your works"),
    (5, "patches and torn beginnings of forms"),
    (16, "first forms, many with holes"),
    (24, "forms that one recognises, some torn"),
    (100, "where the works are alike, most are whole; where they are mixed, longer"),
]
"""(thousand images, what the sheets usually show from there on), ascending."""


class Forecasts:
    """Tries one collection at a time, in a process of its own, and remembers what it found."""

    def __init__(self) -> None:
        self._known: dict[str, dict[str, Any]] = {}
        self._child: subprocess.Popen[bytes] | None = None
        self._trying = ""

    def of(self, collection: Path, identity: str) -> dict[str, Any]:
        """Return what is known of a collection, and begin to try it where that is nothing; what is tried now ends for it.

        Args:
            collection: its folder.
            identity: its pixel hash.

        Returns:
            `state` (trying, done or failed) and `seconds_per_kimg` and `memory_gb`, or `error`.
        """
        if identity in self._known:
            return self._known[identity]
        if self._trying != identity:
            self.end()
            self._child, self._trying = trainer.begin_to_try(collection), identity
        assert self._child is not None
        assert self._child.stdout is not None
        if self._child.poll() is None:
            return {"state": "trying"}
        said = self._child.stdout.read().decode(errors="replace").strip()
        last = said.splitlines()[-1] if said else "nothing was said"
        if self._child.returncode:
            self._known[identity] = {"state": "failed", "error": last.removeprefix("artgan: ")[:500]}
        else:
            self._known[identity] = {"state": "done", **json.loads(last)}
        self.end()
        return self._known[identity]

    def end(self) -> None:
        """End what is being tried."""
        if self._child is not None:
            self._child.kill()
            with self._child:  # closes its output and waits
                pass
        self._child, self._trying = None, ""
