"""A released file's name says exactly one row and kind, or is reported; it is never guessed."""

import hashlib
import random
from collections.abc import Callable
from itertools import product

import msgspec
import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from mixzoo.zoo.catalog import open_catalog
from mixzoo.zoo.nets import Classifier, ResNetConfig
from mixzoo.zoo.release.inside import Inside
from mixzoo.zoo.release.matching import Match, Problem, match, recognise
from mixzoo.zoo.release.words import SYNONYMS

INAT = open_catalog().benchmark("inat2018").manifest
METHODS = list(dict.fromkeys(row.method for row in INAT.rows))
ENDINGS = {
    ".pth": "weights",
    ".log.json": "log",
    ".log": "text_log",
    ".zip": "visualisation",
}
LEARNT = {
    "automix": "l2_a2_near_lam_cat_mb_mlr1e_4_bb_mlr0",
    "samix": "l2_a2_bili_val_dp01_mb_mlr1e_4_bb_mlr0",
}


def as_config(architecture: str, method: str) -> str:
    """As the released configs are named, the chosen method added where the family stands."""
    short = {"resnet50": "r50", "resnext101_32x4d": "rx101"}[architecture]
    if method in LEARNT:
        return f"{short}_{LEARNT[method]}_4xb64_ep100"
    return f"{short}_{method}_mixups_CE_none_4xb64_alpha1_ep100"


SHORT = {"resnet50": "r50", "resnext101_32x4d": "rx101"}
FAMILY = {"resnet50": "resnet50", "resnext101_32x4d": "resnext101"}
PAPER = {"resnet50": "ResNet-50", "resnext101_32x4d": "ResNeXt-101"}
CAMEL = {"automix": "AutoMix", "samix": "SAMix", "cutmix": "CutMix", "fmix": "FMix"}
CUT = {"manifoldmix": "manifold", "saliencymix": "saliency"} | {
    "puzzlemix": "puzzle",
    "resizemix": "resize",
}


def sha8(*words: str) -> str:
    return hashlib.sha256("".join(words).encode()).hexdigest()[:8]


STYLES: dict[str, Callable[[str, str], str]] = {
    "generator": lambda a, m: f"{SHORT[a]}_mixups_CE_none_4xb64_mix_mode{m}_alpha1_ep100",
    "generator, short": lambda a, m: f"{SHORT[a]}_mix_mode{m}",
    "data set first": lambda a, m: f"iNat18_{SHORT[a]}_{m}",
    "plus": lambda a, m: f"{FAMILY[a]}+{m}",
    "glued": lambda a, m: f"{SHORT[a]}{m}",
    "x101": lambda a, m: f"{SHORT[a].removeprefix('r') if 'x' in a else 'r50'}_32x4d_{m}".replace(
        "r50_32x4d", "r50"
    ),
    "methods cut short": lambda a, m: f"{a}_{CUT.get(m, m)}",
    "baseline": lambda a, m: f"{FAMILY[a]}_{'baseline' if m == 'vanilla' else m}_inat2018",
    "no word for vanilla": lambda a, m: f"{SHORT[a]}{'' if m == 'vanilla' else f'_{m}'}_inat2018",
    "camel case": lambda a, m: f"{PAPER[a].replace('-', '')}{CAMEL.get(m, m.title())}INat2018",
    "upper case": lambda a, m: f"{FAMILY[a]}-{m}-INATURALIST18-100E".upper(),
    "hash": lambda a, m: f"{a}_{m}-{sha8(a, m)}",
    "mmclassification": lambda a, m: f"{a}-{m}_4xb64-100e_inat2018_20220822-{sha8(a, m)}",
    "date and version": lambda a, m: f"20220822_{m}_{FAMILY[a]}_v2",
    "dots": lambda a, m: f"{CAMEL.get(m, m.title())}.{PAPER[a]}.iNaturalist.2018",
    "accuracy": lambda a, m: f"{SHORT[a]}_{m}_acc63.91_seed0",
    "epoch": lambda a, m: f"inaturalist2018_{m}_{FAMILY[a]}_epoch_100",
    "many words": lambda a, m: f"openmixup_{FAMILY[a]}_{m}_sz224_bs256_100ep_official_final",
    "hash first": lambda a, m: f"{sha8(a, m)}{sha8(m)}_{SHORT[a]}_{m}",
    "time": lambda a, m: f"{FAMILY[a]}_{m}_20220822T10{int(sha8(a, m), 16) % 60:02}09",
    "encoded blanks": lambda a, m: f"{PAPER[a]}%20{m}%20iNat2018",
    "the author's own word": lambda a, m: f"zoological_{FAMILY[a]}_{m}",
    "folders": lambda a, m: f"{SHORT[a]}_inat2018/mix_mode{m}/epoch_100",
    "folders, short": lambda a, m: f"{a}/{m}/latest",
    "blanks and copies": lambda a, m: f"{PAPER[a]} {m} (final)",
    "configs": as_config,
    "row ids": lambda a, m: f"{a}.{m}_inat2018",
    "benchmark first": lambda a, m: f"inat2018_{a}_{m}_4xb64_ep100",
    "method first": lambda a, m: f"{m}_{'r50' if a == 'resnet50' else 'rx101'}_inat2018_ep100",
    "as in the table": lambda a, m: (
        f"{'ResNet-50' if a == 'resnet50' else 'ResNeXt-101'}-{m.title()}"
    ),
    "dashes and size": lambda a, m: f"{a.split('_')[0]}-{m}-sz224-8xb32-fp32-ep100",
}


