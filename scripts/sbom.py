"""Write a software bill of materials of this environment: its packages (by cyclonedx-bom), and the networks that artgan knows.

    python scripts/sbom.py sbom.json

A network is a component of its own, with the sha256 that artgan holds it to, its license and where it is from.
"""

import json
import subprocess
import sys
from pathlib import Path

from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator

from artgan.weights import WEIGHTS

ROOT = Path(__file__).parents[1]


def networks() -> list[dict]:
    """Return the networks of artgan's table as components."""
    return [
        {
            "type": "machine-learning-model",
            "bom-ref": f"weights/{name}",
            "name": name,
            "description": f"used by {entry.used_by}; " + ("fetched when asked for" if entry.url else "ships with artgan"),
            "hashes": [{"alg": "SHA-256", "content": entry.sha256}],
            "licenses": [{"license": {"name": entry.license}}],
            **({"externalReferences": [{"type": "distribution", "url": entry.url}]} if entry.url else {}),
        }
        for name, entry in WEIGHTS.items()
    ]


def bill() -> str:
    """Return the bill as JSON, checked against the schema.

    Raises:
        SystemExit: it does not fit the schema.
    """
    words = ["environment", "--output-reproducible", "--spec-version", "1.6", "--output-format", "JSON"]
    words += ["--pyproject", str(ROOT / "pyproject.toml"), sys.executable]
    made = subprocess.run([sys.executable, "-m", "cyclonedx_py", *words], check=True, capture_output=True, text=True).stdout
    content = json.loads(made)
    content["components"] = sorted([*content["components"], *networks()], key=lambda component: component["bom-ref"])
    text = json.dumps(content, indent=2) + "\n"
    if problem := JsonStrictValidator(SchemaVersion.V1_6).validate_str(text):
        raise SystemExit(f"the bill of materials does not fit its schema: {problem}")
    return text


if __name__ == "__main__":
    text = bill()
    Path(sys.argv[1]).write_text(text, encoding="utf-8")
    print(f"{len(json.loads(text)['components'])} components in {sys.argv[1]}")
