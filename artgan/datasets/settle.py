"""From the lines of all files to a collection: duplicates, labels, the hold-out, and the files that are published."""

import base64
import json
import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from artgan.datasets.collection import FORMAT_VERSION, HOLDOUT, pixel_hash
from artgan.datasets.contact_sheet import write_contact_sheet
from artgan.datasets.crops import crop_pairs
from artgan.datasets.duplicates import PROXY_PX, Fingerprint, Groups, alike_pairs
from artgan.datasets.fates import DROPPED, DUPLICATE, KEPT, PASSED_OVER, REJECTED, TOO_SMALL
from artgan.datasets.films import film_of
from artgan.datasets.hold_out import split
from artgan.datasets.journal import AGAIN, Line, first_of_file, write_header
from artgan.datasets.keypoints import Keypoints
from artgan.datasets.recipe import Recipe
from artgan.errors import DataError
from artgan.progress import Listener, Progress, silent
from artgan.storage import move, remove, share

_COPY_BYTES = 16 << 20
_LARGEST_GROUP, _LARGEST_GROUP_SHARE = 32, 0.05  # that crops may bring together


@dataclass
class Summary:
    """What a preparation did, in numbers."""

    folder: Path
    count: int
    classes: tuple[str, ...]
    holdout: int
    duplicates: int
    dropped: int
    rejected: Counter[str]
    passed_over: Counter[str]
    rights: tuple[str, ...]
    notes: tuple[str, ...] = ()


def settle(
    journal: Path,
    lines: list[Line],
    recipe: Recipe,
    use_labels: bool,
    rights: list[str],
    out: Path,
    notes: Sequence[str] = (),
    on_progress: Listener = silent,
) -> Summary:
    """Make the collection `out` from a finished journal.

    Crops are looked for where some works are held out, since that is all that they change.

    Raises:
        DataError: too many files were rejected, or too few are left; the index then lies beside `out`.
    """
    mark_duplicates(lines, recipe.duplicates, with_crops=recipe.holdout > 0, on_progress=on_progress)
    notes = [*notes, *_settle_labels(lines, use_labels), *split(lines, recipe.holdout)]
    summary = _summarize(out, lines, rights, notes)
    kept = [line for line in lines if line["status"] == KEPT]
    old_rows = [line["row"] for line in kept]
    for line in lines:
        for key in ("row", AGAIN):
            line.pop(key, None)
    for row, line in enumerate(kept):
        line["row"] = row
    final = journal / "final"
    remove(final)
    final.mkdir()
    write_lines(final / "index.jsonl", lines)
    num_files = sum(first_of_file(line) for line in lines if line["status"] != PASSED_OVER)
    _check_rejects(summary, num_files, recipe, final, out)
    take_rows(journal / "images.npy", final / "images.npy", old_rows)
    write_contact_sheet(final / "contact_sheet.png", final / "images.npy", kept)
    content = {
        "format": FORMAT_VERSION,
        "height": recipe.height,
        "width": recipe.width,
        "count": summary.count,
        "classes": list(summary.classes),
        "pixel_hash": pixel_hash(kept),
        "holdout": summary.holdout,
        "duplicates": summary.duplicates,
        "rejected": summary.rejected.total(),
        "rights": rights,
        "recipe": asdict(recipe),
    }
    (final / "collection.json").write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
    move(final, out)
    return summary


