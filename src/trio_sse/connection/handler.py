"""The life of a handler: one task in its connection's nursery, from its start to any end.

Rule: whatever a handler does, its stream ends in the right way and nobody else's notices.
What it raises is logged once, here.
"""

from __future__ import annotations

import logging
from dataclasses import replace

import trio

from ..message import Response
from ..routes import Handle
from .exchange import Exchange, StreamClosed
from .stream import Stream

__all__ = ["run_handler"]

logger = logging.getLogger("trio_sse.connection")


async def run_handler(exchange: Exchange, decision: Handle) -> None:
    """Run a handler to its end, however it ends; raises nothing that is the handler's fault."""
    handlers = exchange.service.handlers
    handlers.began(exchange, decision.handler)
    try:
        with exchange.scope:
            try:
                await _answer(exchange, decision)
            except* StreamClosed:
                logger.debug("%s: the stream closed under its handler", exchange.request.peer)
            except* Exception as errors:
                _fail(exchange, errors)
    finally:
        if exchange.follow_scope is not None:
            exchange.follow_scope.cancel()
        handlers.ended(exchange)
    if exchange.opened:
        exchange.end()
    elif not exchange.ended:
        # Stopped before it had decided what to answer; a client that has left does not hear it.
        _respond(exchange, exchange.service.about_to_stop())


async def _answer(exchange: Exchange, decision: Handle) -> None:
    async with trio.open_nursery() as nursery:
        if decision.eager:
            nursery.start_soon(_open_soon, exchange)
        answer = await decision.handler(Stream(exchange, decision.params))
        nursery.cancel_scope.cancel()
    # Only now: while `_open_soon` is there, the stream may open in the middle of an answer.
    _finish(exchange, answer)


async def _open_soon(exchange: Exchange) -> None:
    """Open the stream once its handler waits for the first time, so that `onopen` fires though
    the first event may be long in coming.
    """
    await trio.lowlevel.checkpoint()
    exchange.open()


def _finish(exchange: Exchange, answer: Response | None) -> None:
    if answer is None:
        exchange.open()
    elif exchange.opened:
        logger.error(
            "The handler of %.200r returned a %d response, but its stream is open already. Return "
            "it before the first send or other wait, or register the handler with eager=False",
            exchange.request.path,
            answer.status,
        )
    else:
        _respond(exchange, answer)


def _fail(exchange: Exchange, errors: ExceptionGroup[Exception]) -> None:
    exchange.service.counters.failed += 1
    only = errors.exceptions[0] if len(errors.exceptions) == 1 else errors
    logger.error("The handler of %.200r failed", exchange.request.path, exc_info=only)
    if exchange.opened:
        exchange.abort()
    else:
        _respond(exchange, Response.text(500, "Something went wrong here; it has been noted."))


def _respond(exchange: Exchange, response: Response) -> None:
    # With what the routes add: without its CORS fields even a 204 is a network error to another
    # origin's EventSource, after which it reconnects (WHATWG HTML, 9.2.3).
    headers = (*response.headers, *exchange.headers)
    exchange.respond(replace(response, headers=headers))
