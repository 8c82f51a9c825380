"""The commands, and how they end: no traceback for whatever is expected to go wrong."""

from __future__ import annotations

from importlib import import_module

import click

from .. import __version__
from . import INTERRUPTED

__all__ = ["run"]


NAMES = ("listen", "publish", "serve")


class Commands(click.Group):
    """Imports a command when it is asked for: `serve` alone takes longer than the other two."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return [*NAMES]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        # Who mistypes a name is told which of all was meant.
        for name in [cmd_name] if cmd_name in NAMES else NAMES:
            self.add_command(getattr(import_module(f".{name}", __package__), name))
        return self.commands.get(cmd_name)


@click.group(
    cls=Commands,
    context_settings={"help_option_names": ["-h", "--help"]},
    no_args_is_help=True,
)
@click.version_option(__version__, prog_name="trio-sse", message="%(prog)s %(version)s")
def root() -> None:
    """Server-Sent Events on Trio: run a hub, publish to it, listen to it."""


def run() -> int:
    """Run the command in `sys.argv` and return the exit code."""
    try:
        # Not standalone: click would turn Ctrl-C into "Aborted!" and exit code 1.
        code = root.main(prog_name="trio-sse", standalone_mode=False)
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except (click.Abort, KeyboardInterrupt):
        return INTERRUPTED
    except BaseExceptionGroup as group:
        # Ctrl-C inside a nursery; anything beside it is a defect and is shown.
        if group.split(KeyboardInterrupt)[1] is not None:
            raise
        return INTERRUPTED
    return code if isinstance(code, int) else 0
