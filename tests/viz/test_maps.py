"""Class activation maps are exact, a MixBlock's maps are the recorded ones, and rows show them."""

import copy
from collections.abc import Callable

import numpy as np
import pytest
import torch
from mixzoo.eval.protocol import normalise
from mixzoo.viz.maps import BlockMaps, block_maps, cam_rows, class_activation, map_rows, most_uneven
from mixzoo.viz.mix import IMAGENET, Pairs, mix_pair
from mixzoo.zoo.errors import UsageError
from mixzoo.zoo.nets import Classifier
from mixzoo.zoo.nets.foreign import ForeignClassifier

NAMES = ["ant", "bee", "cat", "dog", "eel"]


def batch(*pictures: np.ndarray) -> torch.Tensor:
    return normalise(torch.from_numpy(np.stack(pictures)), IMAGENET)


@pytest.fixture
def decided(picture: Callable, plain: Classifier) -> Classifier:
    """A classifier that takes picture 0 and picture 2 for different classes."""
    model = copy.deepcopy(plain)
    with torch.no_grad():
        x = batch(*(picture(seed) for seed in range(6)))
        model.head.fc.bias -= model(x).mean(0)
        tops = model(x).argmax(1)
    assert tops[0] != tops[2]
    return model


@pytest.mark.parametrize("label", range(5))
def test_a_maps_mean_and_the_bias_are_the_logit(
    label: int, picture: Callable, plain: Classifier
) -> None:
    """What the paper derives holds to the last digits, for every class."""
    x = batch(picture(0), picture(1))

    maps = class_activation(plain, x, torch.tensor([label, label]))

    with torch.no_grad():
        logits = plain(x)[:, label]
        torch.testing.assert_close(maps.mean((1, 2)) + plain.head.fc.bias[label], logits)


@pytest.mark.parametrize("head", ["one_k", "mix_k", "one_q", "mix_q"])
def test_every_head_has_maps_of_its_own(head: str, picture: Callable, learnt: Callable) -> None:
    """The chosen head's weights on its own backbone's features."""
    model, x = learnt("automix"), batch(picture(0))
    model.head_name = head

    maps = class_activation(model, x, torch.tensor([3]))

    with torch.no_grad():
        bias = model.get_submodule(f"head_{head}").fc.bias[3]
        torch.testing.assert_close(maps.mean((1, 2)) + bias, model(x)[:, 3])


def test_a_network_that_isnt_ours_is_refused(picture: Callable) -> None:
    """Nothing says that its head averages maps."""
    flat = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(3 * 64 * 64, 5))
    model = ForeignClassifier(flat, "timm/flat", "1", size=64)

    with pytest.raises(UsageError, match="timm/flat: class activation maps"):
        class_activation(model, batch(picture(0)), torch.tensor([0]))


def test_captions_tell_top_classes_and_probabilities(
    picture: Callable, decided: Classifier
) -> None:
    """Of A, of B, of the mix; then A's and B's class in the mix."""
    a, b = picture(0), picture(2)
    mixed = mix_pair(a, b, "cutmix", [0.4])[0]
    with torch.no_grad():
        p = decided(batch(a, b, mixed.image)).softmax(1)
    tops = p.argmax(1).tolist()

    (row,) = cam_rows(
        Pairs([(a, b)], [("x", "y")]), "cutmix", 0.4, model=decided, class_names=NAMES
    )

    below = [column.tiles[1].caption for column in row.columns]
    assert below[:3] == [f"{NAMES[c]} · {p[i, c]:.2f}" for i, c in enumerate(tops)]
    assert [tile.caption for tile in row.columns[3].tiles] == [
        f"{NAMES[c]} · {p[2, c]:.2f}" for c in tops[:2]
    ]
    assert [column.tiles[0].caption for column in row.columns[:2]] == ["A: x", "B: y"]
    assert np.array_equal(row.columns[2].tiles[0].image, mixed.image)


