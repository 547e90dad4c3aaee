"""Causes of a number that is off: planted ones are found first, a faithful row is never accused."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import msgspec
import numpy as np
import pytest
from mixzoo.eval.case import Case, Trial
from mixzoo.eval.causes import KEYS, causes_of, worth_telling
from mixzoo.eval.predictions import EXACT, Ints, Predictions
from mixzoo.eval.protocol import override
from mixzoo.eval.report import readable_audit
from mixzoo.eval.store import Key, Stored
from mixzoo.zoo.catalog import open_catalog
from mixzoo.zoo.checkpoint.facts import TrainingFacts

from ..mini_rows import EPOCHS, MIXUP, PROTOCOL, VANILLA

BENCHMARK, ROW = open_catalog(()).row(VANILLA)
MANIFEST = BENCHMARK.manifest
CLASSES, N = 40, 1000
OTHER_PIXELS = {"resize": PROTOCOL.resize + 14, "crop": PROTOCOL.crop - 16}
AS_TEXT = np.argsort(sorted(range(CLASSES), key=str))


def stored(said: Ints, labels: Ints, files: tuple[str, ...] | None = None, **about: Any) -> Stored:
    """Predictions as the store keeps them, under the benchmark's own conditions."""
    known = Predictions.empty(labels)
    known.top[:, 0] = said
    known.state[:] = EXACT
    known.confidence[:] = 0.7
    key = Key("0" * 64, MANIFEST.protocol, MANIFEST.dataset.val.list_sha256 or "", "guarded")
    files = files or tuple(f"train_val2018/Aves/{c}/{i}.jpg" for i, c in enumerate(labels))
    weights = {"heads": ["head0"]}
    return Stored(
        key.facts(),
        {"head0": known},
        files,
        np.ones(len(labels), np.int64),
        about | {"weights": weights},
    )


