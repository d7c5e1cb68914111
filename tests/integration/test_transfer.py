"""Starting from another model: what fits is taken, the rest is named, what stays frozen has learned."""

import json
import re

import pytest
import torch
from torch.nn import functional as F

from artgan import seeding
from artgan.config import with_values
from artgan.datasets.collection import open_collection
from artgan.datasets.prepare import prepare
from artgan.datasets.recipe import Recipe
from artgan.errors import ConfigError
from artgan.evaluation import Judge
from artgan.generation.model_folder import load_model
from artgan.models.resample import double
from artgan.training.checkpoint import load_newest
from artgan.training.loop import train
from artgan.training.session import open_session
from artgan.training.state import state_tensors
from artgan.training.transfer import check_frozen, start_from
from tests.integration.test_cli import SET, artgan, refused
from tests.integration.test_resume import TINY, assert_same, combined, for_long, run, squeezenet_weights, stop_after, tiny


def test_transfer_takes_what_fits_and_names_the_rest(collection, sources, tmp_path):
    first, _ = run(tiny(model__discriminator="fastgan"), collection, tmp_path / "first")
    prepare([sources], tmp_path / "larger", Recipe(64, 64))
    larger = open_collection(tmp_path / "larger")
    config = tiny(model__discriminator="fastgan", model__conditional=True)
    session = open_session(config, larger, tmp_path / "second")
    generator, discriminator = start_from(session, tmp_path / "first")
    assert "stages.2.convs.0.conv.weight" in generator.taken
    assert {name for name in generator.left if name.startswith("stages.3")}
    assert any("embedding" in name for name in generator.left)
    assert torch.equal(
        session.state.generator.state_dict()["stages.0.convs.0.conv.weight"],
        first.ema.state_dict()["stages.0.convs.0.conv.weight"],
    )
    assert discriminator.network == "discriminator"
    assert discriminator.taken
    assert re.search(r"colors alone at first: \d+ of \d+ tensors taken over; starting anew: \d+, ", str(generator))


NETWORKS = {"fastgan": {}, "stylegan2": {"objective.name": "nonsaturating"}, "r3gan": {"objective.name": "relativistic"}}


def config_of(network):
    return combined(
        {"model.generator": network, "model.discriminator": network, **NETWORKS[network], "training.total_kimg": 0.008}
    )


