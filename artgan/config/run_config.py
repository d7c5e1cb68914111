"""The run configuration: its sections together, from a file, from `--set key=value`, or from what a run kept."""

import copy
import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Annotated, Any, TypeVar

import yaml
from pydantic import Field, model_validator

from artgan.config.sections import AugmentConfig, EvaluationConfig, ModelConfig, ObjectiveConfig, TrainingConfig
from artgan.config.together import FORMER_DEFAULTS, problems
from artgan.schema.reader import Section, check_values, parse_settings, read
from artgan.schema.strict_yaml import Document, parse_document

_EXAMPLE = "training.batch_size=16"


class RunConfig(Section):
    """Everything that determines a run, besides the collection."""

    seed: Annotated[int, Field(ge=0, lt=2**63)] = 0
    """All random numbers follow from it."""
    model: ModelConfig = ModelConfig()
    objective: ObjectiveConfig = ObjectiveConfig()
    augment: AugmentConfig = AugmentConfig()
    training: TrainingConfig = TrainingConfig()
    evaluation: EvaluationConfig = EvaluationConfig()

    @model_validator(mode="after")
    def _intervals_meet(self) -> "RunConfig":
        """A sheet, a metric or a checkpoint must fall on a log point, where a breakdown would just have been noticed."""
        training = self.training
        for name in ("sample_every_kimg", "evaluate_every_kimg", "checkpoint_every_kimg"):
            if round(getattr(training, name) * 1000) % round(training.log_every_kimg * 1000):  # in images, as they are counted
                raise ValueError(
                    f"training.{name} = {getattr(training, name):g} must be a multiple of training.log_every_kimg = "
                    f"{training.log_every_kimg:g}"
                )
        return self

    @model_validator(mode="after")
    def _parts_go_together(self) -> "RunConfig":
        """Refuse what cannot work, with the reason, and all of it at once."""
        if found := problems(self.model, self.objective, self.augment, self.training):
            raise ValueError("; ".join(found))
        return self


C = TypeVar("C", bound=RunConfig)


def load_config(path: Path | None, overrides: Iterable[str] = ()) -> RunConfig:
    """Read a YAML file (None: all defaults) and apply `key=value` overrides.

    Raises:
        ConfigError: the file is missing, is not plain YAML, or some values are wrong; one message names all of them, each
            with file and line, dotted path, what was expected and what was got.
    """
    document = parse_document(path) if path else Document({}, {}, "")
    return read(RunConfig, document, *parse_settings(overrides, _EXAMPLE))


def check_overrides(overrides: Iterable[str]) -> None:
    """Check each override by itself; whether it goes with the others is known only beside a whole configuration.

    Raises:
        ConfigError: some are wrong; one message names all of them.
    """
    check_values(RunConfig, *parse_settings(overrides, _EXAMPLE))


def config_from_dict(data: Mapping[str, Any], source: str) -> RunConfig:
    """Check a configuration that artgan wrote itself, such as a checkpoint's; `source` names it in errors.

    What it lacks of `FORMER_DEFAULTS` is as it was.
    """
    whole = copy.deepcopy(dict(data))
    for key, value in FORMER_DEFAULTS.items():
        section, _, name = key.partition(".")
        if isinstance(whole.get(section), dict):
            whole[section].setdefault(name, value)
    return read(RunConfig, Document(whole, {}, source))


def dump_config(config: RunConfig) -> str:
    """Return the whole resolved configuration as YAML."""
    return yaml.safe_dump(config.model_dump(mode="json"), sort_keys=False)


def json_schema() -> str:
    """Return the JSON schema that editors complete and check from."""
    return json.dumps(RunConfig.model_json_schema(), indent=2)


def with_values(config: C, values: Mapping[str, Any]) -> C:
    """Return a copy with some leaves set, each by its dotted path."""
    return read(type(config), Document(config.model_dump(mode="json"), {}, ""), values)
