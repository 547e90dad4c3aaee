"""What the words of a file's name say of its network, method, data and run, as the field spells.

A name is cut at everything but letters and digits, in any case, and explained with as few pieces as
possible. Names of networks, methods and data sets may be glued (`r50automix`, `modecutmix`) or
written apart (`ResNet-50`, `manifold_mixup`); all other words stand alone. A word that nothing here
explains is told as unknown, never passed over: it may be the one that matters.
"""

import re
import unicodedata
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from urllib.parse import unquote

from ..manifest import GitHubSource, Manifest

# How methods are called beside their own names
SYNONYMS = {
    "vanilla": ("baseline", "plain", "nomix", "nomixup"),
    "manifoldmix": ("manifold", "manifoldmixup"),
    "saliencymix": ("saliency",),
    "puzzlemix": ("puzzle",),
    "resizemix": ("resize",),
    # configs of the learnt methods name their MixBlock instead: nearest up-sampling with lam
    # concatenated, or bilinear up-sampling with a value branch
    "automix": ("near_lam_cat",),
    "samix": ("bili_val",),
}
UNKNOWN = 10  # pieces that a word without meaning counts as
END = r"(?![a-z0-9])"


def _word(pattern: str) -> re.Pattern[str]:
    """A pattern for whole words."""
    return re.compile(rf"(?:{pattern})(?![^_])")


_RESNET = re.compile(
    r"(?P<other>(?:wide|w|se|sk|ig|ca|pre|dilated)_?)?"
    r"(?P<family>res_?ne_?x_?t|rnxt|rnx|resx|rx|x|res_?net|rn|wrn|r)_?(?P<version>v\d[a-d]?_?)?"
    r"(?P<depth>18|26|34|50|101|152|200|269|(?<=t)\d{2,3}|(?<=t_)\d{2,3})(?!\d)"
    rf"(?:_?(?P<cardinality>\d+_?x_?\d+_?d{END}|(?:32|64)_?x_?[48]{END}))?"
    r"(?P<own>(?:_?cifar(?!_?\d))?(?:_?w\d+)?)(?(other)(?:_\d{1,2}(?!\d))?)"
    rf"(?P<variant>(?:v\d[a-d]?|vd|gn|ibn|cbam|[bcdst]|_(?:vd|gn|ibn|cbam|d|v1[bcd])){END})?"
)
_CARDINALITY = _word(r"\d+x\d+d")
_NETWORK = _word(
    r"(?:vit|deit|cait|beit|swin|pvt|levit|t2t|twins|uniformer|poolformer|mixer|mae|moga|convnext|"
    r"efficient_?net|mobile_?net|shuffle_?net|squeeze_?net|ghost_?net|dense_?net|alex_?net|regnet|"
    r"google_?net|x?inception|xception|vgg|hrnet|res2net|resnest|sknet|senet|nasnet|mnasnet|dpn|"
    r"pyramidnet|bit|repvgg|van|edgenext|lit|conformer|clip|dino|moco|simclr|byol)"
    r"(?:_?v\d)?(?:_?[a-z]?\d{1,3})?(?:_?(?:tiny|small|base|large|huge|[tsblh]))?"
)
_INAT = re.compile(r"i_?nat(?:ural_?ist)?s?(?:_?(?:20)?_?(?P<year>1[5-9]|2[0-9])(?!\d))?")
_PLACES = re.compile(r"places?(?:_?(?P<number>205|365|2)(?!\d))?")
_DATA = re.compile(
    r"tiny_?(?:image_?net|in)?(?:_?200)?|image_?nets?(?:_?(?:1k|2[12]k|100|v2|[arc])(?![a-z0-9]))?|"
    r"in(?:_?1k|_?2[12]k|100)|img_?net|ilsvrc(?:_?2012)?|cifar_?(?:100|10)?|"
    r"cub(?:_?200)?(?:_?2011)?|(?:fgvc_?)?aircrafts?(?:_?100)?|(?:stanford_?)?"
    r"(?:cars|dogs)(?:_?196|_?120)?|stl_?10|svhn|"
    r"food_?101|flowers?_?(?:102|17)?|(?:oxford_?)?pets(?:_?37)?|dtd|caltech_?\d+|sun_?397|"
    r"(?:fashion_?)?mnist|coco|voc(?:_?\d+)?|ade_?20k|nabirds|birdsnap|celeba|imdb|webvision|"
    r"clothing_?1m|eurosat|resisc_?45|lvis|cityscapes|food|mini"
)
_EPOCHS = re.compile(r"e(?:p(?:ochs?)?)?_?(\d{1,4})(?!\d)|(\d{2,4})_?e(?:p(?:ochs?)?)?" + END)
_SIZE = _word(r"(?:sz|crop|size|input)_?(\d{2,4})(?:px)?|(\d{2,4})px")
_OTHER_PART = _word(r"optim(?:i[sz]er)?s?|opt|schedulers?|ema|swa|onnx|int8|quanti[sz]ed|pruned")
_PART = _word(r"mix_?blocks?|backbone|heads?|encoder|extract(?:ed)?|features?")
_PICTURES = _word(
    r"(?:vis|viz|visuali[sz]ations?|plots?|figs?|figures?|images?|pics?|pictures?|samples?|cams?|"
    r"heat_?maps?)\d*"
)
_WEIGHTS = _word(r"weights?|ckpts?|check_?points?|models?|state_?dicts?|pths?")
_LOGS = _word(r"logs?|json")
_MIXING = _word(r"mix|mixups?_?(?:bench(?:mark)?s?|classification)|mixups|mixed|mixing")
_PLAIN = _word(
    r"\d+|[0-9a-f]{8}|(?=[a-f]*\d)[0-9a-f]{6,64}|\d*x?bs?\d+|batch_?(?:size_?)?\d+|\d+x\d+|"
    r"m?lr\d*(?:e_?\d+)?|[1-9]e_\d+|wd\d*(?:e_?\d+)?|[al]\d+|(?:alpha|α)_?\d*|"
    r"dp\d+|mb|bb|lam|cat|mul|near(?:est)?|val|bili(?:near)?|ce|none|sz|resize_?\d{2,4}|"
    r"fp16|fp32|amp|v\d+|seed_?\d*|"
    r"final|last|latest|best|released?|official|pre_?trained|scratch|train(?:ed|ing)?|results?|"
    r"cls|classif(?:ication|ier)|bench(?:mark)?s?|open_?mix_?up|westlake(?:_ai)?|github|baidu|sgd|"
    r"cos(?:ine)?|step|gpus?|\d+gpus?|acc\d*|top_?1|iter_?\d+|work_?dirs?|configs?|sup(?:ervised)?|"
    r"(?:layer|scale|mask|beta|prob|momentum|lw|gamma|rep|run|exp|trial|rev|fold|rank|p|m)_?\d+|"
    r"\d{8}t\d{4,6}|(?:\d{1,2}_?)?(?:jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec)_?\d+|"
    r"\d+(?:top1|acc|cls|class(?:es)?)|(?:n?c|class(?:es)?)_?\d+|paper|table_?\d*|published?|zoo|"
    r"input|for|on|of|with|and|by|the|from|net|network|method|data(?:set)?|run|exp|text|epochs?"
)
_MODE = re.compile(r"mix_?mode|mode")
Say = Callable[[re.Match[str]], tuple[str, str]]


