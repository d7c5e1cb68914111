"""StyleGAN2 .pkl files: what a look-alike holds comes over exactly; what is hostile never runs."""

import codecs
import os
import pickle
import pickletools
import re
import subprocess
import sys
import types
from collections import OrderedDict

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from artgan.errors import CheckpointError
from artgan.generation.model_folder import load_model
from artgan.importing import unpickle
from artgan.importing.stylegan2 import _NAMES, import_pkl
from artgan.models.stylegan2_generator import Generator
from tests.conftest import ROOT
from tests.integration.test_cli import artgan

SOURCE = "raise SystemExit('the source inside the file was run')"


def _reconstruct_persistent_obj(meta):
    raise AssertionError("only the names of this function and its module matter")


class EasyDict(dict):
    pass


@pytest.fixture
def their_modules(monkeypatch):
    """Modules by the names that such files refer to, so that Python can write look-alikes."""
    for name, member in (("torch_utils.persistence", _reconstruct_persistent_obj), ("dnnlib.util", EasyDict)):
        module = types.ModuleType(name)
        setattr(module, member.__name__, member)
        monkeypatch.setattr(member, "__module__", name)
        monkeypatch.setitem(sys.modules, name.partition(".")[0], types.ModuleType(name.partition(".")[0]))
        monkeypatch.setitem(sys.modules, name, module)


class Persistent:
    """Writes itself as their classes do: a call with the class's source and state, which holds NumPy's scalars and sets too."""

    def __init__(self, class_name, **state):
        self.class_name, self.attributes = class_name, state

    def __reduce__(self):
        meta = EasyDict(type="class", version=6, module_src=SOURCE, class_name=self.class_name, state=self.attributes)
        return _reconstruct_persistent_obj, (meta,)


def nest(tensors, class_name="Generator"):
    """Turn dotted names into modules within modules."""
    own = OrderedDict((name, torch.nn.Parameter(x)) for name, x in tensors.items() if "." not in name)
    children = OrderedDict()
    for name in tensors:
        first, dot, _ = name.partition(".")
        if dot and first not in children:
            below = {key.partition(".")[2]: x for key, x in tensors.items() if key.startswith(f"{first}.")}
            children[first] = nest(below, "Layer")
    return Persistent(
        class_name,
        training=False,
        _parameters=own,
        _buffers=OrderedDict(),
        _modules=children,
        _non_persistent_buffers_set=set(),
        _init_kwargs=EasyDict(z_dim=16),
        weight_gain=1 / np.sqrt(16),
        act_gain=np.float32(1.5),
    )


def their_name(ours):
    for theirs, pattern in _NAMES:
        reverse = re.escape(pattern)
        groups = re.findall(r"\\\\(\d)", reverse)
        for group in groups:
            reverse = reverse.replace(f"\\\\{group}", r"(.+)", 1)
        match = re.fullmatch(reverse, ours)
        if match:
            name = theirs
            for value in match.groups():
                name = re.sub(r"\((?:[^()]|\([^()]*\))*\)", lambda _, value=value: value, name, count=1)
            name = name.replace("\\.", ".")
            if re.fullmatch(theirs, name):
                return name
    raise AssertionError(ours)


@pytest.fixture(params=[0, 3])
def generator(request):
    torch.manual_seed(0)
    made = Generator(height_px=32, width_px=32, width=8, latent_dim=16, mapping_layers=2, num_classes=request.param).eval()
    with torch.no_grad():
        for parameter in made.parameters():
            parameter.add_(torch.randn_like(parameter) * 0.1)
    return made


def write(path, tensors, protocol=4):
    content = {"G": None, "D": None, "G_ema": nest(tensors), "training_set_kwargs": EasyDict(path="x"), "augment_pipe": None}
    written = pickle.dumps(content, protocol)
    if protocol < 4:  # their files come from NumPy 1, which calls its inner package by another name
        written = written.replace(b"numpy._core.multiarray\n", b"numpy.core.multiarray\n")
    path.write_bytes(written)
    return path


