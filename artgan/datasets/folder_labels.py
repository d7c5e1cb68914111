"""Classes from folders: the first folder in which pictures differ, with splits such as train and test put together."""

import unicodedata
from collections.abc import Collection, Sequence
from dataclasses import replace
from pathlib import PurePosixPath

from artgan.datasets import archives
from artgan.datasets.source_file import SourceFile, may_be_picture

SPLITS = frozenset("train training test testing val valid validation eval".split())
Parts = tuple[str, ...]


def with_folder_labels(files: Sequence[SourceFile], outermost: bool = False) -> tuple[list[SourceFile], list[str]]:
    """Give every file the label that its folders say, and return what there is to say about splits.

    A folder that all pictures share is no class, whether it wraps the others or is the only one. Folders named as splits that
    lie above the classes are none either. An archive within a folder counts as a folder.

    Args:
        files: of all sources.
        outermost: take the first folder below each source, whatever it is.
    """
    labels = [file.label for file in files]  # a row of a table has its own, whatever folder the table is in
    notes = []
    for source in dict.fromkeys(file.source for file in files):
        mine = [index for index, file in enumerate(files) if file.source == source and not file.is_row]
        parts = [_folders(files[index].name) for index in mine]
        if outermost:
            found, splits = [own[0] if own else None for own in parts], list[str]()
        else:
            found, splits = _labels_of([files[index] for index in mine], parts)
        for index, label in zip(mine, found, strict=True):
            labels[index] = label
        if splits:
            notes.append(f"the folders {', '.join(splits)} are taken for splits and put together; --holdout makes one anew")
    named = [(file, label) for file, label in zip(files, labels, strict=True)]
    if not outermost and len({label for file, label in named if not file.is_row and may_be_picture(file)}) == 1:
        named = [(file, label if file.is_row else None) for file, label in named]
    return [replace(file, label=label) for file, label in named], notes


def _labels_of(files: Sequence[SourceFile], parts: Sequence[Parts]) -> tuple[list[str | None], list[str]]:
    """Return the labels of one source's files, and the names of the splits that were found."""
    pictures = {own for file, own in zip(files, parts, strict=True) if may_be_picture(file)}
    shared = _shared(pictures)
    heads = {own[len(shared)] for own in pictures if len(own) > len(shared)}
    splits: set[str] = set()
    if heads and all(len(own) > len(shared) for own in pictures) and all(head.casefold() in SPLITS for head in heads):
        splits = heads
    below = {own[len(shared) + bool(splits) :] for own in pictures}
    wrapped = _shared(below) if splits else ()
    depth = len(shared) + bool(splits) + len(wrapped)
    if not splits and shared and below == {()}:
        depth -= 1  # all lie in one folder, which is a class where another source has others
    return [own[depth] if own[: len(shared)] == shared and len(own) > depth else None for own in parts], sorted(splits)


def _shared(folders: Collection[Parts]) -> Parts:
    """Return the parts that all begin with; in the order of tuples these are those of the first and the last."""
    first, last = min(folders, default=()), max(folders, default=())
    count = next((place for place, pair in enumerate(zip(first, last, strict=False)) if pair[0] != pair[1]), len(first))
    return first[:count]


def _folders(name: str) -> Parts:
    """Return the folders of a name, in one form of Unicode; an archive goes by its name without the suffix."""
    return tuple(archives.stem(unicodedata.normalize("NFC", part)) for part in PurePosixPath(name).parts[:-1])
