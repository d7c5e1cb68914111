"""As many images at a time as fit: a step that ran out of memory is taken again in smaller pieces; one that broke is undone."""

import gc
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from artgan.config import with_values
from artgan.devices import is_out_of_memory
from artgan.errors import ConfigError
from artgan.training.passes import is_compiler_error
from artgan.training.state import TrainState
from artgan.training.steps import StepContext

Step = Callable[..., dict[str, Tensor]]


class PiecewiseSteps:
    """Takes steps; halves the micro-batch and takes a step again when memory runs out, to the same result.

    A step changes parameters last, but spectral norms and running statistics on its way; those are copied before each step,
    and put back before it is taken again and where it was skipped: one forward pass that is not finite would otherwise stay in
    them, and in their average, for good.

    Args:
        state: what the steps change.
        context: whose `micro_batch` is halved.
        say: told about each halving.
    """

    def __init__(self, state: TrainState, context: StepContext, say: Callable[[str], None]) -> None:
        self.state, self.context, self.say = state, context, say
        changed = [part for part in state.parts().values() if part is not state.ema]  # which moves between steps, not in them
        # Their bytes: whatever the kinds of numbers, a few operations copy and choose among all of them.
        self.buffers = [buffer.view(-1).view(torch.uint8) for part in changed for buffer in _small_buffers(part)]
        self.copies = [buffer.clone() for buffer in self.buffers]

    def take(self, step: Step, *inputs: Any) -> dict[str, Tensor]:
        """Take one step with `step(state, context, *inputs)`.

        Raises:
            ConfigError: not even the smallest piece fits, or several processes would have to agree; or the networks are to be
                compiled, and cannot be here.
        """
        torch._foreach_copy_(self.copies, self.buffers)
        while True:
            lack = None
            try:
                scalars = step(self.state, self.context, *inputs)
            except (MemoryError, RuntimeError) as error:
                if is_compiler_error(error):
                    reason = " ".join(str(error).split())[:200]  # of many lines
                    raise ConfigError(
                        f"training.compile: torch.compile failed on this machine ({reason}); it needs a C++ compiler on a CPU "
                        "and Triton on a GPU. The same command with --set training.compile=false goes on without it"
                    ) from error
                if not is_out_of_memory(error):
                    raise
                lack = (str(error) or type(error).__name__).splitlines()[0][:120]
            if lack is not None:  # the error itself is gone, and with it the step whose tensors it held
                self._halve(lack, step, inputs)
                continue
            self._undo(next(value for name, value in scalars.items() if name.startswith("skipped/")))
            return scalars

    def _undo(self, skipped: Tensor) -> None:
        """Put the buffers back if the step was skipped; nothing waits for the device to tell.

        `torch.where` for each buffer would be hundreds of small kernels a step; these are three over all of them.
        """
        undone = (skipped > 0).to(torch.uint8)
        torch._foreach_mul_(self.buffers, 1 - undone)
        torch._foreach_add_(self.buffers, torch._foreach_mul(self.copies, undone))

    def _halve(self, lack: str, step: Step, inputs: tuple[Any, ...]) -> None:
        multiple = self.state.discriminator.batch_multiple
        smaller = self.context.micro_batch // 2 // multiple * multiple
        odd = self.context.local_batch % multiple  # some images would be judged together with others than in the whole batch
        if self.context.world.size > 1 or smaller == 0 or odd:
            whole = f", all {self.context.local_batch} in the generator" if self.state.generator.couples_batch else ""
            first = f"set training.batch_size to a multiple of {multiple}, which can be taken in pieces, or " if odd else ""
            fits = None if self.context.world.size > 1 or odd else self._fitting_batch(step, inputs)
            first += f"training.batch_size={fits} fits in a run of its own; or " if fits else ""
            raise ConfigError(
                f"out of memory at {self.context.micro_batch} images at a time{whole} ({lack}): {first}"
                f"lower training.micro_batch, training.batch_size, model.width or the collection's resolution. What is trained "
                f"stands in the run's last checkpoint"
            )
        self.context.micro_batch = smaller
        self._clear()
        self.say(f"out of memory: going on with {smaller} images at a time; gradients add up to those of the same batch")

    def _fitting_batch(self, step: Step, inputs: tuple[Any, ...]) -> int | None:
        """Return the largest half, quarter and so on of the batch that a step fits into memory with, or None.

        The step is taken, on a state that nobody goes on with: it is called where training ends.
        """
        multiple = self.state.discriminator.batch_multiple
        batch = self.context.batch_size // 2 // multiple * multiple
        while batch > 0:
            self._clear()
            config = with_values(self.context.config, {"training.batch_size": batch})
            smaller = replace(self.context, config=config, micro_batch=min(batch, self.context.micro_batch))
            try:
                step(self.state, smaller, *(None if given is None else given[:batch] for given in inputs))
            except (MemoryError, RuntimeError) as error:
                if not is_out_of_memory(error):
                    return None
            else:
                return batch
            batch = batch // 2 // multiple * multiple
        return None

    def _clear(self) -> None:
        """Forget what a step that ran out of memory left."""
        for optimizer in self.state.optimizers().values():
            for group in optimizer.param_groups:
                for parameter in group["params"]:
                    parameter.grad = None
        torch._foreach_copy_(self.buffers, self.copies)
        gc.collect()
        if self.context.device.type == "cuda":
            torch.cuda.empty_cache()


def _small_buffers(module: torch.nn.Module) -> list[Tensor]:
    """Return the buffers that a state dict holds; frozen backbones are not among them, and never change."""
    saved = module.state_dict(keep_vars=True)
    return [tensor for tensor in saved.values() if not isinstance(tensor, torch.nn.Parameter)]
