"""What measured numbers depend on: the machine and the versions."""

import os
import platform
from importlib import metadata
from pathlib import Path


def machine(*libraries: str) -> dict[str, object]:
    """Processor, cores, Python, and the versions of `libraries`; torch's threads and device too."""
    cpu = Path("/proc/cpuinfo")
    lines = cpu.read_text().splitlines() if cpu.exists() else []
    names = [line.split(":")[1].strip() for line in lines if line.startswith("model name")]
    facts: dict[str, object] = {
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
