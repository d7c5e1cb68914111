"""artgan's commands, run in this process: the one interface that stays while code moves between commits."""

import contextlib
import io


def artgan(*words: object) -> tuple[int, str, str]:
    """Run one command; return its exit code and what it printed."""
    from artgan.cli import main

    out, err = io.StringIO(), io.StringIO()
    code: object = 0
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try:
            main([str(word) for word in words])
        except SystemExit as ended:
            code = ended.code
    return int(str(code or 0)), out.getvalue(), err.getvalue()


def made(*words: object) -> str:
    """Run one command that must succeed, and return what it printed."""
    code, out, err = artgan(*words)
    if code:
        raise SystemExit(f"artgan {' '.join(map(str, words))}: exit code {code}\n{err}")
    return out
