"""`artgan demo`: the whole way with what comes with artgan."""

import socket

import torch

from artgan import demo
from artgan.progress import silent


def test_the_demo_needs_no_weights_and_no_network_and_says_how_to_go_on(tmp_path, monkeypatch):
    monkeypatch.setenv("ARTGAN_WEIGHTS", str(tmp_path / "none"))
    monkeypatch.setenv("ARTGAN_CACHE", str(tmp_path / "cache"))
    for name, few in {"_WORKS": 20, "_NUM_JUDGED": 8, "_NUM_SAMPLES": 4, "_NUM_REFINED": 1}.items():
        monkeypatch.setattr(demo, name, few)
    connect = socket.socket.connect

    def at_home(self, address):
        assert self.family not in (socket.AF_INET, socket.AF_INET6), f"the demo connects to {address}"
        return connect(self, address)

    monkeypatch.setattr(socket.socket, "connect", at_home)
    said: list[str] = []
    before = torch.get_num_threads()
    page = demo.run_demo(tmp_path, 0.001, say=said.append, on_progress=silent)
    text = "\n".join(said)
    assert "7 thousand images are trained, in 0.001 minutes at most" in text
    assert "the discriminator looks through drawn" in text
    assert "CPU, 1 threads" in text
    assert torch.get_num_threads() == before
    assert "0.001 minutes ended before 7 thousand images were trained" in text
    assert f"artgan train --collection {tmp_path / 'collection'} --run {tmp_path / 'run'}" in text
    assert "of 7 thousand images in" in page.read_text(encoding="utf-8")
    assert len(list((tmp_path / "refined").glob("seed-*.png"))) == 1
