"""The `mixzoo` command: it parses, calls the library, prints, and turns errors into exit codes."""

import io
import os
import signal
import sys
import threading
from collections.abc import Sequence
from contextlib import suppress
from types import FrameType
from typing import Any

import click

from .. import __version__
from ..zoo.errors import MixzooError, UnsettledError
from ..zoo.launcher import speaks
from ..zoo.looks import printable
from .groups import LazyGroup
from .options import option

DEBUG = "MIXZOO_DEBUG"
COMPLETE = "_MIXZOO_COMPLETE"  # asked by a shell that completes a line
IMPORT = "<frozen importlib._bootstrap>"  # whose code runs while a module is imported
SOON = 0.05  # seconds
LOCAL_RANK = ("--local-rank", "--local_rank")
EXIT_CODES = {
    0: "Done.",
    1: "Another failure, such as a file that can't be written.",
    2: "Arguments that don't fit, or name something that isn't there.",
    3: "A manifest or lock file that says something wrong.",
    4: "A file can't be fetched: no source, no network.",
    5: "Bytes that must not be used: damaged, changed or unsafe.",
    6: "Something that isn't a checkpoint, or not the one it should be.",
    7: "Images or labels that are missing or wrong.",
    8: "Another process of the job was lost.",
    9: "A training diverged.",
    75: "A training was asked to stop, by SIGINT, SIGTERM, SIGHUP or SIGUSR1; the same command goes on.",
    129: "The terminal was closed (SIGHUP).",
    130: "Interrupted (Ctrl-C, SIGINT).",
    141: "The reader of what was printed went away, as in `| head`.",
    143: "Terminated (SIGTERM).",
}
"""What the command's exit codes mean; docs/commands.md repeats it."""

COMMANDS = {name: name for name in ("quickstart", "sign", "logs")}
COMMANDS |= {name: f"eval.{name}" for name in ("evidence", "explain")}
COMMANDS |= {"eval": "eval.evaluate", "train": "train.train", "app": "serve"}
COMMANDS |= {"zoo": "zoo.group:commands", "data": "data:commands", "viz": "viz:commands"}


@click.group(
    cls=LazyGroup,
    package=__package__,
    lazy=COMMANDS,
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog="\b\nExit codes:\n" + "\n".join(f"  {n:<4} {text}" for n, text in EXIT_CODES.items()),
)
@click.version_option(__version__)
@option("--debug", f"Show an error's whole traceback (also {DEBUG}=1).")
def app(debug: bool) -> None:
    """Get a published mixup model's exact weights, recompute its number, see what it learnt."""
    if debug:
        os.environ[DEBUG] = "1"


def main() -> None:
    """Run the command line. An error is one line on stderr and a non-zero exit code."""
    if shell := os.environ.get(COMPLETE):
        from click.shell_completion import shell_complete

        sys.exit(shell_complete(app, {}, "mixzoo", COMPLETE, shell))
    _open_streams()
    ends = [getattr(signal, name) for name in ("SIGTERM", "SIGHUP") if hasattr(signal, name)]
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, *ends)}
    for number, handler in before.items():
        if handler is not signal.SIG_IGN:  # as nohup has it
            signal.signal(number, _end)
    try:
        code = _run()
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    sys.exit(code)


def _run() -> int:
    """Run the command, and write out what is printed; nothing is left to do for the interpreter."""
    try:
        code = _settled(sys.argv[1:])
        sys.stdout.flush()
    except click.exceptions.Exit as ended:  # after --help
        code = ended.exit_code
    except click.exceptions.NoArgsIsHelpError as error:
        error.show()
        code = error.exit_code
    except click.ClickException as error:
        code = _fail(_in_words(error), error.exit_code)
    except (KeyboardInterrupt, click.Abort):
        code = _signalled(signal.SIGINT)
    except _Signalled as signalled:
        code = _signalled(signalled.number)
    except BrokenPipeError:  # the reader went away; nothing more to say
        code = 141
    except (MixzooError, OSError, MemoryError, RuntimeError) as error:
        if os.environ.get(DEBUG) or not (said := _said(error)):
            raise
        code = _fail(said, getattr(error, "exit_code", 1), not getattr(error, "told", False))
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except OSError:  # what can't be written goes nowhere, instead of failing again at exit
            os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
    return code if isinstance(code, int) else 0