def mark_duplicates(lines: Sequence[Line], which: str, *, with_crops: bool = True, on_progress: Listener = silent) -> None:
    """Name the group of every work that has a twin, a crop or tiles, and mark those like one that stays, the largest first.

    Likeness is to the work that stays and never goes through a third: of a motif that changes in small steps several stay.
    They are one group all the same, and so on one side of the hold-out; so are a work and its crops, which all stay. Works are
    compared whole, so the tiles of one never count as twins of each other. An even frame, such as a fade to black, stands in
    many films and is in no group.
    """
    works = _works(lines)
    firsts = [work[0] for work in works]
    exact, alike = Groups(len(works)), Groups(len(works))
    for key in ("sha256", "pixels_sha256"):
        first: dict[str, int] = {}
        for index, work in enumerate(works):
            identity = " ".join(line[key] for line in work)
            for groups in (exact, alike):
                groups.join(first.setdefault(identity, index), index)
    fingerprints = [_unpacked(work) for work in works]
    first_of: dict[tuple[int, bytes], int] = {}  # of works with one and the same fingerprint, `alike_pairs` names the first
    firsts_alike = [first_of.setdefault((item.hash, item.proxy.tobytes()), index) for index, item in enumerate(fingerprints)]
    pairs = set()
    for a, b in alike_pairs(fingerprints):
        alike.join(a, b)
        pairs |= {(firsts_alike[a], firsts_alike[b]), (firsts_alike[b], firsts_alike[a])}

    def is_twin(a: int, b: int) -> bool:
        near = (firsts_alike[a], firsts_alike[b])
        return exact.root(a) == exact.root(b) or (which == "alike" and (near[0] == near[1] or near in pairs))

    even_frames = {index for index, item in enumerate(fingerprints) if item.is_even and film_of(firsts[index]["source"])}
    related = _with_crops(alike, fingerprints, firsts, on_progress) if with_crops else alike
    grouped = {index: members[0] for members in related.members() for index in members if index not in even_frames}
    for index, work in enumerate(works):
        if index in grouped or len(work) > 1:
            for line in work:
                line["group"] = firsts[grouped.get(index, index)]["source"]
    for members in {"alike": alike, "exact": exact}[which].members() if which != "keep" else ():
        staying: list[int] = []
        for index in sorted(members, key=lambda index: (-firsts[index]["width"] * firsts[index]["height"], index)):
            twin = next((other for other in staying if is_twin(index, other)), None)
            if twin is None:
                staying.append(index)
                continue
            reason = _likeness(firsts[index], firsts[twin])
            for line in works[index]:
                line |= {"status": DUPLICATE, "reason": reason}


def _with_crops(alike: Groups, fingerprints: Sequence[Fingerprint], firsts: Sequence[Line], on_progress: Listener) -> Groups:
    """Return the groups with crops in the group of their work.

    Crops are told by their looks: the best fits come first, and join no groups of more than 32 works or 5 % of all, so that
    pictures of one manner cannot chain up to a group that leaves nothing to hold out. Two frames of films are not joined: those
    of one film are together in any case, and one look-alike would bind whole films to each other.
    """
    related, most = alike.copy(), max(_LARGEST_GROUP, int(_LARGEST_GROUP_SHARE * len(fingerprints)))

    def tell(done: int) -> None:
        on_progress(Progress("looking for crops", done, len(fingerprints), "works"))

    is_frame = [film_of(line["source"]) is not None for line in firsts]
    for _, crop, work in crop_pairs(fingerprints, tell):
        if is_frame[crop] and is_frame[work]:
            continue
        if related.root(crop) != related.root(work) and related.size(crop) + related.size(work) <= most:
            related.join(crop, work)
    return related


def _works(lines: Sequence[Line]) -> list[list[Line]]:
    """Return the usable lines, those of one file together."""
    works: list[list[Line]] = []
    for line in lines:
        if line["status"] != KEPT:
            continue
        if first_of_file(line):
            works.append([])
        works[-1].append(line)
    return works


def _unpacked(work: Sequence[Line]) -> Fingerprint:
    proxy, keypoints = (base64.b64decode(work[0][key]) for key in ("proxy", "keypoints"))
    for line in work:
        del line["proxy"], line["keypoints"]
    colors = np.frombuffer(proxy, dtype=np.uint8).reshape(PROXY_PX, PROXY_PX, 3)
    return Fingerprint(int(work[0]["perceptual_hash"], 16), colors, Keypoints.from_bytes(keypoints))


def _likeness(line: Line, kept: Line) -> str:
    if line["sha256"] == kept["sha256"]:
        return f"same file as {kept['name']}"
    if line["pixels_sha256"] == kept["pixels_sha256"]:
        return f"same pixels as {kept['name']}"
    return f"looks like {kept['name']}"


