"""What measured numbers depend on: the machine and the versions."""

import os
import platform
import time
from collections.abc import Callable
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch


def machine(*libraries: str) -> dict[str, object]:
    """The day, processor, cores, Python, and the versions of `libraries`.

    With torch its threads and device too.
    """
    cpu = Path("/proc/cpuinfo")
    lines = cpu.read_text().splitlines() if cpu.exists() else []
    names = [line.split(":")[1].strip() for line in lines if line.startswith("model name")]
    facts: dict[str, object] = {
        "date": time.strftime("%Y-%m-%d"),
        "cpu": names[0] if names else platform.machine(),
        "cores": os.cpu_count(),
        "python": platform.python_version(),
        **{name: metadata.version(name) for name in libraries},
    }
    if "torch" in libraries:
        import torch

        facts["torch_threads"] = torch.get_num_threads()
        facts["device"] = torch.cuda.get_device_name() if torch.cuda.is_available() else "cpu"
    return facts


def seconds(run: Callable[[], object]) -> float:
    """Duration of one call, of the GPU's share too; without a GPU processor time over threads."""
    import torch

    if not torch.cuda.is_available():
        start = time.process_time()
        run()
        return (time.process_time() - start) / torch.get_num_threads()
    start = time.perf_counter()
    run()
    torch.cuda.synchronize()
    return time.perf_counter() - start


def matrix_product(dtype: "torch.dtype", device: "torch.device") -> Callable[[], float]:
    """Measures the machine's own matrix product in some format: FLOP per second, each time called."""
    import torch

    side = 4096 if device.type == "cuda" else 2048
    a, b = (torch.randn(side, side, device=device).to(dtype) for _ in range(2))
    return lambda: 2 * side**3 / seconds(lambda: a @ b)