def _settled(words: Sequence[str]) -> Any:
    """Run a command; where it doesn't know which file is meant, ask at the terminal and go on."""
    while True:
        try:
            return run(words)
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
            run(list(error.answers.values())[answer - 1])


def run(words: Sequence[str]) -> Any:
    """Run a command of `mixzoo`, and raise what it raises.

    Unlike `app()`, which has a newline and exit codes of its own for Ctrl-C and for a reader that
    went away.
    """
    with app.make_context("mixzoo", list(words)) as context:
        return app.invoke(context)


def _open_streams() -> None:
    """Let a closed stdin, stdout or stderr (`>&-`) be /dev/null.

    Else the next file that is opened takes its number, and gets whatever is printed. Names that
    aren't UTF-8 are printed with their bytes escaped.
    """
    while (handle := os.open(os.devnull, os.O_RDWR)) <= 2:
        os.set_inheritable(handle, True)
    os.close(handle)
    sys.stdin = sys.stdin or open(0, encoding="utf-8", closefd=False)  # noqa: SIM115
    sys.stdout = sys.stdout or open(1, "w", encoding="utf-8", closefd=False)  # noqa: SIM115
    sys.stderr = sys.stderr or open(2, "w", encoding="utf-8", closefd=False)  # noqa: SIM115
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")


class _Signalled(SystemExit):
    """Raised by a signal, as KeyboardInterrupt is: what is open is saved or removed on the way out."""

    def __init__(self, number: int) -> None:
        super().__init__(128 + number)
        self.number = number


def _end(number: int, frame: FrameType | None) -> None:
    """Leave by an exception, but not amid an import: it would come out as another error of the
    module, or abort in the middle of torch's C++."""
    if _imports(frame):
        again = threading.Timer(SOON, os.kill, (os.getpid(), number))
        again.daemon = True
        again.start()
        return
    raise KeyboardInterrupt if number == signal.SIGINT else _Signalled(number)


def _imports(frame: FrameType | None) -> bool:
    """Whether a module is being imported in a frame, by what `main` has called."""
    while frame and frame.f_code is not main.__code__:
        if frame.f_code.co_filename == IMPORT:
            return True
        frame = frame.f_back
    return False


def _signalled(number: int) -> int:
    for other in (signal.SIGINT, signal.SIGTERM, number):  # a second one finds the end on its way
        signal.signal(other, signal.SIG_IGN)
    code = 128 + number
    kept = "Nothing was left half-written, what has arrived is kept, and the same command goes on."
    return _fail(f"{EXIT_CODES[code]} {kept}", code, speaks())


def _said(error: Exception) -> str:
    """An error that a user can act on, in a line; "" for one that is ours to mend."""
    said = " ".join(str(error).split())
    if isinstance(error, OSError) and error.filename:
        return f"{error.filename}: {error.strerror}."
    if isinstance(error, MixzooError | OSError):
        return str(error)
    if isinstance(error, MemoryError) or "allocate memory" in said or "out of memory" in said:
        said = said[:200].rstrip(".") or "no more can be had"
        return f"Not enough memory: {said}. Make batches, pictures or workers fewer or smaller."
    return ""


def _in_words(error: click.ClickException) -> str:
    if isinstance(error, click.NoSuchOption) and error.option_name in LOCAL_RANK:
        return (
            f"{error.option_name}: is what torch.distributed.launch adds, which is no longer for "
            "use. Start with torchrun --nproc_per_node N -m mixzoo ..."
        )
    if isinstance(error, click.NoSuchOption) and error.ctx and error.ctx.info_name == "train":
        from ..train.recipe import field_types

        name = error.option_name.lstrip("-").replace("-", "_")
        if name in field_types():
            return f"{error.option_name}: is a setting of the recipe. Say --set {name}=VALUE."
    return error.format_message()


def _fail(message: str, code: int, speaks: bool = True) -> int:
    """Print one error line. speaks: False where another process of the job prints the same."""
    if speaks:
        with suppress(OSError):  # a terminal that was closed
            sys.stderr.write(f"error: {printable(message)}\n")
    return code