def release(style: str) -> dict[str, tuple[str, str]]:
    """name -> (row, kind) of a whole made-up release: three files a row, zips of the learnt two."""
    named = {}
    for row, (ending, kind) in product(INAT.rows, ENDINGS.items()):
        if kind != "visualisation" or row.method in LEARNT:
            stem = STYLES[style](row.architecture, row.method)
            named[f"{stem}{'_vis' * (kind == 'visualisation')}{ending}"] = (row.id, kind)
    return named


@pytest.mark.parametrize("style", STYLES)
def test_whole_release_is_matched_in_every_naming_style(style: str) -> None:
    """All 64 files of 20 rows find their row and kind, whatever the style."""
    named = release(style)

    matches, problems = match(named, INAT)

    assert len(named) == 20 * 3 + 4
    assert {found.name: (found.row, found.kind) for found in matches} == named
    assert problems == []


def test_order_of_a_listing_does_not_matter() -> None:
    """Matches come by row, kind and name, so that the same release gives the same lock.

    A row may have any number of visualisations.
    """
    names = [*release("configs"), "r50_automix_vis2.zip", "a.txt", "b.txt"]

    assert match(reversed(names), INAT) == match(names, INAT)
    assert sum(found.kind == "visualisation" for found in match(names, INAT)[0]) == 5
    assert [found.row for found in match(names, INAT)[0]][:4] == [
        "resnet50.vanilla_inat2018"
    ] * 3 + ["resnet50.mixup_inat2018"]


FOUND = {
    "puzzlemix_mixups_r50_CE_none.pth": "resnet50.puzzlemix_inat2018",
    "rx101_vanilla_CE_none_4xb64.pth": "resnext101_32x4d.vanilla_inat2018",
    "resnext101_32x4d_fmix.pth": "resnext101_32x4d.fmix_inat2018",
    "r50_manifold_mix_ep100.pth": "resnet50.manifoldmix_inat2018",
    "RESNET50-PuzzleMix.PTH": "resnet50.puzzlemix_inat2018",
    "r50_samix_l2_a2_bili_val_dp01_mb.pth": "resnet50.samix_inat2018",
    "resnet50_r50_cutmix_cutmix.pth": "resnet50.cutmix_inat2018",
}


@pytest.mark.parametrize("name", FOUND)
def test_words_decide_and_not_letters(name: str) -> None:
    """`mixup` isn't found in `mixups`, `r50` not in `rx101`; words may be written apart."""
    assert recognise(name, INAT) == Match(name, FOUND[name], "weights")


def test_longer_pattern_and_ending_win() -> None:
    """`mixup` inside a listed `manifold_mixup` doesn't count, nor does `.json` in `.log.json`."""
    rules = INAT.matching
    methods = {"manifoldmix": ["manifold_mixup"]}
    kinds = {"text_log": [".log", ".json"], "log": [".log.json"]}  # the shorter ending first
    matching = msgspec.structs.replace(rules, methods=methods, kinds=kinds)
    manifest = msgspec.structs.replace(INAT, matching=matching)
    name = "r50_manifold_mixup_ep100.log.json"

    assert recognise(name, manifest) == Match(name, "resnet50.manifoldmix_inat2018", "log")


