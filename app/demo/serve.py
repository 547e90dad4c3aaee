"""Serves the page for as long as it is wanted, and leaves nothing behind."""

import os
import socket
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from ...zoo.catalog import open_catalog
from ...zoo.errors import MixzooError, UsageError
from .settings import Settings

if TYPE_CHECKING:
    import gradio as gr

    from .context import Context

ENVIRONMENT = {
    "GRADIO_ANALYTICS_ENABLED": "False",
    "HF_HUB_DISABLE_TELEMETRY": "1",
    # Gradio keeps statistics of events and summarises all of them after each: nobody reads them
    "GRADIO_ANALYTICS_MAX_EVENTS": "1",
    "GRADIO_ANALYTICS_CACHE_FREQUENCY": "1000000000",
}
FIRST_PORT, PORTS = 7860, 100
COMPUTING = ("AnyIO worker", "warm-up")  # threads, by the beginnings of their names
LONGEST_COMPUTATION = 10.0  # seconds


@contextmanager
def running(settings: Settings) -> Iterator[str]:
    """Serve the page in a thread; yields its address, with a slash at the end.

    Uploads and results live in a folder of their own, which is removed at the end. Raises
    UsageError if the address is taken or can't be had, MixzooError as `page.build` and
    `open_catalog`.
    """
    port = _free_port(settings)
    with (
        tempfile.TemporaryDirectory(prefix="mixzoo-app-", ignore_cleanup_errors=True) as folder,
        _environment(Path(folder)),
    ):
        from .context import Context
        from .page import build

        context = Context.of(open_catalog(settings.manifests), settings)
        page = build(context)
        try:
            url = _launch(page, settings, port, Path(folder))
            threading.Thread(target=_warm_up, args=(context,), name="warm-up", daemon=True).start()
            yield url
        finally:
            page.close(verbose=False)
            _let_finish()


def _let_finish() -> None:
    """Wait for what is still computed: a thread in torch aborts a process that ends meanwhile."""
    deadline = time.monotonic() + LONGEST_COMPUTATION
    for thread in threading.enumerate():
        if thread.name.startswith(COMPUTING):
            thread.join(max(0.0, deadline - time.monotonic()))


def _warm_up(context: "Context") -> None:
    """Load what the first mix needs while the visitor's browser loads the page."""
    from ...eval.pixels import prepare
    from .mix_tab import first_ref

    with suppress(MixzooError):  # the visitor is told when it is asked for
        context.models.get(first_ref(context))
    prepare(jpegs=False)  # the drawn examples are PNGs


def _launch(page: "gr.Blocks", settings: Settings, port: int, folder: Path) -> str:
    from starlette.middleware import Middleware

    from .gate import Gate
    from .page import css, head, theme

    host = settings.host.strip("[]")
    _, url, _ = page.launch(
        server_name=f"[{host}]" if ":" in host else host,
        server_port=port,
        prevent_thread_lock=True,
        quiet=True,
        share=False,
        show_error=False,
        ssr_mode=False,
        mcp_server=False,
        pwa=False,
        run_history=False,
        enable_monitoring=False,
        strict_cors=True,
        footer_links=["api", "settings"],
        max_file_size=settings.max_upload,
        state_session_capacity=settings.max_sessions,
        theme=theme(),
        css=css(),
        head=head(),
        app_kwargs={"middleware": [Middleware(Gate, settings=settings, folder=folder)]},
    )
    return url


@contextmanager
def _environment(folder: Path) -> Iterator[None]:
    """Gradio and torch read these from the environment alone, some late; put back at the end."""
    wanted = ENVIRONMENT | {
        "GRADIO_TEMP_DIR": str(folder / "files"),
        "GRADIO_EXAMPLES_CACHE": str(folder / "examples"),
        "TORCHINDUCTOR_CACHE_DIR": str(folder / "inductor"),  # made when torchvision is imported
    }
    before = {name: os.environ.get(name) for name in wanted}
    os.environ.update(wanted)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


def _free_port(settings: Settings) -> int:
    """The port to serve at. Raises UsageError if it is taken, or the host isn't this machine's."""
    wanted = range(FIRST_PORT, FIRST_PORT + PORTS) if settings.port is None else [settings.port]
    host = settings.host.strip("[]")
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    reason = ""
    for port in wanted:
        with socket.socket(family) as one:
            one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                one.bind((host, port))
            except OSError as error:
                reason = error.strerror or str(error)
                continue
            return one.getsockname()[1]
    ports = wanted[0] if len(wanted) == 1 else f"{wanted[0]} to {wanted[-1]}"
    raise UsageError(
        f"{settings.host}:{ports} can't be served at ({reason}). Choose another --host or --port."
    )
