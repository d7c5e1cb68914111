import json
import os
import signal
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch
from torch import nn

from artgan.augment.diffaugment import DiffAugment
from artgan.datasets.sampler import Batches, epoch_rows
from artgan.devices import choose_device, is_out_of_memory
from artgan.errors import CheckpointError, ConfigError, StorageError
from artgan.objectives.hinge import Hinge
from artgan.training.checkpoint import list_checkpoints, load_newest, save_checkpoint
from artgan.training.ema import ema_decay, update_ema
from artgan.training.schedules import due, due_early
from artgan.training.session import only_trainer, stop_on_signals
from artgan.training.status import read_status, write_status

CPU = torch.device("cpu")


def test_an_epoch_shows_every_row_once():
    rows = np.arange(10, 33)
    assert sorted(epoch_rows(rows, 0, 0, 23)) == list(rows)
    assert sorted(epoch_rows(rows, 0, 23, 23)) == list(rows)
    assert not np.array_equal(epoch_rows(rows, 0, 0, 23), epoch_rows(rows, 0, 23, 23))


def test_batches_do_not_depend_on_how_they_are_cut():
    rows = np.arange(7)
    whole = epoch_rows(rows, 3, 0, 30)
    assert np.array_equal(whole, np.concatenate([epoch_rows(rows, 3, start, 5) for start in range(0, 30, 5)]))


def test_batches_show_the_training_split_only(collection):
    batches = Batches(collection, 0, CPU, horizontal_flip=False)
    images, labels = batches.batch(0, len(collection.train_rows))
    shown = {image.tobytes() for image in ((images + 1) * 127.5).round().byte().permute(0, 2, 3, 1).numpy()}
    assert shown == {collection.images[row].tobytes() for row in collection.train_rows}
    assert torch.equal(labels.bincount(), torch.from_numpy(collection.labels[collection.train_rows]).bincount())


def test_a_flip_mirrors_about_half(collection):
    plain, _ = Batches(collection, 0, CPU, horizontal_flip=False).batch(0, 32)
    mixed, _ = Batches(collection, 0, CPU, horizontal_flip=True).batch(0, 32)
    same = [torch.equal(a, b) for a, b in zip(plain, mixed, strict=True)]
    mirrored = [torch.equal(a.flip(2), b) for a, b in zip(plain, mixed, strict=True)]
    assert all(a or b for a, b in zip(same, mirrored, strict=True))
    assert 6 < sum(mirrored) < 26


@pytest.mark.parametrize("policies", [("color",), ("translation",), ("cutout",), ("color", "translation", "cutout")])
def test_augmentation_treats_each_image_by_its_own_draws(policies):
    augment = DiffAugment(policies)
    images, draws = torch.rand(6, 3, 16, 16) * 2 - 1, torch.rand(6, augment.num_draws)
    whole = augment(images, draws)
    assert not torch.allclose(whole, images)
    assert torch.allclose(whole[4:5], augment(images[4:5], draws[4:5]), atol=1e-6)


def test_diffaugment_is_differentiable_twice():
    augment = DiffAugment(("color", "translation", "cutout"))
    images = torch.rand(2, 3, 8, 8, dtype=torch.float64, requires_grad=True)
    draws = torch.rand(2, augment.num_draws, dtype=torch.float64)
    assert torch.autograd.gradcheck(lambda x: augment(x, draws), (images,))
    assert torch.autograd.gradgradcheck(lambda x: augment(x, draws).square(), (images,))


def test_color_with_middle_draws_changes_nothing_and_its_ranges_are_the_papers():
    augment = DiffAugment(("color",))
    images = torch.rand(1, 3, 8, 8) * 2 - 1
    assert torch.allclose(augment(images, torch.full((1, 3), 0.5)), images, atol=1e-6)
    brighter = augment(images, torch.tensor([[1.0, 0.5, 0.5]]))
    assert torch.allclose(brighter, images + 0.5, atol=1e-6)
    gray = augment(images, torch.tensor([[0.5, 0.0, 0.5]]))
    assert torch.allclose(gray, images.mean(1, keepdim=True).expand_as(images), atol=1e-6)
    flatter = augment(images, torch.tensor([[0.5, 0.5, 0.0]]))
    assert torch.allclose(flatter, images.mean() + (images - images.mean()) / 2, atol=1e-6)


def test_translation_moves_by_whole_pixels_and_fills_with_zeros():
    augment = DiffAugment(("translation",))
    images = torch.rand(1, 3, 16, 16) + 0.5
    moved = augment(images, torch.tensor([[0.999, 0.5]]))  # reach is 2: shift the source by +2 rows
    assert torch.equal(moved[:, :, :-2], images[:, :, 2:])
    assert (moved[:, :, -2:] == 0).all()


def test_cutout_hides_a_box_of_half_a_side():
    augment = DiffAugment(("cutout",))
    hidden = augment(torch.ones(1, 3, 16, 16), torch.tensor([[0.5, 0.5]]))
    assert (hidden == 0).sum() == 3 * 8 * 8


