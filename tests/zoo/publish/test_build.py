"""A built folder holds weights, log, card, report, and a manifest that makes it a source."""

import hashlib
import json
import re
from collections.abc import Callable
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path
from typing import NamedTuple
from unicodedata import category

import msgspec
import pytest
import safetensors.torch
import torch
import yaml
from huggingface_hub import ModelCard, parse_eval_result_entries
from hypothesis import given, settings
from hypothesis import strategies as st
from markdown_it import MarkdownIt
from mixzoo.zoo.catalog import Benchmark, open_catalog
from mixzoo.zoo.checkpoint.facts import recipe_text
from mixzoo.zoo.checkpoint.load import load_file
from mixzoo.zoo.errors import UsageError
from mixzoo.zoo.manifest import Metric
from mixzoo.zoo.publish.build import Publication, build
from mixzoo.zoo.publish.repository import Evidence, Repository, model_card
from mixzoo.zoo.report import Head, Images, Pixels, Report, Weights, read_report
from mixzoo.zoo.report import Row as Measured
from mixzoo.zoo.verify import State, check

from ...mini_rows import (
    ARCHITECTURE,
    EPOCHS,
    MINI,
    MIXUP,
    PROTOCOL,
    ROWS,
    TRAINING,
    VANILLA,
    hits,
    published,
    weights,
)

PUBLISHED = {row: published(row) for row in (VANILLA, MIXUP)}
OWN_VANILLA, OWN_MIXUP = (row.replace("_mini", "_jane_drawn_models") for row in PUBLISHED)
BETTER_VANILLA, BETTER_MIXUP = hits(VANILLA) + 51, hits(MIXUP) + 34  # of 1,000
OTHER_IMAGES = "100 images, the table's validation set has 1000"
TIMM_FILES = {"model.safetensors", "config.json"}
NUMBER = re.compile(r"(?<![\d.])\d\d\.\d")  # what a top-1 in percent looks like


def sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def head(name: str, correct: int, total: int, reported: float) -> Head:
    top1 = 100 * correct / total
    return Head(
        head=name,
        correct=correct,
        correct5=total - 1,
        total=total,
        top1=top1,
        top5=100 * (total - 1) / total,
        interval95=(top1 - 2.5, top1 + 2.5),
        gap_points=top1 - reported,
    )


def plain(row: str, correct: int, total: int = 1000) -> tuple[str, list[Head]]:
    """A report's row on a model with one head."""
    return row, [head("head0", correct, total, PUBLISHED[row])]


def write_report(
    folder: Path,
    *rows: tuple[str, list[Head]],
    sha256: str | None = None,
    not_comparable: str | None = None,
    benchmark: str | None = "mini",
    judged: str | None = None,
) -> Path:
    """Write a report as `mixzoo eval --out` does: (row, its heads), of mini if nothing is said."""
    manifest = MINI.manifest
    report = Report(
        rows=tuple(
            Measured(
                id=row,
                weights=Weights(
                    file="w.pth",
                    sha256=sha256 or MINI.asset(row).sha256,
                    architecture=ARCHITECTURE,
                    method="plain",
                    num_classes=40,
                ),
                verdict="not comparable" if not_comparable else "differs",
                reason="as the test wished",
                not_comparable=not_comparable,
                head=judged or heads[0].head,
                heads=tuple(heads),
                reported_top1=PUBLISHED.get(row, 10.0),
                decimals=1,
            )
            for row, heads in rows
        ),
        rules={},
        benchmark=benchmark,
        protocol=msgspec.convert(msgspec.to_builtins(manifest.protocol), Pixels),
        data=Images(labels="val", images=1000, list_sha256=manifest.dataset.val.list_sha256),
        run={"device": "cpu", "world_size": 1},
        versions={"torch": version("torch")},
        created="2026-11-22T12:00:00+00:00",
    )
    path = folder / "eval.json"
    path.write_text(report.to_json())
    return path


