"""What all commands share: groups that import late, help with an example, and the one border for errors."""

from __future__ import annotations

import errno
import os
import sys
from importlib import import_module
from typing import TYPE_CHECKING, Any

import click
from click.exceptions import NoSuchCommand

from edgekit.cli import stopping
from edgekit.errors import EdgekitError, quoted

if TYPE_CHECKING:
    from collections.abc import Mapping

    from click.shell_completion import CompletionItem


class Settings:
    """What the root command was told. Plain: a named tuple costs the start as much as all else here."""

    __slots__ = ("actor", "db")

    def __init__(self, db: str, actor: str | None) -> None:
        self.db = db
        self.actor = actor


class Lazy:
    """A command that is imported when it is used."""

    __slots__ = ("heading", "help", "module")

    def __init__(self, heading: str, module: str, help: str) -> None:  # noqa: A002 - as Click calls it
        self.heading = heading
        self.module = module
        self.help = help


class Context(click.Context):
    """A context that knows the width of the terminal without importing `shutil` and its compressors."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if self.terminal_width is None:
            self.terminal_width = _help_width()
        if self.color is None and os.environ.get("NO_COLOR"):
            self.color = False


def _help_width() -> int:
    wide = os.environ.get("COLUMNS", "")
    if wide.isdigit() and int(wide) > 0:
        return max(min(int(wide), 100) - 2, 50)
    try:
        return max(min(os.get_terminal_size(sys.stdout.fileno()).columns, 100) - 2, 50)
    except (AttributeError, OSError, ValueError):  # no terminal, or no standard output at all
        return 78


class Command(click.Command):
    """A command whose help ends with an example."""

    context_class = Context

    def __init__(self, *args: Any, example: str | None = None, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.example = example

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Read the arguments; who names the file behind the word is told where it is named."""
        given = list(args)
        try:
            return super().parse_args(ctx, args)
        except click.UsageError as error:
            file = next((word for word in given if word.endswith(".db")), None)
            if file is not None and not any(isinstance(one, click.Argument) for one in self.params):
                words = " ".join(ctx.command_path.split()[1:])
                place = f"The file is named before the word: edgekit --db {quoted(file)} {words}"
                raise click.UsageError(f"{error.message}. {place}", ctx=ctx) from error
            raise

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the example as it is typed, never wrapped."""
        if self.example:
            with formatter.section("Example"):
                for line in self.example.splitlines():
                    formatter.write(f"{' ' * formatter.current_indent}{line}\n")


class Group(click.Group):
    """A word with verbs."""

    context_class = Context

    command_class = Command
    group_class = type  # a group within a group is of the same class


class Root(Group):
    """The commands by their table, and the border where errors become a line and an exit code."""

    def __init__(self, *args: Any, table: Mapping[str, Lazy], note: str = "", **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.table = table
        self.note = note

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Name the commands in the order of the table."""
        return list(self.table)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import a command; in its module it has its own name."""
        entry = self.table.get(cmd_name)
        if entry is None:
            return None
        command: click.Command = getattr(import_module(entry.module), cmd_name.replace("-", "_"))
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find the command that is meant, or the table whose rows are; else name what comes close."""
        if args[0] not in self.table and not args[0].startswith("-"):
            from edgekit.cli import rows

            # A word that names the rows of a table; the text of the schema is read only now.
            database = None if ctx.resilient_parsing else ctx.params.get("db")
            if group := rows.find_group(args[0], database):
                return args[0], group, args[1:]
            if not ctx.resilient_parsing:
                raise NoSuchCommand(args[0], possibilities=[*self.table, *rows.words()], ctx=ctx)
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """List the commands under their headings, without importing one."""
        width = max(map(len, self.table))
        for heading in dict.fromkeys(entry.heading for entry in self.table.values()):
            with formatter.section(heading):
                formatter.write_dl(
                    [(name.ljust(width), e.help) for name, e in self.table.items() if e.heading == heading]
                )
        if self.note:
            with formatter.section("Edit rows"):
                formatter.write_text(self.note)

    def make_context(self, *args: Any, **kwargs: Any) -> click.Context:
        """Read the command line; Click's own word for Ctrl-C here would be another exit code."""
        try:
            return super().make_context(*args, **kwargs)
        except KeyboardInterrupt:
            say_stopped("Stopped.")
            sys.exit(130)

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        """Complete a word from the table or for the rows of one, and options as Click does."""
        from click.shell_completion import CompletionItem

        from edgekit.cli import rows

        found = [CompletionItem(n, help=e.help) for n, e in self.table.items() if n.startswith(incomplete)]
        if not found:  # the words for rows are too many to offer before one is meant
            found = [CompletionItem(word) for word in rows.words() if word.startswith(incomplete)]
        return found + click.Command.shell_complete(self, ctx, incomplete)

    def invoke(self, ctx: click.Context) -> Any:
        """Run a command. What is no error of ours, of the disk or of the file is a bug and shows itself."""
        try:
            return super().invoke(ctx)
        except (KeyboardInterrupt, click.Abort):
            say_stopped("Stopped, and nothing is left half-done. To go on, run the same command again.")
            ctx.exit(130)
        except EdgekitError as error:
            _report(ctx, error)
        except (click.ClickException, click.exceptions.Exit, BrokenPipeError):
            raise  # Click's own: usage errors, --help, a reader that has gone
        except Exception as error:
            ours = _translate(error)
            if ours is None:
                raise
            _report(ctx, ours)


def say_stopped(sentence: str) -> None:
    """Say on standard error that we stopped, below the ^C of a terminal."""
    stopping.ignore()
    click.echo(f"\n{sentence}" if sys.stderr.isatty() else sentence, err=True)


def _report(ctx: click.Context, error: EdgekitError) -> None:
    from edgekit import masking

    click.echo(f"{click.style('error:', fg='red')} {masking.secrets(error.message)}", err=True)
    if error.hint:
        click.echo(f"{click.style('hint:', fg='yellow')} {masking.secrets(error.hint)}", err=True)
    ctx.exit(error.exit_code)


_DENIED = {errno.EACCES, errno.EPERM, errno.EROFS, errno.EISDIR, errno.ENOTDIR}
_DISK = {*_DENIED, errno.ENOSPC, errno.ENAMETOOLONG, errno.EIO}


def _translate(error: Exception) -> EdgekitError | None:
    """Read what the system or SQLite said outside of a change: a full disk, a damaged page."""
    if isinstance(error, OSError) and error.errno in _DISK:
        from edgekit.errors import DeniedError, UnavailableError

        kind = DeniedError if error.errno in _DENIED else UnavailableError
        return kind(f"{error.filename}: {error.strerror}." if error.filename else f"{error.strerror}.")
    from edgekit import rules

    return rules.translate(error)
