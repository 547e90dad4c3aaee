"""How a process that computes on the CPU keeps its memory."""

import ctypes
import os
import sys

M_TRIM_THRESHOLD, M_MMAP_MAX = -1, -4  # malloc.h


def keep_freed_memory() -> bool:
    """Let glibc keep what tensors free for the next ones, from now on in this process.

    By default it asks the kernel for every large block and gives it back when it is freed, so that
    each page is cleared anew for each tensor: a third of ResNet-50's forward pass in fp32 on the
    machine of benchmarks/forward.py. Afterwards the process holds its peak of memory to its end.

    Not where the user tuned malloc or put another allocator in its place, nor with another libc.
    Returns whether it was done.
    """
    tuned = any(name.startswith("MALLOC_") for name in os.environ)
    if tuned or {"GLIBC_TUNABLES", "LD_PRELOAD"} & os.environ.keys() or sys.platform != "linux":
        return False
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)  # musl has none
    return bool(mallopt and mallopt(M_MMAP_MAX, 0) and mallopt(M_TRIM_THRESHOLD, -1))
