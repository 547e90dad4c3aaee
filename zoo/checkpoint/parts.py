"""Which tensors in a file are the network's weights, and which are averaged copies of them.

A file may nest tables of tensors under any keys, and a table may hold several networks under
prefixes. What is a ResNet by its names is a part of the file; where several could be meant none is
guessed.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import Tensor

from ..errors import CheckpointError, UsageError, several
from ..looks import command
from .names import AVERAGED, roots_of, unwrapped
from .unpickle import Foreign, Stored

DEEPEST = 6  # tables within tables
TOP = "."
"""Names the part whose tensors stand in no table of their own."""

# Keys that tools give to averages: state_dict_ema, model_ema, swa_model, averaged_model, shadow
_AVERAGED = re.compile(r"(?:^|[._])(?:ema|swa|avg|averaged?|shadow)(?:[._]|$)", re.IGNORECASE)
_STATISTICS = "bn1.running_mean"  # of every whole ResNet; an optimizer's tables lack them
_COUNTED = "n_averaged"
_USUAL = ("state_dict", "model", TOP)  # where weights stand that are no ResNet's


@dataclass(frozen=True)
class Part:
    """A network's tensors. name: the keys that lead to them, joined by dots. root: of the names.

    is_averaged: whether they are an average over several states of training. beside: names of what
    stands in the table outside of the root, and so isn't the network's.
    """

    name: str
    root: str
    tensors: dict[Any, Any]
    is_averaged: bool = False
    beside: tuple[str, ...] = ()

    def holds_the_same(self, other: "Part") -> bool:
        """Whether both are the very same tensors, in two places of the file."""
        a, b = (
            {
                unwrapped(str(key)).removeprefix(part.root): value
                for key, value in part.tensors.items()
            }
            for part in (self, other)
        )
        return a.keys() == b.keys() and all(
            a[key] is b[key] or (isinstance(a[key], Stored) and a[key] == b[key]) for key in a
        )


def is_averaged(name: str) -> bool:
    """Whether a part's name says that it is an average over several states of training."""
    return bool(_AVERAGED.search(name))


def how_to_take(path: Path, part: str) -> str:
    """The command that makes a file of one of the networks in `path`."""
    return command("zoo", "export", path, "--part", part, "--to", "DIR")


def choose(
    path: Path, content: Any, wanted: str | None = None, *, foreign: bool = False
) -> tuple[Part, list[str]]:
    """The part that holds the weights, and the names of averaged copies beside it.

    path, content: a file, and what it stored. wanted: the name of the part to take. foreign:
    whether it is one network that isn't ours, whatever its names look like. Raises CheckpointError,
    without the file's name, where there is no table of tensors or several networks could be meant;
    UsageError if there is no part of that name.
    """
    tables = {
        _joined(*path): dict(table)
        for path, table in _all_tables(content)
        if any(map(_is_tensor, table.values()))
    }
    own = {} if foreign else tables
    parts = [part for name in own for part in _networks(name, own[name])]
    if wanted is not None:
        parts += [Part(name, "", table, is_averaged(name)) for name, table in tables.items()]
        found = next((part for part in parts if part.name == wanted), None)
        if found is None:
            names = ", ".join(dict.fromkeys(part.name for part in parts)) or "none"
            raise UsageError(
                f"--part {wanted}: expected a part of the file: {names[:500]}. Name one."
            )
        return found, []
    averaged = [part for part in parts if part.is_averaged]
    plain = [part for part in parts if not part.is_averaged] or averaged
    whole = [one for one in plain if any(_STATISTICS in str(name) for name in one.tensors)] or plain
    different = [
        part for i, part in enumerate(whole) if not any(map(part.holds_the_same, whole[:i]))
    ]
    if len(different) > 1:
        names = [f"'{part.name}'" for part in different]
        raise CheckpointError(
            f"holds {len(names)} networks, {several(names, ' and ')}, and nothing says which one "
            f"is meant. Take one out: {how_to_take(path, different[-1].name)}"
        )
    if different:
        (chosen,) = different
        return chosen, [part.name for part in averaged if not part.holds_the_same(chosen)]
    name = next((name for name in (*_USUAL, *tables) if name in tables), None)
    if name is None:
        classes = {key: f" (a {v.of})" for key, v in content.items() if isinstance(v, Foreign)}
        held = several(f"{key!r:.60}{classes.get(key, '')}" for key in content) or "nothing"
        raise CheckpointError(
            f"expected the weights of a network, got no table of tensors; it holds {held}. Save "
            "the model's state_dict."
        )
    return Part(name, "", tables[name]), []


def unnamed_averages(content: Any) -> list[str]:
    """Lists of tensors that are averages by their keys, as torch_ema writes them."""
    return [
        _joined(*path, key)
        for path, table in _all_tables(content)
        for key, value in table.items()
        if isinstance(key, str)
        and isinstance(value, list | tuple)
        and any(map(_is_tensor, value))
        and is_averaged(_joined(*path, key))
    ]


def _all_tables(content: Any) -> Iterator[tuple[tuple[str, ...], Mapping[Any, Any]]]:
    """All tables in a file with the keys that lead to them; each table once."""
    seen: set[int] = set()
    waiting: list[tuple[tuple[str, ...], Any]] = [((), content)]
    for path, table in waiting:  # grows
        if id(table) in seen:
            continue
        seen.add(id(table))
        yield path, table
        if len(path) < DEEPEST:
            waiting += [
                ((*path, key), value)
                for key, value in table.items()
                if isinstance(key, str) and isinstance(value, Mapping)
            ]


def _is_tensor(value: Any) -> bool:
    """Whether a value is a tensor of any kind, also of one that can't be read."""
    strange = isinstance(value, Foreign) and value.of.startswith(("torch._utils.", "torch.Tensor"))
    return strange or isinstance(value, Stored | Tensor)


def _networks(name: str, table: Mapping[Any, Any]) -> Iterator[Part]:
    """The networks in a table, and after each one its averaged copy."""
    names = {key: unwrapped(str(key)) for key in table}
    roots = roots_of(names.values())
    owners = {
        key: max((root for root in roots if name.startswith(root)), key=len, default=None)
        for key, name in names.items()
    }
    beside = tuple(str(key) for key in table if owners[key] is None)
    for root in roots:
        own = {key: names[key].removeprefix(root) for key in table if owners[key] == root}
        values = {inside: table[key] for key, inside in own.items()}
        path = _joined(name, root.rstrip(".") if len(roots) > 1 else "")
        # AveragedModel of torch.optim.swa_utils counts what it has averaged
        average = _COUNTED in values or is_averaged(path)
        tensors = {key: table[key] for key, inside in own.items() if inside != _COUNTED}
        yield Part(path, root, tensors, average, beside)
        copies = {
            key: values.get(AVERAGED + own[key].replace(".", "_"), table[key])
            for key in tensors
            if not own[key].startswith(AVERAGED)
        }
        if len(copies) < len(tensors):
            yield Part(_joined(path, AVERAGED), root, copies, True, beside)


def _joined(*names: str) -> str:
    return ".".join(name for name in names if name not in ("", TOP)) or TOP
