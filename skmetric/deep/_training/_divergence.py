"""Whether the loss of an epoch is still a number, asked without a wait for the device."""

from __future__ import annotations

import torch


class Divergence:
    """Looks at the loss now and then.

    On a GPU each look reads what the look before it sent to the host, which has arrived by then: to read what
    was computed just now would wait for all that is queued.

    Parameters
    ----------
    device : torch.device
        Where the loss is.
    """

    def __init__(self, device: torch.device) -> None:
        self._device = device
        self._sent: tuple[torch.Tensor, torch.cuda.Event] | None = None

    def looks_sound(self, total: torch.Tensor) -> bool:
        """Whether the sum of losses () was finite: on the CPU now, on a GPU at the look before."""
        finite = torch.isfinite(total)
        if self._device.type != "cuda":
            return bool(finite)
        before, arrived = self._sent, torch.cuda.Event()
        self._sent = finite.to("cpu", non_blocking=True), arrived
        arrived.record()
        if before is None:
            return True
        before[1].synchronize()
        return bool(before[0])
