"""Every wrong turn on the command line: its exit code and its one clear line."""

import json
import shutil
from pathlib import Path

import pytest
import torch
from PIL import Image
from safetensors.torch import load_file, save_file

from artgan.datasets.synthetic import draw_work
from artgan.storage import seal
from tests.conftest import needs_weights
from tests.integration.test_cli import SET, artgan, refused


def test_unknown_config_key(collection_folder, tmp_path, capsys):
    (tmp_path / "run.yaml").write_text("training:\n  bach_size: 4\n")
    words = ("train", tmp_path / "run.yaml", "--collection", collection_folder, "--run", tmp_path / "run")
    refused(capsys, 2, r"run.yaml:2: unknown key 'training.bach_size' \(did you mean 'batch_size'\?\)", *words)


def test_wrong_type(collection_folder, tmp_path, capsys):
    words = ("train", "--collection", collection_folder, "--run", tmp_path / "run", "--set", "training.batch_size=many")
    refused(capsys, 2, "--set training.batch_size=many: expected a whole number of 1 or more", *words)


def test_missing_options(capsys, tmp_path):
    refused(capsys, 2, "train needs --collection", "train", "--run", tmp_path)
    refused(capsys, 2, "train needs --run", "train", "--collection", tmp_path)
    refused(capsys, 2, "--minutes -1: expected", "train", "--collection", tmp_path, "--run", tmp_path, "--minutes", "-1")


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (("train", "--resolution", "128"), "No such option: --resolution here; prepare has it"),
        (("prepare", "--truncation", "1"), "No such option: --truncation here; evaluate, sample, video"),
        (("train", "--zzz"), "No such option: --zzz"),
    ],
)
def test_an_option_of_another_verb_says_whose_it_is(words, line, capsys):
    assert artgan(*words) == 2
    assert line in capsys.readouterr().err


def test_a_refused_verb_leaves_no_empty_folder(tmp_path, capsys):
    (tmp_path / "mine").mkdir()
    for out in (tmp_path / "new" / "samples", tmp_path / "mine"):
        refused(capsys, 4, "no such folder", "sample", tmp_path / "frist", "--out", out)
    assert [path.name for path in tmp_path.iterdir()] == ["mine"]


def test_a_configuration_by_a_wrong_name(collection_folder, tmp_path, capsys):
    words = ("train", "kaokore", "--collection", collection_folder, "--run", tmp_path / "run")
    refused(
        capsys, 2, r"kaokore: no such file \(did you mean 'kaokore_cpu_64'\?\); by name there are those of artgan: ", *words
    )


def test_missing_collection(tmp_path, capsys):
    words = ("train", "--collection", tmp_path / "missing", "--run", tmp_path / "run")
    refused(capsys, 3, "collection .*missing does not exist. Make one with: artgan prepare", *words)


def test_collection_of_another_resolution(own_run, sources, tmp_path, capsys):
    assert artgan("prepare", sources, "--out", tmp_path / "larger", "--resolution", "64", "--quiet") == 0
    words = ("train", "--collection", tmp_path / "larger", "--run", own_run, "--quiet")
    refused(capsys, 4, "was trained at 32x32 px, the collection .*larger has 64x64 px", *words)


def test_truncated_checkpoint(own_run, collection_folder, capsys):
    newest = sorted((own_run / "checkpoints").iterdir())[-1] / "state.safetensors"
    newest.write_bytes(newest.read_bytes()[:1000])
    words = ("train", "--collection", collection_folder, "--run", own_run, "--quiet")
    refused(capsys, 4, r"state.safetensors is damaged: it has 1000 bytes.*delete .* to go on from images-", *words)


def test_checkpoint_of_other_networks(own_run, collection_folder, capsys):
    newest = sorted((own_run / "checkpoints").iterdir())[-1]
    tensors = load_file(newest / "state.safetensors")
    del tensors["generator.base.weight"]
    save_file(tensors, newest / "state.safetensors")
    seal(newest)
    words = ("train", "--collection", collection_folder, "--run", own_run, "--quiet")
    refused(capsys, 4, "does not fit this configuration: 1 tensors differ, first generator.base.weight", *words)


def test_empty_folder(tmp_path, capsys):
    (tmp_path / "empty").mkdir()
    refused(capsys, 3, "no files in .*empty", "prepare", tmp_path / "empty", "--out", tmp_path / "out")


def test_too_many_rejects(tmp_path, capsys):
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "text.jpg").write_text("text")
    refused(
        capsys, 3, "1 of 1 files rejected, more than --max-reject 0.5", "prepare", tmp_path / "a", "--out", tmp_path / "out"
    )


@pytest.mark.parametrize(
    ("words", "pattern"),
    [
        (("--resolution", "huge"), "--resolution huge: expected a side from 8 to 4096 px"),
        (("--resolution", "4"), "--resolution 4: expected"),
        (("--fit", "crob"), r"--fit crob \(did you mean 'crop'\?\): expected one of crop, pad"),
        (("--matte", "white"), "--matte white: expected a color such as #ffffff"),
        (("--holdout", "2"), "--holdout 2: expected a number from 0 to 0.9"),
        (("--max-reject", "nan"), "--max-reject nan: expected a number from 0 to 1"),
    ],
)
def test_wrong_prepare_options(words, pattern, tmp_path, capsys):
    refused(capsys, 2, pattern, "prepare", tmp_path, "--out", tmp_path / "out", *words)


