"""Every fault of the table has tests, and every test that it names is there."""

import ast
from functools import cache

import yaml

from tests.conftest import ROOT

ROWS = yaml.safe_load((ROOT / "tests" / "faults" / "rows.yaml").read_text())


@cache
def functions_of(path):
    return {node.name for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.FunctionDef)}


def test_there_are_thirty_rows_with_tests():
    assert list(ROWS) == list(range(1, 31))
    assert [number for number, row in ROWS.items() if not row["tests"]] == []


def test_the_named_tests_exist():
    named = [test.split("::") for row in ROWS.values() for test in row["tests"]]
    missing = [
        f"{file}::{name}" for file, name in named if not (ROOT / file).is_file() or name not in functions_of(ROOT / file)
    ]
    assert missing == []


def test_every_test_of_this_folder_belongs_to_a_row():
    named = {test for row in ROWS.values() for test in row["tests"]}
    files = {test.split("::")[0] for test in named}
    here = {path.relative_to(ROOT).as_posix() for path in (ROOT / "tests" / "faults").glob("test_*.py")}
    assert here - files - {"tests/faults/test_rows.py"} == set()
