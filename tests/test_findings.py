"""Findings are what findings/README.md promises; they are not run here, since they install packages."""

import os
import re

import pytest

from tests.conftest import ROOT

SCRIPTS = sorted((ROOT / "findings").glob("*.sh"))


def test_all_are_listed():
    page = (ROOT / "findings" / "README.md").read_text()
    assert len(SCRIPTS) >= 5
    assert [path.name for path in SCRIPTS if f"{path.name})" not in page and f"]: {path.name}" not in page] == []


@pytest.mark.parametrize("path", SCRIPTS, ids=lambda path: path.stem)
def test_a_finding_is_pinned_leaves_nothing_and_can_fail(path):
    text = path.read_text().replace("\\\n", " ")
    assert text.startswith(("#!/bin/sh\n", "#!/bin/bash\n", "#!/usr/bin/env bash\n"))
    assert os.access(path, os.X_OK)
    packages = re.findall(r"pip install [^\n]*", text)
    assert packages
    assert all(re.fullmatch(r"-\S+|\S+==\S+", word) for line in packages for word in line.split()[2:])
    assert "mktemp -d" in text
    assert "trap 'rm -rf" in text
    assert "artgan" not in text
    assert all(f"# {part}:" in text for part in ("Seen with", "Expected", "Seen", "Way out"))
    assert "assert " in text or "exit 1" in text
