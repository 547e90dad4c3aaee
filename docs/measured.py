"""The page of measurements: what each file of benchmarks/results found, by question."""

import json
import re
import statistics
import textwrap
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

BENCHMARKS = Path(__file__).parents[1] / "benchmarks"
RESULTS = BENCHMARKS / "results"
VERSION = re.compile(r"\d+\.[\w.]+")
WIDTH = 96  # characters of a line
Found = Mapping[str, Any]  # a file of results
Table = tuple[Sequence[str], Iterable[Sequence[object]]]  # its head and its lines
RULES = {
    "now": "a bound of twice the largest error, 1 image in 64 checked",
    "spots 1/16": "1 in 16 checked",
    "spots 1/4": "1 in 4 checked",
    "first 2,048": "the first 2,048 images in fp32 too",
    "factor 4": "a bound of four times the largest error",
    "Hill": "a bound that follows the errors' tail (Hill)",
    "witness, half seen": "**activations watched** (the rule in use), where half of the outliers show",
    "witness, all seen": "**activations watched**, where all show",
}
LOOPS = {
    "mixzoo": "**mixzoo**",
    "openmixup": "OpenMixup's own step",
    "plain_last": "plain loop, channels-last",
    "plain": "plain loop",
    "openmixup_plain": "plain loop in OpenMixup's torch",
}
EVALUATIONS = {
    "timm": "timm's `validate.py`",
    "timm_channels_last": "the same with `--channels-last`",
    "timm_bf16": "the same in bf16, unguarded",
    "fp32": "mixzoo, `--precision fp32`",
    "guarded": "**mixzoo, guarded** (the default)",
    "fast": "mixzoo, `--precision fast`",
    "plain": "torchvision's network, plain fp32",
    "channels_last": "the same, channels-last",
    "exact": "mixzoo, `--precision fp32`",
}


@dataclass(frozen=True)
class Answer:
    """Files of results of one kind. says: the finding, a sentence. table: what stands below it."""

    files: Sequence[str]
    says: Callable[[Found], str]
    table: Callable[[Found], Table] | None = None


def page() -> str:
    """The questions in order. Raises KeyError for a file of results that answers none of them."""
    lines = ["# Measurements", "", *wrapped(OPENING)]
    known = [file for group in QUESTIONS.values() for answer in group for file in answer.files]
    for path in BENCHMARKS.glob("results/**/*.json"):
        if path.relative_to(RESULTS).as_posix() not in known:
            raise KeyError(f"{path}: add its question and its finding to docs/measured.py")
    for question, group in QUESTIONS.items():
        lines += ["", f"## {question}"]
        for answer in group:
            found = _together([json.loads((RESULTS / file).read_text()) for file in answer.files])
            lines += ["", *wrapped(answer.says(found))]
            if answer.table:
                head, rows = answer.table(found)
                lines += ["", *_table(head, rows)]
            lines += ["", *wrapped(_made(answer.files, found))]
    return "\n".join(lines) + "\n"


def _together(results: Sequence[Found]) -> Found:
    """Runs of one script as one: cases by their arithmetic, methods by their batch."""
    if len(results) == 1:
        return results[0]
    first: dict[str, Any] = {**results[0]}
    for part, how in (("cases", "arithmetic"), ("methods", "setting")):
        if part in first:
            first[part] = {
                f"{name}, {it[how] if part == 'cases' else 'batch ' + it[how]['batch']}": value
                for it in results
                for name, value in it[part].items()
            }
    return first


def _made(files: Sequence[str], found: Found) -> str:
    """By which command, when, on which machine, with which versions, and where all figures are."""
    stem = Path(files[0]).stem
    script = max((it.stem for it in BENCHMARKS.glob("*.py") if stem.startswith(it.stem)), key=len)
    on = found["machine"]
    device = on.get("device", "cpu")
    machine = f"{on['cpu']}, {on['cores']} cores" if device == "cpu" else device
    tools = ("python", "torch", "pooch", "huggingface_hub", "curl", "aria2c", "isal", "pillow")
    versions = ", ".join(
        f"{name} {VERSION.findall(str(on[name]))[0]}" for name in tools if name in on
    )
    command = found.get("command", f"python benchmarks/{script}.py")
    listed = ", ".join(f"`{file}`" for file in files)
    return f"`{command}`, {on['date']}, {machine}; {versions}. All figures: {listed}."


