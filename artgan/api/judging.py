"""How good pictures are, and what stands out."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from artgan import arguments
from artgan.api.given import opened
from artgan.api.models import load_model
from artgan.backbones import DEFAULT_FEATURES, check_features
from artgan.datasets.collection import Collection
from artgan.errors import DataError
from artgan.metrics import groups
from artgan.progress import Listener, silent

if TYPE_CHECKING:
    from artgan.generation.model_folder import Model

NUM_JUDGED = 2000  # samples of a model, unless asked otherwise


@dataclass(frozen=True)
class Evaluation:
    """What was measured; `print` shows it as `artgan evaluate` does.

    Attributes:
        line: the metrics line: protocol, values with intervals, floors, warnings, as JSON has it.
    """

    line: Mapping[str, Any]

    @property
    def values(self) -> dict[str, float]:
        """The value of each metric by name, such as `fd` and `kid`; `artgan.evaluation.words` says what each means."""
        return {name: entry["value"] for name, entry in self.line["metrics"].items()}

    @property
    def verdict(self) -> str:
        """How the pictures stand and what to do next, in a sentence or two with the numbers that they rest on."""
        from artgan.evaluation.verdict import standing_of_line

        return str(standing_of_line(self.line))

    def __str__(self) -> str:
        from artgan.evaluation import describe

        return "\n".join(describe(self.line))


def evaluate(
    target: "Model | str | os.PathLike[str]",
    collection: Collection | str | os.PathLike[str],
    *,
    features: str = DEFAULT_FEATURES,
    metrics: Sequence[str] = groups(),
    also: Sequence[str] = (),
    num_generated: int | None = None,
    truncation: float = 1.0,
    device: str = "auto",
    on_progress: Listener = silent,
) -> Evaluation:
    """Measure how close pictures are to a collection's training split, and whether they copy it.

    Args:
        target: a model, or the folder of a model, a run or pictures.
        collection: to compare with, open or its folder.
        features: the judge's space, such as `inception-768`, `inception-2048`, `dinov2-b14`; `random` needs no weights.
        metrics: groups of metrics, such as `distances` and `copying`; by default all.
        also: other feature spaces to compare distances in.
        num_generated: pictures to judge; by default 2000 of a model, all of a folder.
        truncation: of a model's samples.
        device: `auto`, `cpu`, `cuda` or `cuda:1`.
        on_progress: told about long work.

    Raises:
        ConfigError: no such features or metric, a value out of range, or features that the run was trained against.
        DataError: no such folder, or fewer than two pictures.
        WeightsError: the judge's weights are not available.
    """
    from artgan.devices import choose_device
    from artgan.evaluation import Judge, check_independent_of, measure, subjects
    from artgan.evaluation.spaces import add_spaces
    from artgan.generation.model_folder import Model, is_model_or_run

    check_features(features)
    for name in metrics:
        arguments.choice("metrics", name, groups())
    arguments.number("truncation", truncation, 0, 2)
    if num_generated is not None:
        arguments.number("num_generated", num_generated, 2, 1_000_000)
    known, place = opened(collection), choose_device(device)
    if not isinstance(target, Model) and not Path(target).exists():
        raise DataError(f"{target}: no such run, model or folder of pictures")
    if isinstance(target, Model) or is_model_or_run(Path(target)):
        model = target if isinstance(target, Model) else load_model(target, device=device)
        check_independent_of(features, model.folder)
        count, conditional = num_generated or NUM_JUDGED, bool(model.card.classes)
        subject = subjects.generator_subject(known, model.generator, count, truncation, conditional=conditional)
        place = model.space.device
    else:
        subject = subjects.folder_subject(known, Path(target), num_generated)
    judge = Judge(features, known, place)
    verdict = measure.evaluate(judge, subject, metrics, on_progress=on_progress)
    if also:
        add_spaces(verdict.line, subject, known, also, judge, on_progress=on_progress)
    return Evaluation(verdict.line)
