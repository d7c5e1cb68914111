"""Verbs for collections: prepare, export."""

import os
from pathlib import Path
from typing import Annotated

import typer

from artgan import arguments
from artgan.cli.app import EPILOG, app
from artgan.cli.terminal import hearing
from artgan.cli.workers import CLUSTER_HELP, chosen_workers
from artgan.errors import ConfigError, DataError
from artgan.file_names import join_names


@app.command(epilog=f"Example: artgan prepare paintings/ --out collections/paintings --resolution 256\n\n{EPILOG}")
def prepare(
    context: typer.Context,
    sources: Annotated[
        list[str], typer.Argument(help="Folders, files, patterns, archives, lists of paths, Parquet tables, URLs.")
    ],
    out: Annotated[Path | None, typer.Option(help="The collection to make.")] = None,
    resolution: Annotated[str, typer.Option(help="Side in pixels, or WIDTHxHEIGHT.")] = "256",
    fit: Annotated[str, typer.Option(help="crop; pad: the whole work; stretch; smart: crop where little is lost.")] = "crop",
    focus: Annotated[str, typer.Option(help="What a crop keeps: center, top, detail.")] = "center",
    tiles: Annotated[int, typer.Option(help="Cut a large work into up to this many crops along its longer side.")] = 1,
    trim: Annotated[bool, typer.Option("--trim", help="Cut borders of one color first.")] = False,
    matte: Annotated[str, typer.Option(help="Color under transparency and around padded works.")] = "#ffffff",
    min_size: Annotated[
        int | None, typer.Option(help="Reject a shorter side below this; default: half the resolution.")
    ] = None,
    min_aspect: Annotated[float, typer.Option(help="Reject a smaller width / height.")] = 0.0,
    max_aspect: Annotated[float, typer.Option(help="Reject a larger width / height.")] = 1e6,
    duplicates: Annotated[str, typer.Option(help="alike, exact: one of such pictures stays; keep: all stay.")] = "alike",
    holdout: Annotated[float, typer.Option(help="Share kept out of training, for honest evaluation.")] = 0.05,
    max_megapixels: Annotated[
        float | None, typer.Option(help="Reject larger pictures, which cost memory; default: 179.")
    ] = None,
    max_reject: Annotated[float, typer.Option(help="Fail when a larger share of the files is unusable.")] = 0.5,
    labels: Annotated[
        str, typer.Option(help="folders: the first that differ, or a label file; outermost: as they are; none.")
    ] = "folders",
    unlabelled: Annotated[str, typer.Option(help="A picture without a label: error, drop, class.")] = "error",
    label_column: Annotated[str | None, typer.Option(help="Column with the class; default: label, class or style.")] = None,
    picture_column: Annotated[
        str | None, typer.Option(help="Column with the pictures, for Parquet tables with several.")
    ] = None,
    zip_encoding: Annotated[
        str | None, typer.Option(help="Encoding of names in zips that are not UTF-8, such as cp932.")
    ] = None,
    every: Annotated[int | None, typer.Option(help="Take films too: every so many-th frame, such as 12.")] = None,
    workers: Annotated[int | None, typer.Option(help="Processes; default: one per core, at most 8.")] = None,
    cluster: Annotated[str | None, typer.Option(help=CLUSTER_HELP)] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would happen, and stop.")] = False,
    drop: Annotated[
        list[str] | None, typer.Option(help="Leave works out of an existing collection: NAMES or *patterns; runs on it go on.")
    ] = None,
    check: Annotated[bool, typer.Option("--check", help="Hash the pictures of a collection again, and stop.")] = False,
    force: Annotated[bool, typer.Option("--force", help="Replace an existing collection.")] = False,
) -> None:
    """Turn untidy pictures into a clean collection.

    One line of index.jsonl says what became of every file. A command that was killed goes on where it stopped.
    """
    if check:
        _check(context, sources)
        return
    if drop:
        _drop(context, sources, [name for text in drop for name in arguments.names(text)])
        return
    if out is None:
        raise ConfigError("prepare needs --out: artgan prepare paintings/ --out collections/paintings --resolution 256")
    from artgan.datasets import prepare as preparing
    from artgan.datasets.advice import about_shapes, about_works
    from artgan.datasets.collection import read_index
    from artgan.datasets.labels import LABELS, MISSING_LABELS
    from artgan.datasets.recipe import DUPLICATES, FITS, FOCI, Recipe
    from artgan.datasets.sources import Reading
    from artgan.decode import MAX_PIXELS

    width, height = arguments.resolution(resolution)
    limit = None if max_megapixels is None else arguments.number("--max-megapixels", max_megapixels, 1, 100_000)
    max_pixels = MAX_PIXELS if limit is None else round(limit * 1e6)
    recipe = Recipe(
        height=height,
        width=width,
        fit=arguments.choice("--fit", fit, FITS),
        focus=arguments.choice("--focus", focus, FOCI),
        tiles=int(arguments.number("--tiles", tiles, 1, 64)),
        trim=trim,
        min_side_px=min(width, height) // 2 if min_size is None else min_size,
        min_aspect=arguments.number("--min-aspect", min_aspect, 0, 1e6),
        max_aspect=arguments.number("--max-aspect", max_aspect, 0, 1e6),
        matte=arguments.color("--matte", matte),
        duplicates=arguments.choice("--duplicates", duplicates, DUPLICATES),
        holdout=arguments.number("--holdout", holdout, 0, 0.9),
        max_reject=arguments.number("--max-reject", max_reject, 0, 1),
    )
    arguments.choice("--labels", labels, LABELS)
    arguments.choice("--unlabelled", unlabelled, MISSING_LABELS)
    if every is not None:
        arguments.number("--every", every, 1, 1_000_000)
    reading = Reading(label_column, picture_column, zip_encoding, outermost=labels == "outermost", every=every)
    use_labels = labels != "none"
    if dry_run:
        listing = preparing.list_for(sources, out, reading, use_labels=use_labels, unlabelled=unlabelled)
        expected = preparing.forecast(listing.files, out, recipe, max_pixels)
        print(
            f"{expected.num_files} files, {expected.num_done} of them done by an earlier run; up to "
            f"{expected.needed_bytes / 1e6:,.0f} MB to write, {expected.free_bytes / 1e6:,.0f} MB free"
        )
        for note in listing.notes:
            print(f"  {note}")
        return
    jobs = max(1, workers) if workers is not None else min(8, os.cpu_count() or 1)
    stands = "what is done is kept, and the same command goes on from there"
    with hearing(quiet=context.obj.quiet, if_stopped=stands) as listen:
        summary = preparing.prepare(
            sources,
            out,
            recipe,
            workers=chosen_workers(context.obj, jobs, cluster),
            max_pixels=max_pixels,
            overwrite=force,
            use_labels=use_labels,
            unlabelled=unlabelled,
            reading=reading,
            on_progress=listen,
        )
    context.obj.say(
        f"{out}: {summary.count} pictures at {width}x{height} px ({summary.holdout} held out), "
        f"{summary.duplicates} duplicates, {summary.rejected.total()} rejected"
        + (f", {summary.dropped} dropped without a label" if summary.dropped else "")
    )
    for reason, count in summary.passed_over.most_common(5):
        context.obj.say(f"  passed over {count}: {reason}")
    for reason, count in summary.rejected.most_common(5):
        context.obj.say(f"  rejected {count}: {reason}")
    context.obj.say(f"  classes: {join_names(summary.classes) or 'none'}")
    for note in summary.notes:
        context.obj.say(f"  {note}")
    for text in summary.rights:
        context.obj.say(f"  rights: {text}")
    for advice in [*about_works(summary.count), *about_shapes(read_index(out), recipe)]:
        context.obj.say(f"  {advice}")
    context.obj.say(f"  look at {out / 'contact_sheet.png'}; every file and its fate: {out / 'index.jsonl'}")


