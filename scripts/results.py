"""Write docs/results.md from records/, or add a record.

    python scripts/results.py                  # write docs/results.md
    python scripts/results.py --check          # fail where a record is wrong or docs/results.md is not up to date
    python scripts/results.py add time-to-quality kaokore-64-seed-1 --table sets --claim "FD-768 0.41 in 20 minutes" \
        --command "./scripts/benchmark ab ..." --config configs/kaokore_cpu_64.yaml --seeds 1 --log ab/run/metrics.jsonl \
        --sheet ab/run/samples/images-00050000.png --row "set=KaoKore-64; FD-768=0.410 (0.405 to 0.415); images seen=50,848"

A record is one JSON file for one published claim: `records/TOPIC/NAME.json`. A topic is a folder with an `about.md`, the text
around its tables; a line `{{ NAME }}` in it is where the table NAME stands. Records with `rows` are rows of the table that they
name, in the order of their file names; a record without rows is a line of the list at the topic's end.
"""

import argparse
import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import textwrap
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
RECORDS = ROOT / "records"
RESULTS = ROOT / "docs" / "results.md"
WIDTH = 128
MAX_SHEET_BYTES = 150_000
MAX_LOG_BYTES = 300_000
LOGS_SINCE = "2026-11-27"  # claims older than this have no log
KEYS = {
    "claim": str,
    "command": str,
    "config": (str, type(None)),
    "commit": str,
    "hardware": str,
    "date": str,
    "seeds": list,
    "log": (str, type(None)),
    "sheet": (dict, type(None)),
}
OPTIONAL = {"table": str, "rows": list}
_INTERVAL = re.compile(r"(\S+) \((\S+) to (\S+)\)")
_NUMBER = re.compile(r"-?\d+(,\d{3})*(\.\d+)?")
_PATH_OF_A_MACHINE = re.compile(r"(?<![\w.:/])/(?:[\w.@+-]+/)+")


def read_record(path: Path) -> dict[str, Any]:
    """Return a record; numbers keep their digits, so that 0.400 stays 0.400."""
    return json.loads(path.read_text(encoding="utf-8"), parse_float=Decimal)


def problems(path: Path, record: dict[str, Any]) -> list[str]:
    """Return what is wrong with a record, a sentence each."""
    found = [f"lacks '{key}'" for key in KEYS if key not in record]
    found += [f"has the unknown key '{key}'" for key in record if key not in KEYS | OPTIONAL]
    kinds = KEYS | OPTIONAL
    found += [
        f"'{key}' is a {type(record[key]).__name__}"
        for key in record
        if key in kinds and not isinstance(record[key], kinds[key])
    ]
    if found:
        return [f"{path.name}: {problem}" for problem in found]
    if not re.fullmatch(r"[0-9a-f]{7,40}", record["commit"]):
        found.append(f"commit '{record['commit']}' is no hash")
    if not re.fullmatch(r"\d{4}-\d\d-\d\d", record["date"]):
        found.append(f"date '{record['date']}' is not YYYY-MM-DD")
    if record["config"] and not (ROOT / record["config"]).is_file():
        found.append(f"config {record['config']} does not exist")
    if record["log"] is None and record["date"] >= LOGS_SINCE:
        found.append("has no log: since 2026-11-27 every claim comes with one (add it with --log)")
    if record["log"] and not (ROOT / record["log"]).is_file():
        found.append(f"log {record['log']} does not exist")
    if ("rows" in record) != ("table" in record):
        found.append("'rows' and 'table' go together")
    if record["sheet"] is not None:
        found += _sheet_problems(record["sheet"])
    if _PATH_OF_A_MACHINE.search(json.dumps(record, default=str)):
        found.append("names a folder of a machine: write paths as a reader would type them")
    return [f"{path.relative_to(RECORDS)}: {problem}" for problem in found]


def _sheet_problems(sheet: dict[str, Any]) -> list[str]:
    if set(sheet) != {"file", "sha256"}:
        return ["'sheet' has a file and its sha256"]
    path = ROOT / sheet["file"]
    if not path.is_file():
        return [f"sheet {sheet['file']} does not exist"]
    data = path.read_bytes()
    wrong = [] if hashlib.sha256(data).hexdigest() == sheet["sha256"] else [f"sheet {sheet['file']} has another sha256"]
    return wrong + ([f"sheet {sheet['file']} has {len(data):,} bytes"] if len(data) > MAX_SHEET_BYTES else [])


def topics() -> list[Path]:
    """Return the topics' folders in the order of the page."""
    return sorted(about.parent for about in RECORDS.glob("*/about.md"))


def all_records() -> dict[Path, dict[str, Any]]:
    """Return every record by its file."""
    return {path: read_record(path) for topic in topics() for path in sorted(topic.glob("*.json"))}