class Built(NamedTuple):
    """What was built, and where."""

    repository: Repository
    files: dict[str, str]
    folder: Path

    def read(self, name: str = "README.md") -> str:
        """The text of one of its files."""
        return (self.folder / name).read_text()

    def benchmark(self) -> Benchmark:
        """What its manifest says."""
        return open_catalog([self.folder / "mixzoo.toml"]).benchmark("jane_drawn_models")


def publish(folder: Path, *refs: object, **options: object) -> Built:
    """Build rows into `repo` below the folder."""
    settings = {"repository": "jane/drawn-models", "folder": folder / "repo"} | options
    wish = Publication(refs=[str(ref) for ref in refs], **settings)
    return Built(*build(wish), folder / "repo")


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Built:
    """A repository of two rows with a report on both."""
    folder = tmp_path_factory.mktemp("built")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MIXZOO_CACHE", str(folder / "cache"))
        report = write_report(folder, plain(VANILLA, BETTER_VANILLA), plain(MIXUP, BETTER_MIXUP))
        first = publish(folder, VANILLA, MIXUP, report=report)
        again = publish(folder, VANILLA, MIXUP, report=report)
    # No time and no chance goes in, so a dry run shows exactly what is uploaded later.
    assert again.files == first.files
    return first


def test_the_folder_is_a_source_that_the_catalog_reads(built: Built) -> None:
    """Manifest and lock are valid, and every locked file lies in the folder with its hash."""
    own = built.benchmark()

    assert [(row.id, row.reported_top1, row.paper) for row in own.manifest.rows] == [
        (OWN_VANILLA, BETTER_VANILLA / 10, None),
        (OWN_MIXUP, BETTER_MIXUP / 10, "arXiv:1710.09412"),
    ]
    assert own.manifest.protocol == MINI.manifest.protocol
    assert own.manifest.sources[0].repository == "jane/drawn-models"
    assert len(own.lock.assets) == 4
    for asset in own.lock.assets:
        assert check(built.folder / asset.name, asset).state is State.VERIFIED


def test_listed_files_are_the_folders(built: Built) -> None:
    """Path and hash of everything that would go up, and nothing else lies there."""
    models = [f"{row}.{kind}" for row in (MIXUP, VANILLA) for kind in ("log.json", "safetensors")]

    assert list(built.files) == [
        "README.md",
        "mixzoo.lock.json",
        "mixzoo.toml",
        "report.json",
        *models,
        "tally.csv",
    ]
    assert {path.name: sha256(path) for path in built.folder.iterdir()} == built.files


def test_the_weights_give_the_rows_logits(built: Built) -> None:
    """What is published computes what was released, to the bit."""
    images = torch.randn(2, 3, 64, 64, generator=torch.Generator().manual_seed(0))

    with torch.inference_mode():
        theirs = load_file(weights(MIXUP))(images)
        ours = load_file(built.folder / f"{MIXUP}.safetensors")(images)

    assert torch.equal(ours, theirs)


def test_the_card_says_what_the_hub_needs(built: Built) -> None:
    """The hub's own parser finds license, task, library, tags, data set and one result a model."""
    card = ModelCard.load(built.folder / "README.md").data

    assert (card.license, card.library_name) == ("unknown", "mixzoo")
    assert card.pipeline_tag == "image-classification"
    assert {"mixup", "vanilla", ARCHITECTURE} <= set(card.tags)
    assert card.datasets == ["mini"]
    results = [(r.metric_type, r.metric_value, r.dataset_name) for r in card.eval_results]
    assert results == [
        ("accuracy", value, "mini")
        for value in (BETTER_VANILLA / 10, 99.9, BETTER_MIXUP / 10, 99.9)
    ]
    front = yaml.safe_load(built.read().split("---\n")[1])
    assert [entry["name"] for entry in front["model-index"]] == [
        row.id for row in built.benchmark().manifest.rows
    ]


