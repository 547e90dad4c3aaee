"""Classifiers as ONNX networks, for runtimes that know no torch; what their pixels and classes are.

The exporter is torch's own; it needs the packages of the extra, imported once it is asked.
"""

import json
from collections.abc import Mapping

import msgspec
import torch

from ..catalog import Benchmark
from ..data.classes import known_classes
from ..errors import CheckpointError, UsageError, wall
from ..nets import Classifier, MixClassifier

OPSET = 18  # of torch's exporter without a conversion
INPUT, OUTPUT = "images", "logits"
SIDE = 224  # pixels where no protocol says


def onnx_bytes(
    model: Classifier | MixClassifier,
    metadata: Mapping[str, str],
    benchmark: Benchmark | None,
    side: int = SIDE,
) -> tuple[bytes, dict[str, str]]:
    """The ONNX file of the chosen head's classifier, and its metadata.

    Input `images`: (batch, 3, crop, crop) float32, normalised; output `logits`: (batch, classes)
    float32; any batch. metadata: goes in, with `crop`, and `preprocessing`, the protocol that makes
    its pixels, and `classes`, their names by number, as JSON where a benchmark tells them. side: of
    the crop, in pixels, where none does.
    Raises UsageError without the extra.
    """
    try:
        import onnx  # noqa: F401
        import onnxscript  # noqa: F401
    except ImportError as error:
        raise UsageError(
            f"--onnx: the package {error.name} isn't installed. Run: pip install 'mixzoo[onnx]'"
        ) from None
    facts = {name: fact for name, fact in metadata.items() if name != "format"}
    if benchmark:
        protocol, names = benchmark.manifest.protocol, known_classes(benchmark)
        side, pixels = protocol.crop, msgspec.to_builtins(protocol)
        del pixels["note"]
        facts["preprocessing"] = json.dumps(pixels)
        if names:
            facts["classes"] = json.dumps([names[n] for n in sorted(names)], ensure_ascii=False)
    facts["crop"] = str(side)
    network = model.single() if isinstance(model, MixClassifier) else model
    with wall(CheckpointError, f"{model.architecture}: torch can't write it as ONNX", ""):
        program = torch.onnx.export(
            network.eval(),
            (torch.zeros(2, 3, side, side),),
            input_names=[INPUT],
            output_names=[OUTPUT],
            dynamic_shapes=({0: torch.export.Dim("batch")},),
            opset_version=OPSET,
            dynamo=True,
            verbose=False,
        )
        assert program is not None
        proto = program.model_proto
    for part in (*proto.graph.node, *proto.graph.value_info, *proto.graph.initializer, proto.graph):
        del part.metadata_props[:]  # the exporter's own notes, with paths of this machine
    for name, value in sorted(facts.items()):
        proto.metadata_props.add(key=name, value=value)
    return proto.SerializeToString(deterministic=True), facts