def test_unknown_class_names_are_numbers(picture: Callable, plain: Classifier) -> None:
    """And never an error."""
    (row,) = cam_rows(Pairs([(picture(0), picture(1))]), "mixup", 0.5, model=plain)

    assert row.columns[0].tiles[1].caption.startswith("class ")


def test_the_map_is_drawn_where_the_class_is_seen(picture: Callable, plain: Classifier) -> None:
    """The brightest corner of the drawn heat is that of the map."""
    a, b = picture(0), picture(1)
    x = batch(a)
    with torch.no_grad():
        top = plain(x).argmax(1)
    heat = class_activation(plain, x, top)[0].numpy()

    (row,) = cam_rows(Pairs([(a, b)]), "mixup", 0.5, model=plain)

    drawn = row.columns[0].tiles[1].image.astype(int) @ [1, 1, -1]  # yellow against blue
    quadrant = [drawn[i : i + 32, j : j + 32].mean() for i in (0, 32) for j in (0, 32)]
    assert int(np.argmax(quadrant)) == int(heat.argmax())


@pytest.mark.parametrize("method", ["automix", "samix"])
def test_value_and_attention_make_the_mask(
    method: str, picture: Callable, learnt: Callable
) -> None:
    """Attention times value, through the sigmoid, is B's weight in the cells of the mix's mask."""
    model, (a, b) = learnt(method), (picture(0), picture(1))
    x = torch.zeros(2, 3, 64, 64)

    (maps,) = block_maps(a, b, [0.4], model)

    logits = np.einsum("ijkl,kl->ij", maps.attention, maps.value)
    cells = 1 / (1 + np.exp(-logits))
    from mixzoo.viz.mix import mix_pair

    mask = mix_pair(a, b, method, [0.4], model=model)[0].mask
    scale = x.shape[-1] // cells.shape[0]
    if method == "automix":  # nearest: each cell is one value
        np.testing.assert_allclose(1 - mask[::scale, ::scale], cells, atol=1e-5)
    assert maps.attention.sum(axis=(2, 3)) == pytest.approx(np.ones(cells.shape), abs=1e-5)
    assert (1 - mask).mean() == pytest.approx(cells.mean(), abs=0.05)


def test_the_least_spread_place_is_chosen() -> None:
    """The row of attention that is nearest to one place, over all maps."""
    even = np.full((2, 3, 2, 3), 1 / 6, np.float32)
    pointed = even.copy()
    pointed[1, 2] = 0
    pointed[1, 2, 0, 1] = 1

    place = most_uneven([BlockMaps(np.zeros((2, 3)), one) for one in (even, pointed)])

    assert place == (1, 2)


def test_one_weight_stands_beside_its_maps(picture: Callable, learnt: Callable) -> None:
    """Sources, mix above mask, value above attention; the chosen place is framed in A."""
    pair = picture(0), picture(1)

    model = learnt("automix")

    (row,) = map_rows(Pairs([pair]), [0.5], model=model)

    assert [len(column.tiles) for column in row.columns] == [2, 2, 2]
    cells, (maps,) = 64 // 16, block_maps(*pair, [0.5], model)
    up, left = most_uneven([maps])
    assert row.columns[0].tiles[0].mark == (up / cells, left / cells, 1 / cells, 1 / cells)
    words = [tile.caption for column in row.columns for tile in column.tiles]
    assert words[:3] == ["A", "B", "A 0.50 · B 0.50"]
    assert words[4].startswith("value ")
    assert words[5] == f"attention ≤ {maps.attention[up, left].max():.2g}"


def test_several_weights_stand_side_by_side(picture: Callable, learnt: Callable) -> None:
    """Each with its four pictures, and one framed place for all."""
    (row,) = map_rows(Pairs([(picture(0), picture(1))]), [0.1, 0.5, 0.9], model=learnt("samix"))

    assert [len(column.tiles) for column in row.columns] == [2, 4, 4, 4]
    assert [column.title for column in row.columns[1:]] == ["λ 0.1", "λ 0.5", "λ 0.9"]
