"""Which pictures are the same."""


class ExactDuplicates:
    """Finds pictures whose prepared pixels are equal; the first of each group stands for it."""

    def __init__(self) -> None:
        self._first: dict[str, str] = {}

    def original_of(self, digest: str, name: str) -> str | None:
        """Return the name of the earlier picture with the same pixel digest, or None and remember this one."""
        first = self._first.setdefault(digest, name)
        return None if first == name else first