def wrapped(text: str, **how: Any) -> list[str]:
    """Lines of at most WIDTH characters; words stay whole. how: of `textwrap.wrap`."""
    return textwrap.wrap(text, WIDTH, break_long_words=False, break_on_hyphens=False, **how)


def _table(head: Sequence[str], rows: Iterable[Sequence[object]]) -> list[str]:
    cells = [head, ["---"] * len(head), *rows]
    return [
        "| " + " | ".join(str(cell).replace("|", "\\|") for cell in row) + " |" for row in cells
    ]


def _percent(share: float) -> str:
    return f"{100 * share:.1f}%"


# --- Is a verdict right? -----------------------------------------------------------------------


def _verdicts(found: Found) -> str:
    honest = found["percent"]["plain: honest"]["with its log"]["reproduced"]
    forged = found["percent"]["plain: forged last line"]["with its log"]["not reproduced"]
    return (
        f"With its log, {honest}% of {found['runs']:,} simulated honest checkpoints are called "
        f"reproduced, and {forged}% of those with a forged last line are not. (Plain: one head. "
        "Neighbours: epochs that follow each other.)"
    )


def _verdict_rows(found: Found) -> Table:
    def words(shares: Mapping[str, float]) -> str:
        return ", ".join(f"{word} {share}%" for word, share in shares.items())

    return ("checkpoint", "with its log", "without a log"), [
        (case.replace(": ", ", "), words(by["with its log"]), words(by["without"]))
        for case, by in found["percent"].items()
    ]


def _seeds(found: Found) -> str:
    honest = found["percent_within"]["honest, 24,426 images, sd 0.25"]
    return (
        f"The interval of one more run holds {honest['3']:.1f}% of honest published numbers with 3 "
        f"seeds and {honest['10']:.1f}% with 10 (the limit is 95%), but from few seeds it also "
        "holds most numbers that are two standard deviations (sd) off."
    )


def _seed_rows(found: Found) -> Table:
    rows = found["percent_within"].items()
    return ("the published number is", "3 seeds", "5 seeds", "10 seeds"), [
        (case, *(f"{by[n]:.1f}%" for n in ("3", "5", "10"))) for case, by in rows
    ]


def _defect_parts(found: Found) -> list[tuple[str, str, Found]]:
    places = ("networks", "invented runs")
    return [(place, part, found[place][part]) for place in places for part in found[place]]


def _defects(found: Found) -> str:
    parts = [it for _, _, it in _defect_parts(found)]
    planted, healthy = (sum(it[name] for it in parts) for name in ("planted", "healthy"))
    wrong = sum(len(it["wrong"]) for it in parts)
    return (
        f"Of {planted} planted defects, {planted - wrong} are named first by `mixzoo explain`, and "
        f"{sum(it['accused'] for it in parts) or 'none'} of {healthy} healthy checkpoints is "
        "accused."
    )


def _defect_rows(found: Found) -> Table:
    return ("", "defects planted", "named first (95% interval)", "healthy, accused"), [
        (
            f"{place.replace('networks', 'rows of mini')}, {part}",
            it["planted"],
            "{:.1f}% ({:.1f} to {:.1f})".format(
                it["right_first_percent"], *it["right_first_interval95"]
            ),
            f"{it['healthy']}, {it['accused']}",
        )
        for place, part, it in _defect_parts(found)
    ]


def _doubts(found: Found) -> str:
    ten = found["found"]["10 rows, any class, odds 10"]
    return (
        f"Of {found['flipped']} labels flipped at random, `mixzoo eval doubts` finds "
        f"{ten['recall']:.0f}% with ten rows, and {ten['precision']:.0f}% of what it lists was "
        f"flipped (means of {found['draws']} draws, default odds of 10); flips to a class that "
        "looks alike are harder."
    )


def _doubt_rows(found: Found) -> Table:
    return (
        "rows, flipped to, odds",
        "labels in doubt",
        "of these flipped",
        "of the flipped, found",
    ), [
        (case, it["in_doubt"], f"{it['precision']}%", f"{it['recall']}%")
        for case, it in found["found"].items()
    ]