def test_the_card_tells_counts_interval_verdict_and_hashes(built: Built) -> None:
    """k of N, interval, verdict, tally, recipe, pixels, versions, both hashes, paper, terms."""
    found = BETTER_MIXUP / 10
    for part in (
        f"| {BETTER_MIXUP} / 1000 | {found:.3f} | {found - 2.5:.2f} to {found + 2.5:.2f} | "
        f"{published(MIXUP):g} | +3.400 | differs |",
        f"recomputed: 2 of the tables' {len(ROWS)}. Off: 2 by more than 0.05 points (0 recomputed "
        "lower)",
        "mix mode (mixup), alpha (0.2), mix repeat 1",
        f"epochs {EPOCHS}, ",
        f"batch size {TRAINING.batch_size}, micro batch ",
        f"crop {PROTOCOL.crop}, lr {TRAINING.learning_rate}",
        f"timm and torchvision have no network of the shape of {ARCHITECTURE}",
        MINI.asset(MIXUP).sha256,
        built.files[f"{MIXUP}.safetensors"],
        built.files[f"{MIXUP}.log.json"],
        "as the lock of mini names it",
        f"resize {PROTOCOL.resize}, crop {PROTOCOL.crop}",
        f"torch {version('torch')}",
        "https://arxiv.org/abs/1710.09412",
        "Drawn by this package; Apache-2.0.",
        f"mixzoo zoo download {OWN_VANILLA} --manifest mixzoo.toml",
    ):
        assert part in built.read()


def test_without_a_report_no_number_is_published(tmp_path: Path) -> None:
    """Neither card nor manifest nor weights name the table's number, which nobody recomputed."""
    built = publish(tmp_path, MIXUP)

    text = built.read()
    assert "Not evaluated" in text
    assert "model-index" not in text
    assert not NUMBER.search(re.sub(r"[0-9a-f]{64}", "", text))
    assert built.benchmark().manifest.rows[0].reported_top1 is None
    assert b"reported_top1" not in (built.folder / f"{MIXUP}.safetensors").read_bytes()
    assert any("not evaluated" in note for note in built.repository.notes())


def test_a_number_on_other_images_is_shown_but_not_entered(tmp_path: Path) -> None:
    """A tenth of the images: the card shows count and reason, the structured results stay empty."""
    built = publish(
        tmp_path,
        MIXUP,
        report=write_report(tmp_path, plain(MIXUP, 74, 100), not_comparable=OTHER_IMAGES),
    )

    text = built.read()
    assert "74 / 100" in text
    assert "not the benchmark's own number" in text
    assert OTHER_IMAGES in text
    assert "model-index" not in text
    assert "reported_top1" not in built.read("mixzoo.toml")
    assert any("no result is entered" in note for note in built.repository.notes())


def test_a_report_on_other_weights_backs_nothing(tmp_path: Path) -> None:
    """A report must have a line for each model's very bytes; nothing is built otherwise."""
    with pytest.raises(
        UsageError,
        match=rf"has no row for .*mixup_mini.pth \(sha256 {MINI.asset(MIXUP).sha256[:12]}",
    ):
        publish(tmp_path, MIXUP, report=write_report(tmp_path, plain(MIXUP, 735), sha256="b" * 64))

    assert not (tmp_path / "repo").exists()
    assert [path.name for path in tmp_path.iterdir()] == ["eval.json"]


@pytest.mark.parametrize("benchmark", ["inat2018", None])
def test_a_report_on_something_else_backs_nothing(tmp_path: Path, benchmark: str | None) -> None:
    """A number measured without the benchmark, or on another, says nothing about it."""
    with pytest.raises(UsageError, match="expected a report on mini, got one on"):
        publish(
            tmp_path, MIXUP, report=write_report(tmp_path, plain(MIXUP, 735), benchmark=benchmark)
        )


def test_a_run_is_published_as_the_publishers_own(tiny: Callable, tmp_path: Path) -> None:
    """A retrained run: its own number, its own log, and no claim to be the released file."""
    run = tmp_path / "run"
    run.mkdir()
    torch.save({"state_dict": tiny(name=ARCHITECTURE, num_classes=40)}, run / "epoch_60.pth")
    (run / "20261122.log.json").write_text('{"mode": "val"}\n')
    report = write_report(tmp_path, plain(MIXUP, 700), sha256=sha256(run / "epoch_60.pth"))

    built = publish(tmp_path, run, row=MIXUP, report=report)

    text = built.read()
    assert "the publisher's own file" in text
    assert "released file" not in text
    assert "| 700 / 1000 |" in text
    assert built.read(f"{MIXUP}.log.json") == '{"mode": "val"}\n'
    own = built.benchmark().manifest
    assert own.rows[0].reported_top1 == 70.0
    assert own.metric == Metric(statistic="last_epoch", decimals=1)


