"""`mixzoo app`: the demo, in a browser."""

import sys
import webbrowser
from pathlib import Path
from typing import Any

import click

from .console import say
from .demo.ending import until_asked
from .demo.settings import Settings
from .options import OutputFolder, manifest_option, option


@click.command("app")
@option(
    "--host TEXT",
    "Address to serve at; 0.0.0.0 is reached from other machines. Also GRADIO_SERVER_NAME.",
    envvar="GRADIO_SERVER_NAME",
    default="127.0.0.1",
)
@option(
    "--port",
    "Port to listen on (0: any free one), also GRADIO_SERVER_PORT.  [default: the first free one "
    "from 7860]",
    click.IntRange(0, 65535),
    envvar="GRADIO_SERVER_PORT",
)
@option(
    "--allow-host NAME",
    "A further name of the page, such as a reverse proxy's. Repeatable.",
    to="allow_hosts",
    multiple=True,
)
@option(
    "--ref ROW|FILE",
    "The checkpoint that is chosen at first, a row or a file. Repeatable, for further ones.",
    to="refs",
    multiple=True,
)
@option(
    "--reports DIR",
    "Reports that `mixzoo eval --out` wrote, for the Table tab.",
    click.Path(path_type=Path, exists=True, file_okay=False),
)
@option(
    "--allow-downloads/--no-downloads",
    "Whether visitors may start downloads.  [default: only where other machines can't reach it]",
    default=None,
)
@option("--mcp", "Offer mix, predict, verdict and evidence as tools for MCP clients, too.")
@option(
    "--space DIR",
    "Serve nothing; write a folder that runs as a Hugging Face Space, or by Docker.",
    OutputFolder,
)
@option("--no-browser", "Don't open a browser.")
@manifest_option
def command(*, no_browser: bool, space: Path | None, **chosen: Any) -> None:
    """Serve the demo in a browser until it is interrupted.

    It works on `mini` at once, and on any row that was downloaded. The page asks nothing of other
    machines, and may be shown to strangers: uploads are limited and deleted after an hour.
    """
    settings = Settings(**chosen)
    if space:
        from .demo.space import write

        write(space, settings)
        say(f"The demo is in {space}. Push it to a Hugging Face Space, or start it: python app.py")
        return
    with until_asked() as ending:
        from .demo.serve import ENDPOINT, elsewhere, import_early, running

        click.echo("Starting the demo; its address follows in a few seconds.", err=True)
        import_early()
        with running(settings, ending) as url:
            say(url)
            if settings.is_public:
                say(f"Other machines can reach it{elsewhere(settings, url)}.")
            if settings.mcp:
                say(f"Tools for MCP clients: {url}{ENDPOINT}")
            say("Ctrl-C ends it.", style="dim")
            sys.stdout.flush()
            if not no_browser:
                webbrowser.open(url)
            ending.wait()
