"""What training can do without for a while: a full disk, or one that is away, does not end a run."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from artgan.errors import StorageError


class Sparing:
    """Lets training go on without what could not be written.

    Args:
        say: told when something cannot be written, and when it can be again.
    """

    def __init__(self, say: Callable[[str], None]) -> None:
        self._say = say
        self._missing: set[str] = set()

    @contextmanager
    def __call__(self, what: str) -> Iterator[None]:
        """Run a block that writes `what`, in plural; where it cannot, training goes on and the next time tries again."""
        try:
            yield
        except (OSError, StorageError) as error:
            if what not in self._missing:
                self._missing.add(what)
                reason = str(error).partition(". ")[0]
                self._say(f"{what} cannot be written ({reason}): training goes on, and each interval tries again")
            return
        if what in self._missing:
            self._missing.discard(what)
            self._say(f"{what} are written again")
