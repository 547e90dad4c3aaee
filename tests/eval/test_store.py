"""Predictions come back as they were kept, only for their own key, in any order of the images."""

from collections.abc import Iterable
from pathlib import Path
from typing import get_args

import numpy as np
import pytest
from mixzoo.eval import store
from mixzoo.eval.predictions import COLUMNS, EXACT, FAST, PENDING, Precision, Predictions, Rows
from mixzoo.zoo.data import FolderStore, LabelledImages
from mixzoo.zoo.manifest import Protocol

PROTOCOL = Protocol(resize=36, crop=32)
FILES = tuple(f"{i}.jpg" for i in range(10))
LABELS = np.arange(10) % 3
SIZES = np.arange(100, 110)


class Sized(FolderStore):
    """Files of which the size alone is asked."""

    def size(self, file: str) -> int:
        """As many bytes above 100 as its name says."""
        return 100 + int(Path(file).stem)


def images(order: Iterable[int] = range(10), replaced: tuple[int, ...] = ()) -> LabelledImages:
    """The ten images; the replaced ones have other sizes than before."""
    at = list(order)
    files, labels = tuple(FILES[i] for i in at), tuple(int(LABELS[i]) for i in at)
    found = LabelledImages(Sized(Path()), files, labels, "list")
    for place, i in enumerate(at):
        found.sizes[place] += 7 * (i in replaced)
    return found


def key(precision: Precision = "guarded", crop: int = 32) -> store.Key:
    return store.Key("a" * 64, Protocol(resize=36, crop=crop), "b" * 64, precision)


def predicted(indices: list[int], seed: int = 0) -> Predictions:
    """Predictions for some of the ten images; the even ones in fp32."""
    rng = np.random.default_rng(seed)
    n = len(indices)
    known = Predictions.empty(LABELS)
    floats = rng.random((3, n)).astype(np.float32)
    top = rng.integers(0, 3, (n, 5)).astype(np.int32)
    known.put(
        Rows(
            np.array(indices), top, *floats, np.array(indices) % 2 == 0, np.array(indices) % 4 == 0
        )
    )
    return known


def kept(known: Predictions, key: store.Key, path: Path | None = None, **about: object) -> None:
    stored = store.Stored(key.facts(), {"head0": known}, FILES, SIZES, about)
    store.write(path or key.path, stored)


def columns_equal(one: Predictions, other: Predictions) -> bool:
    return all(
        np.array_equal(getattr(one, c), getattr(other, c), equal_nan=c not in ("top", "state"))
        for c in COLUMNS
    )


def test_predictions_come_back() -> None:
    """Every column, the files and what was noted of the evaluation."""
    known = predicted(list(range(10)))

    kept(known, key(), bounds={"head0": 0.5}, torch="2")
    found = store.find(key(), images())

    assert found is not None
    assert found.complete
    assert columns_equal(found.heads["head0"], known)
    assert (found.files, found.about) == (FILES, {"bounds": {"head0": 0.5}, "torch": "2"})


OTHER_WEIGHTS = store.Key("c" * 64, PROTOCOL, "b" * 64, "guarded")
OTHER_LIST = store.Key("a" * 64, PROTOCOL, "d" * 64, "guarded")


@pytest.mark.parametrize("other", [key("fp32"), key(crop=30), OTHER_WEIGHTS, OTHER_LIST])
def test_another_key_knows_nothing(other: store.Key) -> None:
    """Weights, protocol, list and precision all matter."""
    kept(predicted(list(range(10))), key())

    assert store.find(other, images()) is None


@pytest.mark.parametrize("kept_as", get_args(Precision))
def test_who_answers_for_whom(kept_as: Precision) -> None:
    """fp32 answers for guarded, which gives the same; fast is fast, whatever else is kept."""
    kept(predicted(list(range(10))), key(kept_as))

    answered = {asked for asked in get_args(Precision) if store.find(key(asked), images())}

    assert (
        answered == {"fp32": {"fp32", "guarded"}, "guarded": {"guarded"}, "fast": {"fast"}}[kept_as]
    )


def test_shares_are_merged_and_the_largest_bound_counts() -> None:
    """Two ranks' shares of an interrupted run: each image once, pending ones stay pending."""
    folder = key().parts
    kept(predicted([0, 1, 2], 1), key(), folder / "0-of-2.safetensors", bounds={"head0": 0.25})
    kept(predicted([5, 6], 2), key(), folder / "1-of-2.safetensors", bounds={"head0": 0.75})

    found = store.find(key(), images())

    assert found is not None
    assert not found.complete
    states = found.heads["head0"].state.tolist()
    assert states == [EXACT, FAST, EXACT, PENDING, PENDING, FAST, EXACT, PENDING, PENDING, PENDING]
    assert found.about["bounds"] == {"head0": 0.75}


