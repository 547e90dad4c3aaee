"""Large tensors reuse memory instead of getting cleared pages from the kernel each time."""

import json
import os
import platform
import subprocess
import sys

import pytest

FAULTS = """
import json, resource, sys
import torch
from mixzoo.eval.world import keep_freed_memory
done = keep_freed_memory() if "keep" in sys.argv else False
def faults():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(5):
        torch.empty(1 << 24).fill_(1)  # 64 MiB
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before
for _ in range(4):
    faults()  # the heap grows
print(json.dumps([done, faults()]))
"""
glibc = pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="another libc")


def faults(*arguments: str, **environment: str) -> tuple[bool, int]:
    """Whether freed memory is kept, and the page faults of five tensors of 64 MiB."""
    clean = {k: v for k, v in os.environ.items() if not k.startswith(("MALLOC_", "GLIBC_", "LD_"))}
    run = subprocess.run(
        [sys.executable, "-c", FAULTS, *arguments],
        env=clean | environment,
        check=True,
        capture_output=True,
    )
    done, count = json.loads(run.stdout)
    return done, count


@glibc
def test_freed_memory_is_used_again() -> None:
    """Five tensors cost next to no page faults once memory is kept."""
    _, plain = faults()
    kept, few = faults("keep")

    assert kept
    assert few < plain / 10


@glibc
@pytest.mark.parametrize("name", ["MALLOC_ARENA_MAX", "GLIBC_TUNABLES", "LD_PRELOAD"])
def test_what_the_user_chose_is_left_alone(name: str) -> None:
    """Variables that tune malloc or replace it."""
    kept, _ = faults("keep", **{name: "" if name == "LD_PRELOAD" else "2"})

    assert not kept
