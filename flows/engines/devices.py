"""Where a network runs and in which precision. torch is imported only when a network loads."""

import contextlib
from typing import TYPE_CHECKING

from warehouse.errors import EngineUnavailable

if TYPE_CHECKING:
    import torch

DTYPES = ("auto", "float32", "bfloat16")


def check(device: str, dtype: str) -> None:
    """`ValueError` for a device or precision that no engine takes; asks no hardware."""
    if device not in ("auto", "cpu") and device.partition(":")[0] != "cuda":
        raise ValueError(f"device = {device!r}; take auto, cpu, cuda or cuda:1")
    if dtype not in DTYPES:
        raise ValueError(f"dtype = {dtype!r}; take one of {', '.join(DTYPES)}")


def pick(device: str) -> "torch.device":
    """The device that a setting names; `auto` is CUDA where there is a GPU. `EngineUnavailable` where there is not."""
    import torch

    if device == "auto":
        device = "cuda" if torch.cuda.is_available() else "cpu"
    if device.startswith("cuda") and not torch.cuda.is_available():
        raise EngineUnavailable(f"device = {device!r}, but torch sees no GPU; take device = 'auto' or 'cpu'")
    return torch.device(device)


def autocast(device: "torch.device", dtype: str) -> contextlib.AbstractContextManager[None]:
    """Mixed precision for one call: `bfloat16` over float32 weights; `auto` is that on CUDA and float32 on a CPU."""
    import torch

    if dtype == "bfloat16" or (dtype == "auto" and device.type == "cuda"):
        return torch.autocast(device.type, dtype=torch.bfloat16)
    return contextlib.nullcontext()
