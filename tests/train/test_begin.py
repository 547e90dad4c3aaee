"""What a run begins with: a row's weights, a file's, or timm's."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from mixzoo.eval.world import ALONE
from mixzoo.train.begin import begin
from mixzoo.train.network import fresh_network, optimizer_of
from mixzoo.train.rows import RowRun, run_of
from mixzoo.train.run import How
from mixzoo.train.run import Run as Training
from mixzoo.zoo.checkpoint.load import load, load_file
from mixzoo.zoo.errors import IntegrityError, UsageError
from mixzoo.zoo.nets import ForeignClassifier, make

from ..mini_rows import ARCHITECTURE, MIXUP, ROWS, SAMIX, VANILLA

Run = Callable[..., tuple[int, str, str]]


def _run(tmp_path: Path, row: str, init: str, *settings: str) -> RowRun:
    return run_of(ROWS[row], settings, None, tmp_path / "run", init=init)


def test_q_and_k_begin_as_the_classifier(tmp_path: Path) -> None:
    """A plain row's weights stand on both sides and in all heads; the mix block is new."""
    run, begun, taken = begin(_run(tmp_path, "automix", MIXUP), ALONE)
    source = load(MIXUP).state_dict()

    for side in "qk":
        for part, of in ((f"backbone_{side}", "backbone"), (f"head_mix_{side}", "head")):
            mine = {k.removeprefix(part): v for k, v in taken.items() if k.startswith(f"{part}.")}
            theirs = {k.removeprefix(of): v for k, v in source.items() if k.startswith(f"{of}.")}
            assert mine.keys() == theirs.keys()
            assert all(torch.equal(mine[name], theirs[name]) for name in mine)
    assert begun
    assert begun.left
    assert all(name.startswith("mix_block.") for name in begun.left)
    assert run.recipe.init_sha256 == begun.sha256


