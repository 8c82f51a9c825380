"""Where a server listens, and what it says when it cannot. Real sockets, on loopback only."""

from __future__ import annotations

import errno
import socket
import ssl
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import trio

from trio_sse.listening import (
    ACCEPT_MOST,
    TURN_SECONDS,
    Address,
    Batch,
    Bind,
    BindError,
    Listener,
    listen,
)
from trio_sse.message import Peer


def has_ipv6() -> bool:
    try:
        with socket.create_server(("::1", 0), family=socket.AF_INET6):
            return True
    except OSError:
        return False


NEEDS_IPV6 = pytest.mark.skipif(not has_ipv6(), reason="this machine has no IPv6 loopback")


@asynccontextmanager
async def listening(*binds: Bind) -> AsyncIterator[Sequence[Listener]]:
    listeners = await listen(binds)
    try:
        yield listeners
    finally:
        for listener in listeners:
            listener.close()


async def refusal(*binds: Bind) -> str:
    """What is said about these places."""
    with pytest.raises(BindError) as caught:
        async with listening(*binds):
            pass
    return str(caught.value)


async def accept(listener: Listener) -> Peer:
    await trio.lowlevel.wait_readable(listener.sock)
    sock, peer = listener.accept()
    sock.close()
    return peer


# -- TCP --------------------------------------------------------------------------------


async def test_port_0_becomes_a_real_port() -> None:
    async with listening(Bind(port=0)) as (listener,):
        assert listener.address.port == listener.sock.getsockname()[1] > 0
        assert str(listener.address) == f"http://127.0.0.1:{listener.address.port}"


async def test_no_event_waits_for_the_next_one_to_leave_with_it() -> None:
    async with listening(Bind(port=0)) as (listener,):
        with socket.create_connection(("127.0.0.1", listener.address.port)):
            await trio.lowlevel.wait_readable(listener.sock)
            accepted, _ = listener.accept()
            with accepted:
                assert accepted.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)


async def test_who_connects_has_an_address() -> None:
    async with listening(Bind(port=0)) as (listener,):
        with pytest.raises(BlockingIOError):
            listener.accept()
        with socket.create_connection(("127.0.0.1", listener.address.port)) as client:
            assert await accept(listener) == Peer(*client.getsockname())


@NEEDS_IPV6
async def test_ipv6_has_its_own_form_of_url() -> None:
    async with listening(Bind(host="::1", port=0)) as (listener,):
        port = listener.address.port
        assert str(listener.address) == f"http://[::1]:{port}"
        with socket.create_connection(("::1", port)) as client:
            assert await accept(listener) == Peer("::1", client.getsockname()[1])


@NEEDS_IPV6
async def test_two_colons_take_ipv4_too() -> None:
    async with listening(Bind(host="::", port=0)) as (listener,):
        with socket.create_connection(("127.0.0.1", listener.address.port)):
            peer = await accept(listener)
            assert peer.host == "::ffff:127.0.0.1"
            assert peer.is_loopback


@NEEDS_IPV6
async def test_no_host_means_everywhere_on_one_port() -> None:
    async with listening(Bind(host="", port=0)) as listeners:
        assert {each.address.host for each in listeners} == {"0.0.0.0", "::"}
        (port,) = {each.address.port for each in listeners}
        for host in ("127.0.0.1", "::1"):
            socket.create_connection((host, port)).close()


