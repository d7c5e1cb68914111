"""What a machine has and lacks, with the line to type."""

import importlib.util

from artgan import doctor
from tests.integration.test_cli import artgan


def test_the_doctor_names_versions_device_disk_and_every_missing_part(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("ARTGAN_WEIGHTS", str(tmp_path))
    monkeypatch.setenv("ARTGAN_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("ARTGAN_OFFLINE", raising=False)
    monkeypatch.chdir(tmp_path)
    found = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name, *rest: None if name == "av" else found(name, *rest))
    assert artgan("doctor") == 0
    said = capsys.readouterr().out
    for text in (
        "artgan ",
        "torch ",
        "device: ",
        "GB free",
        "pip install 'artgan[video]'",
        "artgan weights fetch squeezenet1_1",
    ):
        assert text in said
    assert "train: takes drawn now" in said
    assert "missing  train, evaluate: the judge: judge by --features random" in said
    assert "ok       studio" in said
    assert artgan("doctor", "--offline") == 0
    assert "put it into a folder of --weights-dir" in capsys.readouterr().out


def test_the_modules_that_the_doctor_looks_for_are_real():
    """Each stands for an extra of pyproject.toml, all of which tests install."""
    for words, module, _ in doctor._EXTRAS:
        assert importlib.util.find_spec(module) is not None, words
