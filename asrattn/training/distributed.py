"""Distributed training: DDP and FSDP, collectives over the ranks, detection of a dead process.

All of it is the identity for a single process.
"""

import copy
from collections.abc import Iterable
from datetime import timedelta
from typing import Literal, TypeVar

import torch
import torch.distributed as dist
from lightning.fabric.utilities.rank_zero import rank_zero_only
from lightning.pytorch.strategies import DDPStrategy, ModelParallelStrategy, Strategy
from torch import Tensor, nn
from torch.distributed.device_mesh import DeviceMesh
from torch.distributed.fsdp import fully_shard, register_fsdp_forward_method
from torch.distributed.tensor import DTensor

from asrattn.model import LossConfig
from asrattn.model.speech_model import SpeechModel

T = TypeVar("T")
StrategyName = Literal["ddp", "fsdp"]
COLLECTIVE_TIMEOUT = timedelta(minutes=10)  # a process that does not answer for so long counts as dead


def build_strategy(name: StrategyName, processes: int, loss: LossConfig) -> Strategy | str:
    """ddp: every process holds the whole model (Li et al. 2020); fsdp: each holds a shard of weights, gradients,
    optimizer state and moving average (ZeRO stage 3, Rajbhandari et al. 2020)."""
    if processes == 1:
        return "auto"
    if name == "fsdp":
        return ModelParallelStrategy(
            data_parallel_size=processes,
            tensor_parallel_size=1,
            save_distributed_checkpoint=False,
            timeout=COLLECTIVE_TIMEOUT,
        )
    # A head with weight 0 in the loss has no gradient; buffers are constants, or running statistics of batch norm,
    # of which those of rank 0 count (`broadcast_from_rank0`).
    unused = loss.ctc in (0, 1)
    return DDPStrategy(find_unused_parameters=unused, broadcast_buffers=False, timeout=COLLECTIVE_TIMEOUT)


def shard_model(model: SpeechModel, mesh: DeviceMesh) -> None:
    """Shard the weights over the processes (FSDP), in place: each encoder layer, and all other weights as one unit."""
    layers = getattr(model.encoder, "layers", ())
    for layer in layers:
        fully_shard(layer, mesh=mesh)
    fully_shard(model, mesh=mesh)
    register_fsdp_forward_method(model, "loss")


def is_sharded(model: nn.Module) -> bool:
    return any(isinstance(p, DTensor) for p in model.parameters())


def unshard(model: SpeechModel) -> SpeechModel:
    """The model itself; if its weights are sharded, a copy with all weights. Every process must call this."""
    if not is_sharded(model):
        return model
    weights = {k: v.full_tensor() if isinstance(v, DTensor) else v for k, v in model.state_dict().items()}
    copied = SpeechModel(model.config)
    copied.spelling = model.spelling
    copied.load_state_dict(weights, assign=True)
    return copied.requires_grad_(False).eval().to(model.frontend.mean.device)


def set_grad_sync(model: nn.Module, enabled: bool) -> None:
    """Whether the next backward pass all-reduces gradients: only the last micro-batch of a step has to."""
    if isinstance(model, nn.parallel.DistributedDataParallel):
        model.require_backward_grad_sync = enabled


def all_reduce_any(flags: Iterable[bool], device: torch.device) -> list[bool]:
    """Each flag: true if it is true on any process."""
    if world_size() == 1:
        return list(flags)  # without a device, which would have to finish its work first
    agreed = torch.tensor([int(flag) for flag in flags], device=device)
    dist.all_reduce(agreed, dist.ReduceOp.MAX)
    return [bool(flag) for flag in agreed.tolist()]


def all_reduce_sum(x: Tensor) -> Tensor:
    """The sum over the processes."""
    if world_size() > 1:
        x = x.clone()
        dist.all_reduce(x)
    return x


def broadcast_from_rank0(x: Tensor) -> Tensor:
    """The tensor of rank 0."""
    if world_size() > 1:
        x = x.clone()
        dist.broadcast(x, 0)
    return x


def all_gather_objects(local: T) -> list[T]:
    """The objects of all processes, in the order of their ranks."""
    parts = [copy.copy(local) for _ in range(world_size())]
    if len(parts) > 1:
        dist.all_gather_object(parts, local)
    return parts


def is_rank_zero() -> bool:
    """Whether this is rank 0; works before the trainer runs, by the environment."""
    return getattr(rank_zero_only, "rank", 0) == 0


def world_size() -> int:
    return dist.get_world_size() if dist.is_available() and dist.is_initialized() else 1


def is_peer_failure(error: BaseException) -> bool:
    """Whether the error message means that another process does not answer."""
    words = ("connection closed by peer", "connection reset", "timed out", "timeout", "broken pipe", "nccl")
    return world_size() > 1 and any(word in str(error).lower() for word in words)
