"""What can become of a file: the words of `status` in the index."""

from dataclasses import dataclass

KEPT, DUPLICATE, REJECTED, DROPPED, PASSED_OVER = "kept", "duplicate", "rejected", "dropped", "passed over"


@dataclass(frozen=True)
class Fate:
    """What becomes of a file, and why.

    Attributes:
        status: `rejected`: it ought to be a picture and cannot be used; `passed over`: it is none, and does not count;
            `dropped`: it has no label.
        reason: in words; never the file's name.
    """

    status: str
    reason: str


TOO_SMALL = "too small"  # a reason for a rejection begins so where a smaller size in pixels would take the work