@pytest.mark.parametrize("network", NETWORKS)
def test_a_grown_generator_makes_the_same_pictures_larger(collection, sources, tmp_path, network):
    """By one doubling and by two: averages bring the small pictures back; those that double RGB itself give just that."""
    run(config_of(network), collection, tmp_path / "first")
    small = load_model(tmp_path / "first").generator
    latents = torch.from_numpy(seeding.normal(7, "test", 0, 4, small.latent_dim))
    with torch.no_grad():
        expected = small(latents)
    for side in (64, 128):
        if not (tmp_path / f"c{side}").exists():
            prepare([sources], tmp_path / f"c{side}", Recipe(side, side))
        session = open_session(config_of(network), open_collection(tmp_path / f"c{side}"), tmp_path / f"run{side}")
        generator, discriminator = start_from(session, tmp_path / "first")
        theirs, state = small.state_dict(), session.state
        carried = [name for name in theirs if network == "stylegan2" or not name.startswith("to_rgb.")]
        assert all(torch.equal(state.generator.state_dict()[name], theirs[name]) for name in carried)
        assert set(carried) == set(generator.taken)
        assert discriminator.taken
        assert discriminator.left
        assert str(generator).startswith(f"generator grown from 32x32 to {side}x{side} px, ")
        assert_same(state.ema.state_dict(), state.generator.state_dict())
        with torch.no_grad():
            large = state.ema(latents)
        if network == "fastgan":  # the mean holds before the tanh, and mirrored borders see other pixels
            back = F.avg_pool2d(torch.atanh(large.double()), side // 32)
            assert torch.allclose(back[:, :, 1:-1, 1:-1].tanh(), expected.double()[:, :, 1:-1, 1:-1], atol=1e-4)
            assert (back.tanh() - expected).abs().mean() < 0.02
        else:
            enlarged = double(expected) if side == 64 else double(double(expected))
            assert torch.allclose(large, enlarged, atol=1e-5)


def test_a_grown_run_learns_in_its_new_stages_and_resumes_exactly(collection, sources, tmp_path):
    config = tiny(model__discriminator="fastgan", training__total_kimg=0.032)
    run(with_values(config, {"training.total_kimg": 0.008}), collection, tmp_path / "first")
    prepare([sources], tmp_path / "larger", Recipe(64, 64))
    larger = open_collection(tmp_path / "larger")

    def grown(folder, stop_requested=lambda session: None):
        judge = Judge(config.evaluation.features, larger, torch.device("cpu"))
        session = open_session(config, larger, folder)
        if not session.resumed_at:
            start_from(session, tmp_path / "first")
        before = {name: x.clone() for name, x in session.state.generator.named_parameters()}
        train(session, judge, stop_requested=lambda: stop_requested(session))
        return before, session.state

    before, whole = grown(tmp_path / "whole")
    still = {name for name, x in whole.generator.named_parameters() if torch.equal(x, before[name])}
    assert not still
    grown(tmp_path / "parts", stop_after(5))
    _, resumed = grown(tmp_path / "parts")
    assert_same(state_tensors(whole), state_tensors(resumed))


def test_a_checkpoint_and_the_models_of_a_run_are_starts_too(collection, tmp_path):
    first, _ = run(tiny(model__discriminator="fastgan", training__total_kimg=0.02), collection, tmp_path / "first")
    newest = max((tmp_path / "first" / "checkpoints").iterdir())
    session = open_session(tiny(model__discriminator="fastgan"), collection, tmp_path / "second")
    generator, discriminator = start_from(session, newest)
    assert not generator.left
    assert not discriminator.left
    assert_same(session.state.ema.state_dict(), first.ema.state_dict())
    assert_same(session.state.discriminator.state_dict(), first.discriminator.state_dict())
    assert len(start_from(session, tmp_path / "first" / "model")) == 1  # a model has no discriminator


def test_pairs_of_which_nothing_good_comes_are_one_line(collection, sources, tmp_path):
    run(tiny(training__total_kimg=0.004), collection, tmp_path / "first")
    prepare([sources], tmp_path / "other", Recipe(48, 48))
    other = open_collection(tmp_path / "other")
    for index, (works, values, said) in enumerate(
        (
            (
                collection,
                {"model.generator": "r3gan"},
                r"is a fastgan generator, this run has model\.generator = 'r3gan': set ",
            ),
            (collection, {"model.width": 16}, r"has model\.width = 8, this run 16, so .* do not fit: set model\.width=8, or"),
            (
                collection,
                {"model.latent_dim": 32},
                r"model\.latent_dim = 16, this run 32, .*: set model\.latent_dim=16, or leave",
            ),
            (other, {}, r"makes 32x32 px, this run 48x48: .* prepare works at a shorter side of 32, 64, \.\.\. px, or leave"),
        )
    ):
        session = open_session(combined({**TINY, **values}), works, tmp_path / f"second-{index}")
        with pytest.raises(ConfigError, match=said) as caught:
            start_from(session, tmp_path / "first")
        assert "\n" not in str(caught.value)


def test_a_smaller_target_is_refused(collection, sources, tmp_path):
    prepare([sources], tmp_path / "larger", Recipe(64, 64))
    run(tiny(training__total_kimg=0.004), open_collection(tmp_path / "larger"), tmp_path / "first")
    session = open_session(tiny(), collection, tmp_path / "second")
    with pytest.raises(
        ConfigError, match=r"makes 64x64 px, this run 32x32: a generator can stay at its size or grow to 2, 4, "
    ):
        start_from(session, tmp_path / "first")


def test_transfer_takes_heads_only_for_the_features_they_read_and_no_statistics(collection, sources, tmp_path, monkeypatch):
    prepare([sources], tmp_path / "larger", Recipe(64, 64))
    larger = open_collection(tmp_path / "larger")
    squeezenet_weights(tmp_path / "weights", 0)
    monkeypatch.setenv("ARTGAN_WEIGHTS", str(tmp_path / "weights"))
    first, _ = run(tiny(), collection, tmp_path / "first")
    session = open_session(tiny(), larger, tmp_path / "second")
    statistics = session.state.discriminator.standardize[0].mean.clone()
    _, discriminator = start_from(session, tmp_path / "first")
    assert any(name.startswith("heads.") for name in discriminator.taken)
    assert set(discriminator.left) == {name for name in session.state.discriminator.state_dict() if "standardize" in name}
    assert torch.equal(session.state.discriminator.standardize[0].mean, statistics)
    assert not torch.equal(statistics, first.discriminator.standardize[0].mean)
    other = open_session(tiny(model__backbone="squeezenet1_1"), larger, tmp_path / "third")
    _, discriminator = start_from(other, tmp_path / "first")
    assert not discriminator.taken


def test_init_is_a_flag_and_frozen_stages_stay(collection_folder, collection, tmp_path, capsys):
    run(tiny(model__discriminator="fastgan"), collection, tmp_path / "first")
    frozen = ["--set=model.discriminator=fastgan", "--set=training.freeze_stages=1"]
    frozen += [word for word in SET if "backbone" not in word]
    words = ("train", "--collection", collection_folder, "--run", tmp_path / "second", *frozen)
    assert artgan(*words, "--init", tmp_path / "first") == 0
    assert "tensors taken over" in capsys.readouterr().out
    assert json.loads((tmp_path / "second" / "init.json").read_text())["source"] == str(tmp_path / "first")
    before, after = (load_newest(tmp_path / name / "checkpoints").tensors for name in ("first", "second"))
    stem = [name for name in before if name.startswith("discriminator.stem") and name.endswith("original")]
    assert stem
    assert all(torch.equal(before[name], after[name]) for name in stem)
    moved = [name for name in before if name.startswith("discriminator.downs") and name.endswith("original")]
    assert not any(torch.equal(before[name], after[name]) for name in moved)


def test_more_frozen_stages_than_there_are_is_refused(collection, tmp_path):
    config = tiny(model__discriminator="fastgan", training__freeze_stages=3)  # the stem, and from 32 to 16 to 8 px
    open_session(config, collection, tmp_path)
    with pytest.raises(ConfigError, match=r"freeze_stages = 4: the fastgan discriminator has 3 stages at this resolution"):
        open_session(with_values(config, {"training.freeze_stages": 4}), collection, tmp_path)


def test_what_never_learned_is_not_frozen(collection_folder, collection, sources, tmp_path, capsys):
    config = tiny(model__discriminator="fastgan")
    run(config, collection, tmp_path / "first")
    frozen = with_values(config, {"training.freeze_stages": 1})
    problem = pytest.raises(
        ConfigError, match=r"freeze_stages = 1 would keep what never learned \(stem\..*\): give --init a run"
    )
    alone = open_session(frozen, collection, tmp_path / "second")
    with problem:
        check_frozen(alone, [])
    with problem:  # a model has no discriminator
        check_frozen(alone, start_from(alone, tmp_path / "first" / "model" / "best"))
    check_frozen(alone, start_from(alone, tmp_path / "first"))
    words = ("train", "--collection", collection_folder, "--run", tmp_path / "third", "--set=training.freeze_stages=1")
    refused(capsys, 2, r"would keep what never learned", *words, "--set=model.discriminator=fastgan", "--dry-run")


@pytest.mark.parametrize("network", for_long(["fastgan", "stylegan2", "r3gan"], 2))
def test_classes_are_taken_over_by_name(sources, tmp_path, network):
    """Three classes of five, in another order of names and with a new one."""
    prepare([sources], tmp_path / "five", Recipe(32, 32))
    five = open_collection(tmp_path / "five")
    for title, folder in (("rings", five.classes[3]), ("another", five.classes[0]), ("zebra", five.classes[1])):
        name = folder if title == "rings" else title
        (tmp_path / "works" / name).mkdir(parents=True)
        for path in (sources / folder).iterdir():
            (tmp_path / "works" / name / path.name).write_bytes(path.read_bytes())
    prepare([tmp_path / "works"], tmp_path / "three", Recipe(32, 32))
    three = open_collection(tmp_path / "three")
    values = {"model.generator": network, "model.discriminator": network, "objective.name": "nonsaturating"}
    config = combined(values | {"model.conditional": True})
    run(config, five, tmp_path / "first")
    session = open_session(config, three, tmp_path / "second")
    fresh = {name: x.clone() for name, x in session.state.generator.state_dict().items()}
    transfers = start_from(session, tmp_path / "first")
    name, axis = ("mapping.embed.weight", 1) if network == "stylegan2" else ("mapping.embedding.weight", 0)
    theirs = load_model(tmp_path / "first").generator.state_dict()[name].transpose(0, axis)
    ours = session.state.generator.state_dict()[name].transpose(0, axis)
    for index, title in enumerate(three.classes):
        expected = theirs[five.classes.index(title)] if title in five.classes else fresh[name].transpose(0, axis)[index]
        assert torch.equal(ours[index], expected), title
    for transfer in transfers:
        assert [left for left in transfer.left if left.endswith("embed.weight (another, zebra)") or "embedding" in left]
        assert all("(another, zebra)" in left for left in transfer.left if "embed" in left)