def _drop(context: typer.Context, folders: list[str], names: list[str]) -> None:
    from artgan.datasets.collection import open_collection
    from artgan.datasets.drop import drop

    if len(folders) != 1:
        raise ConfigError("--drop leaves works out of one collection: artgan prepare collections/paintings --drop NAMES")
    left_out = drop(Path(folders[0]), names)
    opened = open_collection(Path(folders[0]))
    context.obj.say(f"{opened.folder}: {join_names(left_out)} left out; {len(opened.images)} works stay")
    context.obj.say("  a run that was trained on it goes on with the same command, and says so in its lineage")


def _check(context: typer.Context, folders: list[str]) -> None:
    from artgan.datasets.collection import damaged_rows, open_collection

    for folder in folders:
        opened = open_collection(Path(folder))
        with hearing(quiet=context.obj.quiet) as listen:
            damaged = damaged_rows(opened, listen)
        if damaged:
            named = ", ".join(damaged[:3]) + (", ..." if len(damaged) > 3 else "")
            raise DataError(
                f"collection {folder}: the pixels of {len(damaged)} pictures have changed ({named}); prepare it again"
            )
        print(f"{folder}: {len(opened.images)} pictures, all as they were prepared")


@app.command(epilog=f"Example: artgan export collections/paintings --out paintings.zip\n\n{EPILOG}")
def export(
    context: typer.Context,
    collection: Annotated[Path, typer.Argument(help="A prepared collection.")],
    out: Annotated[Path, typer.Option(help="X.zip for a StyleGAN dataset, otherwise a folder of PNGs.")],
    force: Annotated[bool, typer.Option("--force", help="Replace what is there.")] = False,
) -> None:
    """Write a collection for other trainers."""
    from artgan.datasets.collection import open_collection
    from artgan.datasets.export import export as write

    with hearing(quiet=context.obj.quiet) as listen:
        count = write(open_collection(collection), out, overwrite=force, on_progress=listen)
    context.obj.say(f"{count} pictures in {out}")
