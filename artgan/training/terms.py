"""The terms of the generator's loss within one step: weighted by their gradients' lengths, observed after its last piece."""

from typing import Any

import torch
from torch import Tensor

from artgan.objectives.terms.contract import GeneratorTerm, Judged, Side, Sums
from artgan.world import World


class StepTerms:
    """Collects over the pieces of a step what the terms need of the whole batch.

    Args:
        terms: by name.
        world: the processes of the run.
        batch_size: images per step, over all processes.
        images_seen: where training is.
        measured: whether this step measures the gradients' lengths; it then takes a backward pass more for each term.
    """

    def __init__(self, terms: Any, world: World, batch_size: int, images_seen: int, measured: bool) -> None:
        self.terms: dict[str, GeneratorTerm] = dict(terms.items())
        self.world, self.batch_size, self.images_seen, self.measured = world, batch_size, images_seen, measured
        self.sums: dict[str, Sums] = {name: {} for name in self.terms}
        self.squares: dict[str, Tensor] = {}

    def added_to(self, loss: Tensor, judged: Judged, leaf: Tensor, share: float) -> tuple[Tensor, dict[str, Tensor]]:
        """Return the generator's loss of a piece with the terms', and each term's value.

        Args:
            loss: the adversarial one, a scalar.
            judged: the piece.
            leaf: the images that gradients are measured at; the piece is a part of it.
            share: of the piece in the batch.
        """
        values = {}
        whole = loss
        for name, term in self.terms.items():
            value = term.loss(judged)
            if self.measured:
                lengths = [_squared(share * part, leaf) for part in (loss, value)]
                self.squares[name] = self.squares.get(name, 0) + torch.stack(lengths)
            whole = whole + term.weight * value
            values[f"term/{name}"] = value
        return whole, values

    @torch.no_grad()
    def add(self, judged: Judged) -> None:
        """Collect what the terms observe of a piece."""
        for name, term in self.terms.items():
            for key, value in term.sums(judged).items():
                self.sums[name][key] = self.sums[name].get(key, 0) + value

    @torch.no_grad()
    def observe(self, side: Side) -> dict[str, Tensor]:
        """Move the terms' buffers by the whole batch, and return for the log the share that each term's gradient had."""
        shares = {}
        for name, term in self.terms.items():
            sums = {key: self.world.total(value) for key, value in self.sums[name].items()}
            term.observe(side, sums, self.batch_size, self.images_seen)
            if name in self.squares:
                squares = self.world.total(self.squares[name])
                shares[f"gradient_share/{name}"] = term.weight * (squares[1] / squares[0]).sqrt() / self.world.size
                term.observe_gradients(squares)
        return shares


def _squared(loss: Tensor, leaf: Tensor) -> Tensor:
    """Return the squared length of a loss's gradient at the images, a scalar."""
    (slope,) = torch.autograd.grad(loss, leaf, retain_graph=True)
    return slope.square().sum()
