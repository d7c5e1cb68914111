"""A checkout of another commit, for as long as it is compared with this one."""

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


@contextmanager
def checkout(commit: str) -> Iterator[Path]:
    """Yield the folder of a temporary git worktree at `commit`."""
    found = subprocess.run(["git", "rev-parse", "--verify", "--quiet", f"{commit}^{{commit}}"], cwd=ROOT, capture_output=True)
    if found.returncode:
        sys.exit(f"--against {commit}: this repository has no such commit; expected a hash, a branch or a tag")
    with tempfile.TemporaryDirectory(prefix="artgan-") as folder:
        tree = Path(folder, "tree")
        subprocess.run(["git", "worktree", "add", "--quiet", "--detach", tree, commit], cwd=ROOT, check=True)
        try:
            yield tree
        finally:
            subprocess.run(["git", "worktree", "remove", "--force", tree], cwd=ROOT, check=True)


def git(*words: str, tree: Path = ROOT) -> str:
    """Return what a git command prints in a working tree."""
    return subprocess.run(["git", *words], cwd=tree, check=True, capture_output=True, text=True).stdout.strip()


def environment_of(tree: Path) -> dict[str, str]:
    """Return the environment in which Python imports artgan from `tree`, with one thread."""
    return os.environ | {"PYTHONPATH": str(tree), "OMP_NUM_THREADS": "1", "PYTHONDONTWRITEBYTECODE": "1"}