@dataclass(frozen=True)
class Said:
    """What one name, or one folder's name, says.

    architectures, methods: the manifest's that it names. data: whether it names the manifest's own
    data set. foreign: by role what it names that the benchmark hasn't, in words. unknown: words
    without a meaning here, and such as only weaken it (a part of a network). disputed: what folders
    say against it. kinds: of the files in an archive. mixing: whether it speaks of mixing without a
    method.
    """

    architectures: frozenset[str] = frozenset()
    methods: frozenset[str] = frozenset()
    data: bool = False
    foreign: dict[str, str] = field(default_factory=dict)
    unknown: frozenset[str] = frozenset()
    disputed: frozenset[str] = frozenset()
    kinds: frozenset[str] = frozenset()
    mixing: bool = False

    def says(self, role: str) -> bool:
        """Whether it says anything of its `architecture`, `method`, `data` or `run`."""
        own = {"architecture": self.architectures, "method": self.methods, "data": self.data}
        return bool(own.get(role)) or role in self.foreign


class Reader:
    """Reads names by the rows and the `[matching]` of one manifest."""

    def __init__(self, manifest: Manifest) -> None:
        self._manifest = manifest
        rules = manifest.matching
        self._architectures = {row.architecture for row in manifest.rows} | {*rules.architectures}
        methods = {row.method for row in manifest.rows} | {*rules.methods}
        self._items: list[tuple[re.Pattern[str], bool, Say]] = [
            *_names("architecture", self._architectures, rules.architectures),
            *_names("method", methods, rules.methods),
            *_names("method", methods, SYNONYMS),
            *_names("data", [manifest.name], {manifest.name: [manifest.dataset.name]}),
            (_RESNET, True, self._resnet),
            (_CARDINALITY, False, lambda m: ("cardinality", m[0])),
            (_MODE, True, lambda _: ("plain", "")),
            (_INAT, True, lambda m: self._data(f"inat20{m['year']}" if m["year"] else "inat")),
            (_PLACES, True, lambda m: self._data(f"places{m['number'] or ''}")),
            (_DATA, True, lambda m: self._data(m[0])),
            (_EPOCHS, True, self._epochs),
            (_SIZE, False, self._size),
            (_NETWORK, False, lambda m: ("foreign architecture", m[0])),
            (_OTHER_PART, False, lambda m: ("foreign part", m[0])),
            (_PART, False, lambda m: ("unknown", m[0])),
            (_PICTURES, False, lambda _: ("kind", "pictures")),
            (_WEIGHTS, False, lambda _: ("kind", "weights")),
            (_LOGS, False, lambda _: ("kind", "logs")),
            (_MIXING, False, lambda _: ("mixing", "")),
            (_PLAIN, False, lambda _: ("plain", "")),
        ]
        for source in manifest.sources:  # a release's tag is no statement on one of its files
            if isinstance(source, GitHubSource):
                tag = re.compile(re.escape(_plain(source.tag)))
                self._items.append((tag, False, lambda _: ("plain", "")))

    def read(self, text: str) -> Said:
        """What a name without its ending says."""
        pieces = list(self._pieces(_plain(text)))
        values = {role: frozenset(v for r, v in pieces if r == role) for role, _ in pieces}
        foreign = {
            role.removeprefix("foreign "): ", ".join(sorted(found))
            for role, found in values.items()
            if role.startswith("foreign ")
        }
        for one in values.get("cardinality", ()):  # told apart from the network's name
            if not all(name.endswith(one) for name in values.get("architecture", ())):
                foreign["architecture"] = one
        unknown = values.get("unknown", frozenset())
        # a word that ends like a method's name, and is none of the table's
        if others := sorted(word for word in unknown if re.search(r"mix(up)?$", word)):
            foreign.setdefault("method", ", ".join(others))
        return Said(
            architectures=values.get("architecture", frozenset()),
            methods=values.get("method", frozenset()),
            data="data" in values,
            foreign=foreign,
            unknown=unknown,
            kinds=values.get("kind", frozenset()),
            mixing="mixing" in values,
        )

    def _pieces(self, text: str) -> Iterator[tuple[str, str]]:
        """Role and value of the fewest pieces that explain a text of words between `_`."""
        # cost, length of the first piece (the longer is preferred), role and value, where it ends
        best: list[tuple[int, int, tuple[str, str] | None, int]] = [(0, 0, None, 0)] * len(text)
        best.append((0, 0, None, len(text)))
        for start in reversed(range(len(text))):
            if text[start] == "_":
                best[start] = (best[start + 1][0], 0, None, start + 1)
                continue
            begins = start == 0 or text[start - 1] == "_"
            stop = text.find("_", start) % (len(text) + 1)
            options = [(UNKNOWN if begins else 1000, ("unknown", text[start:stop]), stop)]
            for pattern, glued, say in self._items:
                found = pattern.match(text, start) if glued or begins else None
                if found and found[0]:
                    options.append((1, say(found), found.end()))
            best[start] = min(
                ((cost + best[end][0], start - end, said, end) for cost, said, end in options),
                key=lambda one: one[:2],
            )
        position = 0
        while position < len(text):
            _, _, said, position = best[position]
            if said:
                yield said

    def _resnet(self, found: re.Match[str]) -> tuple[str, str]:
        family, own = found["family"].replace("_", ""), found["own"].replace("_", "")
        cardinality = (found["cardinality"] or "").replace("_", "")
        grouped = "x" in family or cardinality
        name = f"{'resnext' if grouped else 'resnet'}{found['depth']}"
        name += f"_{cardinality.removesuffix('d')}d" if cardinality else ""
        name += re.sub("(cifar|w)", r"_\1", own)
        fitting = [
            one
            for one in self._architectures
            if one == name or (grouped and not cardinality and one.startswith(f"{name}_"))
        ]
        others = found["other"] or found["version"] or found["variant"] or family == "wrn"
        if others or len(fitting) != 1:
            return "foreign architecture", found[0].strip("_")
        return "architecture", fitting[0]

    def _data(self, name: str) -> tuple[str, str]:
        name = name.replace("_", "")
        manifest = self._manifest
        own = {_plain(one).replace("_", "") for one in (manifest.name, manifest.dataset.name)}
        if name in own or (name in ("inat", "places") and manifest.name.startswith(name)):
            return "data", name
        return "foreign data", name

    def _epochs(self, found: re.Match[str]) -> tuple[str, str]:
        training, said = self._manifest.training, int(found[1] or found[2])
        if training is None or said == training.epochs:
            return "plain", ""
        # the last one where epochs are counted from 0, the last but one where from 1
        unsure = said == training.epochs - 1
        return ("unknown", found[0]) if unsure else ("foreign run", f"epoch {said}")

    def _size(self, found: re.Match[str]) -> tuple[str, str]:
        protocol, said = self._manifest.protocol, int(found[1] or found[2])
        if said in (protocol.crop, protocol.resize):
            return "plain", ""
        return "foreign run", f"images of {said} pixels"


def _names(
    role: str, names: Iterable[str], aliases: Mapping[str, Sequence[str]]
) -> Iterator[tuple[re.Pattern[str], bool, Say]]:
    """The names and their aliases, whole or cut anywhere."""
    for name in sorted(names):
        for alias in (name, *aliases.get(name, ())):
            spelled = "_?".join(_plain(alias).replace("_", ""))
            said = (role, name)
            yield re.compile(rf"{spelled}(?!(?<=\d)\d)"), True, lambda _, said=said: said


def _plain(text: str) -> str:
    """Words of lower-case letters and digits between single `_`."""
    text = unicodedata.normalize("NFKC", unquote(text)).casefold()
    return re.sub(r"[\W_]+", "_", text).strip("_")
