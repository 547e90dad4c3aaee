"""A row's classifier as an ONNX network computes what torch does, and says what its numbers mean."""

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from mixzoo.zoo import mini
from mixzoo.zoo.catalog import open_catalog
from mixzoo.zoo.checkpoint.export import export_all
from mixzoo.zoo.checkpoint.load import load
from mixzoo.zoo.checkpoint.onnx import OPSET
from mixzoo.zoo.errors import UsageError
from mixzoo.zoo.refs import resolve

from ...mini_rows import PROTOCOL
from ...mini_rows import SAMIX as ROW


def test_an_automix_row_runs_in_onnxruntime(tmp_path: Path) -> None:
    """Inference's head, any batch; pixels and classes in the metadata, and no path of this machine."""
    onnx = pytest.importorskip("onnx", reason="needs mixzoo[onnx]")
    runtime = pytest.importorskip("onnxruntime", reason="needs mixzoo[onnx]")
    side = PROTOCOL.crop
    images = torch.randn(5, 3, side, side, generator=torch.Generator().manual_seed(0))

    [done] = export_all([resolve(ROW, open_catalog())], tmp_path, names="onnx")

    assert done.path == tmp_path / f"{ROW}.onnx"
    session = runtime.InferenceSession(done.path)
    ports = [(one.name, one.shape) for one in (*session.get_inputs(), *session.get_outputs())]
    assert ports == [("images", ["batch", 3, side, side]), ("logits", ["batch", 40])]
    with torch.inference_mode():
        ours = load(ROW)(images).numpy()
    for count in (1, 5):
        (theirs,) = session.run(None, {"images": images[:count].numpy()})
        # measured: 6e-6 of logits up to 19, since batch norms are folded into convolutions
        assert np.abs(theirs - ours[:count]).max() < 1e-4
    facts = session.get_modelmeta().custom_metadata_map
    assert facts == done.metadata
    assert facts["head"] == "one_k"
    assert json.loads(facts["classes"]) == [one.name for one in mini.species()]
    pixels = json.loads(facts["preprocessing"])
    assert (pixels["crop"], pixels["mean"]) == (side, list(PROTOCOL.mean))
    assert [(it.domain, it.version) for it in onnx.load(done.path).opset_import] == [("", OPSET)]
    content = done.path.read_bytes()
    assert str(Path(__file__).parents[3]).encode() not in content
    assert b"site-packages" not in content


def test_without_the_extra_it_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, mixzoo: Callable[..., tuple[int, str, str]]
) -> None:
    """In one line, and nothing is written; names of weights have no use beside it."""
    monkeypatch.setitem(sys.modules, "onnxscript", None)
    words: tuple[Any, ...] = ("zoo", "export", ROW, "--onnx", "--to", tmp_path)

    code, _, err = mixzoo(*words)
    other, _, told = mixzoo(*words, "--names", "timm")

    assert (code, other) == (UsageError.exit_code,) * 2
    assert "pip install 'mixzoo[onnx]'" in err
    assert "names no weights" in told
    assert list(tmp_path.iterdir()) == []
