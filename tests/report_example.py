"""A report with everything that one can hold: five checkpoints, two of them with four heads."""

import json
from typing import Any

import msgspec
from mixzoo.eval.breakdown import group
from mixzoo.eval.statistics import wilson_interval

IMAGES = 24_426
NAMES = {
    "supercategory": {
        "Plantae": 8751, "Insecta": 6093, "Aves": 3774, "Actinopterygii": 1107, "Fungi": 963, "Reptilia": 852,
        "Mollusca": 786, "Mammalia": 702, "Animalia": 534, "Amphibia": 432, "Arachnida": 342, "Chromista": 75,
        "Protozoa": 12, "Bacteria": 3,
    },
    "shots": {"many-shot (over 100)": 2526, "medium-shot (20 to 100)": 12228, "few-shot (under 20)": 9672},
}  # fmt: skip
RULES = {
    "reproduced": "rounds to the published digits",
    "close": "other digits, but at most 0.10 points away",
    "differs": "more than 0.10 points away on the same images, which arithmetic doesn't explain; on other images of the kind as much could be chance (the published number lies inside the 95% interval)",
    "not reproduced": "more than 0.10 points away on the same images, and the published number lies outside the 95% interval too",
}
# id -> published, verdict, {head: images right, and within the first five}, images right by group
ROWS = {
    "resnet50.vanilla_inat2018": (
        62.53, "reproduced", "08e1",
        {"head0": (15274, 20933)},
        [[4956, 3460, 2486, 565, 595, 437, 535, 446, 370, 259, 221, 46, 7, 2], [1807, 7769, 5661]],
    ),
    "resnet50.mixup_inat2018": (
        62.69, "close", "082d",
        {"head0": (15325, 20957)},
        [[4940, 3715, 2499, 698, 584, 628, 495, 420, 339, 260, 208, 46, 9, 2], [1812, 7794, 5681]],
    ),
    "resnet50.cutmix_inat2018": (
        63.91, "differs", "0894",
        {"head0": (15531, 20773)},
        [[5641, 4080, 2780, 691, 582, 647, 442, 433, 357, 324, 201, 39, 8, 2], [1833, 7897, 5763]],
    ),
    "resnet50.automix_inat2018": (
        64.73, "reproduced", "0901",
        {"one_k": (15812, 20935), "mix_k": (15771, 20853), "one_q": (15802, 20915), "mix_q": (15601, 20513)},
        [[5495, 4085, 2485, 733, 603, 606, 568, 456, 334, 295, 230, 45, 7, 2], [1863, 8038, 5874]],
    ),
    "resnext101_32x4d.samix_inat2018": (
        70.54, "close", "0a95",
        {"one_k": (17228, 20929), "mix_k": (17245, 20963), "one_q": (17200, 20873), "mix_q": (16630, 19733)},
        [[6130, 4197, 2702, 779, 679, 519, 623, 502, 353, 326, 246, 53, 9, 2], [2009, 8747, 6435]],
    ),
}  # fmt: skip
# images of each bin of confidence, and the share of them that is right
BINS = [
    (0, None),
    (200, 0.07079457843841382), (207, 0.12738727926504997), (224, 0.18757428647590035),
    (256, 0.25043178147798134), (311, 0.3154366450672128), (392, 0.3822481676287185),
    (504, 0.45062523130541515), (655, 0.5203874528373186), (847, 0.5913943868680851),
    (1088, 0.6635333348652601), (1383, 0.7367117023517379), (1736, 0.8108519529375817),
    (2152, 0.8858881366006565), (2639, 0.9617634193170249),
]  # fmt: skip
CLAIMS = {
    "facts": {
        "method": "automix",
        "architecture": "resnet50_w4",
        "classes": "10",
        "epoch": "8 of 8",
        "evaluation resize": "110",
        "software": "openmixup 0.2.10, mmcv 1.7.2, torch 1.13.1+cu117",
    },
    "disagreements": [
        "architecture: resnet50.automix_inat2018 expects resnet50, the checkpoint's config says resnet50_w4: it is another network than the row's.",
        "classes: iNaturalist-2018 has 8142, the checkpoint's config says 10: it was trained on other labels.",
    ],
}