def _masks(found: Found) -> str:
    return (
        f"{found['pairs']} pairs of mini's drawings at lam 0.5. A mask should give each organism "
        "more than its ground, and half of the picture in all."
    )


def _mask_rows(found: Found) -> Table:
    return ("checkpoint", "kept of organisms", "of the ground", "mean of the masks"), [
        (name, *(_percent(it[key]) for key in ("own", "ground", "mean")))
        for name, it in found["found"].items()
    ]


def _edits(found: Found) -> str:
    one, fitted = (found["edited"][how]["all"] for how in ("as edited", "with hashes that fit"))
    return (
        f"Evidence alone gives away {one['folder']} of {one['edits']:,} random edits, "
        f"{fitted['folder']} of {fitted['edits']:,} if its hashes are made to fit; a published "
        f"digest gives away all. Of {found['intact']['checked']:,} intact folders "
        f"{found['intact']['accused'] or 'none'} are accused."
    )


def _edit_rows(found: Found) -> Table:
    one, fitted = found["edited"].values()
    return ("kind of edit", "found by the folder", "hashes made to fit", "by the digest"), [
        (
            kind,
            f"{one[kind]['folder']} of {one[kind]['edits']}" if kind in one else "",
            f"{it['folder']} of {it['edits']}",
            "all" if it["digest"] == it["edits"] else it["digest"],
        )
        for kind, it in fitted.items()
    ]


# --- Is fast arithmetic exact? -----------------------------------------------------------------


def _guard(found: Found) -> str:
    heads = [head for case in found["cases"].values() for head in case["heads"].values()]
    fast = sum(head["flips_of_fast"] for head in heads)
    guarded = sum(sum(head["flips_of_guarded"].values()) for head in heads)
    where = "a processor" if found["machine"]["device"] == "cpu" else "a GPU"
    return (
        f"On {where}, {fast} predictions differ from fp32 without the guard, and "
        f"{guarded or 'none'} with it, on one process and on three (bf16 where nothing else is "
        "said; heads of one network counted each)."
    )


def _guard_rows(found: Found) -> Table:
    rows = []
    for name, case in found["cases"].items():
        heads = case["heads"].values()
        again = statistics.mean(head["recomputed"]["1"] for head in heads)
        flips = sum(head["flips_of_fast"] for head in heads)
        guarded = sum(sum(head["flips_of_guarded"].values()) for head in heads)
        rows += [
            (name, f"{case['images']:,}", len(heads), flips, f"**{guarded}**", _percent(again))
        ]
    head = ("network", "images", "heads", "flips of fast", "of guarded", "computed again in fp32")
    return head, rows


def _rules(found: Found) -> str:
    return (
        f"No cheap rule is a proof: of {found['runs']} simulated runs of {found['images']:,} "
        "images, with errors a hundred times the usual in a few of them, this share holds a "
        "prediction that flipped unseen. It shows why the guard watches activations."
    )


def _rule_rows(found: Found) -> Table:
    kinds = [kind for kind in found["outliers"] if kind != "none"]
    rows = [
        (
            says,
            *(_percent(found["outliers"][kind][rule]["runs_with_a_silent_flip"]) for kind in kinds),
            _percent(found["outliers"]["none"][rule]["in_fp32"]),
        )
        for rule, says in RULES.items()
    ]
    return ("rule", *kinds, "in fp32, without outliers"), rows


# --- How fast is an evaluation? ----------------------------------------------------------------


def _evaluation(found: Found) -> str:
    runs, target = found["runs"], found["target"]["guarded_times_timm"]
    return (
        f"From JPEGs to a number, `mixzoo eval` makes {runs['guarded']['images_per_second']:.1f} "
        f"images a second, {runs['guarded']['times_base']:.1f} times timm's script (target: "
        f"{target}), with {runs['guarded']['other_classes'] or 'no'} other classes in "
        f"{found['photographs']} photographs."
    )


def _evaluation_rows(found: Found) -> Table:
    return ("ResNet-50 of 8,142 classes", "images/s", "times timm", "classes that differ"), [
        (
            EVALUATIONS[name],
            f"{it['images_per_second']:.1f}",
            f"{it['times_base']:.2f}",
            it["other_classes"],
        )
        for name, it in found["runs"].items()
    ]