def test_hinge_has_its_textbook_values_and_slopes():
    real, fake = torch.tensor([[2.0], [0.5]], requires_grad=True), torch.tensor([[-2.0], [0.5]], requires_grad=True)
    loss = Hinge().discriminator_loss(real, fake)
    loss.backward()
    assert loss.item() == pytest.approx(0.25 + 0.75)
    assert real.grad.flatten().tolist() == [0, -0.5]
    assert fake.grad.flatten().tolist() == [0, 0.5]
    assert Hinge().generator_loss(fake.detach()).item() == pytest.approx(0.75)


def test_ema_equals_its_closed_form():
    network, average = nn.Linear(1, 1, bias=False), nn.Linear(1, 1, bias=False)
    average.weight.data.zero_()
    network.weight.data.fill_(1.0)
    decay = ema_decay(halflife_kimg=0.064, images_seen=10**9, batch_size=16)
    for _ in range(4):  # one half-life
        update_ema(average, network, decay)
    assert average.weight.item() == pytest.approx(0.5, rel=1e-6)


def test_ema_averages_running_statistics_and_copies_counters():
    network, average = nn.BatchNorm1d(1), nn.BatchNorm1d(1)
    network.running_mean.fill_(4.0)
    network.num_batches_tracked.fill_(7)
    update_ema(average, network, 0.75)
    assert average.running_mean.item() == pytest.approx(1.0)
    assert average.num_batches_tracked.item() == 7


def test_ema_ramps_up_with_what_was_seen():
    early, late = ema_decay(3.0, 160, 16), ema_decay(3.0, 10**6, 16)
    assert early == pytest.approx(0.5 ** (16 / 8))
    assert late == pytest.approx(0.5 ** (16 / 3000))


def test_early_sheets_double_up_to_the_interval_whatever_the_batch():
    for batch in (1, 4, 16, 64):
        hits = [seen for seen in range(0, 10_000, batch) if due_early(0.5, 5.0, seen, batch)]
        assert len(hits) == 4
        assert all(mark <= hit < mark + batch for hit, mark in zip(hits, (500, 1000, 2000, 4000), strict=True))


def test_due_is_once_an_interval_whatever_the_batch():
    for batch in (7, 16, 64):
        hits = [seen for seen in range(0, 10_000, batch) if due(0.5, seen, batch)]
        assert len(hits) == (range(0, 10_000, batch)[-1]) // 500
        assert all(seen % 500 < batch for seen in hits)


def save(folder, images_seen, keep=2):
    tensors = {"generator.a": torch.full((2, 2), float(images_seen))}
    return save_checkpoint(folder, tensors, {"images_seen": images_seen}, keep)


def test_checkpoints_round_trip_and_the_newest_stay(tmp_path):
    for images_seen in (16, 32, 48):
        save(tmp_path, images_seen)
    assert [path.name for path in list_checkpoints(tmp_path)] == ["images-000000000032", "images-000000000048"]
    loaded = load_newest(tmp_path)
    assert loaded.info["images_seen"] == 48
    assert loaded.tensors["generator.a"].tolist() == [[48, 48], [48, 48]]
    assert load_newest(tmp_path / "none") is None


def test_leftovers_of_a_killed_save_are_invisible_and_removed(tmp_path):
    save(tmp_path, 16)
    (tmp_path / ".building-images-000000000032").mkdir()
    (tmp_path / ".building-images-000000000032" / "state.safetensors").write_bytes(b"half")
    assert load_newest(tmp_path).info["images_seen"] == 16
    save(tmp_path, 32)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["images-000000000016", "images-000000000032"]


def test_a_checkpoint_that_is_there_stays_untouched_unless_it_is_damaged(tmp_path):
    """To delete it before the new one has its name would be a moment without any."""
    path = save(tmp_path, 16) / "state.safetensors"
    written = path.stat().st_ino
    assert save(tmp_path, 16) == path.parent
    assert path.stat().st_ino == written
    path.write_bytes(b"damaged")
    save(tmp_path, 16)
    assert load_newest(tmp_path).info["images_seen"] == 16


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (
            lambda path: path.write_bytes(path.read_bytes()[:-5]),
            r"state.safetensors is damaged: it has \d+ bytes, manifest.json says",
        ),
        (lambda path: path.write_bytes(bytes([path.read_bytes()[0] ^ 1]) + path.read_bytes()[1:]), "is damaged: its sha256"),
        (lambda path: path.unlink(), "state.safetensors is missing"),
        (lambda path: path.with_name("manifest.json").unlink(), r"manifest.json cannot be read"),
        (lambda path: path.with_name("manifest.json").write_text("[]"), "expected an object"),
        (lambda path: path.with_name("manifest.json").write_text('{"../x": {}}'), "is not a file of this folder"),
    ],
)
def test_a_damaged_checkpoint_is_refused_by_name_with_the_way_out(tmp_path, damage, message):
    save(tmp_path, 16)
    damage(save(tmp_path, 32) / "state.safetensors")
    with pytest.raises(CheckpointError, match=message) as caught:
        load_newest(tmp_path)
    assert "to go on from images-000000000016" in str(caught.value)


