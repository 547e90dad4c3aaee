"""What a run's config says, read without executing it."""

from pathlib import Path

import pytest
from mixzoo.eval.logs.reading import Settings, read_log, read_settings


@pytest.mark.parametrize("pattern", ["*.log.json", "train_*.log"])
def test_genuine_config(golden: Path, pattern: str) -> None:
    """Both formats carry the config of the reference's run."""
    path = next((golden / "runs" / "tiny_automix_ep8").glob(pattern))

    assert read_log([path]).settings == Settings(epochs=8, lr=0.1, min_lr=0.0, batch=48)


def test_own_recipe() -> None:
    """mixzoo's own logs carry `name = value` lines."""
    settings = read_settings("epochs = 60\nbatch_size = 64\nlr = 0.1\n")

    assert settings == Settings(epochs=60, lr=0.1, batch=64)


@pytest.mark.parametrize(
    "text",
    [
        "runner = dict(max_epochs=__import__('os').getpid())",
        "runner = dict(max_epochs=-3)",
        "runner = dict(max_epochs=True)",
        "runner = (",
        "epochs = " + "(" * 5000,
        "x = 1\n" * 100_000,
        "gpu_ids = range(0, x)",
        "a.b = 3",
        "\0",
    ],
)
def test_nothing_is_said_by_what_is_no_plain_value(text: str) -> None:
    """Code, damage and excess are not executed, and not an error."""
    assert read_settings(text) == Settings()