@pytest.mark.parametrize("protocol", [2, 3, 4])
def test_files_of_every_protocol_give_the_same_tensors(protocol, their_modules, tmp_path):
    """Stock files hold NumPy scalars (`weight_gain`), old protocols sets and bytes by name."""
    tensors = {"mapping.fc0.weight": torch.randn(16, 16), "mapping.fc0.bias": torch.randn(16)}
    path = write(tmp_path / "file.pkl", tensors, protocol)
    named = [name for _, name, _ in pickletools.genops(path.read_bytes())]
    assert ("scalar" if protocol == 4 else "numpy.core.multiarray scalar") in named
    unpickle.main(path, tmp_path)
    found = load_file(tmp_path / "tensors.safetensors")
    assert found.keys() == tensors.keys()
    assert all(torch.equal(found[name], tensors[name]) for name in tensors)


def test_a_look_alike_makes_the_same_pictures(generator, their_modules, tmp_path):
    tensors = {their_name(name): tensor.detach().clone() for name, tensor in generator.state_dict().items()}
    tensors["mapping.w_avg"] = torch.zeros(16)
    taps = torch.tensor([1.0, 3.0, 3.0, 1.0]) / 8
    tensors["synthesis.b8.resample_filter"] = torch.outer(taps, taps)
    lines = import_pkl(write(tmp_path / "look.pkl", tensors), tmp_path / "model")
    assert "Generator of" in lines[0]
    model = load_model(tmp_path / "model")
    latents, labels = torch.randn(3, 16), torch.tensor([0, 1, 2])
    assert torch.equal(model.generator(latents, labels), generator(latents, labels))
    assert len(model.card.classes) == generator.mapping.num_classes
    assert artgan("sample", tmp_path / "model", "--out", tmp_path / "samples", "--seeds", "0-1", "--quiet") == 0


def test_another_filter_and_other_layers_are_refused(their_modules, tmp_path):
    made = Generator(height_px=32, width_px=32, width=8, latent_dim=16, mapping_layers=2, num_classes=0)
    tensors = {their_name(name): tensor.detach().clone() for name, tensor in made.state_dict().items()}
    wrong = tensors | {"synthesis.b8.resample_filter": torch.ones(4, 4) / 16}
    with pytest.raises(CheckpointError, match=r"resample_filter is not the low-pass filter"):
        import_pkl(write(tmp_path / "a.pkl", wrong), tmp_path / "model")
    with pytest.raises(CheckpointError, match=r"tensor 'synthesis\.b8\.skip\.weight' is none of a StyleGAN2 generator"):
        import_pkl(write(tmp_path / "b.pkl", tensors | {"synthesis.b8.skip.weight": torch.ones(2)}), tmp_path / "model")
    with pytest.raises(CheckpointError, match=r"not StyleGAN2's layers"):
        import_pkl(write(tmp_path / "c.pkl", {"synthesis.input.weight": torch.ones(2)}), tmp_path / "model")
    assert not (tmp_path / "model").exists()


class Hostile:
    def __init__(self, function, *arguments):
        self.call = function, arguments

    def __reduce__(self):
        return self.call


def hostile_files(canary):
    """Yield files that would leave a canary if anything in them ran."""
    command = f"touch {canary}"
    inner = pickle.dumps(Hostile(os.system, command))
    yield "system", pickle.dumps({"G_ema": Hostile(os.system, command)})
    yield "eval", pickle.dumps({"G_ema": Hostile(eval, f"open({str(canary)!r}, 'w')")})
    yield "exec", pickle.dumps(Hostile(exec, f"open({str(canary)!r}, 'w')"))
    yield "storage", pickle.dumps({"G_ema": Hostile(torch.storage._load_from_bytes, inner)})
    yield "getattr", pickle.dumps(Hostile(getattr, "x", "upper"))
    yield "truncated", pickle.dumps({"G_ema": 1})[:-3]
    yield "empty", b""
    yield "text", b"not a pickle at all"
    yield "numpy", pickle.dumps(np.zeros(3))
    yield "codec", pickle.dumps({"G_ema": Hostile(codecs.encode, "x", "rot13")})
    yield "object scalar", pickle.dumps({"G_ema": np.array([Hostile(os.system, command)], object)[0]})
    yield "scalar of bytes", pickle.dumps({"G_ema": Hostile(np.float64(1).__reduce__()[0], np.dtype("O"), inner)})
    yield "list", pickle.dumps([1, 2, 3])
    yield "no generator", pickle.dumps({"G": 1})