def test_automix_is_published_with_every_heads_line(
    tiny: Callable, write_benchmark: Callable, tmp_path: Path
) -> None:
    """Four heads are four lines; the one that carries the verdict is the result."""
    manifest = write_benchmark('[[sources]]\nkind = "file"\npath = "."')
    text = manifest.read_text().replace("vanilla", "automix")
    manifest.write_text(text)
    path = tmp_path / "resnet18_w4.automix_own.pth"
    torch.save({"state_dict": tiny("automix", num_classes=10)}, path)
    heads = [
        head(name, correct, 20, 10.0)
        for name, correct in (("one_k", 2), ("mix_k", 3), ("one_q", 4), ("mix_q", 5))
    ]
    report = write_report(
        tmp_path, ("r", heads), sha256=sha256(path), benchmark="own", judged="mix_k"
    )

    built = publish(tmp_path, path, report=report, manifests=[manifest])

    card = ModelCard.load(built.folder / "README.md")
    assert [r.metric_value for r in card.data.eval_results] == [15.0, 95.0]
    for part in (
        "one_k (inference) | 2 / 20 | 10.000 | 7.50 to 12.50 | 10 | 0.000 |  |",
        "mix_k | 3 / 20 | 15.000 | 12.50 to 17.50 | 10 | +5.000 | differs |",
        "mix_q | 5 / 20",
    ):
        assert part in card.text


def test_the_rows_keep_the_recipe_of_their_runs(built: Built) -> None:
    """So `mixzoo train ROW --manifest mixzoo.toml` trains what was published."""
    _, mixup = built.benchmark().manifest.rows

    assert (mixup.alpha, mixup.recipe["mix_mode"], mixup.recipe["epochs"]) == (
        0.2,
        ["mixup"],
        EPOCHS,
    )


def test_a_run_of_another_method_is_no_model_of_the_row(tiny: Callable, tmp_path: Path) -> None:
    """Its card would say that it was trained by the row's."""
    path, recipe = tmp_path / "w.pth", {"mix_mode": ("mixup", "cutmix"), "alpha": (0.8, 1.0)}
    notes = {"config": recipe_text(ARCHITECTURE, recipe)}
    torch.save({"meta": notes, "state_dict": tiny(name=ARCHITECTURE, num_classes=40)}, path)

    with pytest.raises(UsageError, match=r"was trained by mixup \+ cutmix, .* train publish RUN"):
        publish(tmp_path, path, row=MIXUP)


@pytest.fixture
def wide(tiny: Callable, write_benchmark: Callable, tmp_path: Path) -> Callable[..., Path]:
    """Writes a ResNet-18 of a benchmark of one's own, which timm has too."""
    manifest = write_benchmark('[[sources]]\nkind = "file"\npath = "."')
    rows = "".join(
        f'[[rows]]\nid = "resnet18.{m}_own"\nmethod = "{m}"\narchitecture = "resnet18"\n'
        for m in ("automix", "mixup", "cutmix")
    )
    manifest.write_text(manifest.read_text() + rows)

    def write(method: str) -> Path:
        path = tmp_path / f"resnet18.{method}_own.pth"
        kind = "automix" if method == "automix" else "plain"
        torch.save({"state_dict": tiny(kind, name="resnet18", num_classes=10)}, path)
        return path

    return write


