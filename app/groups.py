"""Groups of commands that are imported when they are asked for, so that the others start fast."""

from collections.abc import Mapping
from importlib import import_module
from typing import Any

import click


class LazyGroup(click.Group):
    """lazy: name of a command -> module of `package`, whose `command` it is, or `module:name`."""

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
            module, _, name = self.lazy[cmd_name].partition(":")
            return getattr(import_module(f"{self.package}.{module}"), name or "command")
        return super().get_command(ctx, cmd_name)


class CommandWithVerbs(click.Command):
    """`mixzoo eval REF...` evaluates, `mixzoo eval compare A B` is a verb beside it.

    verbs: as a lazy group's commands.
    """

    def __init__(
        self, *arguments: Any, package: str, verbs: Mapping[str, str], **options: Any
    ) -> None:
        super().__init__(*arguments, **options)
        self.verbs = LazyGroup(package=package, lazy=verbs)

    def make_context(
        self,
        info_name: str | None,
        args: list[str],
        parent: click.Context | None = None,
        **extra: Any,
    ) -> click.Context:
        """The context of a verb if the first argument is one, else this command's own."""
        context = click.Context(self, parent, info_name=info_name)
        verb = self.verbs.get_command(context, args[0]) if args else None
        if verb is None:
            return super().make_context(info_name, args, parent, **extra)
        return verb.make_context(f"{info_name} {args[0]}", args[1:], parent, **extra)

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """The options, then the verbs."""
        super().format_options(ctx, formatter)
        self.verbs.format_commands(ctx, formatter)