def example_report() -> dict[str, Any]:
    """The report's plain data, to be changed at will."""
    report = {
        "format": 2,
        "benchmark": "inat2018",
        "rows": [_row(name, *facts) for name, facts in ROWS.items()],
        "rules": dict(RULES),
        "protocol": {
            "resize": 263,
            "crop": 224,
            "interpolation": "bicubic",
            "mean": [0.485, 0.456, 0.406],
            "std": [0.229, 0.224, 0.225],
            "overrides": {"resize": "263 instead of 256"},
        },
        "data": {"labels": "val2018.json", "images": IMAGES, "list_sha256": "b" * 64},
        "run": {
            "device": "example device",
            "device_type": "cpu",
            "world_size": 1,
            "batch_size": 64,
            "precision": "guarded",
        },
        "versions": {"python": "3.11.2", "mixzoo": "0.3.0", "torch": "2.9.0"},
        "failures": [
            {
                "id": "resnet50.fmix_inat2018",
                "error": "resnet50.fmix_inat2018: expected the file to be here, got nothing. Run: mixzoo zoo "
                "download resnet50.fmix_inat2018",
            }
        ],
        "unreadable": [
            {
                "file": "train_val2018/Aves/3001/0a1b.jpg",
                "reason": "image file is truncated (13 bytes not processed)",
            }
        ],
        "created": "2026-11-23T09:00:00+00:00",
    }
    return json.loads(json.dumps(report))  # nothing shared, and lists as in a file


def _row(name: str, published: float, verdict: str, sha256: str, right: Any, groups: Any) -> Any:
    architecture, method = name.removesuffix("_inat2018").split(".")
    heads = [_head(head, published, *hits) for head, hits in right.items()]
    first = heads[0]
    first["breakdown"] = {
        key: msgspec.to_builtins(
            [group(*one) for one in zip(names, hits, names.values(), strict=True)]
        )
        for (key, names), hits in zip(NAMES.items(), groups, strict=True)
    }
    first["calibration"] = {
        "ece": 0.0412,
        "ece_equal_counts": 0.0412,
        "mce": 0.05123,
        "noise": 0.0051,
        "confidence": 0.745074,
        "accuracy": 0.719107,
        "count": 12594,
        "without_prediction": 0,
        "bins": [
            {
                "low": place / 15,
                "high": (place + 1) / 15,
                "count": count,
                "confidence": (place + 0.5) / 15 if count else None,
                "accuracy": accuracy,
            }
            for place, (count, accuracy) in enumerate(BINS)
        ],
    }
    numbers = f"{first['correct']} of {IMAGES} is {first['top1']:.3f}, published {published}"
    row = {
        "id": name,
        "weights": {
            "file": "epoch_100.pth",
            "sha256": sha256.zfill(64),
            "architecture": architecture,
            "method": method if len(heads) > 1 else "plain",
            "num_classes": 8142,
            "heads": list(right),
        },
        "verdict": verdict,
        "reason": f"{RULES[verdict]}: {numbers}",
        "head": first["head"],
        "heads": heads,
        "reported_top1": published,
        "decimals": 2,
    }
    return row | ({"claims": CLAIMS} if method == "automix" else {})


def _head(name: str, published: float, correct: int, correct5: int) -> dict[str, Any]:
    top1 = 100 * correct / IMAGES
    return {
        "head": name,
        "correct": correct,
        "correct5": correct5,
        "total": IMAGES,
        "top1": top1,
        "top5": 100 * correct5 / IMAGES,
        "interval95": list(wilson_interval(correct, IMAGES)),
        "gap_points": top1 - published,
        "gap_images": correct - IMAGES * published / 100,
        "precision": {
            "asked": "guarded",
            "arithmetic": "bf16, channels last, folded batch norm",
            "bound": 0.0931,
            "recomputed": 1312,
            "recomputed_share": 0.0537,
        },
    }
