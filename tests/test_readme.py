"""Every artgan command in the documentation parses, and what it names exists."""

import re
import shlex
from pathlib import Path

import pytest
import typer

from artgan.cli import app
from artgan.config import load_config
from artgan.weights import WEIGHTS

ROOT = Path(__file__).parents[1]
PAGES = [
    ROOT / "README.md",
    ROOT / "README.zh.md",
    ROOT / "CONTRIBUTING.md",
    ROOT / "data" / "README.md",
    *sorted((ROOT / "docs").glob("*.md")),
]


def commands():
    for page in PAGES:
        for block in re.findall(r"^ *```\w*\n(.*?)^ *```", page.read_text(), re.MULTILINE | re.DOTALL):
            for line in map(str.strip, block.splitlines()):
                if line.startswith("artgan "):
                    yield page.relative_to(ROOT), line.split("  #")[0]


@pytest.mark.parametrize(("page", "line"), list(commands()), ids=str)
def test_a_documented_command_parses(page, line):
    group = typer.main.get_command(app)
    words = shlex.split(line)[1:]
    with group.make_context("artgan", words, resilient_parsing=False) as context:
        name, command, rest = group.resolve_command(context, words)
        while hasattr(command, "resolve_command"):
            with command.make_context(name, rest, parent=context) as context:
                name, command, rest = command.resolve_command(context, rest)
        with command.make_context(name, rest, parent=context) as leaf:
            values = leaf.params
    if values.get("override"):
        load_config(None, values["override"])
    if values.get("config"):
        assert (ROOT / values["config"]).is_file(), f"{page} names {values['config']}, which does not exist"
    if words[0] == "weights":
        assert set(values.get("names") or ()) <= set(WEIGHTS)


def test_the_documentation_has_commands():
    assert len(list(commands())) >= 10


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page):
    for target in re.findall(r"\]\(([^)#]+)\)", page.read_text()):
        if not target.startswith("https:"):
            assert (page.parent / target).exists(), f"{page.name} links to {target}, which does not exist"
