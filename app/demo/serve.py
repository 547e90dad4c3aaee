"""Serves the page for as long as it is wanted, and leaves nothing behind."""

import os
import socket
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout, suppress
from importlib import import_module
from io import StringIO
from pathlib import Path
from typing import TYPE_CHECKING

from ...zoo.catalog import open_catalog
from ...zoo.errors import MixzooError, UsageError
from . import limits
from .downloads import Downloads
from .ending import Ending
from .settings import Settings
from .store import Store

if TYPE_CHECKING:
    from .context import Context

ENVIRONMENT = {
    "GRADIO_ANALYTICS_ENABLED": "False",
    "HF_HUB_DISABLE_TELEMETRY": "1",
    # Gradio keeps statistics of events and summarises all of them after each: nobody reads them
    "GRADIO_ANALYTICS_MAX_EVENTS": "1",
    "GRADIO_ANALYTICS_CACHE_FREQUENCY": "1000000000",
    # what is local never goes through a proxy, and the demo itself asks nothing of other machines
    "NO_PROXY": "*",
    "no_proxy": "*",
}
ENDPOINT = "gradio_api/mcp/"  # where MCP is spoken
FIRST_PORT, PORTS = 7860, 100
REMOVAL = 3.0  # seconds


def import_early() -> None:
    """Import the largest libraries in a thread, beside Gradio, which doesn't need them."""

    def load() -> None:
        for name in ("torch", "matplotlib.figure"):
            import_module(name)

    threading.Thread(target=load, name="warm-up imports", daemon=True).start()


@contextmanager
def running(settings: Settings, ending: Ending) -> Iterator[str]:
    """Serve the page in a thread; yields its address, with a slash at the end.

    Uploads and results live in a folder of their own, which is removed at the end. Raises
    UsageError if the address is taken or can't be had, MixzooError as `page.build` and
    `open_catalog`.
    """
    port = _free_port(settings)
    downloads = Downloads(settings.manifests)
    with _removed_at_the_end() as folder, _environment(folder):
        from starlette.middleware import Middleware

        from .context import Context
        from .gate import Gate
        from .hosts import Hosts
        from .page import build, css, head, theme
        from .preview import drawer
        from .tools import offer_alone

        store = Store(Path(os.environ["GRADIO_TEMP_DIR"]))
        context = Context(open_catalog(settings.manifests), settings, store, downloads)
        tools_open = threading.Event()  # before, others than ours would be offered
        gate = Middleware(
            Gate,
            store=store,
            hosts=Hosts(settings),
            tools_open=tools_open,
            preview=drawer(context),
        )
        page = build(context)
        host = settings.host.strip("[]")
        try:
            with redirect_stdout(StringIO()):  # what is said is said by the command
                _, url, _ = page.launch(
                    server_name=f"[{host}]" if ":" in host else host,
                    server_port=port,
                    prevent_thread_lock=True,
                    quiet=True,
                    share=False,
                    show_error=False,
                    ssr_mode=False,
                    mcp_server=settings.mcp,
                    pwa=False,
                    run_history=False,
                    enable_monitoring=False,
                    strict_cors=True,
                    footer_links=["api", "settings"],
                    max_file_size=limits.MAX_UPLOAD,
                    state_session_capacity=limits.MAX_SESSIONS,
                    theme=theme(),
                    css=css(),
                    favicon_path=Path(__file__).with_name("icon.svg"),
                    head=head(),
                    app_kwargs={"middleware": [gate]},
                    _frontend=False,  # else it asks itself, and a busy machine answers too late
                )
            if settings.mcp:
                offer_alone(page)
                tools_open.set()
            threading.Thread(target=_warm_up, args=(context,), name="warm-up", daemon=True).start()
            with store.looked_after():
                yield url
        finally:
            downloads.stop()  # visitors wait for its end
            page.close(verbose=False)
            downloads.stop()  # one that began meanwhile
            ending.let_finish()


def elsewhere(settings: Settings, url: str) -> str:
    """Where other machines reach a page that is served at all addresses of this one: ` at ...`.

    Empty if its url says so already, or this machine is in no network.
    """
    if settings.host.strip("[]") not in ("0.0.0.0", "::"):
        return ""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as one, suppress(OSError):
        one.connect(("192.0.2.1", 9))  # sends nothing: it asks which of our addresses would
        return f" at http://{one.getsockname()[0]}:{url.rstrip('/').rpartition(':')[2]}/"
    return ""


@contextmanager
def _removed_at_the_end() -> Iterator[Path]:
    """A folder for visitors' files. A slow disk may take longer to remove them than the end may."""
    folder = Path(tempfile.mkdtemp(prefix="mixzoo-app-"))
    try:
        yield folder
    finally:
        program = "import shutil, sys; shutil.rmtree(sys.argv[1], ignore_errors=True)"
        remove = [sys.executable, "-I", "-S", "-c", program, str(folder)]
        with suppress(subprocess.TimeoutExpired):
            subprocess.Popen(remove, start_new_session=True).wait(REMOVAL)


def _warm_up(context: "Context") -> None:
    """Make what the first mix needs while the visitor's browser loads the page."""
    from ...eval.pixels import prepare

    for one in context.warm_ups:
        with suppress(MixzooError):  # the visitor is told when it is asked for
            one()
    prepare()


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
