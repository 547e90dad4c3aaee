"""A command that does its main work without a subcommand, and has a few verbs beside it."""

from collections.abc import Mapping
from importlib import import_module
from typing import Any

import click


class CommandWithVerbs(click.Command):
    """`mixzoo eval REF...` evaluates; `mixzoo eval compare A B` is another command.

    verbs: name -> (module of `package`, whose `command` it is, one-line help). A verb's module is
    imported when it is called, so that the others start fast.
    """

    def __init__(
        self,
        *arguments: Any,
        package: str,
        verbs: Mapping[str, tuple[str, str]],
        **options: Any,
    ) -> None:
        super().__init__(*arguments, **options)
        self.package, self.verbs = package, verbs

    def verb(self, name: str) -> click.Command:
        """The command of a verb, imported now."""
        return import_module(f"{self.package}.{self.verbs[name][0]}").command

    def make_context(
        self,
        info_name: str | None,
        args: list[str],
        parent: click.Context | None = None,
        **extra: Any,
    ) -> click.Context:
        """The context of a verb if the first argument is one, else this command's own."""
        if args and args[0] in self.verbs:
            name = f"{info_name} {args[0]}"
            return self.verb(args[0]).make_context(name, args[1:], parent, **extra)
        return super().make_context(info_name, args, parent, **extra)

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """The options, then the verbs."""
        super().format_options(ctx, formatter)
        with formatter.section("Or"):
            formatter.write_dl(
                [(f"{ctx.info_name} {name}", text) for name, (_, text) in self.verbs.items()]
            )