def test_an_existing_collection_stays(sources, own_collection, capsys):
    refused(
        capsys,
        3,
        "exists already: choose another --out, or replace it with --force",
        "prepare",
        sources,
        "--out",
        own_collection,
    )


def test_output_folder_that_exists(trained, tmp_path, capsys):
    (tmp_path / "mine.txt").write_text("mine")
    refused(capsys, 2, "the folder is not empty; choose another, or add --force", "sample", trained, "--out", tmp_path)
    refused(capsys, 2, "mine.txt: is a file; give a folder", "sample", trained, "--out", tmp_path / "mine.txt")
    assert (tmp_path / "mine.txt").read_text() == "mine"


@pytest.mark.parametrize(
    ("seeds", "pattern"),
    [
        ("x", "cannot read 'x'"),
        ("5-3", "a range goes upwards"),
        ("0-99999999999", "cannot read"),
        ("0-4294967295", "more than 100,000 at once"),
        ("4294967296", "ends at 4294967295 at most"),
    ],
)
def test_wrong_seeds(seeds, pattern, trained, tmp_path, capsys):
    refused(capsys, 2, pattern, "sample", trained, "--out", tmp_path / "out", "--seeds", seeds)


def test_wrong_models(trained, own_run, tmp_path, capsys):
    refused(capsys, 4, "model .*missing: no such folder", "sample", tmp_path / "missing", "--out", tmp_path / "o1")
    (tmp_path / "nothing").mkdir()
    refused(capsys, 4, "is neither a model folder", "sample", tmp_path / "nothing", "--out", tmp_path / "o2")
    refused(
        capsys,
        2,
        "the model's classes are none: the model is unconditional",
        "sample",
        trained,
        "--out",
        tmp_path / "o3",
        "--class",
        "cats",
    )
    weights = own_run / "model" / "best" / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1])
    refused(capsys, 4, "model.safetensors is damaged", "sample", own_run, "--out", tmp_path / "o4")


def test_hostile_model_config(own_run, tmp_path, capsys):
    best = own_run / "model" / "best"
    config = json.loads((best / "config.json").read_text())
    for change in (
        {"architecture": "os.system"},
        {"arguments": {"x": 1}},
        {"arguments": {**config["arguments"], "width": 9}},
        {"classes": 3},
    ):
        (best / "config.json").write_text(json.dumps(config | change))
        seal(best)
        refused(capsys, 4, "does not fit its config.json", "sample", own_run, "--out", tmp_path / "out")


def test_style_image_that_is_not_an_image(tmp_path, capsys):
    (tmp_path / "style.jpg").write_text("not an image")
    draw_work("circles", 1, 1, side_px=40).save(tmp_path / "a.png")
    words = ("refine", tmp_path / "a.png", "--style", tmp_path / "style.jpg", "--out", tmp_path / "out", "--backbone", "random")
    refused(capsys, 3, "style.jpg: not a picture of a known format", *words)
    assert not (tmp_path / "out").exists()


def test_wrong_refine_options(style, tmp_path, capsys):
    base = ("refine", style, "--out", tmp_path / "out")
    refused(capsys, 2, "refine needs --style PICTURE", *base)
    refused(capsys, 2, "--strength 2: expected a number from 0 to 1", *base, "--style", style, "--strength", "2")
    refused(capsys, 2, "unknown backbone 'vgg20'", *base, "--style", style, "--backbone", "vgg20")
    refused(capsys, 2, "--color match needs --palette", *base, "--engine", "none", "--color", "match")
    refused(capsys, 2, "has no layer 'stage9'", *base, "--style", style, "--backbone", "random", "--style-layers", "stage9")
    refused(
        capsys, 3, "no such picture or folder", "refine", tmp_path / "none.png", "--style", style, "--out", tmp_path / "out"
    )


def test_a_tiny_picture_cannot_be_stylized(style, tmp_path, capsys):
    Image.new("RGB", (5, 5)).save(tmp_path / "tiny.png")
    words = ("refine", tmp_path / "tiny.png", "--style", style, "--backbone", "random", "--out", tmp_path / "out")
    refused(capsys, 3, "tiny.png is 5x5 px: style needs a short side of at least 32 px", *words)


def test_weights_that_are_not_at_hand(style, collection_folder, trained, tmp_path, capsys, no_weights):
    words = ("refine", style, "--style", style, "--out", tmp_path / "out")
    refused(capsys, 4, "no weights for vgg19", *words, "--backbone", "vgg19")
    judged = ("evaluate", trained, "--collection", collection_folder)
    refused(capsys, 4, "no weights for inception_fid_2015", *judged)
    config = ("train", "--collection", collection_folder, "--run", tmp_path / "run", *SET, "--set=model.backbone=squeezenet1_1")
    (tmp_path / "c.yaml").write_text("model:\n  discriminator: projected\n")
    refused(capsys, 4, "no weights for squeezenet1_1", config[0], tmp_path / "c.yaml", *config[1:])
    refused(capsys, 4, "offline mode forbids downloads", "weights", "fetch", "vgg19")
    refused(capsys, 4, "no weights named 'vgg20' in the table", "weights", "fetch", "vgg20")


