"""A training run as its log tells it, ready to be drawn: validations, losses, learning rates."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from ..eval.logs import LogAudit
from ..eval.logs.lines import Training


@dataclass(frozen=True)
class TrainingPoint:
    """What a training line says. epoch: with its fraction, 1.5 is the middle of the second one.

    loss, lr: None where the line doesn't say them; a loss may be NaN.
    """

    epoch: float
    loss: float | None
    lr: float | None


@dataclass(frozen=True)
class Run:
    """An audited log with the training behind it. training: in order, repeated parts once."""

    audit: LogAudit
    training: tuple[TrainingPoint, ...]

    @property
    def heads(self) -> tuple[str, ...]:
        """Heads with a top-1 accuracy, that of inference first."""
        return tuple(sorted(self.audit.log.heads, key=lambda head: head != "one_k"))

    def top1(self, head: str) -> dict[int, float]:
        """Epoch -> validation top-1 of a head, percent."""
        return self.audit.log.floats(f"{head}_top1")

    def replaced(self, head: str) -> list[tuple[int, float]]:
        """Epochs and top-1 of validations that a restart did again."""
        name = f"{head}_top1"
        return [
            (v.epoch, float(v.accuracies[name]))
            for v in self.audit.log.replaced
            if name in v.accuracies
        ]

    @property
    def losses(self) -> list[tuple[float, float]]:
        """Epochs and training losses, as far as the log has any."""
        return [(point.epoch, point.loss) for point in self.training if point.loss is not None]

    @property
    def rates(self) -> list[tuple[float, float]]:
        """Epochs and learning rates, as far as the log has any."""
        return [(point.epoch, point.lr) for point in self.training if point.lr is not None]

    def restarts(self) -> list[int]:
        """The epochs that a resumed log's later pieces begin with."""
        log = self.audit.log
        first: dict[int, int] = {}
        for line in (*log.training, *log.replaced, *log.validations):
            first[line.piece] = min(line.epoch, first.get(line.piece, line.epoch))
        return [first[piece] for piece in sorted(first) if piece > 0]

    def value(self, head: str, rule: str) -> float | None:
        """What a rule of eval.logs.summaries makes of a head, percent, None if epochs are missing."""
        found = (s.value for s in self.audit.summaries if (s.head, s.rule) == (head, rule))
        return next(found, None)


def read_run(audit: LogAudit) -> Run:
    """An audit with the losses and learning rates of its log.

    A log without training lines has the rates that its validations name.
    """
    lines = _latest(audit.log.training)
    if not lines:
        rates = ((v.epoch, v.lr) for v in audit.log.validations if v.lr is not None)
        return Run(audit, tuple(TrainingPoint(epoch, None, float(lr)) for epoch, lr in rates))
    per_epoch = max(line.iterations or line.iteration for line in lines) or 1
    return Run(
        audit,
        tuple(
            TrainingPoint(
                line.epoch - 1 + min(1.0, line.iteration / per_epoch),
                line.loss,
                None if line.lr is None else float(line.lr),
            )
            for line in lines
        ),
    )


def curves_words(runs: Sequence[Run]) -> str:
    """What the curves end in, for readers who don't see the figure."""
    return " ".join(
        f"{run.audit.name} {head}: top-1 {values[max(values)]:.2f} percent after epoch {max(values)}."
        for run in runs
        for head in run.heads
        if (values := run.top1(head))
    )


def short_names(names: Sequence[str]) -> list[str]:
    """Row ids as they are, paths by as many of their last parts as tell them apart."""
    for parts in range(1, 10):
        short = [str(Path(*Path(name).parts[-parts:])) for name in names]
        if len(set(short)) == len(set(names)):
            return short
    return list(names)


def _latest(lines: Iterable[Training]) -> list[Training]:
    """Training in order: where a restart goes back, what it does again replaces what was."""
    kept: list[Training] = []
    for line in lines:
        while kept and (kept[-1].epoch, kept[-1].iteration) >= (line.epoch, line.iteration):
            kept.pop()
        kept.append(line)
    return kept