def network(seed: int = 0, share: float = 0.702) -> tuple[Ints, Ints]:
    """What a network of some accuracy says, and the labels, in no order."""
    rng = np.random.default_rng(seed)
    labels = rng.permutation(np.repeat(np.arange(CLASSES), N // CLASSES))
    wrong = rng.permutation(N)[round(N * share) :]
    said = labels.copy()
    said[wrong] = (labels[wrong] + rng.choice([1, 2, 7], len(wrong))) % CLASSES
    return said, labels


def case(of: Stored | None, reported: float = 70.2, **known: Any) -> Case:
    row = msgspec.structs.replace(ROW, reported_top1=reported)
    return Case(stored=of, benchmark=BENCHMARK, row=row, **known)


def first_of(of: Case) -> str:
    found = causes_of(of)
    assert sorted(one.key for one in found) == sorted(KEYS)
    assert found[0].state == "found"
    assert 0 < found[0].likelihood <= 1
    return found[0].key


def by_appearance(labels: Ints) -> Ints:
    places = {label: place for place, label in enumerate(dict.fromkeys(labels.tolist()))}
    return np.array([places[label] for label in labels.tolist()])


def any_order(labels: Ints) -> Ints:
    return np.random.default_rng(3).permutation(CLASSES)[labels]


@pytest.mark.parametrize("seed", range(5))
def test_a_faithful_row_is_not_accused(seed: int) -> None:
    """Whatever it gets wrong."""
    assert {one.state for one in causes_of(case(stored(*network(seed))))} == {"ruled out", "open"}


@pytest.mark.parametrize("flat", [False, True])
@pytest.mark.parametrize(
    ("key", "number"),
    [
        ("labels-as-strings", lambda labels: AS_TEXT[labels]),
        ("labels-off-by-one", lambda labels: labels + 1),
        ("labels-first-appearance", by_appearance),
        ("labels-permuted", any_order),
    ],
)
def test_a_numbering_is_found_from_the_confusion(
    key: str, number: Callable[[Ints], Ints], flat: bool
) -> None:
    """With folders that tell the classes, and without."""
    said, labels = network()
    files = (
        stored(said, labels).files
        if not flat
        else tuple(f"train_val2018/{i}.jpg" for i in range(N))
    )

    assert first_of(case(stored(said, number(labels), files))) == key


def test_an_unknown_order_does_not_overfit_three_images_of_a_class() -> None:
    """A network that guesses among thousands of classes is given no order."""
    rng = np.random.default_rng(0)
    labels = np.repeat(np.arange(2000), 3)

    found = causes_of(case(stored(rng.integers(0, 2000, 6000), labels)))

    assert not {one.key for one in found if one.state == "found"} & {
        "labels-permuted",
        "other-head",
    }


def test_a_head_of_other_classes_tells_them_apart_by_no_numbering() -> None:
    """Several classes share what it says."""
    _, labels = network()

    assert (
        first_of(
            case(
                stored(
                    np.random.default_rng(5).permutation(np.arange(CLASSES) % 13)[labels] + 20,
                    labels,
                )
            )
        )
        == "other-head"
    )


@pytest.mark.parametrize(
    ("key", "facts"),
    [
        ("other-row", TrainingFacts(method="cutmix")),
        ("other-epoch", TrainingFacts(epoch=EPOCHS // 2, epochs=EPOCHS)),
        ("crop", TrainingFacts(eval_pixels={"crop": OTHER_PIXELS["crop"]})),
        ("resize", TrainingFacts(eval_pixels={"resize": OTHER_PIXELS["resize"], "mean": None})),
    ],
)
def test_the_files_own_word_is_taken(key: str, facts: TrainingFacts) -> None:
    """A method, an epoch, pixels that it notes."""
    assert first_of(case(stored(*network(share=0.64)), facts=facts)) == key


def test_pixels_that_the_file_names_come_as_a_command() -> None:
    """What to type, in place of a remark."""
    facts = TrainingFacts(eval_pixels=OTHER_PIXELS)

    found = causes_of(case(stored(*network(share=0.64)), facts=facts, data="IMAGES"))[0]

    resize, crop = OTHER_PIXELS.values()

    assert found.command == f"mixzoo eval {ROW.id} --data IMAGES --resize {resize} --crop {crop}"


def test_a_small_fact_does_not_hide_a_large_cause() -> None:
    """Half-precision weights move a number by tenths, not by sixty points."""
    said, labels = network()
    traits = {"half-weights": "each is a number of float16"}

    assert first_of(case(stored(said, AS_TEXT[labels]), traits=traits)) == "labels-as-strings"
    assert first_of(case(stored(said, labels), reported=70.9, traits=traits)) == "half-weights"


def test_images_of_the_training_list_are_a_leak() -> None:
    """They are right more often than the others."""
    said, labels = network(share=0.9)
    known = stored(said, labels)

    assert first_of(case(known, training=dict.fromkeys(known.files[:300], 0))) == "leak"


def test_missing_images_and_other_lists_are_told_apart() -> None:
    """By their number, and by what they are called."""
    said, labels = network()
    key = stored(said, labels).key | {"list_sha256": "1" * 64}
    fewer = replace(stored(said[:900], labels[:900]), key=key)
    other = replace(stored(said, np.random.default_rng(0).permutation(labels)), key=key)

    assert first_of(case(fewer)) == "images-missing"
    assert first_of(case(other)) == "other-list"


def test_fast_arithmetic_is_the_cause_of_an_image_or_two() -> None:
    """Whatever epoch of the log has that number by chance; and of nothing where nothing is off."""
    of = stored(*network(share=0.7))
    fast = replace(of, key=of.key | {"precision": "fast"})

    audit, _ = readable_audit(BENCHMARK, ROW)

    assert first_of(case(fast, audit=audit)) == "arithmetic"
    assert "arithmetic" not in {one.key for one in causes_of(case(of)) if one.state == "found"}


def resized(of: Stored) -> Case:
    pixels = msgspec.to_builtins(override(MANIFEST.protocol, resize=OTHER_PIXELS["resize"]))
    return case(replace(of, key=of.key | {"protocol": pixels}), reported=59.6)


def of_another_row(of: Stored) -> Case:
    return case(of, reported=59.6, traits={"other-row": "by its hash"}, owner="X", ref="a.pth")


def of_fewer_images(of: Stored) -> Case:
    few = range(0, N, 2)
    return case(replace(of.at(few), files=of.files[::2]), reported=59.6)


@pytest.mark.parametrize(
    ("key", "other"),
    [("resize", resized), ("other-row", of_another_row), ("images-missing", of_fewer_images)],
)
def test_a_number_that_is_not_the_tables_accuses_of_nothing_else(
    key: str, other: Callable[[Stored], Case]
) -> None:
    """Neither of a leak, as it is above the table's, nor is anything ruled out by it."""
    known = stored(*network())
    alone = {one.key: one.state for one in causes_of(case(known, reported=59.6))}
    states = {one.key: one.state for one in causes_of(other(known))}

    assert alone["leak"] == "found"
    assert [key] == [one for one, state in states.items() if state == "found"]
    assert {states["leak"], states["other-epoch"], states["rounding"]} == {"open"}


def test_trials_are_silent_where_the_pixels_are_known() -> None:
    """Those of the table give other predictions than a resize does, which is no other cause."""
    of = resized(stored(*network()))
    again = {"head0": stored(*network(3)).heads["head0"]}
    bgr = override(MANIFEST.protocol, channels="BGR")
    trials = [
        Trial("", MANIFEST.protocol, np.arange(N), again),
        Trial("bgr", bgr, np.arange(N), dict(of.stored.heads if of.stored else {})),
    ]

    found = {one.key for one in causes_of(replace(of, trials=trials)) if one.state == "found"}

    assert found == {"resize"}


def test_another_rows_file_is_to_be_evaluated_as_that_row() -> None:
    """By its hash, or by what the file says: the command is there to copy."""
    of = stored(*network(share=0.64))
    facts = TrainingFacts(method="mixup")
    by_hash, by_word = (
        causes_of(case(of, ref="a.pth", **known))[0].command
        for known in ({"traits": {"other-row": ""}, "owner": "R"}, {"facts": facts})
    )

    assert by_hash == "mixzoo eval a.pth --row R"
    assert by_word == f"mixzoo eval a.pth --row {MIXUP}"


def test_a_number_that_was_cut_off_is_rounding() -> None:
    """70.0 for 70.2, without a log."""
    assert first_of(case(stored(*network()), reported=70.0)) == "rounding"


@pytest.mark.parametrize("kept", [False, True])
def test_other_pixels_that_give_the_number_are_found(kept: bool) -> None:
    """The published number; or the predictions as they were kept under the wrong key."""
    said, labels = network()
    off, _ = network(share=0.3)
    places = np.arange(N)
    plain, bgr = MANIFEST.protocol, override(MANIFEST.protocol, channels="BGR")
    by = {"": off, "bgr": said} if not kept else {"": said, "bgr": off}
    of = {key: {"head0": stored(top, labels).heads["head0"]} for key, top in by.items()}
    trials = [Trial("", plain, places, of[""]), Trial("bgr", bgr, places, of["bgr"])]

    found = causes_of(case(stored(off, labels), trials=trials))[0]

    assert (found.key, found.state) == ("bgr", "found")
    assert ("--fresh" if kept else "--channels BGR") in (found.command or "")


def test_without_a_finding_the_first_look_is_told() -> None:
    """One open cause, with the command that looks."""
    (told,) = worth_telling(causes_of(case(stored(*network(share=0.64)))))

    assert told.state == "open"
    assert (told.command or "").startswith("mixzoo ")