REPORTED = {
    # the config's family `mixups` is no method, and its `none` isn't `vanilla`
    "r50_mixups_CE_none_4xb64.pth": ("left over", "names no method"),
    "r50_puzzlemixup_ep100.pth": ("ambiguous", "several methods: mixup, puzzlemix"),
    "r50_cutmix_birdsong.pth": ("left over", "nothing here explains 'birdsong'"),
    "r50_automix_mixblock.pth": ("left over", "nothing here explains 'mixblock'"),
    "cutmix/r50_mixup.pth": ("left over", "a folder above it says cutmix"),
    "imagenet/r50_mixup.pth": ("left over", "a folder above it says imagenet"),
    "r50_rsb-a3_cutmix.pth": ("left over", "nothing here explains 'rsb'"),
    "r50_cutmix_epoch_99.pth": ("left over", "nothing here explains 'epoch_99'"),
    "r50_cutmix.zip": ("left over", "doesn't say that it holds pictures"),
    "cutmix_ep100.pth": ("left over", "names no architecture"),
    "r50_cutmix_mixup.pth": ("ambiguous", "several methods: cutmix, mixup"),
    "r50_automix_bili_val.pth": ("ambiguous", "several methods: automix, samix"),
    "r50_rx101_cutmix.pth": ("ambiguous", "several architectures: resnet50, resnext101_32x4d"),
    "r50_cutmix_inat2017.pth": ("left over", "names inat2017, not inat2018"),
    "r50_cutmix_iNat-2021.pth": ("left over", "names inat2021, not inat2018"),
    "r50_cutmix.json": ("left over", "ends in none of [.pth, .pt, .ckpt,"),
    "r50_cutmix.pth.md5": ("left over", "ends in none of"),
    "README.md": ("left over", "ends in none of"),
    ".pth": ("left over", "names no architecture"),
}


@pytest.mark.parametrize("name", REPORTED)
def test_unclear_name_is_reported_with_the_reason(name: str) -> None:
    """A name that says no row, or two, is never matched."""
    what, reason = REPORTED[name]

    problem = recognise(name, INAT)

    assert isinstance(problem, Problem)
    assert (problem.subject, problem.what) == (name, what)
    assert reason in problem.reason


NETWORKS = [
    *("resnext101_64x4d", "resnext101_32x8d", "x101_64x4d", "wide_resnet50_2", "resnet101", "r18"),
    *("r101", "resnet50d", "resnet50v2", "se_resnet50", "seresnext101_32x4d", "resnext50_32x4d"),
    *("swin_tiny", "deit-s", "vit_base", "ConvNeXt-T", "efficientnet_b0", "mobilenet_v2", "vgg16"),
]
DATA = [
    *("inaturalist2017", "inat2021", "iNat17", "iNat_2019", "place205", "Places-365", "cifar100"),
    *("in1k", "imagenet", "ImageNet-1k", "cub200", "CUB_200_2011", "aircraft", "FGVC-Aircraft"),
    *("tiny", "tiny_imagenet", "tinyin200", "cars", "stl10", "food101", "flowers102"),
]
ENDS = ["ep300", "300e", "epoch_90", "optimizer", "ema", "int8", "alignmix", "AttentiveMix"]
ENDS += ["sz160", "448px", "crop_448"]
TRAPS = [
    *(f"{network}_cutmix_inat2018" for network in NETWORKS),
    *(f"{data}_r50_cutmix" for data in DATA),
    *(f"r50_cutmix_{word}" for word in [*DATA, *ENDS]),
]


@pytest.mark.parametrize("trap", TRAPS)
def test_what_is_another_thing_is_refused_also_alone(trap: str) -> None:
    """Other networks, other data, other runs, other methods, and what is no weights of the table."""
    for name in (f"{trap}.pth", f"{trap}.log.json"):
        matches, (told, *missing) = match([name], INAT)

        assert matches == []
        assert (told.subject, told.rows) == (name, ())
        assert "it names" in told.reason
        assert {problem.what for problem in missing} == {"missing"}


@pytest.mark.parametrize("word", ["logs", "weights", "checkpoints"])
def test_zip_of_logs_or_weights_is_no_visualisation(word: str) -> None:
    """Its files can be taken by hand, so that is said."""
    problem = recognise(f"r50_cutmix_{word}.zip", INAT)

    assert isinstance(problem, Problem)
    assert "unpack it" in problem.reason