def test_weights_that_lack_an_asked_layer(style, tmp_path, capsys):
    folder = tmp_path / "weights"
    folder.mkdir()
    tensors = {"features.0.weight": torch.zeros(64, 3, 3, 3), "features.0.bias": torch.zeros(64)}
    save_file(tensors, folder / "vgg19.conv1_1.safetensors")
    words = ("refine", style, "--style", style, "--out", tmp_path / "out", "--weights-dir", folder)
    pattern = (
        r"layer relu2_1, .* of vgg19: .*conv1_1.safetensors lacks 'features.2.weight'; layers that it holds whole: conv1_1, "
    )
    refused(capsys, 4, pattern, *words)
    (folder / "vgg19.conv1_1.safetensors").write_bytes(b"junk")
    refused(capsys, 4, "is not a readable safetensors file", *words)


@needs_weights("inception_fid_2015")
def test_inception_without_its_last_layers_says_what_it_has(trained, collection_folder, capsys):
    from artgan.backbones.backbone import read_weights
    from artgan.backbones.inception import all_stages
    from artgan.weights import locate

    held = read_weights(locate("inception_fid_2015").path)
    whole = all(f"{name}.{key}" in held for name, stage in all_stages() for key in stage.state_dict())
    if whole:
        pytest.skip("the Inception weights on this machine are whole")
    words = ("evaluate", trained, "--collection", collection_folder, "--features", "inception-2048")
    refused(capsys, 4, "layer 2048 of inception_fid_2015: .* lacks 'Mixed_7b.*; layers that it holds whole: .*768", *words)


def test_wrong_evaluate_options(trained, collection_folder, tmp_path, capsys):
    base = ("evaluate", trained, "--collection", collection_folder)
    refused(capsys, 2, r"unknown features 'inception' \(did you mean", *base, "--features", "inception")
    refused(capsys, 2, r"--metrics fids: expected one of distances, range, manifold, copying", *base, "--metrics", "fids")
    refused(capsys, 2, "--metrics: expected some of", *base, "--metrics", ",")
    refused(capsys, 2, "--resize cleen", *base, "--resize", "cleen")
    refused(capsys, 2, "backbone 'random' has no layer 'stage9'", *base, "--features", "random:stage9")
    refused(capsys, 4, "timm has no model 'nonsense'|no weights for timm/nonsense", *base, "--features", "timm/nonsense")
    refused(capsys, 2, "--num-generated 1: expected a number from 2", *base, "--num-generated", "1")
    refused(capsys, 2, "--truncation -1: expected", *base, "--truncation", "-1")
    refused(capsys, 3, "no such run, model or folder", "evaluate", tmp_path / "x", "--collection", collection_folder)
    (tmp_path / "few").mkdir()
    draw_work("waves", 0, 0).save(tmp_path / "few" / "one.png")
    few = ("evaluate", tmp_path / "few", "--collection", collection_folder, "--features", "random")
    refused(capsys, 3, "few holds 1 pictures, 2 are needed", *few)


def test_what_is_nothing_of_ours(tmp_path, capsys):
    refused(capsys, 3, "no such file or folder", "info", tmp_path / "missing")
    refused(capsys, 3, "is neither a collection, nor a model, nor a run", "info", tmp_path)


def test_a_wrong_verb_or_flag_is_exit_2(capsys):
    assert artgan("trane") == 2
    assert artgan("train", "--colection", "x") == 2
    assert "Traceback" not in capsys.readouterr().err


VERBS = "prepare train evaluate sample video directions project refine studio demo export model info weights"


@pytest.mark.parametrize("verb", VERBS.split())
def test_every_verb_has_help_with_an_example(verb, capsys):
    words = (verb, *{"weights": ["list"], "model": ["push"]}.get(verb, []), "--help")
    assert artgan(*words) == 0
    assert f"Example: artgan {verb}" in capsys.readouterr().out


def test_a_run_that_has_lost_its_checkpoints_does_not_begin_again(trained, collection_folder, tmp_path, capsys):
    run = Path(shutil.copytree(trained, tmp_path / "run"))
    shutil.rmtree(run / "checkpoints")
    before = {path: path.read_bytes() for path in run.rglob("*") if path.is_file()}
    assert artgan("train", "--collection", collection_folder, "--run", run, *SET, "--quiet") == 4
    assert "no checkpoint in checkpoints/ to go on from. Restore" in (said := capsys.readouterr().err)
    assert "--init" in said
    shutil.rmtree(run / "model")
    assert artgan("train", "--collection", collection_folder, "--run", run, *SET, "--quiet") == 4
    left = {path: data for path, data in before.items() if "model" not in path.relative_to(run).parts}
    assert {path: path.read_bytes() for path in left if path.name != "status.json"} == {
        path: data for path, data in left.items() if path.name != "status.json"
    }
