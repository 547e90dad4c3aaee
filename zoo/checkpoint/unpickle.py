"""Torch's pickles as plain data, read opcode by opcode: nothing is imported, nothing is called.

Dicts, lists, tuples, text and numbers become themselves; a tensor becomes a `Stored`, which says
where its numbers lie; an object of any other class becomes a `Foreign`, which keeps nothing but
what is put into it under keys. So configuration, dates, paths, statistics and whole modules beside
the weights don't hinder, and their classes needn't be installed. What asks for a function of
Python's own library, as payloads do, is refused by name.
"""

import builtins
import pickletools
import sys
import warnings
from _compat_pickle import IMPORT_MAPPING, NAME_MAPPING
from collections.abc import Callable
from typing import IO, Any, NamedTuple

import torch

from ..errors import CheckpointError

# A ResNet-50 of AutoMix with its optimizer has 50,000; each takes at most some 170 bytes of memory
MOST_OPCODES = 300_000
# Opcodes that only push what stands behind them, by pickle's own description
LITERALS = frozenset(
    opcode.name
    for opcode in pickletools.opcodes
    if opcode.arg and not opcode.stack_before and opcode.stack_after
    if opcode.stack_after[0] is not pickletools.anyobject
)
LONGEST = 1000  # letters of a name
DTYPES = {
    f"{name}Storage": dtype
    for name, dtype in {
        "Float": torch.float32,
        "Double": torch.float64,
        "Half": torch.float16,
        "BFloat16": torch.bfloat16,
        "Long": torch.int64,
        "Int": torch.int32,
        "Short": torch.int16,
        "Char": torch.int8,
        "Byte": torch.uint8,
        "Bool": torch.bool,
        "ComplexFloat": torch.complex64,
        "ComplexDouble": torch.complex128,
        "QInt8": torch.qint8,
        "QUInt8": torch.quint8,
        "QInt32": torch.qint32,
        "Untyped": torch.uint8,
    }.items()
}
DICTS = {"collections.OrderedDict", "collections.defaultdict", "builtins.dict"}
TENSORS = {"torch.Tensor", "torch.nn.parameter.Parameter"}
REBUILT = {"torch._utils._rebuild_tensor_v2", "torch._utils._rebuild_tensor"}
PARAMETERS = {"torch._utils._rebuild_parameter", "torch._utils._rebuild_parameter_with_state"}
# What files name of Python's own library without meaning to run anything
HARMLESS = {
    *("_codecs.encode", "copyreg._reconstructor", "functools.partial"),
    *("re._compile", "types.MappingProxyType", "types.NoneType", "types.SimpleNamespace"),
}
HARMLESS_MODULES = {
    *("argparse", "collections", "dataclasses", "datetime", "decimal", "enum", "fractions"),
    *("ipaddress", "logging", "numbers", "pathlib", "random", "time", "typing", "uuid", "zoneinfo"),
}


class Name(str):
    """A class or function that a file names, `module.name`; it is never looked up."""

    __slots__ = ()


class Foreign(dict[Any, Any]):
    """Stands for an object of the class `of`; holds what was put into it under keys."""

    __slots__ = ("of",)

    def __init__(self, of: str) -> None:
        super().__init__()
        self.of = of


class Storage(NamedTuple):
    """Numbers that lie together in a file: `length` of them, from number `start` of `key` on."""

    key: str
    dtype: torch.dtype
    start: int
    length: int


class Stored(NamedTuple):
    """A tensor as a file describes it: a view of a storage, counted in numbers."""

    storage: Storage
    offset: int
    size: tuple[int, ...]
    stride: tuple[int, ...]


