"""What a benchmark's manifest file may say: checked when it is read, and written.

A manifest is a TOML file of facts: rows with their published numbers, where the weights are, how
the assets of a release are matched to rows, the protocol and the data set. The field comments
below are the format's documentation, `manifests/inat2018.toml` its fullest example.
"""

import re
import reprlib
import tomllib
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar, get_args, get_origin

import msgspec
from msgspec import Meta

from .errors import ManifestError, wall

Name = Annotated[str, Meta(pattern=r"^[a-z0-9][a-z0-9_]*\Z", max_length=64)]
Architecture = Annotated[str, Meta(pattern=r"^(timm/)?[a-z0-9][a-z0-9_]*\Z", max_length=64)]
RowId = Annotated[str, Meta(pattern=r"^[a-z0-9_]+\.[a-z0-9_]+\Z", max_length=200)]
Percent = Annotated[float, Meta(ge=0, le=100)]
Count = Annotated[int, Meta(ge=0, le=2**53)]
Positive = Annotated[int, Meta(ge=1, le=10**9)]
Pixels = Annotated[int, Meta(ge=1, le=8192)]
Md5 = Annotated[str, Meta(pattern=r"^[0-9a-f]{32}\Z")]
Sha256 = Annotated[str, Meta(pattern=r"^[0-9a-f]{64}\Z")]
Finite = Annotated[float, Meta(ge=-1e9, le=1e9)]  # neither of them is met by nan
NotNegative = Annotated[float, Meta(ge=0, le=1e9)]
AboveZero = Annotated[float, Meta(gt=0, le=1e9)]
PathText = Annotated[str, Meta(pattern=r"^[^\0]*\Z")]  # no system opens a path with a NUL
Names = Annotated[list[PathText], Meta(min_length=1)]
Text = Annotated[str, Meta(max_length=200)]
Whole = Annotated[int, Meta(ge=-(2**63), le=2**63 - 1)]
Setting = bool | Whole | Finite | Text | list[Whole | Finite | Text]
Settings = dict[Name, Setting | dict[Name, Setting]]
T = TypeVar("T")

MOST_BYTES = 1 << 21  # of a manifest or a lock: a lock of 1,000 files has a fifth of it
MOST_PARTS = 32  # of a dotted key: tomllib takes memory by the square of their number
_KEY_PART = r"""(?:[\w-]++|"[^"\n]*+"|'[^'\n]*+')"""
_LONG_KEY = re.compile(rf"(?<![\w-])(?:{_KEY_PART}[ \t]*+\.[ \t]*+){{{MOST_PARTS},}}+")


