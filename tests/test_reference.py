"""docs/reference.md says what the program says."""

import importlib.util

from tests.conftest import ROOT

_spec = importlib.util.spec_from_file_location("reference", ROOT / "scripts" / "reference.py")
reference = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(reference)


def test_the_reference_is_what_the_program_says():
    assert (ROOT / "docs" / "reference.md").read_text() == reference.page(), "run: python scripts/reference.py"


def test_every_key_has_a_word_and_a_default():
    lines = [line for line in reference.page().splitlines() if line.startswith("- `") and "default" in line]
    assert len(lines) > 60
    assert [line for line in lines if line.rstrip().endswith("):")] == []
    assert "- `training.freeze_stages` (whole number from 0, default `0`)" in reference.page()