def test_no_space_keeps_the_old_checkpoint(tmp_path, monkeypatch):
    save(tmp_path, 16)
    monkeypatch.setattr("shutil.disk_usage", lambda path: _Usage(10, 10, 0))
    with pytest.raises(StorageError, match=r"cannot save a checkpoint .* are needed, 0 MB are free"):
        save(tmp_path, 32)
    monkeypatch.undo()
    assert load_newest(tmp_path).info["images_seen"] == 16


class _Usage:
    def __init__(self, total, used, free):
        self.total, self.used, self.free = total, used, free


def test_a_run_has_one_trainer(tmp_path):
    refused = pytest.raises(ConfigError, match="being trained by another process")
    with only_trainer(tmp_path / "run"), refused, only_trainer(tmp_path / "run"):
        pass
    with only_trainer(tmp_path / "run"):
        pass


@pytest.mark.parametrize("asked", [signal.SIGTERM, signal.SIGHUP])
def test_the_first_signal_asks_and_the_handlers_come_back(asked):
    outside = signal.signal(asked, signal.SIG_DFL)  # under nohup SIGHUP is ignored, and stays so
    try:
        with stop_on_signals() as stop_requested:
            assert stop_requested() is None
            os.kill(os.getpid(), asked)
            assert stop_requested() == asked
            assert signal.getsignal(asked) is signal.SIG_DFL  # a second one acts at once
        assert signal.getsignal(asked) is signal.SIG_DFL
    finally:
        signal.signal(asked, outside)


def test_a_program_may_train_beside_its_main_thread():
    def entered():
        with stop_on_signals() as stop_requested:
            return stop_requested()

    with ThreadPoolExecutor(1) as threads:
        assert threads.submit(entered).result() is None


def test_a_signal_that_was_ignored_stays_ignored():
    """`nohup artgan train` ignores SIGHUP: the terminal may close, training goes on."""
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with stop_on_signals() as stop_requested:
            os.kill(os.getpid(), signal.SIGHUP)
            assert stop_requested() is None
        assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGHUP, before)


def test_a_status_of_a_trainer_that_is_gone_is_interrupted(tmp_path):
    write_status(tmp_path, "training", 10, 100)
    content = json.loads((tmp_path / "status.json").read_text())

    def told(**changes):
        (tmp_path / "status.json").write_text(json.dumps(content | changes))
        return read_status(tmp_path)["state"]

    assert told() == "training"  # it has just written
    assert told(updated=0) == "interrupted"
    with only_trainer(tmp_path):
        assert told(updated=0) == "training"
    assert told(updated=0, host="elsewhere") == "training"
    assert told(updated=0, state="finished") == "finished"
    assert read_status(tmp_path / "none") == {"state": "not started"}
    (tmp_path / "status.json").write_text("[]")
    with pytest.raises(ValueError, match="no JSON object"):
        read_status(tmp_path)


def test_each_process_of_a_machine_works_on_a_gpu_of_its_own(monkeypatch):
    current = []
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.setattr(torch.cuda, "set_device", current.append)
    assert [str(choose_device("auto", rank)) for rank in (0, 1)] == ["cuda", "cuda:1"]
    assert current == [torch.device("cuda:1")]  # the first one is current already
    with pytest.raises(ConfigError, match=r"'cuda:2': this machine has 2 CUDA device"):
        choose_device("cuda:2")
    with pytest.raises(ConfigError, match=r"'cuda:0' is one GPU for several processes: give cuda"):
        choose_device("cuda:0", 1)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    assert str(choose_device("cuda", 3)) == "cuda"  # of a launcher that shows each process its own alone
    monkeypatch.setenv("LOCAL_WORLD_SIZE", "4")  # torchrun shows all of them to each
    with pytest.raises(ConfigError, match=r"'cuda': this machine has 1 CUDA device"):
        choose_device("cuda", 3)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 0)
    assert choose_device("auto") == CPU
    with pytest.raises(ConfigError, match=r"'cuda': this machine has no CUDA device; use auto or cpu"):
        choose_device("cuda")


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (MemoryError(), True),
        (torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB"), True),
        (RuntimeError("CUDA error: out of memory"), True),
        (RuntimeError("cuDNN error: CUDNN_STATUS_ALLOC_FAILED"), True),
        (RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`"), True),
        (RuntimeError("[enforce fail] . DefaultCPUAllocator: can't allocate memory: you tried to allocate 8 bytes"), True),
        (RuntimeError("CUDA error: an illegal memory access was encountered"), False),
        (ConfigError("out of memory at 4 images at a time"), False),
    ],
)
def test_a_lack_of_memory_is_known_by_its_words(error, expected):
    assert is_out_of_memory(error) is expected