def page(records: dict[Path, dict[str, Any]]) -> str:
    """Return docs/results.md."""
    head = (
        "# Results\n\n"
        "Measured numbers only. FD and KID are those of `artgan evaluate`; lower is better; intervals are 95 %. Every number\n"
        "comes from a file of [records/](../records): claim, command, configuration, commit, hardware, date, log, sheet.\n"
        "`python scripts/results.py` writes this page from them; [CONTRIBUTING](../CONTRIBUTING.md) says how to add one.\n"
    )
    return head + "".join("\n" + _topic(topic, {p: r for p, r in records.items() if p.parent == topic}) for topic in topics())


def _topic(topic: Path, records: dict[Path, dict[str, Any]]) -> str:
    tables: dict[str, dict[Path, dict[str, Any]]] = {}
    for path, record in records.items():
        if "table" in record:
            tables.setdefault(record["table"], {})[path] = record
    placed: list[str] = []

    def table(match: re.Match[str]) -> str:
        name = match[1]
        if name not in tables:
            raise SystemExit(f"{topic.name}/about.md asks for the table '{name}', which no record has")
        placed.append(name)
        return _table(tables[name])

    text = re.sub(r"^\{\{ ([\w-]+) \}\}$", table, (topic / "about.md").read_text(encoding="utf-8").strip(), flags=re.MULTILINE)
    text += "".join(f"\n\n{_table(tables[name])}" for name in tables if name not in placed)
    claims = [_claim(path, record) for path, record in records.items() if "table" not in record]
    return text + ("\n\n" + "\n".join(claims) if claims else "") + "\n"


def _table(records: dict[Path, dict[str, Any]]) -> str:
    rows = [row for record in records.values() for row in record["rows"]]
    columns = list(dict.fromkeys(key for row in rows for key in row))
    right = [all(isinstance(row.get(column) or 0, int | Decimal | dict) for row in rows) for column in columns]
    lines = [_line(columns), "|" + "|".join("---:" if side else "---" for side in right) + "|"]
    lines += [_line([cell(row.get(column, "")) for column in columns]) for row in rows]
    wide = [line for line in lines if len(line) > WIDTH]
    if wide:
        raise SystemExit(
            f"a table of {next(iter(records)).parent.name} has a line of {len(wide[0])} columns, {WIDTH} fit: {wide[0]}"
        )
    return "\n".join(lines) + "\n\n" + "\n\n".join(_sources(records))


def _line(cells: list[str]) -> str:
    return "| " + " | ".join(cells) + " |"


def cell(value: Any) -> str:
    if isinstance(value, dict):
        return f"{cell(value['value'])} ({cell(value['low'])} to {cell(value['high'])})"
    return f"{value:,}" if isinstance(value, int | Decimal) else str(value)


def _sources(records: dict[Path, dict[str, Any]]) -> list[str]:
    """Return one line for all records of a table that were taken alike, with links to each."""
    alike: dict[str, list[str]] = {}
    for path, record in records.items():
        alike.setdefault(_provenance(record), []).append(f"[{path.stem}](../{path.relative_to(ROOT).as_posix()})")
    return [_wrapped(f"<sub>{', '.join(links)}: {text}</sub>") for text, links in alike.items()]


def _provenance(record: dict[str, Any]) -> str:
    seeds = ", ".join(str(seed) for seed in record["seeds"])
    parts = [f"commit {record['commit']}", record["date"], record["hardware"]]
    parts += [f"seed{'s' if len(record['seeds']) > 1 else ''} {seeds}"] if seeds else []
    parts += [f"[log](../{record['log']})"] if record["log"] else []
    parts += [f"[sheet](../{record['sheet']['file']})"] if record["sheet"] else []
    return "; ".join(parts)


def _claim(path: Path, record: dict[str, Any]) -> str:
    link = f"[{path.stem}](../{path.relative_to(ROOT).as_posix()})"
    return _wrapped(f"- {record['claim']} <sub>{link}: {_provenance(record)}</sub>", indent="  ")


def _wrapped(text: str, indent: str = "") -> str:
    return textwrap.fill(text, WIDTH, subsequent_indent=indent, break_long_words=False, break_on_hyphens=False)


def dumps(record: dict[str, Any]) -> str:
    """Return a record as JSON in which a Decimal is a number with its digits."""
    text = json.dumps(record, indent=2, ensure_ascii=False, default=lambda value: f"\0{value}\0")
    return re.sub(r'"\\u0000(.*?)\\u0000"', r"\1", text) + "\n"


