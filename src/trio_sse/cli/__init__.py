"""The command `trio-sse`: argv, environment and a TOML file in, an exit code out.

`commands` lists what there is; `serve`, `publish` and `listen` are a command each. The settings of
`serve` are its `options`, and what `config` reads of a file.

Exit codes: 0 done, or stopped gracefully; 1 it did not work, and a sentence on standard
error says why; 2 the command line is wrong; 130 and 143 stopped at once by Ctrl-C or SIGTERM.
"""

from __future__ import annotations

import sys

__all__ = ["INTERRUPTED", "main"]

INTERRUPTED = 130
"""128 + SIGINT, as shells have it."""


def main() -> None:
    """Run the command that `sys.argv` names and exit with its code."""
    try:
        from .commands import run

        # A command imports what it needs when it runs.
        code = run()
    except ModuleNotFoundError as error:
        # Our own modules are there; what can be missing is an extra's package.
        sys.stderr.write(
            f"The command line needs the package {error.name}: pip install 'trio-sse[cli]'\n"
        )
        sys.exit(2)
    except KeyboardInterrupt:
        sys.exit(INTERRUPTED)
    sys.exit(code)