def _forward(found: Found) -> str:
    alone = ", on one core" if found["machine"]["torch_threads"] == 1 else ""
    return (
        f"The network alone{alone}: fast arithmetic reaches "
        f"{_percent(found['fast_over_matrix_product'])} "
        f"of what the machine's own {found['arithmetic']} matrix product allows; the guard "
        f"recomputes {_percent(found['recomputed_share'])} of this hard case (random weights, tiny "
        f"margins), at {found['guarded_over']['fast']:.2f} of fast's rate."
    )


def _forward_rows(found: Found) -> Table:
    names = EVALUATIONS | {
        "timm": "timm's model and loop",
        "timm_channels_last_bf16": "the same in bf16",
    }
    return ("arithmetic", "images/s", "times plain fp32"), [
        (names[name], f"{it['images_per_second']:.1f}", f"{it['over_plain']:.2f}")
        for name, it in found["variants"].items()
    ]


def _pixels(found: Found) -> str:
    return (
        f"A JPEG becomes a crop {found['speedup']} times as fast as by PIL and torchvision "
        f"(target: {found['target_speedup']}), {found['images_per_second']['mixzoo']:.0f} a second "
        f"and core against {found['images_per_second']['reference']:.0f}; "
        f"{found['crops_that_differ'] or 'no'} crops differ in any bit."
    )


def _verify(found: Found) -> str:
    return (
        "Checking every byte of a file runs at "
        f"{found['speed_of_one_file_to_file_digest']:.2f} of the speed of `hashlib.file_digest` "
        f"(target: {found['target']}), and several files are checked at once."
    )


def _evidence(found: Found) -> str:
    return (
        f"`mixzoo eval check` takes {found['seconds']:.1f} s for a whole table at full size: "
        f"{found['rows']} rows, {found['heads']} heads, {found['images']:,} images; a head of "
        f"evidence takes {found['largest_head_bytes'] / 1e6:.1f} MB."
    )


# --- Does it bear full size? -------------------------------------------------------------------

_PARTS = {
    "list": "finding, labelling and hashing the images",
    "verify": "reading every file",
    "report": "a report from kept predictions, with 437,513 training annotations",
    "merge": "one report of 64 parts",
}


def _full_size(found: Found) -> str:
    parts = [found[name] for name in _PARTS if name in found]
    grows = "" if all(one["linear"] for one in parts) else " not in every part"
    report = found["report"]["runs"]["24426"]
    return (
        f"Time grows with the number of images{grows or ' and no faster'}, to "
        f"{max(int(n) for one in parts for n in one['runs']):,} of them. Of 24,426 images a report "
        f"from kept predictions takes {report['first']} s of processor the first time, and "
        f"{report['again']} s again. The files are hard links to drawn JPEGs."
    )


def _full_size_rows(found: Found) -> Table:
    def lines() -> Iterable[Sequence[object]]:
        for name, said in _PARTS.items():
            for images, run in found.get(name, {}).get("runs", {}).items():
                each = found[name]["microseconds_per_image"][images]
                yield said, f"{int(images):,}", run["processor_seconds"], each, run["peak_mib"]
        table = found.get("table", {})
        for name, run in table.get("runs", {}).items():
            images, processes = (int(word) for word in name.split() if word.isdecimal())
            each = round(1e6 * run["processor_seconds"] / images, 1)
            said = f"{table['rows']} rows of {table['network']}, {processes} process"
            said += "es" * (processes > 1)
            peak = run["peak_mib_of_a_process"]
            yield said, f"{images:,}", run["processor_seconds"], each, peak

    return ("part", "images", "processor s", "of them for each image, us", "peak, MiB"), lines()


# --- How fast do files come? -------------------------------------------------------------------


def _download(found: Found) -> str:
    times, target = found["times_as_fast"], found["targets"]
    return (
        f"One verified stream is {times['single_stream_against_curl']} times as fast as `curl | "
        f"sha256sum` (target: {target['single_stream_against_curl']:g}), and where a server limits "
        f"each connection, eight are {times['eight_connections_against_one']} times as fast as one "
        f"(target: {target['eight_connections_against_one']:g}; limit: 8)."
    )