@settings(max_examples=25)
@given(st.randoms(use_true_random=False))
def test_release_of_mixed_styles_and_traps_never_gives_a_wrong_row(chance: random.Random) -> None:
    """Each file in a style of its own, traps strewn in, in any order: the right row, or asked."""
    truth = {}
    for row, ending in product(INAT.rows, [".pth", ".log.json"]):
        style = STYLES[chance.choice(sorted(STYLES))]
        truth[style(row.architecture, row.method) + ending] = row.id
    strewn = [f"{trap}{chance.choice(['.pth', '.log'])}" for trap in chance.sample(TRAPS, 12)]
    names = [*truth, *strewn]
    chance.shuffle(names)

    matches, problems = match(names, INAT)

    assert [found for found in matches if found.row != truth.get(found.name)] == []
    asked = {one.subject for one in problems} | {n for one in problems for n in one.candidates}
    assert {*names} <= {found.name for found in matches} | asked
    for problem in problems:
        if problem.subject in truth:
            assert truth[problem.subject] in problem.rows


def test_folder_of_other_data_is_never_taken_for_the_authors_own_word() -> None:
    """However many files lie in it."""
    names = [f"imagenet/r50_{method}.pth" for method in METHODS]

    assert match(names, INAT)[0] == []


def test_what_a_person_says_settles_it() -> None:
    """Over the name's word and other claims of the place; a log of the same name follows."""
    names = ["r50_cutmix.pth", "model_a.pth", "model_a.log.json", "r50_cifar100.pth"]
    cutmix, mixup = "resnet50.cutmix_inat2018", "resnet50.mixup_inat2018"

    matches, _ = match(names, INAT, assigned={"model_a.pth": cutmix, "r50_cifar100.pth": mixup})

    assert matches == [
        Match("r50_cifar100.pth", mixup, "weights"),
        Match("model_a.pth", cutmix, "weights"),
        Match("model_a.log.json", cutmix, "log"),
    ]


def test_word_is_missing_for_vanilla_only_where_all_else_is_there() -> None:
    """One file without a method's name among eighteen others is vanilla; of two, or alone, none."""
    clear = [f"r50_{m}.pth" for m in METHODS if m != "vanilla"]

    assert match([*clear, "r50_inat2018.pth"], INAT)[0][0].row == "resnet50.vanilla_inat2018"
    assert len(match([*clear, "r50_inat2018.pth", "r50.pth"], INAT)[0]) == len(clear)
    assert len(match([*clear[1:], "r50_inat2018.pth"], INAT)[0]) == len(clear) - 1
    assert len(match([*clear, "r50_mixups.pth"], INAT)[0]) == len(clear)


def test_content_that_says_no_method_leaves_vanilla_to_what_is_left() -> None:
    """Plain weights without a config are no objection; a strange word stays one."""
    clear = [f"r50_{m}.pth" for m in METHODS if m != "vanilla"]
    with torch.device("meta"):
        plain = Inside(Classifier(ResNetConfig.from_name("resnet50"), 8142))

    found = match([*clear, "r50_inat2018.pth"], INAT, inside={"r50_inat2018.pth": plain})[0]
    strange = match([*clear, "r50_birdsong.pth"], INAT, inside={"r50_birdsong.pth": plain})[0]

    assert found[0] == Match("r50_inat2018.pth", "resnet50.vanilla_inat2018", "weights")
    assert len(strange) == len(clear)


def test_refused_weights_of_a_folder_leave_other_runs_logs_alone() -> None:
    """Only a log of the very same name is theirs."""
    names = ["d/r50_cutmix_imagenet.pth", "d/r50_cutmix.log.json", "d/r50_mixup.log.json"]

    assert [found.name for found in match(names, INAT)[0]] == sorted(names[1:], reverse=True)


def test_row_that_has_no_number_is_no_row() -> None:
    """inat2017's table has no PuzzleMix with ResNet-18, so such a file is left over."""
    manifest = open_catalog().benchmark("inat2017").manifest

    problem = recognise("r18_puzzlemix.pth", manifest)

    assert isinstance(problem, Problem)
    assert "resnet18.puzzlemix_inat2017, which is no row" in problem.reason


