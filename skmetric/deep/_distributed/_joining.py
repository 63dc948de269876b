"""The group of processes that a fit belongs to: found, joined through a launcher, or to be started."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing import current_process
from typing import TYPE_CHECKING, Any, NamedTuple

import torch
from torch import distributed

from skmetric._optional import import_optional
from skmetric._params import check_params
from skmetric._torch import resolve_device

from ._group import ALONE, Alone, Ranks

if TYPE_CHECKING:
    from ._settings import Distributed


class ToStart(NamedTuple):
    """Processes that nobody has started yet."""

    kind: str  # of device: "cpu" or "cuda"
    devices: int
    strategy: str  # of Fabric


def find_group(settings: Distributed | None, device: str | torch.device) -> Alone | ToStart:
    """Find the group of processes that is asked for.

    Parameters
    ----------
    settings : Distributed or None
        None: this process alone.
    device : str or torch.device
        The parameter of the learner.

    Returns
    -------
    Alone or ToStart
        The group of this process; or what has to be started, because there is no launcher.

    Raises
    ------
    ValueError
        If `settings` and `device` disagree, or there are not so many devices.
    """
    if settings is None:
        return ALONE
    check_params(settings)
    kind = _kind(device, settings)
    if distributed.is_available() and distributed.is_initialized():
        _check_number(settings, _local_size(), "the process group that exists already")
        return Ranks() if distributed.get_world_size() > 1 else ALONE
    if not distributed.is_available():
        raise ValueError(
            "distributed= needs torch.distributed, and this build of torch has none: leave it out"
        )
    environment = _launcher()
    if environment is not None:
        return _join(environment, kind, settings)
    if settings.num_nodes not in ("auto", 1):
        raise ValueError(
            f"num_nodes={settings.num_nodes} without a launcher: start the script on each machine by "
            "torchrun or by the launcher of the cluster"
        )
    devices = _number(kind, settings)
    return ALONE if devices == 1 else ToStart(kind, devices, _strategy(settings, kind))


def _kind(device: str | torch.device, settings: Distributed) -> str:
    """Kind of device, without starting CUDA."""
    resolved = resolve_device(device)
    if resolved.type not in ("cpu", "cuda"):
        raise ValueError(
            f"device={str(device)!r} with distributed=: only 'cpu' and 'cuda' train by processes"
        )
    if resolved.index is not None and settings.devices != 1:
        raise ValueError(
            f"device={str(device)!r} names one device, and distributed asks for "
            f"devices={settings.devices!r}: use device={resolved.type!r}, or devices=1"
        )
    return resolved.type


def _number(kind: str, settings: Distributed) -> int:
    """Number of devices of this machine to use."""
    there = torch.cuda.device_count() if kind == "cuda" else os.cpu_count() or 1
    if settings.devices == "auto":
        return there if kind == "cuda" else 1
    if settings.devices > there:
        what = "CUDA devices" if kind == "cuda" else "CPU cores, each of which runs at most one process"
        raise ValueError(
            f"distributed asks for devices={settings.devices}, and this machine has {there} {what}"
        )
    return int(settings.devices)


def _strategy(settings: Distributed, kind: str) -> str:
    """The strategy with which Fabric starts processes; one that does not work here is refused."""
    if current_process().daemon:
        raise ValueError(
            "distributed= starts processes, and this process is a daemon, such as a worker of "
            "multiprocessing.Pool, which may not: use distributed=None here, or joblib's loky workers"
        )
    if settings.strategy == "ddp":
        raise ValueError(
            "strategy='ddp' joins the group of a launcher, and there is none: start the script by "
            "torchrun, or use strategy='auto'"
        )
    forks = hasattr(os, "fork")
    asked = settings.strategy
    if asked == "auto":
        asked = "ddp_notebook" if _is_interactive() and forks else "ddp_spawn"
    if asked != "ddp_spawn" and not forks:
        raise ValueError(f"strategy={settings.strategy!r} forks, which this system cannot: use 'ddp_spawn'")
    if asked != "ddp_spawn" and kind == "cuda" and torch.cuda.is_initialized():
        raise ValueError(
            f"strategy={settings.strategy!r} forks, and CUDA is in use in this process already, which a "
            "fork does not survive: use 'ddp_spawn' in a script; in a notebook, restart the kernel and "
            "call fit before CUDA is used"
        )
    return "ddp_spawn" if asked == "ddp_spawn" else "ddp_fork"


def _is_interactive() -> bool:
    import __main__

    return not hasattr(
        __main__, "__file__"
    )  # a notebook or a prompt has no script that a new process could import


# Groups of a launcher


def _launcher() -> Any:
    """Environment of the launcher that started this process, as Fabric knows it; None without one."""
    if not _is_launched():
        return None
    environments = fabric_module("plugins.environments")
    kinds = ("TorchElastic", "SLURM", "LSF", "MPI")
    for kind in (getattr(environments, f"{name}Environment") for name in kinds):
        if kind.detect():
            return kind()
    return environments.LightningEnvironment() if "LOCAL_RANK" in os.environ else None


def _is_launched() -> bool:
    """Whether a launcher set variables: else Fabric, which takes seconds to load, is not asked."""
    return any(name in os.environ for name in ("LOCAL_RANK", "RANK", "SLURM_NTASKS", "LSB_JOBID")) or (
        "OMPI_COMM_WORLD_SIZE" in os.environ or "PMI_SIZE" in os.environ
    )


def _join(environment: Any, kind: str, settings: Distributed) -> Alone:
    """Connect to the other processes of a launcher."""
    size = int(os.environ.get("WORLD_SIZE", environment.world_size()))
    local = _local_size(size)
    nodes = size // local if settings.num_nodes == "auto" else int(settings.num_nodes)
    local = size // nodes
    _check_number(settings, local, "the launcher started")
    if size == 1:
        return ALONE
    there = torch.cuda.device_count() if kind == "cuda" else local
    if local > there:
        raise ValueError(
            f"the launcher started {local} processes on this machine, which has {there} CUDA devices: start "
            "as many processes as there are devices, or use device='cpu'"
        )
    fabric = fabric_module("fabric").Fabric(
        accelerator=kind, devices=local, num_nodes=nodes, strategy="ddp", plugins=[environment]
    )
    with quiet():
        fabric.launch()
    return Ranks()


def _local_size(size: int | None = None) -> int:
    """Number of processes of the group on this machine."""
    size = distributed.get_world_size() if size is None else size
    for name in ("LOCAL_WORLD_SIZE", "SLURM_NTASKS_PER_NODE", "OMPI_COMM_WORLD_LOCAL_SIZE"):
        if os.environ.get(name, "").isdigit():
            return int(os.environ[name])
    return size


def _check_number(settings: Distributed, local: int, found: str) -> None:
    if settings.devices != "auto" and settings.devices != local:
        raise ValueError(
            f"distributed asks for devices={settings.devices}, but {found} has {local} processes on this "
            "machine: make the two agree, or use devices='auto'"
        )


def fabric_module(module: str) -> Any:
    """Import a module of Lightning Fabric."""
    purpose = "distributed= (training by several processes)"
    return import_optional(f"lightning_fabric.{module}", extra="distributed", purpose=purpose)


@contextmanager
def quiet() -> Iterator[None]:
    """Leave out what Fabric logs of each group it makes."""
    logger = logging.getLogger("lightning_fabric")
    level = logger.level
    logger.setLevel(logging.WARNING)
    try:
        yield
    finally:
        logger.setLevel(level)