@NEEDS_IPV6
@pytest.mark.parametrize("host", ["::", "::1"])
async def test_ipv6_loopback_needs_no_other_ipv6_address(
    host: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As in a container: glibc says so for AI_ADDRCONFIG where loopback is all there is."""
    real = trio.socket.getaddrinfo

    async def getaddrinfo(host: str, port: int, *, type: int, flags: int) -> Any:  # noqa: A002
        if flags & socket.AI_ADDRCONFIG:
            raise socket.gaierror(-9, "Address family for hostname not supported")
        return await real(host, port, type=type, flags=flags)

    monkeypatch.setattr(trio.socket, "getaddrinfo", getaddrinfo)
    async with listening(Bind(host=host, port=0)) as (listener,):
        assert listener.address.host == host


async def test_a_port_in_use_is_said_in_a_sentence() -> None:
    async with listening(Bind(port=0)) as (taken,):
        port = taken.address.port
        said = await refusal(Bind(port=0), Bind(port=port))
    assert said == f"127.0.0.1:{port} is in use: another program listens there"


@NEEDS_IPV6
async def test_an_ipv6_port_in_use_is_said_with_brackets() -> None:
    async with listening(Bind(host="::1", port=0)) as (taken,):
        port = taken.address.port
        assert (await refusal(Bind(host="::1", port=port))).startswith(f"[::1]:{port} is in use")


async def test_a_problem_keeps_its_number_for_programs() -> None:
    async with listening(Bind(port=0)) as (taken,):
        with pytest.raises(BindError) as caught:
            await listen([Bind(port=taken.address.port)])
        assert caught.value.errno == errno.EADDRINUSE


@pytest.mark.parametrize(
    ("bind", "said"),
    [
        (Bind(host="192.0.2.99", port=0), "192.0.2.99:0 is not an address of this machine"),
        (Bind(host="\N{BULLET}.."), "\N{BULLET}..:8080 is no place to listen: "),
        (Bind(port=65_536), "127.0.0.1:65536 is no place to listen: ports end at 65535"),
        (Bind(port=-1), "127.0.0.1:-1 is no place to listen: ports end at 65535"),
    ],
)
async def test_a_place_that_does_not_exist_is_said_in_a_sentence(bind: Bind, said: str) -> None:
    assert (await refusal(bind)).startswith(said)


async def test_a_name_that_nobody_knows_is_said_in_a_sentence(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def getaddrinfo(*place: object, **hints: object) -> Any:
        raise socket.gaierror(-2, "Name or service not known")

    monkeypatch.setattr(trio.socket, "getaddrinfo", getaddrinfo)
    assert await refusal(Bind(host="nobody")) == (
        "nobody:8080 is no place to listen: [Errno -2] Name or service not known"
    )


async def test_a_place_of_many_that_fails_frees_the_others(tmp_path: Path) -> None:
    path = tmp_path / "socket"
    async with listening(Bind(port=0)) as (taken,):
        await refusal(Bind(unix=str(path)), Bind(port=taken.address.port))
    assert not path.exists()


async def test_with_tls_the_url_says_https() -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    async with listening(Bind(port=0, tls=context)) as (listener,):
        assert str(listener.address).startswith("https://127.0.0.1:")
        assert listener.tls is context


async def test_a_kernel_without_a_limit_on_what_is_unsent_is_no_obstacle(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("trio_sse.listening.TCP_NOTSENT_LOWAT", 9999)
    async with listening(Bind(port=0)) as (listener,):
        listener.limit_unsent(65_536)


async def test_a_kernel_without_a_timeout_for_acknowledgements_is_no_obstacle(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("trio_sse.listening.TCP_USER_TIMEOUT", 9999)
    async with listening(Bind(port=0)) as (listener,):
        listener.limit_unacknowledged(60)


# -- Unix sockets -----------------------------------------------------------------------


async def test_a_unix_socket_is_there_as_long_as_it_is_listened_to(tmp_path: Path) -> None:
    path = tmp_path / "socket"
    async with listening(Bind(unix=str(path))) as (listener,):
        assert listener.address == Address("http", "unix", 0, unix=str(path))
        assert str(listener.address) == f"http+unix:{path}"
        with socket.socket(socket.AF_UNIX) as client:
            client.connect(str(path))
            assert await accept(listener) == Peer("unix")
    assert not path.exists()


async def test_a_socket_left_over_by_a_killed_server_is_replaced(tmp_path: Path) -> None:
    path = tmp_path / "socket"
    with socket.socket(socket.AF_UNIX) as killed:
        killed.bind(str(path))
        killed.listen()
    assert path.exists()
    async with listening(Bind(unix=str(path))) as (listener,):
        with socket.socket(socket.AF_UNIX) as client:
            client.connect(str(path))
            await accept(listener)


async def test_the_socket_of_a_server_that_runs_is_left_to_it(tmp_path: Path) -> None:
    path = tmp_path / "socket"
    async with listening(Bind(unix=str(path))):
        assert await refusal(Bind(unix=str(path))) == (
            f"{path} is in use: another program listens there"
        )
        assert path.exists()


def queue_up(path: str) -> list[socket.socket]:
    """Connect to a Unix socket until nobody else can."""
    waiting = []
    while True:
        waiting.append(socket.socket(socket.AF_UNIX))
        waiting[-1].setblocking(False)
        try:
            waiting[-1].connect(path)
        except BlockingIOError:
            return waiting


async def test_a_server_too_busy_to_answer_is_not_waited_for(tmp_path: Path) -> None:
    path = str(tmp_path / "socket")
    with socket.socket(socket.AF_UNIX) as busy:
        busy.bind(path)
        busy.listen(0)
        waiting = queue_up(path)
        assert "is in use" in await refusal(Bind(unix=path))
        for client in waiting:
            client.close()


async def test_a_file_in_the_way_stays(tmp_path: Path) -> None:
    path = tmp_path / "socket"
    path.write_text("precious")
    assert (await refusal(Bind(unix=str(path)))).startswith(str(path))
    assert path.read_text() == "precious"


async def test_a_folder_that_does_not_exist_is_said_in_a_sentence(tmp_path: Path) -> None:
    path = str(tmp_path / "nowhere" / "socket")
    assert await refusal(Bind(unix=path)) == (
        f"{path} is no place to listen: No such file or directory"
    )


async def test_a_path_that_is_too_long_is_said_in_a_sentence() -> None:
    path = "/" + "x" * 200
    assert await refusal(Bind(unix=path)) == (
        f"{path} is no place to listen: AF_UNIX path too long"
    )


async def test_closing_forgives_a_path_that_somebody_has_removed(tmp_path: Path) -> None:
    path = tmp_path / "socket"
    async with listening(Bind(unix=str(path))):
        path.unlink()


# -- how many in a turn -----------------------------------------------------------------


def settled(seconds_each: float, *, at_least: float = 0.0) -> int:
    """How many are accepted in a turn after a while, if each of them takes so long."""
    batch, now = Batch(), 0.0
    for _ in range(50):
        most = batch.begin(now)
        batch.are_there_more = True
        now += max(at_least, most * seconds_each)
    return most


def test_as_many_are_accepted_in_a_turn_as_it_has_time_for() -> None:
    assert settled(TURN_SECONDS / 40) == pytest.approx(40, abs=2)


def test_one_is_accepted_however_long_it_takes() -> None:
    assert settled(10 * TURN_SECONDS) == 1
    assert settled(0, at_least=10 * TURN_SECONDS) == 1


def test_there_is_a_most_however_fast_they_are() -> None:
    assert settled(0) == ACCEPT_MOST


@pytest.mark.parametrize(("elapsed", "then"), [(TURN_SECONDS / 3, 50), (TURN_SECONDS * 5, 15)])
def test_one_turn_alone_tells_half_of_the_way(elapsed: float, then: int) -> None:
    batch = Batch()
    assert batch.begin(0) == 25
    batch.are_there_more = True
    assert batch.begin(elapsed) == then  # 75 and 5 would fit


def test_time_without_newcomers_says_nothing() -> None:
    batch = Batch()
    before = batch.begin(0)
    assert batch.begin(3600) == before
