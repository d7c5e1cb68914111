"""Fault 27: no network. The whole suite runs with connections to other machines refused (tests/conftest.py)."""

import os
import socket
import subprocess
import sys

import pytest

from tests.conftest import ROOT

PROGRAM = """
import sys
from artgan.cli import main

def artgan(*words):
    try:
        main(["--quiet", *words])
    except SystemExit as end:
        assert not end.code, words

model, out = sys.argv[1:]
artgan("sample", model, "--out", out + "/samples", "--seeds", "0-1")
artgan("refine", out + "/samples/seed-0000.png", "--engine", "none", "--boost", "0.3", "--out", out + "/refined")
"""


def test_no_test_leaves_this_machine():
    with pytest.raises(OSError, match="no test leaves this machine"):
        socket.create_connection(("192.0.2.1", 80), timeout=1)  # of TEST-NET-1, RFC 5737: nobody's
    with pytest.raises(OSError, match="no test leaves this machine"):
        socket.getaddrinfo("example.org", 80)


def test_sampling_and_refining_need_no_network(trained_model, tmp_path):
    """In a network namespace without so much as a loopback."""
    alone = ["unshare", "-rn"] if os.geteuid() else ["unshare", "-n"]
    if not hasattr(os, "geteuid") or subprocess.run([*alone, "true"], capture_output=True).returncode:
        pytest.skip("a process cannot be cut off from the network here")
    environment = os.environ | {"PYTHONPATH": str(ROOT), "ARTGAN_CACHE": str(tmp_path / "cache")}
    environment.pop("ARTGAN_OFFLINE", None)
    words = [sys.executable, "-c", PROGRAM, str(trained_model.folder), str(tmp_path)]
    subprocess.run([*alone, *words], check=True, env=environment, cwd=tmp_path)
    assert (tmp_path / "refined" / "seed-0000.png").is_file()