@pytest.mark.parametrize("index", range(14))
def test_nothing_in_a_hostile_file_runs(index, their_modules, tmp_path, capsys):
    """In this process: the reader is the child's own, and a canary would show what ran."""
    canary = tmp_path / "canary"
    title, content = list(hostile_files(canary))[index]
    path = tmp_path / "file.pkl"
    path.write_bytes(content)
    with pytest.raises(Exception):  # noqa: B017, PT011  whatever it is, the child ends with one line
        unpickle.main(path, tmp_path)
    assert not canary.exists(), title


def test_the_command_says_why_and_exits_with_4(tmp_path, capsys):
    path = tmp_path / "file.pkl"
    path.write_bytes(pickle.dumps({"G_ema": Hostile(os.system, f"touch {tmp_path / 'canary'}")}))
    assert artgan("model", "import", path, "--out", tmp_path / "model") == 4
    error = capsys.readouterr().err
    assert re.search(r"is refused: it refers to (posix|nt)\.system, which a generator does not need", error)
    assert not (tmp_path / "canary").exists()
    assert artgan("model", "import", tmp_path / "missing.pkl", "--out", tmp_path / "model") == 4


def test_a_refusal_cannot_speak_to_the_terminal(tmp_path, capsys):
    path = tmp_path / "file.pkl"
    path.write_bytes(b"cos\nsystem\x1b]0;title\x07\x1b[2J\n.")
    assert artgan("model", "import", path, "--out", tmp_path / "model") == 4
    error = capsys.readouterr().err
    assert "is refused: it refers to os.system?]0;title??[2J" in error
    assert "\x1b" not in error


def test_a_small_file_that_grows_without_end_is_not_followed(their_modules, tmp_path):
    """Lists of lists of lists: 2^40 entries where somebody writes them out."""
    grown = []
    for _ in range(40):
        grown = [grown, grown]
    record = nest({"mapping.fc0.weight": torch.zeros(2, 2)})
    record.attributes["_init_kwargs"] = grown
    path = tmp_path / "file.pkl"
    path.write_bytes(pickle.dumps({"G_ema": record}))
    unpickle.main(path, tmp_path)
    assert (tmp_path / "about.json").stat().st_size < 1000


@pytest.mark.skipif(sys.platform != "linux", reason="limits of other systems differ")
def test_the_reader_lives_under_lower_limits(generator, their_modules, tmp_path):
    """A job system may have set some; a process cannot raise them again."""
    tensors = {their_name(name): tensor.detach().clone() for name, tensor in generator.state_dict().items()}
    path = write(tmp_path / "look.pkl", tensors)
    command = f"ulimit -v 8000000; ulimit -f 1000000; {sys.executable} -m artgan.importing.unpickle {path} {tmp_path}"
    done = subprocess.run(["sh", "-c", command], capture_output=True, text=True, cwd=ROOT, check=False)
    assert (done.returncode, done.stderr) == (0, "")


def test_the_list_of_names_is_exact():
    assert set(unpickle.ALLOWED) == {
        ("torch_utils.persistence", "_reconstruct_persistent_obj"), ("dnnlib.util", "EasyDict"),
        ("collections", "OrderedDict"), ("torch._utils", "_rebuild_tensor_v2"), ("torch._utils", "_rebuild_parameter"),
        ("torch.storage", "_load_from_bytes"), ("numpy.core.multiarray", "scalar"), ("numpy._core.multiarray", "scalar"),
        ("numpy", "dtype"), ("_codecs", "encode"), ("builtins", "set"), ("__builtin__", "set"),
    }  # fmt: skip