def _settle_labels(lines: list[Line], use_labels: bool) -> list[str]:
    """Keep labels when every kept picture has one; otherwise the collection has none. Return what there is to say about it."""
    kept = [line for line in lines if line["status"] == KEPT]
    without = [line for line in kept if line["label"] is None]
    if use_labels and not without:
        return []
    has_classes = use_labels and len(without) < len(kept)
    for line in lines:
        line["label"] = None
    if not has_classes:
        return []
    return [
        f"no classes, as {len(without)} of {len(kept)} pictures have no label, the first: {without[0]['name']}; leave them out "
        f"with --unlabelled drop, or make them a class of their own with --unlabelled class"
    ]


def _summarize(out: Path, lines: list[Line], rights: list[str], notes: Sequence[str]) -> Summary:
    kept = [line for line in lines if line["status"] == KEPT]
    labels = {line["label"] for line in kept} - {None}
    return Summary(
        folder=out,
        count=len(kept),
        classes=tuple(sorted(labels)),
        holdout=sum(line["split"] == HOLDOUT for line in kept),
        duplicates=sum(line["status"] == DUPLICATE and first_of_file(line) for line in lines),
        dropped=sum(line["status"] == DROPPED for line in lines),
        rejected=Counter(line["reason"] for line in lines if line["status"] == REJECTED),
        passed_over=Counter(line["reason"] for line in lines if line["status"] == PASSED_OVER),
        rights=tuple(rights),
        notes=tuple(notes),
    )


def _check_rejects(summary: Summary, num_files: int, recipe: Recipe, final: Path, out: Path) -> None:
    rejected = summary.rejected.total()
    share = rejected / max(1, num_files)
    if share <= recipe.max_reject and summary.count >= 2:
        return
    kept_index = out.with_name(f"{out.name}.rejected.jsonl")
    move(final / "index.jsonl", kept_index)
    common = summary.rejected.most_common(3)
    reasons = "; ".join(f"{count}x {reason}" for reason, count in common)
    way_out = " A smaller --resolution takes them, or a smaller --min-size." if common and TOO_SMALL in common[0][0] else ""
    if share > recipe.max_reject:
        problem = f"{rejected} of {num_files} files rejected, more than --max-reject {recipe.max_reject:g}"
    else:
        problem = f"only {summary.count} usable picture(s) in {num_files} files, at least 2 are needed"
    raise DataError(f"{problem} ({reasons or 'duplicates'}).{way_out} Every file and its reason: {kept_index}")


def take_rows(journal_images: Path, target: Path, rows: Sequence[int]) -> None:
    """Write the chosen rows, ascending, as an array of their own; when they are all, the file is shared, not copied.

    Reads and writes a stretch of rows at a time: a mapped file would count as this process's memory as a whole.
    """
    shape = np.load(journal_images, mmap_mode="r", allow_pickle=False).shape
    if len(rows) == shape[0]:
        share(journal_images, target)
        return
    row_bytes = math.prod(shape[1:])
    with journal_images.open("rb") as source, target.open("w+b") as file:
        header_bytes = write_header(file, len(rows), shape[1:])
        for first, count in _stretches(rows, max(1, _COPY_BYTES // row_bytes)):
            source.seek(header_bytes + first * row_bytes)
            file.write(source.read(count * row_bytes))


def _stretches(rows: Sequence[int], most: int) -> list[tuple[int, int]]:
    """Return ascending rows as (first, count) of neighbors, at most so many at once."""
    found: list[tuple[int, int]] = []
    for row in rows:
        first, count = found[-1] if found else (row, 0)
        if row == first + count and count < most:
            found[-1:] = [(first, count + 1)]
        else:
            found.append((row, 1))
    return found


def write_lines(path: Path, lines: list[Line]) -> None:
    """Write `index.jsonl`, one line for every file."""
    with path.open("w", encoding="utf-8") as file:
        for line in lines:
            file.write(json.dumps(line, ensure_ascii=False) + "\n")
