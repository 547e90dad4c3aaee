"""Everything that can go wrong in a way a user can act on.

A message is one line that says what was expected, what was got, and what to do now. The command
line prints it and exits with the class's `exit_code`; a library user catches `MixzooError`.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager

NAMED = 3  # things that a line names before it says how many more there are


def several(things: Iterable[object], joint: str = ", ") -> str:
    """`a, b, c and 4 more`: the first three of them, in a line."""
    words = list(map(str, things))
    more = f" and {len(words) - NAMED} more" if len(words) > NAMED else ""
    return joint.join(words[:NAMED]) + more


def in_words(thing: object) -> str:
    """What was got in another's place: `None`, `'resnet18'`, `a numpy.ndarray of shape (8, 8, 3)`."""
    if thing is None or isinstance(thing, str | bytes | int | float):
        return repr(thing)[:80]
    kind, shape = type(thing), getattr(thing, "shape", None)
    name = f"{kind.__module__}.{kind.__qualname__}".removeprefix("builtins.")
    of = "" if shape is None else f" of shape {tuple(shape)}, {thing.dtype}"  # type: ignore[attr-defined]
    return f"a {name}{of}"


class MixzooError(Exception):
    """Base of all errors that mixzoo raises on purpose."""

    exit_code = 1
    told = False
    """Whether another process of the same job says it."""


@contextmanager
def wall(
    kind: type[MixzooError],
    where: object,
    to_do: str = "Correct it.",
    passing: tuple[type[Exception], ...] = (),
) -> Iterator[None]:
    """The outer wall of a parser: what it didn't expect of its input becomes one line of `kind`.

    where: the input's name, which begins the line. to_do: its end. Errors that mixzoo raises on
    purpose pass as they are, and so do MemoryError, whatever is no Exception, and `passing`.
    """
    try:
        yield
    except (MixzooError, MemoryError, *passing):
        raise
    except RecursionError:
        raise kind(f"{where}: nested too deep to be read. {to_do}") from None
    except Exception as error:  # whatever it is: that is what a wall is for
        words = getattr(error, "strerror", None) or str(error)  # of the system, or a parser's own
        said = " ".join(words.partition(";")[0].split())[:200].rstrip(".")
        raise kind(f"{where}: {said or type(error).__name__}. {to_do}".rstrip()) from None


class UsageError(MixzooError):
    """Arguments that don't fit together, or name something that doesn't exist."""

    exit_code = 2


class ManifestError(MixzooError):
    """A manifest or lock file that says something it must not say."""

    exit_code = 3


class SourceError(MixzooError):
    """A file that couldn't be fetched: no source, no network, a server that refuses."""

    exit_code = 4


class UnsettledError(SourceError):
    """Several files that could be the one that is wanted: a person has to say which.

    question: in words. answers: each file, and the words of the `mixzoo` command that settles it.
    """

    question: str = ""
    answers: Mapping[str, Sequence[str]] = {}


class IntegrityError(MixzooError):
    """Bytes that must not be used: not the locked ones, or an archive that isn't safe to unpack."""

    exit_code = 5


class CheckpointError(MixzooError):
    """A file that isn't a checkpoint, isn't safe to read, or doesn't fit its architecture.

    cause: the key of `eval.causes` that it stands for, "" for none.
    """

    exit_code = 6

    def __init__(self, message: str, cause: str = "") -> None:
        super().__init__(message)
        self.cause = cause


class DataError(MixzooError):
    """A data set that is missing, incomplete or wrongly labelled."""

    exit_code = 7


class LostRankError(MixzooError):
    """Another process of the same job ended, so that this one cannot finish."""

    exit_code = 8


class DivergedError(MixzooError):
    """A training run whose loss is no number any more."""

    exit_code = 9


class InterruptedRunError(MixzooError):
    """A training run that was asked to stop, and goes on when it is started again."""

    exit_code = 75  # EX_TEMPFAIL: schedulers and scripts take it for "run me again"
