import json
from pathlib import Path

import pytest
import yaml

from artgan.config import ResolvedConfig, RunConfig, config_from_dict, dump_config, json_schema, load_config, with_values
from artgan.errors import ConfigError
from artgan.models import GENERATORS
from artgan.schema.strict_yaml import find_document
from artgan.training.resolve import resolve_config


def write(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "run.yaml"
    path.write_text(text)
    return path


def error_of(tmp_path, text, overrides=()):
    with pytest.raises(ConfigError) as caught:
        load_config(write(tmp_path, text), overrides)
    return str(caught.value)


def test_a_file_holds_differences_only(tmp_path):
    config = load_config(write(tmp_path, "seed: 7\ntraining:\n  batch_size: 8\n"))
    assert (config.seed, config.training.batch_size) == (7, 8)
    assert config.training.total_kimg == RunConfig().training.total_kimg


def test_an_override_sets_one_leaf_and_leaves_its_siblings(tmp_path):
    path = write(tmp_path, "training:\n  batch_size: 8\n  total_kimg: 9\n")
    config = load_config(path, ["training.batch_size=4"])
    assert (config.training.batch_size, config.training.total_kimg) == (4, 9)


def test_all_mistakes_come_at_once_with_place_and_hint(tmp_path):
    text = "seeed: 3\ntraining:\n  bach_size: 3\n  discriminator_lr: fast\nmodel:\n  generator: fastgn\n"
    message = error_of(tmp_path, text, ["model.width=2.5"])
    assert "run.yaml:1: unknown key 'seeed' (did you mean 'seed'?)" in message
    assert "run.yaml:3: unknown key 'training.bach_size' (did you mean 'batch_size'?)" in message
    assert "run.yaml:4: training.discriminator_lr = 'fast': expected a number above 0" in message
    assert "run.yaml:6: model.generator: unknown generator 'fastgn' (did you mean 'fastgan'?)" in message
    assert "--set model.width=2.5: expected a whole number of 1 or more" in message


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ("seed: 1\nseed: 2\n", "run.yaml:2: key 'seed' stands twice, first at"),
        ("a: &x 1\nb: *x\n", "run.yaml:2: aliases are not allowed"),
        ("seed: !!python/object/apply:os.system ['true']\n", "run.yaml:1: could not determine a constructor"),
        ("- 1\n- 2\n", "expected `key: value` lines, got something else"),
        ("seed: [1\n", "run.yaml:2"),
        ("\tseed: 1\n", "run.yaml:1"),
        ("[1]: 2\n", "a key must be a plain word"),
        ("training:\n  sample_every_kimg: 0.7\n", "must be a multiple of training.log_every_kimg"),
        ("training:\n  log_every_kimg: 0.0004\n", "training.log_every_kimg = 0.0004: expected a number from 0.001 to"),
        ("training:\n  sample_every_kimg: 0.0004\n", "training.sample_every_kimg = 0.0004: expected a number from 0.001"),
        ("training:\n  log_every_kimg: 0.0015\n  sample_every_kimg: 0.003\n", "must be a multiple of training.log_every"),
        ("training:\n  batch_size: 0\n", "training.batch_size = 0: expected a whole number of 1 or more"),
        ("training:\n  device: tpu\n", "training.device = 'tpu': expected a text such as auto, cpu, cuda, cuda:1"),
        ("training:\n  total_kimg: .nan\n", "total_kimg"),
        ("model: 3\n", "model = 3: expected keys with values below it"),
        ("seed: true\n", "seed = True: expected a whole number from 0 to 2^63 - 1"),
        ("x" * (1 << 21), "larger than 1 MB"),
    ],
)
def test_what_is_not_plain_is_refused_with_its_line(tmp_path, text, part):
    assert part in error_of(tmp_path, text)


def test_numbers_are_read_as_people_write_them(tmp_path):
    config = load_config(write(tmp_path, "training:\n  generator_lr: 2e-3\n  adam_betas: [0, 0.9]\n"))
    assert config.training.generator_lr == 0.002
    assert config.training.adam_betas == (0.0, 0.9)
    assert all(type(beta) is float for beta in config.training.adam_betas)


def test_a_missing_file_and_a_bad_override_say_what_to_do(tmp_path):
    with pytest.raises(ConfigError, match="no such file"):
        load_config(tmp_path / "missing.yaml")
    with pytest.raises(ConfigError, match="expected key=value"):
        load_config(None, ["training.batch_size"])
    with pytest.raises(ConfigError, match="'seed' is a value, not a section"):
        load_config(write(tmp_path, "seed: 1\n"), ["seed.x=1"])


def test_the_resolved_config_round_trips(tmp_path):
    config = with_values(RunConfig(), {"seed": 3, "augment.policies": ["cutout"]})
    assert load_config(write(tmp_path, dump_config(config))) == config
    assert config_from_dict(config.model_dump(mode="json"), "test") == config


def test_a_resolved_config_leaves_nothing_open_and_is_written_as_any_other(tmp_path):
    """Code that trains takes the resolved type; files and checkpoints keep the keys and the order that they always had."""
    for generator in GENERATORS:
        resolved = resolve_config(with_values(RunConfig(), {"model.generator": generator, "model.backbone": "random"}), 64, 48)
        assert type(resolved) is ResolvedConfig
        values = resolved.model_dump(mode="json")
        left_open = [f"{name}.{key}" for name in ("model", "objective") for key, value in values[name].items() if value is None]
        assert left_open == []
        assert json.dumps(values) == json.dumps(load_config(write(tmp_path, dump_config(resolved))).model_dump(mode="json"))
        assert with_values(resolved, {"seed": 3}).seed == 3
    with pytest.raises(ConfigError, match=r"training\.generator_lr = None: expected a number above 0"):
        with_values(resolved, {"training.generator_lr": None})


def test_the_schema_describes_every_key():
    schema = json_schema()
    for section in ("training", "model", "evaluation"):
        for key in getattr(RunConfig(), section).model_dump():
            assert f'"{key}"' in schema


@pytest.mark.parametrize("path", sorted(Path(__file__).parents[2].glob("configs/*.yaml")), ids=lambda path: path.name)
def test_every_shipped_config_loads_and_promises(path):
    load_config(path)
    header = [line for line in path.read_text().splitlines() if line.startswith("#")]
    for promise in ("Command:", "Hardware:", "Time:", "Expect:"):
        assert any(promise in line for line in header), f"{path.name} has no '{promise}' in its header"
    assert yaml.safe_load(path.read_text())


def test_a_document_is_found_by_path_or_name_and_a_folder_of_that_name_is_not_meant(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "painterly").mkdir()
    assert find_document("painterly", "refine").name == "painterly.yaml"
    own = write(tmp_path, "seed: 1\n")
    assert find_document(own) == own
    with pytest.raises(ConfigError, match=r"kaokore: no such file \(did you mean 'kaokore_cpu_64'\?\)"):
        find_document("kaokore")