def test_one_model_is_timms_as_a_whole(wide: Callable, tmp_path: Path) -> None:
    """`hf-hub:jane/drawn-models` finds network, pixels and weights of the head that was judged."""
    path = wide("automix")
    rows = [(str(path), [head(name, 3, 20, 10.0) for name in ("one_k", "mix_k", "one_q", "mix_q")])]
    report = write_report(tmp_path, *rows, sha256=sha256(path), benchmark="own", judged="mix_q")

    built = publish(tmp_path, path, report=report, manifests=[tmp_path / "own.toml"])

    config = json.loads(built.read("config.json"))
    pixels, protocol = config["pretrained_cfg"], built.benchmark().manifest.protocol
    assert (config["architecture"], config["num_classes"]) == ("resnet18", 10)
    assert pixels["input_size"] == [3, protocol.crop, protocol.crop]
    entries = safetensors.torch.load_file(built.folder / "model.safetensors")
    judged = load_file(path, head="mix_q")
    assert torch.equal(entries["conv1.weight"], judged.backbone_q.conv1.weight)
    assert torch.equal(entries["fc.bias"], judged.head_mix_q.fc.bias)
    assert ModelCard.load(built.folder / "README.md").data.library_name == "timm"
    assert 'timm.create_model("hf-hub:jane/drawn-models", pretrained=True)' in built.read()
    assert "the classifier of the head mix_q" in built.read()


def test_several_models_are_timms_each_in_its_folder(wide: Callable, tmp_path: Path) -> None:
    """timm knows one model of a repository; `local-dir:` takes each folder."""
    manifest = tmp_path / "own.toml"

    built = publish(tmp_path, wide("mixup"), wide("cutmix"), manifests=[manifest])

    names = {f"timm/resnet18.{m}_own/{f}" for m in ("mixup", "cutmix") for f in TIMM_FILES}
    assert names <= built.files.keys()
    assert not TIMM_FILES & built.files.keys()
    assert 'create_model("local-dir:timm/resnet18.mixup_own", pretrained=True)' in built.read()


def test_evidence_goes_along_with_the_table_that_judges_it(wide: Callable, tmp_path: Path) -> None:
    """Of the models that are published; its reports together are the repository's."""
    path, manifest = wide("mixup"), tmp_path / "own.toml"
    heads = [head("head0", 3, 20, 10.0)]
    evidence = []
    for name, digest in ((sha256(path), "1" * 64), ("b" * 64, "2" * 64)):
        file = write_report(tmp_path, (f"r{name}", heads), sha256=name, benchmark="own")
        evidence.append(Evidence((file,), digest, read_report(file)))

    built = publish(tmp_path, path, evidence=evidence, manifests=[manifest])

    folder = "evidence/resnet18.mixup_own"
    assert {name for name in built.files if name.startswith("evidence/")} == {
        "evidence/own.toml",
        f"{folder}/eval.json",
    }
    assert len(read_report(built.folder / "report.json").rows) == 2
    assert "1" * 64 in built.read()
    assert "2" * 64 not in built.read()
    assert "mixzoo eval check evidence --manifest evidence/own.toml" in built.read()
    assert open_catalog([built.folder / "evidence/own.toml"]).row("resnet18.mixup_own")


def test_a_report_beside_evidence_is_one_too_many(tmp_path: Path) -> None:
    """And evidence of two lists of images makes no report."""
    file = write_report(tmp_path, plain(MIXUP, hits(MIXUP)))
    one = Evidence((), "1" * 64, read_report(file))
    data = msgspec.structs.replace(one.report.data, list_sha256="c" * 64)
    other = replace(one, report=msgspec.structs.replace(one.report, data=data))

    with pytest.raises(UsageError, match="give one of them"):
        publish(tmp_path, MIXUP, report=file, evidence=[one])
    with pytest.raises(UsageError, match="expected one list of images"):
        publish(tmp_path, MIXUP, evidence=[one, other])


