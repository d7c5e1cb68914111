"""What all verbs share: global options, exit codes, one place that turns an error into a line."""

import errno
import logging
import os
import sys
import traceback
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, NoReturn

import typer
from typer.core import TyperGroup

from artgan import targets
from artgan.cli.terminal import Interrupted, enduring_streams, noted_interrupts
from artgan.errors import ArtganError, ConfigError, StorageError

EPILOG = "Global options may stand anywhere: --quiet, --debug, --offline, --weights-dir DIR (see: artgan --help)."
INTERRUPTED = 130

_ORDER = tuple(
    "prepare train evaluate sample video directions project refine studio demo export model weights info doctor".split()
)


class _InOrder(TyperGroup):
    """Lists verbs in the order in which a newcomer meets them, and says of an option to which of them it belongs."""

    def list_commands(self, ctx: object) -> list[str]:
        return sorted(self.commands, key=_ORDER.index)

    def invoke(self, ctx: Any) -> Any:
        try:
            return super().invoke(ctx)
        except Exception as error:
            unknown = getattr(error, "option_name", None)  # of the parser's NoSuchOption, which typer does not export
            having = [name for name in self.list_commands(ctx) if unknown and _has_option(self.commands[name], unknown)]
            if having and isinstance(message := getattr(error, "message", None), str):
                error.message = f"{message} here; {', '.join(having)} {'has' if len(having) == 1 else 'have'} it"  # type: ignore[attr-defined]
            raise


def _has_option(command: Any, name: str) -> bool:
    return any(name in parameter.opts for parameter in command.params)


app = typer.Typer(
    cls=_InOrder,
    add_completion=False,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)


@dataclass(frozen=True)
class Globals:
    """The options that every verb shares."""

    quiet: bool

    def say(self, text: str) -> None:
        """Print a line unless the user wants quiet."""
        if not self.quiet:
            print(text, flush=True)


def main(argv: Sequence[str] | None = None) -> None:
    """Run one command and exit with its code; a user's error is a line or two, not a traceback."""
    words = _globals_first(list(sys.argv[1:] if argv is None else argv))
    logging.basicConfig(format="%(message)s", level=logging.WARNING)
    with enduring_streams() as shown, noted_interrupts() as was_interrupted:
        try:
            _run(words)
        except SystemExit as end:
            shown.flush()
            if not end.code and shown.lost is not None:
                _fail(
                    f"the work is done, but what it said could not be written: {_of_storage(shown.lost)}",
                    StorageError.exit_code,
                    words,
                )
            raise
        except (Exception, Interrupted) as error:
            targets.leave_nothing_empty()
            if was_interrupted():
                _interrupted(words)
            _report(error, words)


def _run(words: list[str]) -> None:
    if not any("://" in word for word in words):
        app(words, prog_name="artgan")
        return
    from artgan.cli.delivery import run_delivering

    run_delivering(words, lambda words: app(words, prog_name="artgan"))


def _report(error: BaseException, words: Sequence[str]) -> NoReturn:
    if isinstance(error, ArtganError):
        _fail(str(error), error.exit_code, words)
    if isinstance(error, OSError):
        _fail(_of_storage(error), StorageError.exit_code, words)
    _fail(f"unexpected {type(error).__name__}: {error}. This is a bug; --debug shows where", 1, words)


def _of_storage(error: OSError) -> str:
    """Return an error of the system with the question that helps; one of reading is not asked about writing."""
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return f"{error}; is there space?"
    if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
        path = Path(error.filename if isinstance(error.filename, str) else "")
        return f"{error}; may you {'read' if error.errno != errno.EROFS and _is_closed(path) else 'write'} there?"
    return str(error)


def _is_closed(path: Path) -> bool:
    """Return whether this user cannot read a path, or not even get to where it lies."""
    place = next((place for place in (path, *path.parents) if os.path.lexists(place)), Path())
    return not os.access(place, os.R_OK | os.X_OK if place.is_dir() else os.R_OK)


def _interrupted(words: Sequence[str]) -> NoReturn:
    if "--debug" in words:
        traceback.print_exc()
    sys.exit(INTERRUPTED)


def _fail(message: str, exit_code: int, words: Sequence[str]) -> NoReturn:
    if "--debug" in words:
        traceback.print_exc()
    for line in message.splitlines():
        print(f"artgan: {line}", file=sys.stderr)
    sys.exit(exit_code)


def _globals_first(words: list[str]) -> list[str]:
    """Move the global options in front of the verb, so that people may write them where they think of them."""
    first: list[str] = []
    rest: list[str] = []
    waiting = iter(words)
    for word in waiting:
        if word == "--":
            rest += [word, *waiting]
        elif word in ("--quiet", "--debug", "--offline") or word.startswith("--weights-dir="):
            first.append(word)
        elif word == "--weights-dir":
            first += [word, *[value for value in [next(waiting, None)] if value is not None]]
        else:
            rest.append(word)
    return first + rest


def say_unheeded(context: typer.Context, because: str, *parameters: str) -> None:
    """Say which of a verb's parameters were given at the command line and change nothing, and why."""
    given = [
        option.opts[0]
        for option in context.command.params
        if option.name in parameters and getattr(context.get_parameter_source(option.name), "name", "") == "COMMANDLINE"
    ]
    if given:
        context.obj.say(f"note: {because}: {', '.join(given)} changes nothing")


@app.callback(epilog="Example: artgan demo")
def _global_options(
    context: typer.Context,
    quiet: Annotated[bool, typer.Option("--quiet", help="No progress, only results and errors.")] = False,
    debug: Annotated[bool, typer.Option("--debug", help="Show a traceback with an error.")] = False,
    offline: Annotated[bool, typer.Option("--offline", help="Forbid downloads.")] = False,
    weights_dir: Annotated[Path | None, typer.Option(help="Folder with pretrained weights, looked at first.")] = None,
) -> None:
    """Train a GAN on a collection of artworks, judge it, sample it, refine what it makes."""
    context.obj = Globals(quiet)
    if offline:
        os.environ["ARTGAN_OFFLINE"] = "1"
    if weights_dir is not None:
        if not weights_dir.is_dir():
            raise ConfigError(f"--weights-dir {weights_dir}: no such folder")
        os.environ["ARTGAN_WEIGHTS"] = str(weights_dir)