def parse_cell(text: str) -> Any:
    """Return `0.41` as a number, `0.41 (0.40 to 0.42)` as a value with its interval, anything else as text."""
    if interval := _INTERVAL.fullmatch(text):
        return {key: parse_cell(part) for key, part in zip(("value", "low", "high"), interval.groups(), strict=True)}
    if not _NUMBER.fullmatch(text):
        return text
    plain = text.replace(",", "")
    return Decimal(plain) if "." in plain else int(plain)


def parse_row(text: str) -> dict[str, Any]:
    """Return `column=value; column=value` as a row."""
    pairs = (pair.partition("=") for pair in re.split(r";\s*(?=[^;]*=)", text))
    return {key.strip(): parse_cell(value.strip()) for key, _, value in pairs}


def add(options: argparse.Namespace) -> Path:
    """Write a record of a measurement that was just taken, with its log and sheet beside it."""
    topic = next((folder for folder in topics() if options.topic in (folder.name, folder.name.partition("-")[2])), None)
    if topic is None:
        raise SystemExit(f"no topic '{options.topic}': there are {', '.join(folder.name for folder in topics())}")
    target = topic / f"{options.name}.json"
    if target.exists():
        raise SystemExit(
            f"{target.relative_to(ROOT)} is there already: numbers are not replaced, a new measurement has a new name"
        )
    record: dict[str, Any] = {"claim": options.claim}
    if options.row:
        record["table"] = options.table or topic.name.partition("-")[2]
        record["rows"] = [parse_row(row) for row in options.row]
    record |= {
        "command": options.command,
        "config": options.config,
        "commit": options.commit or _git("rev-parse", "--short=7", "HEAD"),
        "hardware": options.hardware or _hardware(),
        "date": options.date or datetime.now(UTC).date().isoformat(),
        "seeds": [int(seed) for seed in options.seeds.split(",") if seed],
        "log": _keep_log(options.log, options.name) if options.log else None,
        "sheet": _keep_sheet(options.sheet, options.name) if options.sheet else None,
    }
    if wrong := problems(target, record):
        raise SystemExit("\n".join(wrong))
    target.write_text(dumps(record), encoding="utf-8")
    return target


def _keep_log(source: Path, name: str) -> str:
    text = _PATH_OF_A_MACHINE.sub("", source.read_text(encoding="utf-8", errors="replace"))
    if len(text) > MAX_LOG_BYTES:
        raise SystemExit(
            f"{source} has {len(text):,} characters, {MAX_LOG_BYTES:,} fit: cut it to the lines that say the number"
        )
    target = RECORDS / "logs" / f"{name}{source.suffix or '.txt'}"
    target.parent.mkdir(exist_ok=True)
    target.write_text(text, encoding="utf-8")
    return target.relative_to(ROOT).as_posix()


def _keep_sheet(source: Path, name: str) -> dict[str, str]:
    if source.stat().st_size > MAX_SHEET_BYTES:
        raise SystemExit(f"{source} has {source.stat().st_size:,} bytes, {MAX_SHEET_BYTES:,} fit: save it smaller or as JPEG")
    target = RECORDS / "sheets" / f"{name}{source.suffix}"
    target.parent.mkdir(exist_ok=True)
    shutil.copyfile(source, target)
    return {"file": target.relative_to(ROOT).as_posix(), "sha256": hashlib.sha256(target.read_bytes()).hexdigest()}


def _hardware() -> str:
    info = Path("/proc/cpuinfo")
    models = re.findall(r"^model name\s*: (.*)$", info.read_text(), re.MULTILINE) if info.is_file() else []
    return f"{os.cpu_count()} cores of {models[0] if models else 'a CPU'}, no GPU used"


def _git(*words: str) -> str:
    return subprocess.run(["git", *words], cwd=ROOT, check=True, capture_output=True, text=True).stdout.strip()


def parse_options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true")
    new = parser.add_subparsers(dest="verb").add_parser("add", help="add a record")
    new.add_argument("topic")
    new.add_argument("name")
    for flag in ("--claim", "--command"):
        new.add_argument(flag, required=True)
    for flag in ("--config", "--table", "--commit", "--hardware", "--date"):
        new.add_argument(flag)
    new.add_argument("--seeds", default="")
    new.add_argument("--log", type=Path)
    new.add_argument("--sheet", type=Path)
    new.add_argument("--row", action="append", help="'column=value; column=value'; may repeat")
    return parser.parse_args()


def main() -> None:
    """Write the page, check it, or add a record and write it."""
    options = parse_options()
    if options.verb == "add":
        print(add(options).relative_to(ROOT))
    records = all_records()
    wrong = [problem for path, record in records.items() for problem in problems(path, record)]
    if wrong:
        sys.exit("\n".join(wrong))
    text = page(records)
    if options.check:
        if text != RESULTS.read_text(encoding="utf-8"):
            sys.exit("docs/results.md is not what records/ say: run python scripts/results.py")
    else:
        RESULTS.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
