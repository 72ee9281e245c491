"""Replicas are the processes that train one generator together: one per GPU under torchrun, else this one alone.

Gradients are averaged by hand after each backward pass instead of by DistributedDataParallel, which allows neither
two backward passes before a step nor a gradient of a gradient; each update here has the first and may have the
second. The replicas start from one seed and take the same steps, so their weights stay equal bit for bit.

The tests train two processes on a processor (gloo). Graphics cards (NCCL), ``torchrun`` itself and bfloat16 have not
been run yet.
"""

import os
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Literal, Self

import torch
import torch.distributed as dist
from torch import nn

from bci.errors import ConfigError
from models.devices import device_of, mixed


@dataclass(frozen=True, slots=True)
class Replicas:
    """A Replicas describes this process' place among those that train together.

    Attributes
    ----------
    rank, count : int
        Number of this process, and the number of processes.
    device : torch.device
        Device that this process computes on.
    precision : str
        ``bfloat16`` computes forward passes in mixed precision, on a GPU; not run yet.
    """

    rank: int = 0
    count: int = 1
    device: torch.device = field(default_factory=lambda: torch.device("cpu"))
    precision: Literal["float32", "bfloat16"] = "float32"

    @classmethod
    def join(
        cls,
        precision: Literal["float32", "bfloat16"] = "float32",
        on: Literal["auto", "cpu", "cuda"] = "auto",
    ) -> Self:
        """Find the other processes from the environment that torchrun sets, and connect to them.

        Raises
        ------
        ConfigError
            If mixed precision or a GPU is asked for and there is none.
        """
        count = int(os.environ.get("WORLD_SIZE", "1"))
        rank = int(os.environ.get("RANK", "0"))
        gpu = on != "cpu" and torch.cuda.is_available()
        if on == "cuda":
            device_of(on)
        if precision == "bfloat16" and not gpu:
            raise ConfigError(
                "expected an NVIDIA GPU for precision bfloat16, came none. Set [run] precision = 'float32'."
            )
        device = torch.device("cuda", int(os.environ.get("LOCAL_RANK", "0"))) if gpu else torch.device("cpu")
        if gpu:
            torch.cuda.set_device(device)
        if count > 1 and not dist.is_initialized():
            dist.init_process_group("nccl" if gpu else "gloo")
        return cls(rank, count, device, precision)

    def leave(self) -> None:
        """Disconnect from the other processes."""
        if self.count > 1 and dist.is_initialized():
            dist.destroy_process_group()

    def autocast(self) -> AbstractContextManager[object]:
        """Compute in mixed precision, where that is asked for."""
        return mixed(self.device, self.precision)

    def average_gradients(self, network: nn.Module) -> None:
        """Replace every gradient by its mean over all processes."""
        if self.count == 1:
            return
        gradients = [p.grad for p in network.parameters() if p.grad is not None]
        flat = torch.cat([gradient.flatten() for gradient in gradients])
        dist.all_reduce(flat)
        flat /= self.count
        for gradient, mean in zip(gradients, flat.split([g.numel() for g in gradients]), strict=True):
            gradient.copy_(mean.view_as(gradient))