def test_two_files_for_one_place_are_both_left_out() -> None:
    """Weights in two versions are ambiguous: naming both, taking none, not calling them missing."""
    names = [*release("configs"), "resnet50_cutmix_v1.pth"]

    matches, problems = match(names, INAT)

    row = "resnet50.cutmix_inat2018"
    assert [problem.what for problem in problems] == ["ambiguous"]
    assert problems[0].subject == row
    assert problems[0].candidates == (
        "r50_cutmix_mixups_CE_none_4xb64_alpha1_ep100.pth",
        "resnet50_cutmix_v1.pth",
    )
    assert not any(found.row == row and found.kind == "weights" for found in matches)


def test_row_without_weights_or_log_is_missing() -> None:
    """Each row needs weights, and a log as soon as another row has one."""
    named = release("configs")
    row = "resnet50.cutmix_inat2018"
    left = [name for name, (r, kind) in named.items() if r != row or kind == "visualisation"]

    _, problems = match(left, INAT)

    assert [(p.subject, p.what) for p in problems] == [(row, "missing")] * 2
    assert "weights" in problems[0].reason
    assert "log" in problems[1].reason


def test_release_of_weights_alone_misses_no_log() -> None:
    """A release without any log is complete."""
    weights = [name for name, (_, kind) in release("configs").items() if kind == "weights"]

    assert match(weights, INAT)[1] == []


ALIASES = [
    (row.id, architecture, method)
    for row in INAT.rows
    for architecture in [row.architecture, SHORT[row.architecture], FAMILY[row.architecture]]
    for method in (row.method, *SYNONYMS.get(row.method, ()))
]
WORDS = [
    "mixups",
    "CE",
    "none",
    "4xb64",
    "8xb32",
    "alpha1",
    "alpha0.2",
    "a2",
    "l2",
    "mb",
    "mlr1e_4",
    "bb",
    "mlr0",
    "dp01",
    "ep100",
    "sz224",
    "fp16",
    "inat2018",
    "20220822",
    "vis",
    "final",
    "best",
    "lam",
    "cat",
    "near",
    "val",
    "sz",
    "224",
    "v1",
]
FILLERS = st.lists(st.sampled_from(WORDS), max_size=5)
JOINTS = st.sampled_from(["_", "-", "."])
CASES = st.sampled_from([str, str.upper, str.title])


@given(
    row=st.sampled_from(ALIASES),
    ending=st.sampled_from(sorted(ENDINGS)),
    method_first=st.booleans(),
    fillers=st.tuples(FILLERS, FILLERS, FILLERS),
    joint=JOINTS,
    case=CASES,
)
def test_generated_name_finds_its_row_or_is_reported(
    row, ending: str, method_first: bool, fillers, joint: str, case
) -> None:
    """Any alias of architecture and method, in any order, among any other words and in any case."""
    row_id, architecture, method = row
    named = [method, architecture] if method_first else [architecture, method]
    words = [*fillers[0], named[0], *fillers[1], named[1], *fillers[2]]
    name = case(joint.join(words)) + "_vis" * (ending == ".zip") + ending
    assume("resize 224" not in " ".join(words))  # which may be either

    found = recognise(name, INAT)

    if isinstance(found, Problem):  # other words may spell a second method
        assert found.what == "ambiguous"
        assert {"near", "lam", "cat"} <= {*fillers[0], *fillers[1], *fillers[2]}
    else:
        assert found == Match(name, row_id, ENDINGS[ending])


@given(st.lists(st.text(max_size=30).map(lambda text: f"{text}.pth"), max_size=5))
def test_any_names_at_all_are_read_without_an_error(names: list[str]) -> None:
    """Each of them is matched or told of, whatever it is made of."""
    matches, problems = match(names, INAT)

    assert {*names} <= {one.name for one in matches} | {one.subject for one in problems}


@given(
    st.text(alphabet="abcdefilmnoprsuxzR05178_-. /", max_size=40), st.sampled_from(sorted(ENDINGS))
)
def test_any_text_is_matched_to_a_row_it_spells_or_reported(text: str, ending: str) -> None:
    """A match is only ever made to a row whose architecture and method can be read in the name."""
    found = recognise(text + ending, INAT)

    if isinstance(found, Match):
        spelled = "".join(c for c in text.casefold() if c.isalnum())
        row = INAT.row(found.row)
        assert row is not None
        architectures = [SHORT[row.architecture][1:], "resnet50", "r50", "resnext101"]
        methods = [row.method, *SYNONYMS.get(row.method, ())]
        assert any(a.replace("_", "") in spelled for a in architectures)
        assert any(m.replace("_", "") in spelled for m in methods)
