"""Print what the locustfiles add to Locust's command line: its own --help reads no locustfile.

python -m loadtests.users
"""

from __future__ import annotations

from locust.argument_parser import LocustArgumentParser

from .options import add_arguments


def main() -> None:
    """Print it."""
    parser = LocustArgumentParser(prog="locust -f loadtests/locustfiles/...", add_help=False)
    add_arguments(parser)
    parser.print_help()


if __name__ == "__main__":
    main()