def read_pickle(file: IO[bytes], storages: dict[str, torch.dtype] | None = None) -> Any:
    """The object of one pickle, of any protocol; `file` is left behind its end.

    storages: takes the dtypes of all storages that are named, by key. Raises CheckpointError, yet
    without the file's name, for what is refused; any other exception if it is no whole pickle.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of a text's strange escapes
        return _Machine({} if storages is None else storages).run(file)


class _Machine:
    """What a pickle works on: a stack, the stacks below its marks, and what it remembers."""

    def __init__(self, storages: dict[str, torch.dtype]) -> None:
        self.stack: list[Any] = []
        self.below: list[list[Any]] = []
        self.memo: dict[Any, Any] = {}
        self.storages = storages
        self.spent = 0

    def run(self, file: IO[bytes]) -> Any:
        for opcode, argument, _ in pickletools.genops(file):
            self.spend(1)
            match opcode.name:
                case literal if literal in LITERALS:
                    self.stack.append(argument)
                case "BINPUT" | "LONG_BINPUT" | "PUT" | "MEMOIZE":
                    place = len(self.memo) if argument is None else argument
                    self.memo[place] = self.stack[-1]
                case "BINGET" | "LONG_BINGET" | "GET":
                    self.stack.append(self.memo[argument])
                case "MARK":
                    self.below.append(self.stack)
                    self.stack = []
                case "POP" if self.stack:
                    self.stack.pop()
                case "POP" | "POP_MARK":
                    self.stack = self.below.pop()
                case "STOP":
                    return self.stack.pop()
                case "PROTO" | "FRAME":
                    pass
                case what:
                    made = self.made(what, self.take(opcode), argument)
                    self.stack.append(made)
        raise ValueError("no end")

    def spend(self, opcodes: int) -> None:
        self.spent += opcodes
        if self.spent > MOST_OPCODES:
            raise CheckpointError(
                f"has more than {MOST_OPCODES:,} parts, too many to be looked through; save only "
                "the state_dict."
            )

    def take(self, opcode: pickletools.OpcodeInfo) -> list[Any]:
        """What an opcode works on, off the stack: so many items, and all above the mark."""
        before, above = opcode.stack_before, []
        count = len(before)
        if pickletools.markobject in before:
            above, self.stack = self.stack, self.below.pop()
            count = before.index(pickletools.markobject)
        at = len(self.stack) - count
        if at < 0:
            raise IndexError(opcode.name)
        items = self.stack[at:]
        del self.stack[at:]
        return items + above

    def made(self, what: str, items: list[Any], argument: Any) -> Any:
        """What an opcode makes of items."""
        if what in MAKES:
            return MAKES[what](items)
        match what, items:
            case "DUP", [made]:
                self.stack.append(made)
            case "GLOBAL", _:
                made = _name(*argument.split(" ", 1))
            case "BINPERSID", [key]:
                if isinstance(made := _storage(key), Storage):
                    self.storages[made.key] = made.dtype
            case (("REDUCE" | "NEWOBJ" | "NEWOBJ_EX"), [call, arguments, *_]):
                made = self.called(call, arguments)
            case "OBJ", [call, *arguments]:
                made = self.called(call, tuple(arguments))
            case "INST", _:
                made = self.called(_name(*argument.split(" ", 1)), tuple(items))
            case _:
                raise ValueError(what)
        return made

    def called(self, call: Any, arguments: Any) -> Any:
        """What a call would have made: a tensor, a dict, or the stand-in of anything else."""
        if type(arguments) is not tuple:
            raise TypeError("no arguments")
        # the memo may give them again and again
        self.spend(len(arguments) + sum(len(one) for one in arguments if type(one) is list))
        if type(call) is not Name:
            return Foreign("a call")
        if call == "torch._tensor._rebuild_from_type_v2" and arguments[1] in TENSORS:
            return self.called(arguments[0], arguments[2])  # a tensor with attributes
        if call in REBUILT:
            return _tensor(*arguments[:4])
        if call in PARAMETERS:
            return arguments[0]
        if call in DICTS:
            pairs = arguments[0] if arguments and type(arguments[0]) is list else []
            return _filled({}, [one for key, value in pairs for one in (key, value)])  # of Python 2
        return Foreign(call)


def _filled(target: Any, items: list[Any]) -> dict[Any, Any]:
    """Put items under keys; only text and numbers, as nested tuples take for ever to hash."""
    if not isinstance(target, dict):
        raise TypeError(type(target).__name__)
    for key, value in zip(items[::2], items[1::2], strict=True):
        if type(key) in (str, int):
            target[key] = value
    return target


def _longer(items: list[Any]) -> Any:
    """A list with more in it; what an object was to hold without keys is left out."""
    target, *more = items
    if isinstance(target, list):
        target += more
    elif not isinstance(target, Foreign):
        raise TypeError(type(target).__name__)
    return target


def _name(module: Any, name: Any) -> Name:
    """Raises CheckpointError for what a file has no harmless reason to name."""
    if type(module) is not str or type(name) is not str or len(module) + len(name) > LONGEST:
        raise TypeError("no name")
    # pickles of protocols 0 to 2 have the names of Python 2
    module, name = NAME_MAPPING.get((module, name), (IMPORT_MAPPING.get(module, module), name))
    found = Name(f"{module}.{name}")
    if not found.isprintable():
        raise ValueError("no name")
    top = module.partition(".")[0]
    if top == "builtins":  # its classes make values, its functions run code
        refused = name != "getattr" and not isinstance(vars(builtins).get(name), type)
    else:
        own = top in sys.stdlib_module_names and top not in HARMLESS_MODULES
        refused = own and found not in HARMLESS
    if refused:
        raise CheckpointError(
            f"expected only tensors, but it asks for {found[:200]}; nothing of it was run. Don't "
            "trust it, or have its authors save only the state_dict."
        )
    return found


def _storage(key: Any) -> Storage | Foreign | Name:
    if type(key) is not tuple or len(key) > 6:
        raise TypeError("no storage")
    match key:
        case ("storage", Name() as kind, str() as root, _, int() as length, *rest) if length >= 0:
            dtype = DTYPES.get(kind.rpartition(".")[2])
            if dtype is None or not kind.startswith("torch."):
                return Foreign(kind)
            start = 0
            if rest and rest[0] is not None:  # a part of another one, as PyTorch before 0.4 wrote
                _, start, length = rest[0]
            if not _whole(start, length):
                raise ValueError("no storage")
            return Storage(root, dtype, start, length)
        case ("module", Name() as kind, *_):  # beside it stands its source, for the curious
            return kind
    raise ValueError("no storage")


def _tensor(storage: Any, offset: Any, size: Any, stride: Any) -> Stored | Foreign:
    if type(storage) is not Storage:
        return Foreign("torch.Tensor")
    if type(size) is not tuple or type(stride) is not tuple or not len(size) == len(stride) < 65:
        raise TypeError("no shape")
    if not _whole(offset, *size, *stride):
        raise ValueError("no shape")
    return Stored(storage, offset, size, stride)


def _whole(*numbers: Any) -> bool:
    return all(type(number) is int and 0 <= number < 1 << 48 for number in numbers)


MAKES: dict[str, Callable[[list[Any]], Any]] = {
    "NONE": lambda _: None,
    "NEWTRUE": lambda _: True,
    "NEWFALSE": lambda _: False,
    **dict.fromkeys(("EMPTY_TUPLE", "TUPLE", "TUPLE1", "TUPLE2", "TUPLE3"), tuple),
    **dict.fromkeys(("EMPTY_LIST", "LIST"), list),
    **dict.fromkeys(("EMPTY_DICT", "DICT"), lambda items: _filled({}, items)),
    **dict.fromkeys(("EMPTY_SET", "FROZENSET"), lambda _: Foreign("set")),
    **dict.fromkeys(("SETITEM", "SETITEMS"), lambda items: _filled(items[0], items[1:])),
    **dict.fromkeys(("APPEND", "APPENDS", "ADDITEMS"), _longer),
    "BUILD": lambda items: items[0],  # attributes, which could hide methods
    "STACK_GLOBAL": lambda items: _name(*items),
}
"""What the opcodes make of the items that they take, where nothing else counts."""
