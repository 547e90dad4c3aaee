"""The one download that visitors of the demo can have running at a time."""

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path

from ...zoo.cache import asset_path
from ...zoo.catalog import Benchmark
from ...zoo.errors import SourceError, UsageError
from ...zoo.lock import Asset
from ...zoo.looks import naming
from ...zoo.net.partial import Partial


class Download:
    """`mixzoo zoo download ROW` in a process of its own, which goes on when its visitor leaves.

    A process, because it can be stopped: a thread that waits for a server would keep the demo
    from ending.
    """

    def __init__(
        self,
        benchmark: Benchmark,
        assets: Sequence[Asset],
        manifests: Sequence[Path],
        environment: Mapping[str, str],
    ) -> None:
        """Begin. assets: of one row; the training log is fetched too if one of them is a log."""
        self.row_id = assets[0].row
        self._paths = [asset_path(benchmark.name, asset) for asset in assets]
        sizes = [asset.size for asset in assets]
        self.total = None if None in sizes else sum(size or 0 for size in sizes)
        logs = ["--logs"] * any(asset.kind != "weights" for asset in assets)
        extra = naming(manifests)
        self._process = subprocess.Popen(
            [sys.executable, "-P", "-m", "mixzoo", "zoo", "download", self.row_id, *logs, *extra],
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            encoding="utf-8",
            errors="replace",
        )
        self._said = ""
        self._ended = threading.Event()
        threading.Thread(target=self._listen, daemon=True).start()

    @property
    def received(self) -> int:
        """Bytes that are here, as of the last note on the disk (every 2 seconds)."""
        return sum(
            path.stat().st_size if path.is_file() else Partial(path).received
            for path in self._paths
        )

    @property
    def running(self) -> bool:
        """Whether it hasn't ended."""
        return not self._ended.is_set()

    def wait(self, seconds: float) -> bool:
        """Wait for its end; whether it has come. Several threads may wait."""
        return self._ended.wait(seconds)

    def stop(self) -> None:
        """Interrupt it; what has arrived stays, and the next download goes on from there."""
        if self.running:
            self._process.send_signal(signal.SIGTERM)

    def raise_problem(self) -> None:
        """Raise SourceError with the command's own line if it has failed."""
        code = self._process.returncode
        if code in (-signal.SIGTERM, 128 + signal.SIGTERM):
            raise SourceError(f"{self.row_id}: stopped; the next download goes on from here.")
        if code:
            lines = self._said.strip().splitlines() or ["it ended without a word"]
            raise SourceError(lines[-1].removeprefix("error: "))

    def _listen(self) -> None:
        self._said = self._process.communicate()[1]
        self._ended.set()


class Downloads:
    """Starts downloads, one at a time for all visitors together."""

    def __init__(self, manifests: Sequence[Path]) -> None:
        """manifests: benchmarks beside the package's own, as the demo was started with.

        The environment of today is what downloads run in: the demo changes its own afterwards.
        """
        self._manifests = manifests
        self._environment = dict(os.environ)
        self._lock = threading.Lock()
        self.last: Download | None = None

    def begin(self, benchmark: Benchmark, assets: Sequence[Asset]) -> Download:
        """Start one, or join the one that is running for the same row.

        Raises UsageError if another one is running.
        """
        with self._lock:
            if self.last and self.last.running:
                if self.last.row_id == assets[0].row:
                    return self.last
                raise UsageError(
                    f"{self.last.row_id} is being downloaded; expected one at a time. Wait for its "
                    "end."
                )
            self.last = Download(benchmark, assets, self._manifests, self._environment)
            return self.last

    def stop(self) -> None:
        """Interrupt the running one, if any."""
        if self.last:
            self.last.stop()
