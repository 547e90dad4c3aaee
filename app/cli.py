"""The `mixzoo` command: it parses, calls the library, prints, and turns errors into exit codes."""

import os
import signal
import sys
from collections.abc import Sequence
from typing import Any

import click

from .. import __version__
from ..zoo.errors import MixzooError, UnsettledError
from ..zoo.looks import printable
from . import data, logs, quickstart, serve, viz
from .eval import evaluate, evidence
from .train import train
from .zoo import group as zoo

DEBUG = "MIXZOO_DEBUG"


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__)
@click.option("--debug", is_flag=True, help=f"Show an error's whole traceback (also {DEBUG}=1).")
def app(debug: bool) -> None:
    """Get a published mixup model's exact weights, recompute its number, see what it learnt."""
    if debug:
        os.environ[DEBUG] = "1"


app.add_command(quickstart.command)
app.add_command(zoo.commands, "zoo")
app.add_command(data.commands, "data")
app.add_command(evaluate.command)
app.add_command(evidence.command)
app.add_command(logs.command)
app.add_command(train.command)
app.add_command(viz.commands, "viz")
app.add_command(serve.command)


def main() -> None:
    """Run the command line. An error is one line on stderr and a non-zero exit code."""
    before = signal.signal(signal.SIGTERM, _terminated)
    try:
        code = _run(sys.argv[1:])
    except click.exceptions.NoArgsIsHelpError as error:
        error.show()
        code = error.exit_code
    except click.ClickException as error:
        code = _fail(error.format_message(), error.exit_code)
    except (KeyboardInterrupt, click.Abort):
        code = _fail("interrupted; nothing was left half-written.", 130)
    except BrokenPipeError:
        sys.stdout = None  # the reader went away; nothing more to say, also not at exit
        code = 141
    except (MixzooError, OSError) as error:
        if os.environ.get(DEBUG):
            raise
        code = _fail(str(error), getattr(error, "exit_code", 1))
    finally:
        signal.signal(signal.SIGTERM, before)
    sys.exit(code if isinstance(code, int) else 0)


def _run(words: Sequence[str]) -> Any:
    """Run a command; where it doesn't know which file is meant, ask at the terminal and go on."""
    while True:
        try:
            return app(list(words), prog_name="mixzoo", standalone_mode=False)
        except UnsettledError as error:
            if not (error.answers and sys.stdin.isatty() and sys.stderr.isatty()):
                raise
            click.echo(f"{error.question}", err=True)
            for number, file in enumerate(error.answers, 1):
                click.echo(f"  {number}  {printable(file)}", err=True)
            click.echo("  0  none of them", err=True)
            range_ = click.IntRange(0, len(error.answers))
            answer = click.prompt("Its number", type=range_, err=True)
            if answer == 0:
                raise
            app(list(error.answers.values())[answer - 1], prog_name="mixzoo", standalone_mode=False)


def _terminated(*_: object) -> None:
    """Leave as after an interruption: what is open is saved or removed on the way out."""
    raise SystemExit(128 + signal.SIGTERM)


def _fail(message: str, code: int) -> int:
    """Print one error line, on the leading process alone: all ranks raise the same error."""
    if os.environ.get("RANK", "0") == "0":
        sys.stderr.write(f"error: {printable(message)}\n")
    return code
