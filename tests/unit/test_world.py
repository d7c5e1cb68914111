"""Several processes share work: every piece is done once and comes back in order, however uneven the parts."""

import pytest
import torch

from artgan.world import World


@pytest.mark.parametrize("size", [1, 2, 3, 5, 64, 70])
def test_shares_come_back_in_order(size):
    gathered = []
    for rank in range(size):
        mine, length = World(rank, size).share(64)
        gathered += [*mine, *[None] * (length - len(mine))]
    assert gathered[:64] == list(range(64))
    assert set(gathered[64:]) <= {None}


@pytest.mark.parametrize(("other", "same"), [("00ff", True), ("00fe", False)])
def test_processes_notice_that_they_are_not_alike(other, same):
    class FirstOfTwo(World):
        def gather(self, rows):
            return [rows, torch.tensor(list(bytes.fromhex(other)), dtype=torch.uint8)]

    assert FirstOfTwo(0, 2).all_same("00ff", torch.device("cpu")) is same