def test_the_mix_block_is_taken_along(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    """Of a row of the same method; with other classes the heads are new, which is said."""
    init = SAMIX
    _, begun, taken = begin(_run(tmp_path, "samix", init, "num_classes=10"), ALONE)

    block = load(init).mix_block.state_dict()
    assert all(torch.equal(taken[f"mix_block.{name}"], value) for name, value in block.items())
    assert begun
    assert {name.partition(".")[0] for name in begun.left} == {
        f"head_{kind}_{side}" for kind in ("one", "mix") for side in "qk"
    }
    assert "The head is new: 10 classes where the file has 40." in capsys.readouterr().err


def test_going_on_reads_nothing_but_the_run(
    jobs: Any, tmp_path: Path, mixzoo: Run, colours: Path, manifest: Path
) -> None:
    """The file it began with may be gone; the result is that of a run that wasn't stopped, and keeps
    where it began, without a path."""
    jobs.finish(jobs.words("vanilla", tmp_path / "first"))
    start = tmp_path / "first/resnet18_w4.vanilla_colours.pth"
    whole, out = tmp_path / "whole", tmp_path / "out"
    more = ("--init", start, "--freeze")
    jobs.finish(jobs.words("samix", whole, *more))
    assert jobs.start(jobs.words("samix", out, *more, "--stop-at", 5)).wait() == 75
    start.unlink()
    jobs.finish(jobs.words("samix", out, *more))

    assert jobs.folder(out, "samix").result == jobs.folder(whole, "samix").result
    _, told, _ = mixzoo("zoo", "inspect", out / "resnet18_w4.samix_colours.pth", "--json")
    facts = json.loads(told)["facts"]
    assert facts["started from"] == start.name
    begun = json.loads((out / "run.json").read_text())["begun"]
    assert facts["init sha256"] == begun["sha256"]
    assert str(tmp_path) not in json.dumps(facts)
    own = tmp_path / "own.toml"
    code, _, _ = mixzoo("train", "publish", out, "--manifest", own, "--benchmark", manifest)
    assert code == 0
    assert f'init_sha256 = "{begun["sha256"]}"' in own.read_text()
    code, _, err = mixzoo(
        *("train", "resnet18_w4.samix_own", "--manifest", own, "--data", colours),
        *("--out", tmp_path / "again", "--device", "cpu"),
    )
    assert code == 2
    assert begun["sha256"] in err


@pytest.mark.parametrize(
    ("init", "settings", "kind", "message"),
    [
        (
            MIXUP,
            ["architecture=resnet18_w8"],
            UsageError,
            f"architecture={ARCHITECTURE}",
        ),
        ("nothing.pth", [], UsageError, "it isn't there"),
        (MIXUP.replace("mixup", "mixpu"), [], UsageError, "Did you mean"),
    ],
)
def test_what_does_not_fit_is_refused(
    init: str, settings: list[str], kind: type[Exception], message: str, tmp_path: Path
) -> None:
    """In one line, before the folder is touched."""
    with pytest.raises(kind, match=message):
        begin(_run(tmp_path, "mixup", init, *settings), ALONE)
    assert not (tmp_path / "run").exists()


def test_another_file_of_the_name_is_refused(tmp_path: Path) -> None:
    """A row whose recipe says what it began with is trained again from that, or not at all."""
    run = run_of(MIXUP, [f"init={VANILLA}", f"init_sha256={'0' * 64}"])

    with pytest.raises(IntegrityError, match="began with 000"):
        begin(replace(run, out=tmp_path), ALONE)


def test_the_backbone_learns_at_a_rate_of_its_own(tmp_path: Path, tiny: Any) -> None:
    """A multiple of the head's, in a group of its own."""
    run = Training(replace(tiny, backbone_lr_mult=0.1), tmp_path, "x", 4, How())

    assert run.set_learning_rates(0) == tiny.lr
    head, backbone = run.optimizer.param_groups
    assert backbone["lr"] == pytest.approx(0.1 * head["lr"])
    assert [p.shape for p in head["params"]] == [(6, 32), (6,)]
    assert len(optimizer_of(fresh_network(tiny), tiny).param_groups) == 1


def test_timm_and_ours_begin_with_each_others_resnets(tmp_path: Path) -> None:
    """Our ResNet's row takes a timm file of the same network, and timm's takes ours: equal logits."""
    pytest.importorskip("timm")
    theirs = make("timm/resnet18", 40)
    assert isinstance(theirs, ForeignClassifier)
    torch.save(theirs.backbone.state_dict(), tmp_path / "timm.pth")
    x = torch.randn((2, 3, 32, 32))

    _, _, taken = begin(
        _run(tmp_path, "mixup", str(tmp_path / "timm.pth"), "architecture=resnet18"), ALONE
    )
    ours = make("resnet18", 40)
    ours.load_state_dict(taken, strict=False)
    torch.save(ours.state_dict(), tmp_path / "ours.pth")
    _, _, back = begin(
        _run(tmp_path, "mixup", str(tmp_path / "ours.pth"), "architecture=timm/resnet18"), ALONE
    )

    assert torch.equal(ours.eval()(x), theirs.eval()(x))
    assert back.keys() == theirs.state_dict().keys()
    assert torch.equal(load_file(tmp_path / "ours.pth")(x), theirs(x))


def test_timms_pretrained_weights_come_from_its_cache(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By timm's own call; its tag says which, and other classes have a new head."""
    timm: Any = pytest.importorskip("timm")
    network = timm.create_model("test_resnet")
    torch.save(network.state_dict(), tmp_path / "pretrained.pth")
    made = timm.create_model
    overlay = {"file": str(tmp_path / "pretrained.pth")}
    monkeypatch.setattr(
        timm,
        "create_model",
        lambda name, **more: made(
            name, **more, pretrained_cfg_overlay=overlay if more.get("pretrained") else None
        ),
    )
    init = "timm/test_resnet.r160_in1k"

    run, begun, taken = begin(_run(tmp_path, "mixup", init, "architecture=timm/test_resnet"), ALONE)

    assert begun
    assert (run.recipe.init, begun.left) == (init, ["backbone.fc.weight", "backbone.fc.bias"])
    state = network.state_dict()
    assert all(torch.equal(v, state[name.removeprefix("backbone.")]) for name, v in taken.items())