def test_a_leaderboard_gets_the_hubs_own_format(tmp_path: Path) -> None:
    """`.eval_results` names data set, task, value, date, source and the count behind it."""
    report = write_report(tmp_path, plain(MIXUP, 735))

    built = publish(tmp_path, MIXUP, report=report, leaderboard="jane/mini-benchmark:top1")

    content = yaml.safe_load(built.read(".eval_results/mini.yaml"))
    [entry] = parse_eval_result_entries(content)
    assert (entry.dataset_id, entry.task_id, entry.value) == ("jane/mini-benchmark", "top1", 73.5)
    assert entry.date == "2026-11-22T12:00:00+00:00"
    assert entry.source_url == "https://huggingface.co/jane/drawn-models/blob/main/report.json"
    assert "735 of 1000" in entry.notes
    assert ".eval_results/mini.yaml" in built.files
    assert ModelCard.load(built.folder / "README.md").data.datasets == ["jane/mini-benchmark"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"leaderboard": "no-task"}, "expected OWNER/DATASET:TASK"),
        ({"leaderboard": "a/b:c"}, "expected one row or run and its --report"),
        ({"repository": "models"}, "expected OWNER/NAME"),
        ({"repository": "a/b/c"}, "--repo"),
        ({"repository": "jane/../etc"}, "--repo"),
    ],
)
def test_wrong_arguments_are_one_line(
    tmp_path: Path, options: dict[str, str], message: str
) -> None:
    """Each is told before anything is built."""
    with pytest.raises(UsageError, match=message) as caught:
        publish(tmp_path, MIXUP, **options)

    assert "\n" not in str(caught.value)


def test_one_row_twice_is_refused(tmp_path: Path) -> None:
    """Two models can't have one name in the repository."""
    with pytest.raises(UsageError, match="two models of this row"):
        publish(tmp_path, MIXUP, weights(MIXUP))


def test_an_edited_file_is_not_overwritten(tmp_path: Path) -> None:
    """A card that somebody improved by hand stays, and so does everything else, unless forced."""
    built = publish(tmp_path, MIXUP)
    card = built.folder / "README.md"
    card.write_text("mine")
    (built.folder / "mixzoo.toml").unlink()

    with pytest.raises(UsageError, match=r"README.md would be replaced.*--force"):
        publish(tmp_path, MIXUP)

    assert card.read_text() == "mine"
    assert not (built.folder / "mixzoo.toml").exists()
    publish(tmp_path, MIXUP, force=True)
    assert card.read_text().startswith("---\n")


def test_names_cannot_break_the_card(tiny: Callable, tmp_path: Path) -> None:
    """A file name with a pipe and a backtick stays inside its code span."""
    path = tmp_path / "odd|`name.pth"
    torch.save({"state_dict": tiny(name=ARCHITECTURE, num_classes=40)}, path)

    built = publish(tmp_path, path, row=MIXUP)

    assert "`oddname.pth`" in built.read()


ODD = [
    "<script>",
    "](http://x)",
    "![",
    "[a]: http://x",
    "`",
    "|",
    "\\",
    "\n",
    "\x1b[2J",
    "&lt;b>",
    "-->",
]


@settings(max_examples=25, deadline=None)
@given(st.lists(st.sampled_from(ODD) | st.text(max_size=3), max_size=6).map("".join))
def test_manifest_cannot_write_the_card(built: Built, text: str) -> None:
    """Whatever a manifest says stands in the card as text: no HTML, no image, no other link."""
    benchmark = built.repository.benchmark
    dataset = msgspec.structs.replace(benchmark.manifest.dataset, name=text, terms=text, paper=text)
    facts = {"title": text, "paper": f"arXiv:{text}", "homepage": text, "dataset": dataset}
    manifest = msgspec.structs.replace(benchmark.manifest, **facts)
    hostile = replace(built.repository, benchmark=replace(benchmark, manifest=manifest))

    card = model_card(hostile)

    _, front, body = card.split("---\n", 2)
    assert all(c == "\n" or category(c) != "Cc" for c in card)
    assert isinstance(yaml.safe_load(front), dict)
    tokens = MarkdownIt("commonmark").enable("table").parse(body)
    inner = [child for token in tokens for child in (token, *(token.children or []))]
    assert not {token.type for token in inner} & {"html_inline", "html_block", "image"}
    links = [str(token.attrs["href"]) for token in inner if token.type == "link_open"]
    assert all(link.startswith("https://arxiv.org/abs/") for link in links)
