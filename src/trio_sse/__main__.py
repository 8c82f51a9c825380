"""`python -m trio_sse` is the command `trio-sse`."""

from .cli import main

main()
