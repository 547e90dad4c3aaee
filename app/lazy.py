"""A command group that imports a subcommand when it is asked for, so that the others start fast."""

from collections.abc import Mapping
from importlib import import_module
from typing import Any

import click


class LazyGroup(click.Group):
    """lazy: subcommand name -> module of `package`, whose `command` it is."""

    def __init__(
        self, *arguments: Any, package: str, lazy: Mapping[str, str], **options: Any
    ) -> None:
        super().__init__(*arguments, **options)
        self.package, self.lazy = package, lazy

    def list_commands(self, ctx: click.Context) -> list[str]:
        """All names, without importing anything."""
        return sorted([*super().list_commands(ctx), *self.lazy])

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The command of this name, imported now if it is a lazy one."""
        if cmd_name in self.lazy:
            return import_module(f"{self.package}.{self.lazy[cmd_name]}").command
        return super().get_command(ctx, cmd_name)
