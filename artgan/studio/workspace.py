"""A workspace: one folder with `pictures/`, `collections/`, `runs/` and `models/`, made when something goes in."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from artgan.datasets.collection import is_collection
from artgan.errors import ConfigError, DataError
from artgan.file_names import distinct_names, plain_name

_PARTS = ("pictures", "collections", "runs")
_MAX_SHOWN = 200
ORDER_FILE = "order.json"


@dataclass(frozen=True)
class Workspace:
    """The one folder that a studio writes into.

    Attributes:
        root: absolute; it may not be there yet.
    """

    root: Path

    @property
    def pictures(self) -> Path:
        """What was dropped: a folder for each drop."""
        return self.root / "pictures"

    @property
    def collections(self) -> Path:
        return self.root / "collections"

    @property
    def runs(self) -> Path:
        return self.root / "runs"

    @property
    def models(self) -> Path:
        """What was mixed of models."""
        return self.root / "models"

    def collection_names(self) -> list[str]:
        """Return the names of its collections, the newest last."""
        return _names(self.collections, is_collection)

    def run_names(self) -> list[str]:
        """Return the names of its runs, those that are about to start among them, the newest last."""
        return _names(self.runs, lambda folder: is_run(folder) or (folder / ORDER_FILE).is_file())

    def model_names(self) -> list[str]:
        """Return the names of its mixtures of models, the newest last."""
        return _names(self.models, lambda folder: (folder / "config.json").is_file())

    def drop_names(self) -> list[str]:
        """Return the names of what was dropped, the newest last."""
        return _names(self.pictures, Path.is_dir)


def open_workspace(folder: Path) -> Workspace:
    """Return a folder as a workspace; nothing is made yet.

    Raises:
        DataError: it is a file.
        ConfigError: it holds something else than a workspace does.
    """
    if folder.exists() and not folder.is_dir():
        raise DataError(f"{folder} is a file: give a run, a model folder, or a folder to work in")
    foreign = folder.is_dir() and any(folder.iterdir()) and not any((folder / part).is_dir() for part in _PARTS)
    if foreign:
        raise ConfigError(
            f"{folder} is no run, no model folder and no workspace (a folder with {', '.join(_PARTS)}), and the studio writes "
            f"into no other folder. To train on pictures in it, start artgan studio alone and drop it, or type its path there"
        )
    return Workspace(folder.absolute())


def default_workspace() -> Workspace:
    """Return the folder that one is in where it has collections or runs, and a folder of one's home otherwise."""
    here = Workspace(Path.cwd())
    if here.collection_names() or here.run_names():
        return here
    return open_workspace(Path.home() / "artgan")


def new_folder(parent: Path, wanted: str) -> Path:
    """Return a free place in a folder, by a name that somebody wished for.

    Args:
        parent: made where it is missing.
        wanted: becomes one plain name, with a number behind it where it is taken.
    """
    parent.mkdir(parents=True, exist_ok=True)
    (name,) = distinct_names([plain_name(wanted, "pictures")], "", (path.name for path in parent.iterdir()))
    return parent / name


def is_run(folder: Path) -> bool:
    """Return whether a folder is a run that has begun."""
    return (folder / "config.yaml").is_file()


def _names(parent: Path, belongs: Callable[[Path], bool]) -> list[str]:
    if not parent.is_dir():
        return []
    found = [path for path in parent.iterdir() if not path.name.startswith(".") and path.is_dir() and belongs(path)]
    found.sort(key=lambda path: (path.stat().st_mtime, path.name))
    return [path.name for path in found[-_MAX_SHOWN:]]
