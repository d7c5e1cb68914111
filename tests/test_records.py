"""Every published number is a record: well formed, with its log and sheet, and docs/results.md says nothing else."""

import hashlib
import importlib.util
import json
import re

import pytest

from tests.conftest import ROOT

_spec = importlib.util.spec_from_file_location("results", ROOT / "scripts" / "results.py")
results = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(results)
RECORDS = results.all_records()
SOUND = {
    "claim": "FD-768 0.41",
    "command": "artgan evaluate runs/first --collection collections/paintings",
    "config": "configs/kaokore_cpu_64.yaml",
    "commit": "4e9eb49",
    "hardware": "2 cores",
    "date": "2026-11-22",
    "seeds": [0],
    "log": None,
    "sheet": None,
}


def test_records_are_well_formed():
    assert len(RECORDS) >= 50
    assert [problem for path, record in RECORDS.items() for problem in results.problems(path, record)] == []


def test_every_log_and_sheet_belongs_to_a_record():
    named = {record["log"] for record in RECORDS.values()} | {
        (record["sheet"] or {}).get("file") for record in RECORDS.values()
    }
    kept = [path.relative_to(ROOT).as_posix() for name in ("logs", "sheets") for path in (results.RECORDS / name).iterdir()]
    assert kept
    assert set(kept) - named == set()


def test_the_page_is_what_the_records_say():
    text = (ROOT / "docs" / "results.md").read_text()
    assert text == results.page(RECORDS), "run: python scripts/results.py"
    assert [line for line in text.splitlines() if len(line) > 128] == []


@pytest.mark.parametrize(
    ("changed", "problem"),
    [
        ({"claim": None}, "'claim' is a NoneType"),
        ({"comit": "4e9eb49"}, "unknown key 'comit'"),
        ({"commit": "newest"}, "is no hash"),
        ({"date": "22 November"}, "not YYYY-MM-DD"),
        ({"date": "2027-01-01"}, "has no log"),
        ({"config": "configs/nowhere.yaml"}, "does not exist"),
        ({"command": "artgan info " + "/srv/art/run"}, "a folder of a machine"),
        ({"sheet": {"file": "docs/demo-samples.jpg", "sha256": "0" * 64}}, "another sha256"),
        ({"rows": []}, "go together"),
    ],
)
def test_a_wrong_record_is_refused(changed, problem):
    path = results.RECORDS / "topic" / "name.json"
    assert results.problems(path, SOUND) == []
    assert any(problem in line for line in results.problems(path, SOUND | changed))


def test_numbers_keep_their_digits():
    row = results.parse_row("set=KaoKore; FD=0.400 (0.390 to 0.410); images=150,848; note=two; seeds; KID=0.50")
    assert list(row) == ["set", "FD", "images", "note", "KID"]
    assert [results.cell(value) for value in row.values()] == [
        "KaoKore",
        "0.400 (0.390 to 0.410)",
        "150,848",
        "two; seeds",
        "0.50",
    ]
    assert json.loads(results.dumps({"rows": [row]}))["rows"][0]["FD"] == {"value": 0.4, "low": 0.39, "high": 0.41}


def test_adding_keeps_log_and_sheet_without_paths_of_the_machine(tmp_path, monkeypatch):
    monkeypatch.setattr(results, "ROOT", tmp_path)
    monkeypatch.setattr(results, "RECORDS", tmp_path / "records")
    topic = tmp_path / "records" / "10-time-to-quality"
    topic.mkdir(parents=True)
    (topic / "about.md").write_text("## Time\n")
    log, sheet = tmp_path / "metrics.txt", tmp_path / "sheet.png"
    log.write_text("run " + "/srv/someone/runs/first" + " fd 0.41\n")
    sheet.write_bytes((ROOT / "tests" / "__init__.py").read_bytes())
    words = "add time-to-quality run-1 --claim x --command y --commit 4e9eb49 --hardware z".split()
    monkeypatch.setattr("sys.argv", ["results.py", *words, "--row", "FD=0.41", "--log", str(log), "--sheet", str(sheet)])
    path = results.add(results.parse_options())
    record = results.read_record(path)
    assert results.problems(path, record) == []
    assert (tmp_path / record["log"]).read_text() == "run first fd 0.41\n"
    assert record["sheet"]["sha256"] == hashlib.sha256(sheet.read_bytes()).hexdigest()
    assert record["table"] == "time-to-quality"
    with pytest.raises(SystemExit, match="a new measurement has a new name"):
        results.add(results.parse_options())


def test_decisions_carry_date_and_commit():
    entries = re.split(r"^- ", (ROOT / "docs" / "decisions.md").read_text(), flags=re.MULTILINE)[1:]
    texts = [" ".join(entry.split("\n## ")[0].split()) for entry in entries]
    dated = re.compile(r"20\d\d-\d\d-\d\d.*\b[0-9a-f]{7}\b")
    assert [text[:60] for text in texts if not dated.search(text)] == []
