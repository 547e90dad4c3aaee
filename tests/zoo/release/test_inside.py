"""What a file holds is seen without its weights, from a server by a few ranges."""

import io
import json
from collections.abc import Callable
from itertools import count
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from mixzoo.zoo.net.sources import Location
from mixzoo.zoo.release import inside as looking
from mixzoo.zoo.release.inside import look

from ...emulator.github import GitHub
from ...emulator.server import Emulator, Fault, always
from ..packing import zipped

Entries = dict[str, torch.Tensor]
CONFIG = """
model = dict(type='MixUpClassification', alpha=1, mix_mode='cutmix',
    backbone=dict(type='ResNet', depth=18, base_channels=4), head=dict(num_classes=10))
runner = dict(type='EpochBasedRunner', max_epochs=100)
"""


@pytest.fixture
def weights(tiny: Callable[..., Entries]) -> Callable[..., bytes]:
    """A small ResNet's checkpoint as torch writes it."""

    def weights(method: str = "plain", num_classes: int = 10, **meta: Any) -> bytes:
        file = io.BytesIO()
        entries = tiny(method, "resnet18_w4", num_classes)
        ballast = {"optimizer": {"state": torch.zeros(1 << 20)}}  # 4 MiB
        torch.save({"state_dict": entries, "meta": meta} | ballast, file)
        return file.getvalue()

    return weights


def test_network_classes_and_config_are_seen_without_the_weights(
    weights: Callable[..., bytes], emulator: Emulator
) -> None:
    """By a few ranges; no more than the list of entries and the pickle."""
    content = weights(config=CONFIG, epoch=100)
    emulator.files["/w.pth"] = content

    inside = look(Location(f"{emulator.front.url}/w.pth"), len(content))

    assert inside is not None
    assert inside.in_words() == "a resnet18_w4 with 10 classes, cutmix"
    assert inside.facts is not None
    assert (inside.facts.epoch, inside.facts.epochs) == (100, 100)
    ranges = [one.headers["range"].removeprefix("bytes=") for one in emulator.store.requests]
    fetched = sum(1 + int(stop) - int(start) for start, stop in (r.split("-") for r in ranges))
    assert fetched < len(content) / 4
    assert len(ranges) < 5


@pytest.mark.parametrize("method", ["automix", "samix"])
def test_learnt_method_is_seen_by_its_mix_block(
    weights: Callable[..., bytes], tmp_path: Path, method: str
) -> None:
    """Of a file that is here, likewise."""
    (tmp_path / "w.pth").write_bytes(weights(method))

    inside = look(Location(tmp_path / "w.pth"))

    assert inside is not None
    assert inside.in_words().endswith(method)


def holding(*names: str) -> bytes:
    return zipped(*((name, b"?" * 100) for name in names))


OTHERS = {
    "pictures": (holding("a/1.png", "a/2.png"), ""),
    "logs": (holding("a.log.json", "b.log.json"), "an archive without pictures or weights (a.log."),
    "weights": (holding("r50/epoch_100.pth"), "weights (epoch_100.pth)"),
}


@pytest.mark.parametrize("content", OTHERS)
def test_archive_is_told_by_what_it_lists(emulator: Emulator, content: str) -> None:
    """A zip of logs or weights isn't a visualisation, whatever it is called."""
    data, fault = OTHERS[content]
    emulator.files["/r50_automix_vis.zip"] = data

    inside = look(Location(f"{emulator.front.url}/r50_automix_vis.zip"), len(data))

    assert inside is not None
    assert fault in inside.fault
    assert inside.pictures == (not fault)


def test_fault_is_told_without_the_name_of_a_stand_in(emulator: Emulator) -> None:
    """What can't be a network's weights is refused in words that are true of the released file."""
    file = io.BytesIO()
    torch.save({"state_dict": {"conv1.weight": torch.zeros(()).expand(64, 3, 7, 7)}}, file)
    emulator.files["/w.pth"] = file.getvalue()

    inside = look(Location(f"{emulator.front.url}/w.pth"), len(file.getvalue()))

    assert inside is not None
    assert inside.fault.startswith("'conv1.weight' stands among the weights")


@pytest.mark.parametrize("faulty", ["not there", "other size", "no ranges", "no zip", "cut"])
def test_what_cannot_be_seen_is_left_to_a_person(
    weights: Callable[..., bytes], emulator: Emulator, faulty: str
) -> None:
    """No error, no guess: None."""
    content = b"?" * 5000 if faulty == "no zip" else weights()
    size = len(content) + (faulty == "other size")
    if faulty != "not there":
        emulator.files["/w.pth"] = content
    emulator.ranges = faulty != "no ranges"
    emulator.store.plan = always(Fault(cut=100)) if faulty == "cut" else emulator.store.plan

    assert look(Location(f"{emulator.front.url}/w.pth"), size) is None


def test_server_that_crawls_is_left_to_a_person(
    weights: Callable[..., bytes], emulator: Emulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Looking into files has an end, also where bytes come one by one."""
    content = weights()
    emulator.files["/w.pth"] = content
    ticks = count()
    monkeypatch.setattr(looking, "time", SimpleNamespace(monotonic=lambda: next(ticks)))

    assert look(Location(f"{emulator.front.url}/w.pth"), len(content), ends=0.5) is None
    assert len(emulator.front.requests) == 1


def test_lock_of_a_release_is_settled_by_what_its_files_hold(
    mixzoo: Callable[..., tuple[int, str, str]],
    github: GitHub,
    write_benchmark: Callable[..., Path],
    weights: Callable[..., bytes],
) -> None:
    """The config says which row; other classes are refused; a clear name isn't looked into."""
    release = github.release("me/own", "v1")
    for name, content in {
        "resnet18_w4_vanilla.pth": weights(),
        "model_b.pth": weights(config=CONFIG, epoch=100),
        "model_c.pth": weights(num_classes=11),
        "resnet18_w4_cutmix.zip": holding("1.png"),
        "resnet18_w4_vanilla.zip": holding("a.log.json"),
    }.items():
        github.upload(release, name, content)
    text = write_benchmark('[[sources]]\nkind = "github"\nrepository = "me/own"\ntag = "v1"')
    second = 'id = "resnet18_w4.cutmix_own"\narchitecture = "resnet18_w4"\nmethod = "cutmix"'
    text.write_text(f"{text.read_text()}[[rows]]\n{second}\n")

    code, out, err = mixzoo(
        *("zoo", "lock", "own", "--manifest", text, "--allow-partial", "--json")
    )

    facts = json.loads(out)
    assert code == 0
    assert {asset["name"]: (asset["row"], asset["kind"]) for asset in facts["assets"]} == {
        "resnet18_w4_vanilla.pth": ("resnet18_w4.vanilla_own", "weights"),
        "model_b.pth": ("resnet18_w4.cutmix_own", "weights"),
        "resnet18_w4_cutmix.zip": ("resnet18_w4.cutmix_own", "visualisation"),
    }
    assert [(one["subject"], one["reason"][:36]) for one in facts["problems"]] == [
        ("model_c.pth", "it has 11 classes, own has 10"),
        ("resnet18_w4_vanilla.zip", "it is an archive without pictures or"),
    ]
    assert "looking into 4 files" in err
