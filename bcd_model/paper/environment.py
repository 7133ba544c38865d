"""What the last digits of a training depend on beside its seed."""

from __future__ import annotations

import os
import platform

import torch

_OF_BFLOAT16 = ("avx512_bf16", "amx_bf16")
_LIMIT = "ONEDNN_MAX_CPU_ISA"


def environment(device: str) -> dict[str, str | int]:
    """Return version, device, threads and kind of machine; where they agree, so do all digits."""
    return {
        "torch": torch.__version__,
        "device": device,
        "threads": torch.get_num_threads(),
        "machine": platform.machine(),
        "instructions": _instructions(),
    }


def _instructions() -> str:
    """The processor's, as far as PyTorch sums in another order with them, and a limit set on them."""
    known = torch.cpu.get_capabilities()
    found = [torch.backends.cpu.get_cpu_capability()]
    found += [name.upper() for name in _OF_BFLOAT16 if known.get(name)]
    if os.environ.get(_LIMIT):
        found.append(f"{_LIMIT}={os.environ[_LIMIT]}")
    return ", ".join(found)