def test_unreadable_images_are_tried_again() -> None:
    """A file that couldn't be decoded may have been replaced meanwhile."""
    known = predicted(list(range(10)))
    known.put_unreadable([4])
    kept(known, key())

    found = store.find(key(), images())

    assert found is not None
    assert found.heads["head0"].state[4] == PENDING
    assert found.heads["head0"].state[5] == FAST


def test_replaced_images_are_predicted_again() -> None:
    """An image of another size isn't the one that was predicted; the others are found by name."""
    known = predicted(list(range(10)))
    kept(known, key())
    order = [3, 1, 4, 0, 5, 9, 2, 6, 8, 7]

    found = store.find(key(), images(order, replaced=(4, 7)))

    assert found is not None
    pending = found.heads["head0"].state == PENDING
    assert [FILES[i] for i in (4, 7)] == [found.files[at] for at in np.flatnonzero(pending)]
    assert found.heads["head0"].top[~pending].tolist() == known.top[order][~pending].tolist()
    assert np.isnan(found.heads["head0"].margin[pending]).all()
    assert found.heads["head0"].labels.tolist() == LABELS[order].tolist()
    assert found.sizes.tolist() == images(order, replaced=(4, 7)).sizes.tolist()


def test_a_share_of_replaced_images_does_not_count_for_them() -> None:
    """What another process predicted of the images of today is kept."""
    folder = key().parts
    kept(predicted([0, 1], 1), key(), folder / "0-of-2.safetensors")
    kept(predicted([0, 5], 2), key(), folder / "1-of-2.safetensors")

    found = store.find(key(), images(replaced=(0,)))

    assert found is not None
    states = found.heads["head0"].state
    assert np.flatnonzero(states != PENDING).tolist() == [1, 5]


@pytest.mark.parametrize("damage", [b"", b"noise" * 100, None])
def test_a_damaged_file_counts_as_absent(damage: bytes | None) -> None:
    """Truncated or foreign bytes are computed again, not an error."""
    kept(predicted(list(range(10))), key())
    content = key().path.read_bytes()

    key().path.write_bytes(content[: len(content) // 2] if damage is None else damage)

    assert store.find(key(), images()) is None


def test_a_flipped_bit_anywhere_counts_as_absent() -> None:
    """In the header, the seal, the names or a column: nothing else is read, nothing raised."""
    kept(predicted(list(range(10))), key())
    content = key().path.read_bytes()
    bits = np.random.default_rng(0).choice(8 * len(content), 400, replace=False).tolist()
    sealed = 8 * content.index(b'"sha256":"')

    for bit in [*bits, *range(0, 64, 5), *range(sealed, sealed + 8 * 76, 7)]:
        damaged = bytearray(content)
        damaged[bit // 8] ^= 1 << bit % 8
        key().path.write_bytes(damaged)
        assert store.find(key(), images()) is None, f"bit {bit} of byte {bit // 8}"


@pytest.mark.parametrize("name", ["two\nlines.jpg", "\udcff.jpg", '","sha256":"x.jpg', " \r\t.jpg"])
def test_any_file_name_comes_back(name: str) -> None:
    """Line ends, bytes that are no UTF-8 and quotes are names on disk."""
    files = (*FILES[1:], name)
    store.write(
        key().path,
        store.Stored(key().facts(), {"head0": predicted([0])}, files, SIZES, {"said": name}),
    )

    stored = store.read(key().path)

    assert stored is not None
    assert (stored.files, stored.about) == (files, {"said": name})


def test_shares_are_forgotten_when_the_whole_is_kept() -> None:
    """Nothing lies about after an evaluation has ended."""
    kept(predicted([0]), key(), key().parts / "0-of-1.safetensors")

    store.forget_parts(key())

    assert not key().parts.exists()


def test_whole_predictions_of_a_checkpoint_are_listed_newest_first() -> None:
    """Later questions find what was evaluated under any protocol; shares aren't listed."""
    kept(predicted(list(range(10))), key())
    kept(predicted(list(range(10))), key(crop=30))
    kept(predicted([1]), key("fp32"))

    found = [stored.key["protocol"]["crop"] for stored in store.of_weights("a" * 64)]

    assert sorted(found) == [30, 32]
