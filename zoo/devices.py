"""Where to compute: a name becomes a device of this machine, or one line says why not."""

import torch

from .errors import UsageError


def device_of(name: str | int | torch.device, local_rank: int = 0) -> torch.device:
    """The device of a name, tried: "auto" (CUDA if there is one), "cpu", "cuda", "cuda:N", "mps".

    local_rank: the GPU that "cuda" means. Raises UsageError for what torch can't use here.
    """
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    try:
        device = torch.device(name)
        if device == torch.device("cuda"):
            device = torch.device("cuda", local_rank)
        if device.type == "cuda" and device.index >= torch.cuda.device_count():
            count = torch.cuda.device_count()
            has = f"cuda:0 to cuda:{count - 1}" if count else "no CUDA device"
            raise UsageError(
                f"--device {name}: this machine has {has}, expected {device}. Use --device cpu (in "
                "Python device='cpu'), or start at most one process per GPU."
            )
        torch.ones(1, device=device).item()
    except (RuntimeError, TypeError, AssertionError, ImportError) as error:
        said = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise UsageError(
            f"--device {name}: expected auto, cpu, cuda, cuda:N or another that torch can use "
            f"here ({said[:150]}). Use --device cpu (in Python device='cpu')."
        ) from None
    return device