class Facts(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Base of all manifest tables: immutable, and an unknown field is an error."""


class Row(Facts, frozen=True, kw_only=True):
    """One published model: the line of the table that a checkpoint is judged against."""

    id: RowId  # `architecture.method_benchmark`, or `architecture.method_tag_benchmark`
    method: Name
    architecture: Architecture  # ours, or `timm/NAME`
    reported_top1: Percent | None = None  # percent, as printed in the table
    alpha: NotNegative | None = None  # of Beta(alpha, alpha); none for vanilla
    paper: str | None = None  # of the mixing method
    tag: Name | None = None  # tells rows of one architecture and method apart, as `seed1`
    # how it was trained where that isn't [training]: settings by the names of `mixzoo train --set`
    recipe: Settings = {}

    def id_in(self, benchmark: str) -> str:
        """The id that this row has in a benchmark."""
        return f"{slug(self.architecture)}.{'_'.join(filter(None, (self.method, self.tag, benchmark)))}"


class Metric(Facts, frozen=True, kw_only=True):
    """What the published number is, so that a recomputed one is compared with the right thing."""

    name: Literal["top1"] = "top1"
    decimals: Annotated[int, Meta(ge=0, le=6)] = 2  # digits after the point in the table
    # median_of_last_epochs: of validation in the log; last_epoch: the checkpoint's own validation
    statistic: Literal["median_of_last_epochs", "last_epoch"]
    epochs: Positive = 1  # how many last epochs the statistic is taken over


class Protocol(Facts, frozen=True, kw_only=True):
    """Evaluation pixels: shorter side to `resize`, centre crop, scale to [0, 1], normalise."""

    resize: Pixels
    crop: Pixels
    interpolation: Literal["bicubic", "bilinear", "nearest"] = "bicubic"
    mean: tuple[Finite, Finite, Finite] = (0.485, 0.456, 0.406)
    std: tuple[AboveZero, AboveZero, AboveZero] = (0.229, 0.224, 0.225)
    channels: Literal["RGB", "BGR"] = "RGB"  # as OpenCV reads; mean and std are in their order
    note: str = ""


class Training(Facts, frozen=True, kw_only=True):
    """How all rows of the table were trained, as its page and its configs say: from scratch."""

    epochs: Positive
    batch_size: Positive  # images of a step, all processes together
    learning_rate: AboveZero
    weight_decay: NotNegative
    precision: Literal["fp32", "fp16", "bf16"] = "fp32"
    repeat: Positive = 1  # how often an epoch shows every image


class Heads(Facts, frozen=True, kw_only=True):
    """Names under which logs and reports list the classification heads, the default first."""

    plain: Names = msgspec.field(default_factory=lambda: ["head0"])
    mix: Names = msgspec.field(default_factory=lambda: ["one_k", "mix_k", "one_q", "mix_q"])
    note: str = ""


class Split(Facts, frozen=True, kw_only=True):
    """One split: how many images, and under which names its annotations may be found."""

    images: Positive | None = None  # None: not known, so no number on them can be judged
    per_class: Positive | None = None  # images of every class, where all have as many
    annotations: Names  # file names looked for in the data folder, first found wins
    list_sha256: Sha256 | None = None  # of the labelled list (see LabelledImages.sha256)
    files_sha256: Sha256 | None = None  # of list and image bytes; only for drawn data sets


class DataFile(Facts, frozen=True, kw_only=True):
    """One archive of a data set as its publisher offers it."""

    name: PathText
    md5: Md5 | None = None
    size: str = ""  # as its page words it


class Dataset(Facts, frozen=True, kw_only=True):
    """The images that a benchmark is measured on."""

    name: str
    num_classes: Positive
    val: Split
    train: Split | None = None
    image_tree: PathText = ""  # folder that the annotations' file names begin with
    base_url: str | None = None
    terms: str = ""
    paper: str | None = None
    files: list[DataFile] = []
    # supercategory -> (classes, training images, validation images)
    supercategories: dict[str, tuple[Count, Count, Count]] = {}
    classes: list[Text] = []  # names by class number, where no file beside the images tells them
    drawn_by_package: bool = False  # images come from mixzoo.zoo.mini instead of a server

    def split(self, name: str) -> Split | None:
        """The split called "val" or "train"."""
        return self.val if name == "val" else self.train


class GitHubSource(Facts, frozen=True, kw_only=True, tag="github", tag_field="kind"):
    """Assets of one GitHub release."""

    repository: Annotated[str, Meta(pattern=r"^[^/\s]+/[^/\s]+$")]
    tag: str


class HuggingFaceSource(Facts, frozen=True, kw_only=True, tag="huggingface", tag_field="kind"):
    """A repository on the Hugging Face hub that mirrors the assets under their own names."""

    repository: Annotated[str, Meta(pattern=r"^[^/\s]+/[^/\s]+$")]
    revision: str = "main"
    path: str = ""


class BaiduSource(Facts, frozen=True, kw_only=True, tag="baidu", tag_field="kind"):
    """A Baidu Cloud share: a person opens the link and types the extraction code."""

    url: str
    code: str


class HttpSource(Facts, frozen=True, kw_only=True, tag="http", tag_field="kind"):
    """A folder on a web server; asset names are appended to it."""

    url: Annotated[str, Meta(pattern=r"^https?://")]


class FileSource(Facts, frozen=True, kw_only=True, tag="file", tag_field="kind"):
    """A local folder; a relative path starts at the manifest's own folder."""

    path: PathText


class PackageSource(Facts, frozen=True, kw_only=True, tag="package", tag_field="kind"):
    """A folder that the installed package carries; no path leads out of the package.

    A link in the package is as good as a file: whoever installed it put it there, as uv can.
    """

    path: PathText


Source = GitHubSource | HuggingFaceSource | BaiduSource | HttpSource | FileSource | PackageSource


class Matching(Facts, frozen=True, kw_only=True):
    """What the names of a release's assets have that isn't known everywhere (zoo/release/words.py).

    Each list holds words that stand for a row's architecture or method, in any case, cut anywhere;
    `kinds` holds the name endings, the longest match wins.
    """

    architectures: dict[Architecture, list[str]] = {}
    methods: dict[Name, list[str]] = {}
    kinds: dict[Literal["weights", "log", "text_log", "visualisation"], list[str]] = {}


class Manifest(Facts, frozen=True, kw_only=True):
    """One benchmark."""

    format: Literal[1]
    name: Name
    title: str
    homepage: str | None = None
    paper: str | None = None
    metric: Metric
    protocol: Protocol
    dataset: Dataset
    rows: Annotated[list[Row], Meta(min_length=1)]
    training: Training | None = None  # None: not known, so checkpoints aren't compared with it
    heads: Heads = msgspec.field(default_factory=Heads)
    sources: list[Source] = []
    matching: Matching = msgspec.field(default_factory=Matching)

    def row(self, row_id: str) -> Row | None:
        """The row of this id, or None."""
        return next((row for row in self.rows if row.id == row_id), None)


def parse_manifest(text: str, origin: str) -> Manifest:
    """Read and check a manifest.

    text: TOML. origin: file name for messages.
    Raises ManifestError naming file, row, field, expected and got.
    """
    return manifest_of(parse_facts(text, origin), origin)


def parse_facts(text: str, origin: str) -> dict[str, Any]:
    """A manifest's TOML as plain data, its meaning not checked yet. Raises ManifestError."""
    if long := _LONG_KEY.search(text):
        raise ManifestError(
            f"{origin}: expected keys of at most {MOST_PARTS} parts between dots, got more in "
            f"{long[0][:20]}.... Correct the file."
        )
    with wall(ManifestError, f"{origin}: not valid TOML", "Correct the file."):
        return tomllib.loads(text)


def manifest_of(facts: dict[str, Any], origin: str) -> Manifest:
    """The manifest that plain data make (see `parse_manifest`)."""
    manifest = convert(facts, Manifest, origin)
    _check_rows(manifest, origin)
    _check_counts(manifest.dataset, origin)
    if manifest.protocol.crop > manifest.protocol.resize:
        raise ManifestError(
            f"{origin}: field 'protocol.crop': expected at most protocol.resize = "
            f"{manifest.protocol.resize}, got {manifest.protocol.crop}."
        )
    for source in manifest.sources:
        if not isinstance(source, PackageSource):
            continue
        parts = set(re.split(r"[/\\]", source.path))  # on every system
        if {"", ".."} & parts or ":" in source.path:
            raise ManifestError(
                f"{origin}: field 'sources', kind 'package': expected a path inside the package, "
                f'got {source.path!r}. For a folder of yours, write kind = "file".'
            )
    return manifest


def laid_over(below: dict[str, Any], above: dict[str, Any]) -> dict[str, Any]:
    """A manifest's facts with those of another laid over them; neither is changed.

    A table is merged key by key, rows by their ids; sources come before those below, so that they
    are asked first; everything else replaces what is below it.
    """
    merged = dict(below)
    for name, fact in above.items():
        under = below.get(name)
        if isinstance(fact, dict) and isinstance(under, dict):
            merged[name] = laid_over(under, fact)
        elif name == "rows" and isinstance(fact, list) and isinstance(under, list):
            rows = {_id_of(row, number): row for number, row in enumerate(under)}
            for number, row in enumerate(fact, len(under)):
                one = _id_of(row, number)
                rows[one] = laid_over(rows[one], row) if one in rows else row
            merged[name] = list(rows.values())
        elif name == "sources" and isinstance(fact, list) and isinstance(under, list):
            merged[name] = [*fact, *under]
        else:
            merged[name] = fact
    return merged


def read_manifest(path: Path) -> Manifest:
    """Read and check the manifest file at `path` (see `parse_manifest`)."""
    return parse_manifest(text_of(path, "a manifest"), str(path))


def text_of(path: Path, what: str) -> str:
    """The text of a manifest's or lock's file. Raises ManifestError if there is none to be read."""
    with wall(ManifestError, f"{path}: expected {what}, but", "Correct it, or remove it."):
        if not path.is_file():
            raise ValueError("there is no such file")
        with path.open("rb") as file:
            data = file.read(MOST_BYTES + 1)
        if len(data) > MOST_BYTES:
            raise ValueError(f"it has more than {MOST_BYTES:,} bytes")
        return data.decode()


def manifest_text(manifest: Manifest) -> str:
    """The TOML of a manifest, its rows last, without what says nothing: absent means the same."""
    import tomlkit

    facts = _stated(msgspec.to_builtins(manifest))
    return tomlkit.dumps(facts | {"rows": facts.pop("rows")})


def with_row(text: str, row: Row) -> str:
    """A manifest's text with a row added after its rows, or put in the place of the row of this id.

    text: valid. All else stays as it stands, comments too.
    """
    import tomlkit
    from tomlkit.items import AoT, Table

    document, facts = tomlkit.parse(text), _stated(msgspec.to_builtins(row))
    rows: Any = document.setdefault("rows", tomlkit.aot())
    table = next((one for one in rows if one["id"] == row.id), None)
    if table is None:
        rows.append(facts)
        if isinstance(rows, AoT):
            rows[-1].trivia.indent = "\n"  # a blank line before its header
        return document.as_string()
    last = table
    while isinstance(inner := last.value.body[-1][1], Table):  # its recipe, whose lines come last
        last = inner
    body, after = last.value.body, []
    while body and body[-1][0] is None:  # comments and blank lines before the next header
        after.append(body.pop())
    for name in set(table) - set(facts):
        del table[name]
    table.update(facts)
    table.value.body.extend(reversed(after))
    return document.as_string()


def each_once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """An object of JSON; of two facts of one name Python would silently take the last."""
    facts = dict(pairs)
    if len(facts) < len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise ValueError(f"{twice[:40]!r} stands twice in one object")
    return facts


def slug(name: str) -> str:
    """A name as manifests want it: lower case, digits, `_`, at most 64 characters."""
    return re.sub(r"[^a-z0-9]+", "_", name.lower()).strip("_")[:64]


def convert(facts: Any, kind: type[T], origin: str) -> T:
    """Check plain data against a struct type; errors name file, row, field, expected and got."""
    with wall(ManifestError, origin, "Correct the file."):
        try:
            return msgspec.convert(facts, kind)
        except msgspec.ValidationError as error:
            raise ManifestError(_explain(str(error), facts, origin)) from None


def _explain(message: str, facts: Any, origin: str) -> str:
    """Turn msgspec's "Expected `float`, got `str` - at `$.rows[3].top1`" into our one line."""
    complaint, _, path = message.partition(" - at ")
    complaint = complaint[0].lower() + complaint[1:].replace("`", "")
    row, field, value = _walk(path.strip("`$").removeprefix("."), facts)
    if complaint.startswith("invalid"):
        complaint = f"expected {' or '.join(_allowed_values(field))}"
    where = [f"row {row!r}"] * bool(row) + [f"field {field!r}"] * bool(field)
    got = "" if isinstance(value, dict | list | None) else reprlib.repr(value)
    joint = " " if ", got " in complaint else ", got "
    return f"{': '.join([origin, ', '.join(where)] if where else [origin])}: {complaint}" + (
        f"{joint}{got}." if got else "."
    )


def _walk(path: str, value: Any) -> tuple[str, str, Any]:
    """Follow a path like `rows[3].top1`: the row's id if it passes one, the rest, the value."""
    row = ""
    for key in re.findall(r"[^.\[\]]+|\.\.\.", path):
        if isinstance(value, list) and key.isdecimal():
            value = value[int(key)]
            if isinstance(value, dict) and isinstance(value.get("id"), str):
                row, path = value["id"][:160], path.partition("]")[2].removeprefix(".")
        elif isinstance(value, dict):
            value = value.get(key)
    return row, path, value


def _allowed_values(field: str) -> list[str]:
    """The values that an enumerated field may have, found by its name."""
    name = field.rpartition(".")[2]
    if field.startswith("sources["):
        return [str(kind.__struct_config__.tag) for kind in get_args(Source)]
    for table in Facts.__subclasses__():
        for candidate in msgspec.structs.fields(table):
            if candidate.name == name and get_origin(candidate.type) is Literal:
                return [str(value) for value in get_args(candidate.type)]
    return ["another value"]


def _id_of(row: Any, number: int) -> object:
    """What tells a row from others: its id, else its place; its type is checked later."""
    found = row.get("id") if isinstance(row, dict) else None
    return found if isinstance(found, str) else number


def _check_rows(manifest: Manifest, origin: str) -> None:
    seen: set[str] = set()
    for row in manifest.rows:
        if row.id != row.id_in(manifest.name):
            form = f"architecture.method{'_tag' * bool(row.tag)}_benchmark"
            raise ManifestError(
                f"{origin}: row {row.id!r}, field 'id': expected {row.id_in(manifest.name)!r} "
                f"({form}), got {row.id!r}. Correct it."
            )
        if row.id in seen:
            raise ManifestError(
                f"{origin}: row {row.id!r} stands twice; expected each id once. Rename one."
            )
        seen.add(row.id)


def _check_counts(dataset: Dataset, origin: str) -> None:
    if dataset.classes and len(dataset.classes) != dataset.num_classes:
        raise ManifestError(
            f"{origin}: field 'dataset.classes': expected {dataset.num_classes} names, got "
            f"{len(dataset.classes)}. Correct it."
        )
    if not dataset.supercategories:
        return
    totals = [sum(column) for column in zip(*dataset.supercategories.values(), strict=True)]
    expected = [dataset.num_classes, dataset.train and dataset.train.images, dataset.val.images]
    for name, total, stated in zip(("classes", "train", "val"), totals, expected, strict=True):
        if stated is not None and total != stated:
            raise ManifestError(
                f"{origin}: field 'dataset.supercategories': expected {name} to sum to {stated}, "
                f"got {total}. Correct it."
            )


def _stated(value: Any) -> Any:
    """Plain data without the fields that are empty."""
    if isinstance(value, list):
        return [_stated(one) for one in value]
    if not isinstance(value, dict):
        return value
    inner = {name: _stated(one) for name, one in value.items()}
    return {name: one for name, one in inner.items() if one not in (None, "", [], {})}
