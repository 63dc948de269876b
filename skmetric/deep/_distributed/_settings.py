"""Distributed: the number of processes that train one network, and how they start."""

from __future__ import annotations

from numbers import Integral
from typing import Literal

from skmetric._documented import DocumentedMixin
from skmetric._params import Interval, StrOptions
from skmetric._sklearn import BaseEstimator


class Distributed(DocumentedMixin, BaseEstimator):
    """Train one network by several processes, one for each device, through Lightning Fabric.

    It is the parameter `distributed` of :class:`DeepMetricLearner`, whose `device` names the kind of device.
    Each process has the whole network and embeds its share of each batch. Embeddings and labels are gathered
    with their gradients, so that the loss compares all samples of the batch, as in one process: the gradients
    are those of one process with the same batch. Needs the extra ``distributed``.

    A process that ``torchrun`` or the launcher of a cluster started joins the group of that launcher: each of
    its processes runs the same script, with the same samples. Without a launcher, `fit` starts the processes
    itself, hands them the samples, and ends with what the first of them learned. It works in a script, a
    notebook and a pipeline.

    Parameters
    ----------
    strategy : {"auto", "ddp", "ddp_spawn", "ddp_fork", "ddp_notebook"}, default="auto"
        How processes start. "ddp": by a launcher only. "ddp_spawn": new interpreters; a script then has to
        call `fit` below ``if __name__ == "__main__":``. "ddp_fork", also called "ddp_notebook": copies of
        this process, which start faster, each with one thread; refused on Windows, and where CUDA is in use
        already. "auto": the launcher's group, if there is one; else "ddp_fork" in a notebook and "ddp_spawn"
        elsewhere.
    devices : int or "auto", default="auto"
        Number of devices of one machine, and so of processes. "auto": as many as the launcher started; else
        all GPUs, or one process on a CPU. A number of CPU processes is at most that of its cores.
    num_nodes : int or "auto", default="auto"
        Number of machines. "auto": as the launcher says. More than one need a launcher.

    See Also
    --------
    DeepMetricLearner : Its parameter `distributed` takes this object.
    skmetric.deep.losses.GatheredBatches : The same gathering, for a training loop of your own.

    Notes
    -----
    **The same as one process, except for chance.** Dropout and augmentations draw other numbers in each
    process, and batch norms use the statistics of the share of their process. The running statistics of batch
    norms are averaged over the processes after each epoch. Without these, one process and several differ only
    by rounding.

    **Shares.** The sampler draws the batches of one process, and each batch is divided: a batch of 10 samples
    gives 4, 3 and 3 to three processes. A batch with fewer samples than processes is refused.

    **Validation, checkpoints, callbacks.** Held-out samples are embedded in shares and scored once. The first
    process writes the checkpoint. Where `fit` started the processes, callbacks are called, and warnings
    given, in the process that called `fit`: callbacks by a thread of it, while `fit` waits. Under a launcher
    the first process calls them. A checkpoint of another number of processes is refused. If a process dies,
    `fit` ends with an error.

    Examples
    --------
    >>> from skmetric.deep import DeepMetricLearner, Distributed
    >>> DeepMetricLearner(device="cpu", distributed=Distributed(devices=2)).distributed
    Distributed(devices=2)
    """

    _parameter_constraints = {
        "strategy": [StrOptions({"auto", "ddp", "ddp_spawn", "ddp_fork", "ddp_notebook"})],
        "devices": [Interval(Integral, 1, None, closed="left"), StrOptions({"auto"})],
        "num_nodes": [Interval(Integral, 1, None, closed="left"), StrOptions({"auto"})],
    }

    def __init__(
        self,
        strategy: Literal["auto", "ddp", "ddp_spawn", "ddp_fork", "ddp_notebook"] = "auto",
        devices: int | Literal["auto"] = "auto",
        num_nodes: int | Literal["auto"] = "auto",
    ) -> None:
        self.strategy = strategy
        self.devices = devices
        self.num_nodes = num_nodes
