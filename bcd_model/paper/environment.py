"""What the last digits of a training depend on beside its seed."""

from __future__ import annotations

import platform

import torch


def environment(device: str) -> dict[str, str | int]:
    """Return version, device, threads and kind of machine; where they agree, so do all digits."""
    return {
        "torch": torch.__version__,
        "device": device,
        "threads": torch.get_num_threads(),
        "machine": platform.machine(),
        "instructions": torch.backends.cpu.get_cpu_capability(),
    }