def _download_rows(found: Found) -> Table:
    limit = found["limit_bytes_per_second_and_connection"] / 1e6
    free = ((name, seconds, "none") for name, seconds in found["seconds"].items())
    slow = (
        (name, seconds, f"{limit:g} MB/s") for name, seconds in found["seconds_at_limit"].items()
    )
    size = f"{found['bytes'] / 1e6:g} MB by"
    return (size, "limit of a connection", "median s", "runs"), [
        (name, at, f"{statistics.median(seconds):.2f}", len(seconds))
        for name, seconds, at in (*free, *slow)
    ]


def _extract(found: Found) -> str:
    return (
        "The validation images come out of the archive, with its md5 checked, "
        f"{found['times_as_fast']['files_against_tar_xzf']} times as fast as `tar xzf` of all of "
        f"it (target: {found['targets']['files_against_tar_xzf']:g}), which checks nothing."
    )


def _extract_rows(found: Found) -> Table:
    return (
        f"{found['packed_bytes'] / 1e9:.1f} GB, {found['images']:,} images wanted",
        "median s",
    ), [
        (name.replace("stage: ", "limit: only "), f"{statistics.median(seconds):.2f}")
        for name, seconds in found["seconds"].items()
    ]


# --- Training ----------------------------------------------------------------------------------


def _steps(found: Found) -> str:
    how, beside = found["setting"], []
    for method, loops in found["methods"].items():
        if "openmixup" in loops:
            beside += [f"{method} {loops['openmixup']['mixzoo_is_faster']:.2f}"]
    where = "a GPU" if how["device"] == "cuda" else "a processor"
    batch = (
        "" if any("batch" in method for method in found["methods"]) else f", batch {how['batch']}"
    )
    what = f"{how['architecture']}, {int(how['classes']):,} classes, {how['precision']}{batch}"
    if not beside:
        return f"On {where} ({what}), the plain loop bounds what a step of mixing can reach."
    return (
        f"On {where} ({what}), a step of `mixzoo train` is so many times as fast as OpenMixup's "
        f"own: {', '.join(beside)} (target for automix: 1.40)."
    )


def _plain_steps(found: Found) -> str:
    how, costs = found["setting"], []
    for method, loops in found["methods"].items():
        cost = 1 / loops["plain_last"]["mixzoo_is_faster_by_processor_time"]
        work = loops["mixzoo"]["gflop_per_image"] / loops["plain_last"]["gflop_per_image"]
        costs += [f"{method} {cost:.2f} ({work:.2f} by its operations)"]
    return (
        f"On one thread of a busy processor ({how['architecture']}, {how['precision']}, "
        f"{how['size']} pixels, batch {how['batch']}) a step took so many plain steps of processor "
        f"time: {', '.join(costs)} (target for automix: at most 2.85)."
    )


def _step_rows(found: Found) -> Table:
    def speed(loops: Found, name: str) -> str:
        return f"{loops[name]['images_per_second']:.4g}" if name in loops else ""

    def line(method: str, loops: Found) -> list[str]:
        ours, theirs = loops["mixzoo"], loops.get("openmixup", {})
        of = ours.get("of_matrix_product")
        peaks = [f"{it['peak_gib']:.1f}" for it in (ours, theirs) if "peak_gib" in it]
        return [method, *(speed(loops, name) for name in LOOPS), _percent(of) if of else "", *peaks]

    rows = [line(method, loops) for method, loops in found["methods"].items()]
    limit = "limit: mixzoo's share of the matrix product"
    head = ["images/s", *LOOPS.values(), limit, "mixzoo's peak, GiB", "OpenMixup's"]
    return head[: max(map(len, rows))], rows


def _mixing(found: Found) -> str:
    methods = found["methods"].items()
    static = [it["share_of_step"] for name, it in methods if name != "puzzlemix_saliency"]
    return (
        f"Mixing costs at most {_percent(max(static))} of a ResNet-50 training step on the same "
        f"machine (target: below {100 * found['target_share_of_static_methods']:g}%), but for "
        "PuzzleMix's saliency, which takes a forward and a backward pass by design."
    )


