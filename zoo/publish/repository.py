"""A hub repository of published models, and the manifest and lock that make it a source."""

from dataclasses import dataclass
from pathlib import Path

import msgspec

from ..catalog import Benchmark
from ..checkpoint.export import Exported
from ..lock import Asset, Kind, Lock
from ..manifest import HuggingFaceSource, Manifest, Matching, Metric, Row, slug
from .candidates import Candidate
from .evidence import Evidence, Line

HUB = "https://huggingface.co"
MANIFEST = "mixzoo.toml"
LOCK = "mixzoo.lock.json"
REPORT = "report.json"
CARD = "README.md"


@dataclass(frozen=True)
class PublishedLog:
    """A training log of the repository; `path` is where it lies in the folder that is built."""

    path: Path
    kind: Kind
    size: int
    sha256: str


@dataclass(frozen=True)
class Model:
    """One model of the repository.

    lines: what the report says of its heads; empty if nothing was evaluated. headline: the line
    that is the benchmark's own number for the head that inference uses, if there is one.
    """

    candidate: Candidate
    exported: Exported
    log: PublishedLog | None = None
    lines: tuple[Line, ...] = ()
    headline: Line | None = None

    @property
    def row(self) -> Row:
        """The row that it was made as, in the benchmark's own words."""
        return self.candidate.row


@dataclass(frozen=True)
class Leaderboard:
    """A task of a hub data set that is registered as a benchmark there."""

    dataset: str
    task: str


@dataclass(frozen=True)
class Repository:
    """What is published under `id` (`OWNER/NAME`): models of one benchmark, and what backs them."""

    id: str
    benchmark: Benchmark
    models: tuple[Model, ...]
    evidence: Evidence | None = None
    license: str = "unknown"
    leaderboard: Leaderboard | None = None

    @property
    def url(self) -> str:
        """Its page."""
        return f"{HUB}/{self.id}"

    def row_id(self, model: Model) -> str:
        """A model's id in the repository's own manifest."""
        return model.row.id_in(slug(self.id))

    def manifest(self) -> Manifest:
        """The benchmark's protocol and data, the repository as source, its models as rows.

        A row's number is the report's for this very checkpoint; without one it has none.
        """
        original = self.benchmark.manifest
        return msgspec.structs.replace(
            original,
            name=slug(self.id),
            title=f"{self.id}: weights for {original.title}",
            homepage=self.url,
            metric=Metric(statistic="last_epoch", decimals=original.metric.decimals),
            rows=[self._row(model) for model in self.models],
            sources=[HuggingFaceSource(repository=self.id)],
            matching=Matching(),
        )

    def lock(self) -> Lock:
        """Every weights file and log with size and hash."""
        assets: list[Asset] = []
        for model in self.models:
            weights, log, row = model.exported, model.log, self.row_id(model)
            assets.append(_asset(row, "weights", weights.path.name, weights.size, weights.sha256))
            if log:
                assets.append(_asset(row, log.kind, log.path.name, log.size, log.sha256))
        return Lock(format=1, benchmark=slug(self.id), assets=assets)

    def _row(self, model: Model) -> Row:
        decimals = self.benchmark.manifest.metric.decimals
        number = round(model.headline.top1, decimals) if model.headline else None
        return msgspec.structs.replace(model.row, id=self.row_id(model), reported_top1=number)


def _asset(row: str, kind: Kind, name: str, size: int, sha256: str) -> Asset:
    return Asset(
        row=row, kind=kind, name=name, size=size, sha256=sha256, hash_from="published digest"
    )
