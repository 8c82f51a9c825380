"""`trio-sse serve`: a hub that runs until it is told to stop.

Owns the way from settings to a running server, and the sentence for each reason why there is
none. The first SIGTERM or Ctrl-C drains, a second one stops at once.

Exit codes: 0 after a drain, 1 if it could not start, 2 for wrong settings, 130 and 143 if a
second Ctrl-C or SIGTERM cut the drain short.
"""

from __future__ import annotations

import errno
import logging
import signal
import ssl
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args

import click
import trio
from click.core import ParameterSource

from ..cors import Cors
from ..hub import open_hub
from ..limits import Limits
from ..listening import Bind, BindError
from ..mercure import PublishFrom, mount
from ..routes import Routes
from ..server import serve as run_server
from ..tls import TlsError, self_signed, server_context
from .config import read_config
from .greeting import front_page, healthz, hints
from .options import SIZE, limit_options, limits_from
from .process import Stop, allow_files, collect_rarely

__all__ = ["serve"]

FILE = click.Path(path_type=Path)


@dataclass(frozen=True, slots=True)
class Settings:
    """What one run of the hub needs to know."""

    binds: tuple[Bind, ...]
    limits: Limits
    cors: Cors | None
    publish_from: PublishFrom
    history_events: int
    history_bytes: int
    max_event: int
    is_self_signed: bool


@click.command(short_help="Run a hub.", context_settings={"auto_envvar_prefix": "TRIO_SSE"})
@click.option("--host", default="127.0.0.1", show_default=True, help="Address or name; :: is all.")
@click.option(
    "--port",
    type=click.IntRange(0, 65535),
    default=8080,
    show_default=True,
    metavar="N",
    help="0 takes any free port.",
)
@click.option("--unix-socket", metavar="PATH", help="Listen here, on TCP only if asked to as well.")
@click.option("--tls-cert", type=FILE, metavar="FILE", help="Certificate chain, PEM.")
@click.option("--tls-key", type=FILE, metavar="FILE", help="Its key, PEM, if in another file.")
@click.option("--self-signed", is_flag=True, help="TLS with a new certificate, for development.")
@click.option(
    "--history-events",
    type=click.IntRange(min=1),
    default=10_000,
    show_default=True,
    metavar="N",
    help="Events kept for clients that come back.",
)
@click.option(
    "--history-bytes",
    type=SIZE,
    default="64MiB",
    show_default=True,
    metavar="SIZE",
    help="Memory they may take, encoded.",
)
@click.option(
    "--max-event",
    type=SIZE,
    default="1MiB",
    show_default=True,
    metavar="SIZE",
    help="A published event, encoded.",
)
@click.option(
    "--cors-origin",
    "cors_origin",
    multiple=True,
    metavar="ORIGIN",
    help="Pages of this origin may listen, and publish. Repeatable.",
)
@click.option(
    "--publish-from",
    type=click.Choice(get_args(PublishFrom)),
    default="loopback",
    show_default=True,
    help="Who may publish.",
)
@limit_options
@click.option(
    "--log-level",
    type=click.Choice(["debug", "info", "warning", "error"], case_sensitive=False),
    default="info",
    show_default=True,
)
@click.option(
    "--config",
    type=FILE,
    metavar="FILE",
    is_eager=True,
    callback=read_config,
    help="TOML whose keys are these options' names.",
)
@click.pass_context
def serve(ctx: click.Context, /, **options: Any) -> int:
    """Run a hub: http://127.0.0.1:8080/.well-known/mercure, until Ctrl-C or SIGTERM.

    Each option is also an environment variable, --max-body for example TRIO_SSE_MAX_BODY
    (several values separated by spaces), and a key of the TOML file. A flag wins over the
    environment, and that over the file. Times are in seconds; sizes are bytes or 64MiB.
    """
    settings = _settings(ctx, options)
    logging.basicConfig(
        level=options["log_level"].upper(),
        format="%(asctime)s %(levelname)s %(name)s: %(message)s",
    )
    allow_files(settings.limits.max_connections)
    collect_rarely()
    outcome = trio.run(_run, settings)
    if isinstance(outcome, BindError):
        raise click.ClickException(f"{outcome}.{_way_out(outcome, settings)}") from outcome
    return outcome


def _settings(ctx: click.Context, options: dict[str, Any]) -> Settings:
    """Turn options into settings. Raises click.UsageError, or click.ClickException for TLS."""
    if options["self_signed"] and options["tls_cert"]:
        raise click.UsageError(
            "--self-signed makes a certificate; --tls-cert has one. Choose.", ctx
        )
    if options["tls_key"] and not options["tls_cert"]:
        raise click.UsageError("--tls-key goes with --tls-cert.", ctx)
    origins = options["cors_origin"]
    try:
        cors = Cors(origins, credentials="*" not in origins) if origins else None
    except ValueError as error:
        raise click.UsageError(f"--cors-origin: {error}.", ctx) from error
    binds = []
    if options["unix_socket"]:
        binds.append(Bind(unix=options["unix_socket"]))
    default = ParameterSource.DEFAULT
    asked = [ctx.get_parameter_source(name) is not default for name in ("host", "port")]
    if any(asked) or not binds:
        binds.append(Bind(host=options["host"], port=options["port"], tls=_tls(options)))
    return Settings(
        tuple(binds),
        limits_from(options),
        cors,
        options["publish_from"],
        options["history_events"],
        options["history_bytes"],
        options["max_event"],
        options["self_signed"],
    )


def _tls(options: dict[str, Any]) -> ssl.SSLContext | None:
    try:
        if options["tls_cert"]:
            return server_context(options["tls_cert"], options["tls_key"])
        names = dict.fromkeys(("localhost", "127.0.0.1", "::1", options["host"]))
        return self_signed(tuple(names)) if options["self_signed"] else None
    except TlsError as error:
        raise click.ClickException(str(error)) from error


async def _run(settings: Settings) -> int | BindError:
    """Serve until told to stop; return the exit code, or why it could not start."""
    routes = Routes(settings.cors)
    routes.get("/", front_page)
    routes.get("/healthz", healthz)
    stop = Stop()
    async with (
        open_hub(
            max_events=settings.history_events,
            max_bytes=settings.history_bytes,
            max_event_bytes=settings.max_event,
        ) as hub,
        trio.open_nursery() as watching,
    ):
        mount(routes, hub, publish_from=settings.publish_from, limits=settings.limits)
        # Before there is a server, so that no signal finds Python's own handlers.
        with trio.open_signal_receiver(signal.SIGINT, signal.SIGTERM) as signals:
            async with trio.open_nursery() as serving:
                binds, limits = settings.binds, settings.limits
                try:
                    server = await serving.start(run_server, routes, binds, limits)
                except BindError as error:
                    return error
                for line in hints(server.addresses, settings.publish_from, settings.is_self_signed):
                    click.echo(line, err=True)
                watching.start_soon(stop.watch, signals, server, limits, serving.cancel_scope)
            watching.cancel_scope.cancel()
    return stop.exit_code


def _way_out(error: BindError, settings: Settings) -> str:
    """Return what the operator can do about it, as a sentence after the error's own."""
    if any(bind.unix and str(error).startswith(bind.unix) for bind in settings.binds):
        return " Choose another path with --unix-socket."
    if error.errno == errno.EADDRINUSE:
        return " Choose another with --port, or 0 for any free one."
    if error.errno == errno.EADDRNOTAVAIL:
        return " Choose another with --host."
    return ""