def _mixing_rows(found: Found) -> Table:
    return ("method, a batch of 64", "ms", "of a step"), [
        (name.replace("_", ", "), f"{it['ms']:.0f}", _percent(it["share_of_step"]))
        for name, it in found["methods"].items()
    ]


def _gridcut(found: Found) -> str:
    return (
        f"PuzzleMix's masks are exact minima on all {found['grids']} grids, as those of gco, the "
        f"solver that OpenMixup calls, which is {found['exact_over_gco']:.1f} times as fast "
        f"({found['gco_swap_ms']} ms against {found['exact_ms']} ms a batch)."
    )


def _cifar(found: Found) -> str:
    best = max(found["methods"].items(), key=lambda it: it[1]["final"])
    return (
        f"All ten methods train on photographs: {found['epochs']} epochs of a small ResNet on "
        f"{found['images']['train']:,} pictures of CIFAR-10 take it from {found['chance']:g}% to "
        f"{best[1]['final']}% ({best[0]}). It is a test that they learn, not of which is better."
    )


def _cifar_rows(found: Found) -> Table:
    return ("method", "top-1 (95% interval)", "minutes of a core"), [
        (
            name,
            "{:.1f} ({:.1f} to {:.1f})".format(it["final"], *it["interval_95"]),
            f"{it['processor_seconds'] / 60:.1f}",
        )
        for name, it in found["methods"].items()
    ]


OPENING = (
    "Every figure comes from a file of `benchmarks/results`, made by the command below it; `make "
    "bench` makes all of them again. Contestants take turns in one run on one machine. A *target* "
    "was set before measuring, a *limit* is what the machine or the design allows."
)
_GUARDS = ("resnet50_bf16", "resnet50_fp16", "resnet50_tf32", "resnext101_bf16")
QUESTIONS = {
    "How often is a verdict wrong?": [
        Answer(["verdicts.json"], _verdicts, _verdict_rows),
        Answer(["seeds.json"], _seeds, _seed_rows),
    ],
    "Is the right cause named?": [Answer(["defects.json"], _defects, _defect_rows)],
    "Are wrong labels found?": [Answer(["doubts.json"], _doubts, _doubt_rows)],
    "Do learnt masks follow the organisms?": [Answer(["masks.json"], _masks, _mask_rows)],
    "Can evidence be edited unseen?": [Answer(["edited_evidence.json"], _edits, _edit_rows)],
    "Does the guard keep fp32's predictions?": [
        Answer(["guard_bf16.json"], _guard, _guard_rows),
        Answer(["guard_mini_bf16.json"], _guard, _guard_rows),
        Answer([f"h100/guard_{name}.json" for name in _GUARDS], _guard, _guard_rows),
        Answer(["guard_rules.json"], _rules, _rule_rows),
    ],
    "How fast is an evaluation?": [
        Answer(["evaluation.json"], _evaluation, _evaluation_rows),
        Answer(["forward.json"], _forward, _forward_rows),
        Answer(["forward_one_core.json"], _forward, _forward_rows),
        Answer(["pixels.json"], _pixels),
        Answer(["evidence.json"], _evidence),
    ],
    "Does it bear full size?": [Answer(["full_size.json"], _full_size, _full_size_rows)],
    "How fast do files come, and how fast are they checked?": [
        Answer(["download.json"], _download, _download_rows),
        Answer(["extract.json"], _extract, _extract_rows),
        Answer(["verify.json"], _verify),
    ],
    "How fast is a training step?": [
        Answer(["h100/train_steps_automix.json"], _steps, _step_rows),
        Answer([f"h200/train_steps_{n}.json" for n in (64, 256)], _steps, _step_rows),
        Answer(["train_steps.json"], _steps, _step_rows),
        Answer(["train_steps_bf16.json"], _steps, _step_rows),
        Answer(["train_steps_one_thread.json"], _plain_steps),
        Answer(["train_steps_one_thread_224.json"], _plain_steps),
    ],
    "What does mixing cost?": [
        Answer(["mixing.json"], _mixing, _mixing_rows),
        Answer(["gridcut.json"], _gridcut),
    ],
    "Do all methods train?": [Answer(["train_cifar.json"], _cifar, _cifar_rows)],
}
