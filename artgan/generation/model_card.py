"""The model card: what a model is, what it was made of, how good it is by which protocol, and what may be done with it."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from artgan.file_names import join_names
from artgan.metrics import label, shown, span
from artgan.storage import seal, write_whole

if TYPE_CHECKING:
    from artgan.generation.model_folder import Model, ModelCard

NO_RIGHTS = "The rights in the training pictures are their owners'; say here what they allow before you share this model."


def model_card(card: "ModelCard", *, rights: str = "", license_name: str = "", title: str = "") -> str:
    """Return the text of README.md.

    Args:
        card: of the model.
        rights: note on the training pictures; by default what the collection's sources state, and without that the card asks.
        license_name: as hubs name it, for the front matter.
        title: the collection's name by default.
    """
    size = f"{card.arguments.get('width_px')} x {card.arguments.get('height_px')} px"
    lines = [
        "---",
        "library_name: artgan",
        f"pipeline_tag: unconditional-image-generation\ntags: [gan, art, {card.architecture}]",
        *([f"license: {json.dumps(license_name)}"] if license_name else []),
        "---",
        f"# {title or card.collection.get('name', 'model')}",
        "",
        f"A {card.architecture} generator at {size}, trained with artgan on {card.collection.get('count')} pictures "
        f"({card.images_seen / 1000:,.0f} thousand images seen).",
        "",
        "![samples](samples.png)",
        "",
        "Sample it: `artgan sample FOLDER --out samples --seeds 0-15`",
        "",
    ]
    if card.classes:
        lines += ["Classes: " + join_names(card.classes), ""]
    lines += ["## Training pictures", ""]
    plain = {key: value for key, value in card.collection.items() if not isinstance(value, (dict, list))}
    lines += [f"- {key.replace('_', ' ')}: {value}" for key, value in plain.items()]
    stated = "; ".join(map(str, card.collection.get("rights", ())))
    lines += ["", f"Rights: {rights or stated or NO_RIGHTS}", ""]
    if card.metrics:
        lines += _measured(card.metrics)
    return "\n".join(lines)


def _measured(metrics: Mapping[str, Any]) -> list[str]:
    lines = ["## Measured", "", "| metric | value | interval | real art reaches |", "| --- | --- | --- | --- |"]
    floor = metrics.get("floor", {})
    for name, entry in metrics["metrics"].items():
        real = f"{shown(name, floor[name]['value'])} ({floor[name]['of']})" if name in floor else ""
        lines.append(f"| {label(name)} | {shown(name, entry['value'])} | {span(name, entry)} | {real} |")
    protocol = {key: value for key, value in metrics["protocol"].items() if value is not None}
    lines += ["", f"Protocol {metrics['protocol_hash'][:12]}; values compare only within the same protocol:", ""]
    lines += [f"- {key.replace('_', ' ')}: {value}" for key, value in protocol.items()]
    return [*lines, ""]


def rewrite_card(model: "Model", *, rights: str, license_name: str, title: str) -> Path:
    """Write README.md of a model folder anew, seal the folder again, and return the file."""
    path = model.folder / "README.md"
    text = model_card(model.card, rights=rights, license_name=license_name, title=title)
    write_whole(path, text)
    seal(model.folder)
    return path
