"""What a network says of a mix along lam."""

import numpy as np
import torch
from mixzoo.eval.pixels import centre_crop
from mixzoo.eval.protocol import normalise
from mixzoo.viz.along import STEPS, along_lam, along_plot
from mixzoo.viz.mix import Pairs, mix_pair
from mixzoo.zoo.checkpoint.load import load
from mixzoo.zoo.mini import NAMED, example

from ..mini_rows import MIXUP, PROTOCOL


def test_curves_are_the_networks_probabilities() -> None:
    """At each lam those of the mixed picture as a file holds it, of the classes asked for."""
    model = load(MIXUP)
    a, b = (centre_crop(np.asarray(example(*NAMED[name])), PROTOCOL) for name in ("fox", "owl"))
    fox, owl = NAMED["fox"][0], NAMED["owl"][0]
    pairs = Pairs([(a, b)], (), PROTOCOL)

    mixes, likely, classes = along_lam(pairs, "mixup", model=model, classes=(fox, owl))

    [one] = mix_pair(a, b, "mixup", [0.35], model=model, protocol=PROTOCOL)
    with torch.no_grad():
        x = normalise(torch.from_numpy(np.stack([one.image, a])), PROTOCOL)
        expected = model(x).softmax(1)
    assert likely.shape == (STEPS, 2)
    assert classes == (fox, owl)
    np.testing.assert_allclose(likely[7], expected[0, [fox, owl]], atol=1e-5)
    np.testing.assert_allclose(likely[-1], expected[1, [fox, owl]], atol=1e-5)
    assert along_lam(pairs, "mixup", model=model)[2][0] == int(expected[1].argmax())

    figure = along_plot(mixes, likely, ("fox", "owl"), title="MixUp")
    drawn = figure.axes[0].lines
    np.testing.assert_array_equal(drawn[0].get_ydata(), likely[:, 0])
    np.testing.assert_allclose(drawn[1].get_ydata(), [one.share for one in mixes])
