"""Decoding processes: how many there are, how they hand over what they made, and how they end."""

import logging
import multiprocessing.queues
import os
import signal
import sys
import threading
import time
import traceback
import warnings
from collections.abc import Generator, Iterable, Iterator
from contextlib import contextmanager, suppress
from functools import cache
from typing import Any, TypeVar

import numpy as np
import torch
from torch.utils.data import DataLoader, Dataset

from ..zoo.errors import UsageError
from ..zoo.parallel import processors

logger = logging.getLogger(__name__)
T = TypeVar("T")
PATIENCE = 600.0  # seconds for a batch: even a slow network disk has some images by then
GRACE = 3.0  # seconds in which a process that isn't needed any longer may end by itself
SHARED_BYTES = 1 << 16  # what a pipe holds; smaller tensors aren't worth a file in shared memory


class HandedOver:
    """Base of a dataclass with tensors that decoding processes make for their parent.

    Large tensors go through shared memory as long as it has room, else through the pipe that all
    else goes through: in a container /dev/shm often has 64 MB, and others may fill it any time.
    """

    def __getstate__(self) -> dict[str, Any]:
        return {name: _handed_over(value) for name, value in vars(self).items()}

    def __setstate__(self, state: dict[str, Any]) -> None:
        arrays = {name: v for name, v in state.items() if isinstance(v, np.ndarray)}
        if any(array.nbytes > SHARED_BYTES for array in arrays.values()):
            _warn(
                "/dev/shm has no room for what the decoding processes make: it comes through "
                "pipes, somewhat slower. For more room, with Docker: --shm-size=1g."
            )
        vars(self).update(state, **{name: torch.from_numpy(a) for name, a in arrays.items()})


def _handed_over(value: Any) -> Any:
    if not isinstance(value, torch.Tensor):
        return value
    if value.nbytes > SHARED_BYTES:
        with suppress(RuntimeError):  # torch's, of a /dev/shm that has no room or can't be written
            return value.share_memory_()
    return value.numpy()


@cache  # the same words once in a process, not in every epoch
def _warn(text: str) -> None:
    logger.warning(text)


def decoded(
    dataset: Dataset[T],
    items: Iterable[Any],
    workers: int,
    *,
    ahead: int = 2,
    pin: bool = False,
) -> Generator[T, None, None]:
    """`dataset[item]` for each of some items, in their order, made by `workers` processes.

    workers: 0 makes them in this process, and so does a machine that starts no others, with a
    warning. ahead: items that each process prepares. pin: for copies to a GPU, see
    `torch.utils.data.DataLoader`. The processes end when this ends, is closed, or fails; not when
    it is forgotten: an error's traceback can hold it until the interpreter ends, which would wait
    for them for ever, since they leave signals to their parent.
    Raises UsageError for a process that was killed, and for one that makes nothing for PATIENCE.
    """
    iterator = _started(dataset, items, workers, ahead, pin)
    with explained():
        try:
            yield from iterator
        finally:
            _end(iterator)


def _started(
    dataset: Dataset[T], items: Iterable[Any], workers: int, ahead: int, pin: bool
) -> Iterator[T]:
    others = set(multiprocessing.active_children())
    options: dict[str, Any] = {"batch_size": None, "sampler": items, "pin_memory": pin}
    if workers:
        several = {"num_workers": workers, "prefetch_factor": ahead, "timeout": PATIENCE}
        try:
            with warnings.catch_warnings():
                warnings.filterwarnings("ignore", "This DataLoader will create")  # more than cores
                return iter(DataLoader(dataset, worker_init_fn=_begin, **several, **options))
        except BaseException as error:
            for process in set(multiprocessing.active_children()) - others:
                process.kill()
                process.join()
            for frame, _ in traceback.walk_tb(error.__traceback__):
                half_made: Any = frame.f_locals.get("self")
                if hasattr(half_made, "_shutdown_workers"):
                    half_made._shutdown = True  # its __del__ stumbles over what it never got
            if not isinstance(error, OSError):
                raise
            _warn(
                f"No decoding processes can be started ({error.strerror or error}; is there a "
                "/dev/shm with room?). Decoding in this one, as with --workers 0."
            )
    return iter(DataLoader(dataset, **options))


def _end(iterator: Iterator[Any]) -> None:
    """End the processes of a DataLoader, those too that hang on a disk that doesn't answer."""
    if not (shut_down := getattr(iterator, "_shutdown_workers", None)):
        return
    workers = list(getattr(iterator, "_workers", ()))
    kill = threading.Timer(GRACE, lambda: [worker.kill() for worker in workers])
    kill.daemon = True
    try:
        kill.start()
    finally:  # torch may tell any time, once for each, that one of them was killed
        with suppress(RuntimeError):
            shut_down()
        kill.cancel()
        for worker in workers:
            worker.kill()
            worker.join(GRACE)


def _begin(_: int) -> None:
    """Ignore signals in a decoding process: a scheduler's reach the whole group, and its parent
    still needs it until it has saved what is done. And end where something can't be handed over,
    which else is forgotten in a thread while the parent waits for it; and with its parent."""
    for name in ("SIGINT", "SIGTERM", "SIGHUP", "SIGUSR1"):  # the last is SLURM's
        if hasattr(signal, name):  # Windows hasn't got all
            signal.signal(getattr(signal, name), signal.SIG_IGN)
    multiprocessing.queues.Queue._on_queue_feeder_error = staticmethod(_give_up)  # type: ignore[attr-defined]
    threading.Thread(target=_watch_parent, daemon=True).start()


def _watch_parent() -> None:
    """End this process once its parent is gone.

    torch sees that too, and then waits until somebody has read what was made: for ever, since the
    read end of that pipe is open in the other decoding processes.
    """
    parent = multiprocessing.parent_process()
    while parent and os.getppid() == parent.pid:
        time.sleep(1)
    os._exit(1)


def _give_up(error: Exception, _: object) -> None:
    sys.stderr.write(f"error: a decoding process can't hand over what it made: {error!r}\n")
    sys.stderr.flush()
    os._exit(1)


@contextmanager
def explained() -> Iterator[None]:
    """Say what to do about a decoding process that is gone, or makes nothing.

    For whoever uses what they make: torch tells it where the main thread just is, by a signal.
    """
    try:
        yield
    except (RuntimeError, ConnectionError, EOFError) as error:
        if "DataLoader timed out" in str(error):
            what = f"The decoding processes made nothing for {PATIENCE:.0f} seconds: does the disk "
            what += "with the images answer?"
        elif "Too many open files" in str(error) or "ancdata" in str(error):
            what = "The decoding processes need more open files than are allowed here (ulimit -n)."
        elif "DataLoader worker" in str(error) or not isinstance(error, RuntimeError):
            what = "A decoding process was killed, likely for memory."
        else:
            raise
        raise UsageError(
            f"{what} Give the same command again, with fewer --workers or with --workers 0; what "
            "is done is kept."
        ) from None


def default_workers(ranks_here: int = 1) -> int:
    """Decoding processes per rank: this machine's usable cores shared out, at most 8."""
    return min(8, processors() // ranks_here)
