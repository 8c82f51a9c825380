"""HTTP/2 as a server sees it: requests, answers and streams, against h2 as the client."""

from __future__ import annotations

import pytest
from h2.events import InformationalResponseReceived, PingAckReceived
from hypothesis import given, settings
from hypothesis import strategies as st

from http2_client import (
    DATA,
    END_STREAM,
    GET,
    GOAWAY,
    HEADERS,
    PEER,
    POST,
    WINDOW_UPDATE,
    Client,
    goaways,
    raw,
    raw_frames,
    resets,
)
from trio_sse.limits import Limits
from trio_sse.message import Request
from trio_sse.wire import Refused
from trio_sse.wire.fields import read_request
from trio_sse.wire.h2_server import H2Server
from trio_sse.wire.http2 import (
    Asked,
    Gone,
    Happening,
    Http2,
    Left,
    Pong,
    RefusedStream,
    WindowOpened,
    WindowsChanged,
)

NO_ERROR, PROTOCOL_ERROR, FLOW_CONTROL_ERROR, REFUSED_STREAM, CANCEL = 0, 1, 3, 7, 8
CONTINUATION = 9


@pytest.fixture
def client() -> Client:
    return Client()


def refusal(client: Client, stream_id: int) -> Refused:
    (refused,) = [
        happening.refused
        for happening in client.happenings
        if isinstance(happening, RefusedStream) and happening.stream_id == stream_id
    ]
    return refused


# -- requests ---------------------------------------------------------------------------


def test_a_request_arrives_with_all_that_the_client_said(client: Client) -> None:
    stream_id = client.ask([*GET, ("accept", "text/event-stream"), ("last-event-id", "ü")])
    request = client.asked(stream_id).request
    assert request.method == "GET"
    assert request.target == "/a?b=c"
    assert request.authority == "example.org"
    assert request.scheme == "https"
    assert request.protocol == "HTTP/2"
    assert request.peer == PEER
    assert list(request.headers) == [("accept", "text/event-stream"), ("last-event-id", "ü")]
    assert request.body == b""


def test_a_body_is_collected_and_its_padding_is_not(client: Client) -> None:
    stream_id = client.ask(POST, end=False)
    client.h2.send_data(stream_id, b"topic=", pad_length=200)
    client.h2.send_data(stream_id, b"a", end_stream=True)
    assert client.exchange() == [Asked(stream_id, client.asked(stream_id).request)]
    assert client.asked(stream_id).request.body == b"topic=a"


def test_nothing_is_asked_before_the_body_is_complete(client: Client) -> None:
    stream_id = client.ask(POST, end=False)
    client.h2.send_data(stream_id, b"topic=a")
    client.exchange()
    assert not any(isinstance(happening, Asked) for happening in client.happenings)


def test_trailers_end_a_request_and_are_ignored(client: Client) -> None:
    stream_id = client.ask(POST, end=False)
    client.h2.send_data(stream_id, b"body")
    client.h2.send_headers(stream_id, [("checksum", "1")], end_stream=True)
    client.exchange()
    request = client.asked(stream_id).request
    assert request.body == b"body"
    assert "checksum" not in request.headers


def test_crumbs_of_a_cookie_are_joined(client: Client) -> None:
    stream_id = client.ask([*GET, ("cookie", "a=1"), ("accept", "*/*"), ("cookie", "b=2")])
    headers = client.asked(stream_id).request.headers
    assert headers.get_all("cookie") == ["a=1; b=2"]
    assert headers.get("accept") == "*/*"


def test_a_host_field_stands_in_for_the_authority(client: Client) -> None:
    stream_id = client.ask([*GET[:2], GET[3], ("host", "other.example:8443")])
    assert client.asked(stream_id).request.authority == "other.example:8443"


def test_options_may_ask_about_the_server_as_a_whole(client: Client) -> None:
    stream_id = client.ask([(":method", "OPTIONS"), *GET[1:3], (":path", "*")])
    assert client.asked(stream_id).request.target == "*"


def test_a_client_that_awaits_100_continue_gets_it(client: Client) -> None:
    stream_id = client.ask([*POST, ("expect", "100-Continue")], end=False)
    (event,) = [e for e in client.events if isinstance(e, InformationalResponseReceived)]
    assert [str(part) for field in event.headers for part in field] == [":status", "100"]
    client.h2.send_data(stream_id, b"body", end_stream=True)
    client.exchange()
    assert client.asked(stream_id).request.body == b"body"


def test_an_upload_larger_than_any_window_flows() -> None:
    client = Client(Limits(max_body_bytes=300_000))
    stream_id = client.ask(POST, end=False)
    rest = body = bytes(range(250)) * 1200
    while rest:
        size = min(client.h2.local_flow_control_window(stream_id), 16_384)
        assert size > 0
        client.h2.send_data(stream_id, rest[:size], end_stream=size >= len(rest))
        rest = rest[size:]
        client.exchange()
    assert client.asked(stream_id).request.body == body


def conversation() -> Client:
    """A client that has said a bit of everything, and at last something that is wrong."""
    client = Client(Limits(max_body_bytes=10))
    client.ask()
    upload = client.ask(POST, end=False)
    client.h2.send_data(upload, b"0123", pad_length=3)
    client.h2.send_headers(upload, [("checksum", "1")], end_stream=True)
    client.h2.reset_stream(client.ask(), CANCEL)
    client.h2.increment_flow_control_window(1000)
    client.h2.increment_flow_control_window(1000, 1)
    client.set_initial_window(100)
    client.ask([*GET, ("connection", "close")])
    too_long = client.ask(POST, end=False)
    client.h2.send_data(too_long, b"01234567890")
    client.h2.ping(b"01234567")
    client.exchange()
    wrong = raw(WINDOW_UPDATE, 0, 0, bytes(4))
    client.sent += wrong
    client.happenings += client.server.receive(wrong)
    return client


def test_a_conversation_has_a_bit_of_everything() -> None:
    assert {type(each) for each in conversation().happenings} == {
        Asked,
        Gone,
        Left,
        RefusedStream,
        WindowOpened,
        WindowsChanged,
    }


@settings(deadline=None)
@given(st.lists(st.integers(1, 400)))
def test_the_same_happens_however_the_bytes_are_split(sizes: list[int]) -> None:
    client = conversation()
    assert replay(client, sizes) == client.happenings


def test_the_same_happens_byte_by_byte() -> None:
    client = conversation()
    assert replay(client, [1] * len(client.sent)) == client.happenings


def replay(client: Client, sizes: list[int]) -> list[Happening]:
    server = Http2(Limits(max_body_bytes=10), peer=PEER, scheme="https")
    server.start()
    data = bytes(client.sent)
    happenings: list[Happening] = []
    for size in sizes:
        happenings += server.receive(data[:size])
        data = data[size:]
    return happenings + server.receive(data)


# -- requests that are refused ------------------------------------------------------------


MALFORMED = {
    "no method": GET[1:],
    "no scheme": [GET[0], *GET[2:]],
    "no path": GET[:3],
    "an empty path": [*GET[:3], (":path", "")],
    "a path that is a URL": [*GET[:3], (":path", "https://example.org/")],
    "a path with a space": [*GET[:3], (":path", "/a b")],
    "a path with a fragment": [*GET[:3], (":path", "/a#b")],
    "a path that is not ASCII": [*GET[:3], (":path", "/ü")],
    "an asterisk to get": [*GET[:3], (":path", "*")],
    "a method with a space": [(":method", "GE T"), *GET[1:]],
    "an empty method": [(":method", ""), *GET[1:]],
    "a pseudo-header field twice": [*GET, GET[3]],
    "a pseudo-header field after others": [*GET[:3], ("accept", "*/*"), GET[3]],
    "an unknown pseudo-header field": [*GET, (":mood", "good")],
    "a status": [*GET, (":status", "200")],
    "a protocol without CONNECT": [*GET, (":protocol", "websocket")],
    "a name in upper case": [*GET, ("Accept", "*/*")],
    "a name with a space": [*GET, ("acc ept", "*/*")],
    "a name with a colon": [*GET, ("acc:ept", "*/*")],
    "an empty name": [*GET, ("", "*/*")],
    "a line break in a value": [*GET, ("accept", "a\r\nb: c")],
    "a NUL in a value": [*GET, ("accept", "a\0")],
    "a space before a value": [*GET, ("accept", " a")],
    "a tab after a value": [*GET, ("accept", "a\t")],
    "connection": [*GET, ("connection", "keep-alive")],
    "transfer-encoding": [*GET, ("transfer-encoding", "chunked")],
    "te other than trailers": [*GET, ("te", "gzip")],
    "no host": [*GET[:2], GET[3]],
    "an empty host": [*GET[:2], (":authority", ""), GET[3]],
    "two hosts": [*GET, ("host", "example.com")],
    "a host with a user": [*GET[:2], (":authority", "me@example.org"), GET[3]],
}


@pytest.mark.parametrize("headers", MALFORMED.values(), ids=MALFORMED)
def test_a_malformed_request_is_refused_and_no_other_stream_notices(
    client: Client, headers: list[tuple[str, str]]
) -> None:
    listening = client.listen()
    stream_id = client.ask(headers)
    assert refusal(client, stream_id).status == 400
    client.server.send(listening, b"data")
    client.exchange()
    assert client.body(listening) == b"data"


@given(st.lists(st.text(alphabet="a \t\n\r\0", max_size=4).map(str.encode), max_size=4))
def test_a_value_is_found_that_must_not_be_one(values: list[bytes]) -> None:
    fields = [*((name.encode(), value.encode()) for name, value in GET)]
    fields += [(b"x-%d" % number, value) for number, value in enumerate(values)]
    wrong = [
        number
        for number, value in enumerate(values)
        if value != value.strip(b" \t") or {*value} & {*b"\n\r\0"}
    ]
    request = read_request(fields, Limits(), peer=PEER, scheme="https")
    if wrong:
        assert isinstance(request, Refused)
        assert f"x-{wrong[0]}" in request.reason
    else:
        assert isinstance(request, Request)


def test_te_trailers_is_accepted(client: Client) -> None:
    assert client.asked(client.ask([*GET, ("te", "Trailers")]))


def test_what_is_wrong_is_named_but_not_at_length(client: Client) -> None:
    stream_id = client.ask([*GET, ("A" * 1000, "b")])
    assert "'" + "A" * 40 + "'" in refusal(client, stream_id).reason
    assert len(refusal(client, stream_id).reason) < 120


@pytest.mark.parametrize("extended", [False, True])
def test_tunnels_are_not_opened(client: Client, extended: bool) -> None:
    headers = [(":method", "CONNECT"), (":authority", "example.org:443")]
    if extended:
        headers += [(":protocol", "websocket"), (":scheme", "https"), (":path", "/")]
    stream_id = client.ask(headers, end=False)
    assert refusal(client, stream_id).status == 501


def test_a_head_over_the_limit_is_answered() -> None:
    client = Client(Limits(max_header_bytes=1000))
    fits = client.ask([*GET, ("a", "b" * (1000 - 5 * 32 - len("".join(map("".join, GET))) - 1))])
    assert client.asked(fits)
    over = client.ask([*GET, ("a", "b" * 1000)])
    assert refusal(client, over).status == 431


def test_a_body_announced_to_be_over_the_limit_is_refused_at_once() -> None:
    client = Client(Limits(max_body_bytes=1000))
    assert refusal(client, client.ask([*POST, ("content-length", "1001")], end=False)).status == 413
    stream_id = client.ask([*POST, ("content-length", "1000")], end=False)
    client.h2.send_data(stream_id, b"x" * 1000, end_stream=True)
    client.exchange()
    assert len(client.asked(stream_id).request.body) == 1000


def test_a_body_over_the_limit_is_refused_and_the_rest_thrown_away() -> None:
    client = Client(Limits(max_body_bytes=1000))
    stream_id = client.ask(POST, end=False)
    client.h2.send_data(stream_id, b"x" * 1000)
    assert client.exchange() == []
    client.h2.send_data(stream_id, b"x")
    (refused,) = client.exchange()
    assert refused == RefusedStream(stream_id, Refused(413, "A body of 1000 bytes is allowed."))
    client.h2.send_data(stream_id, b"x" * 1000, end_stream=True)
    assert client.exchange() == []


def test_an_answer_before_the_end_of_the_upload_tells_the_client_to_stop() -> None:
    client = Client(Limits(max_body_bytes=10))
    stream_id = client.ask(POST, end=False)
    client.h2.send_data(stream_id, b"x" * 11)
    client.exchange()
    client.server.respond_head(stream_id, 413, [])
    client.server.send(stream_id, b"too long")
    client.server.end(stream_id)
    client.h2.send_data(stream_id, b"x" * 11)
    assert client.exchange() == []
    assert client.body(stream_id) == b"too long"
    assert client.ended(stream_id)
    assert client.reset_code(stream_id) == NO_ERROR
    assert client.server.stream_count == 0


@pytest.mark.parametrize("answered", [True, False])
def test_who_uploads_beyond_the_window_what_is_not_wanted_is_sent_away(answered: bool) -> None:
    client = Client(Limits(max_body_bytes=10))
    stream_id = client.ask(POST, end=False)
    server = client.server
    (refused,) = server.receive(raw(DATA, 0, stream_id, bytes(11)))
    assert isinstance(refused, RefusedStream)
    if answered:
        server.respond_head(stream_id, 413, [], end=True)
    # What the window still has room for may have been under way.
    for _ in range(3):
        assert server.receive(raw(DATA, 0, stream_id, bytes(16_384))) == []
    rest = 65_535 - 11 - 3 * 16_384
    assert server.receive(raw(DATA, 0, stream_id, bytes(rest))) == []
    (gone,) = server.receive(raw(DATA, 0, stream_id, b"x"))
    assert isinstance(gone, Gone)
    assert gone.offence == "flow_control_error"
    assert [code for _, code in goaways(server.output())] == [FLOW_CONTROL_ERROR]


def test_what_is_thrown_away_takes_no_window_from_others() -> None:
    client = Client(Limits(max_body_bytes=100_000))
    for _ in range(3):
        unwanted = client.ask([*POST, ("content-length", "1")], end=False)
        for _ in range(3):
            client.h2.send_data(unwanted, bytes(16_000))
            client.exchange()
    wanted = client.ask(POST, end=False)
    for _ in range(6):
        client.h2.send_data(wanted, bytes(16_000))
        client.exchange()
    client.h2.end_stream(wanted)
    client.exchange()
    assert len(client.asked(wanted).request.body) == 96_000


def test_uploads_are_bounded_for_a_connection_too() -> None:
    client = Client(Limits(max_body_bytes=1000))
    uploads = [client.ask(POST, end=False) for _ in range(5)]
    for upload in uploads:
        client.h2.send_data(upload, b"x" * 900)
        client.exchange()
    assert [client.reset_code(upload) for upload in uploads] == [*[None] * 4, REFUSED_STREAM]
    client.h2.end_stream(uploads[0])
    another = client.ask(POST, end=False)
    client.h2.send_data(another, b"x" * 900, end_stream=True)
    client.exchange()
    assert client.asked(uploads[0])
    assert client.asked(another)
    assert client.happenings[-1] == client.asked(another)


def test_an_upload_that_the_client_breaks_off_was_never_asked() -> None:
    client = Client(Limits(max_body_bytes=1000))
    for _ in range(10):  # ten times the bound, so what was held must be let go
        stream_id = client.ask(POST, end=False)
        client.h2.send_data(stream_id, b"x" * 900)
        client.h2.reset_stream(stream_id, CANCEL)
        assert client.exchange() == []
    assert client.server.stream_count == 0


def test_an_upload_that_the_server_breaks_off_is_let_go() -> None:
    client = Client(Limits(max_body_bytes=1000))
    for _ in range(10):
        stream_id = client.ask(POST, end=False)
        client.h2.send_data(stream_id, b"x" * 900)
        client.exchange()
        client.server.reset(stream_id, CANCEL)
        client.exchange()
        assert client.reset_code(stream_id) == CANCEL
    assert client.server.stream_count == 0


def test_padding_is_acknowledged_as_well(client: Client) -> None:
    stream_id = client.ask(POST, end=False)
    for _ in range(1000):  # with a window of 65,535 bytes
        client.h2.send_data(stream_id, b"x", pad_length=255)
        client.exchange()
    client.h2.end_stream(stream_id)
    client.exchange()
    assert len(client.asked(stream_id).request.body) == 1000


def test_a_stream_over_the_limit_is_refused_until_another_ends() -> None:
    client = Client(Limits(max_streams_per_connection=2))
    client.h2.remote_settings.max_concurrent_streams = 10
    client.h2.remote_settings.acknowledge()
    first, second, third = client.ask(), client.ask(), client.ask()
    assert client.server.stream_count == 2
    assert client.reset_code(third) == REFUSED_STREAM
    client.server.respond_head(first, 204, [], end=True)
    client.exchange()
    fourth = client.ask()
    asked = [each.stream_id for each in client.happenings if isinstance(each, Asked)]
    assert asked == [first, second, fourth]


def test_a_connection_forgets_the_streams_that_have_ended(client: Client) -> None:
    for _ in range(2000):
        client.server.respond_head(client.ask(), 204, [], end=True)
        client.exchange()
        client.events.clear()
        client.happenings.clear()
    assert len(client.server.h2.streams) < 100


def test_a_connection_forgets_the_requests_that_were_malformed(client: Client) -> None:
    for _ in range(100):
        stream_id = client.ask([*GET, ("connection", "close")])
        client.server.respond_head(stream_id, 400, [], end=True)
        client.exchange()
        assert client.reset_code(stream_id) == PROTOCOL_ERROR
    assert not client.server._malformed
    assert len(client.server._unwanted) < 100


# -- answers ------------------------------------------------------------------------------


def test_an_answer_arrives_with_head_body_and_end(client: Client) -> None:
    stream_id = client.ask()
    client.server.respond_head(stream_id, 404, [("Content-Type", "text/plain"), ("x", "ü")])
    assert client.server.send(stream_id, b"Not ") == 4
    assert client.server.send(stream_id, memoryview(b"here.")) == 5
    client.server.end(stream_id)
    client.exchange()
    assert client.head(stream_id) == {":status": "404", "content-type": "text/plain", "x": "ü"}
    assert client.body(stream_id) == b"Not here."
    assert client.ended(stream_id)
    assert not client.server.is_open(stream_id)


def test_an_answer_may_be_a_head_alone(client: Client) -> None:
    stream_id = client.ask()
    client.server.respond_head(stream_id, 204, [], end=True)
    client.exchange()
    assert client.head(stream_id) == {":status": "204"}
    assert client.ended(stream_id)
    assert client.reset_code(stream_id) is None


def test_fields_of_a_connection_do_not_leave(client: Client) -> None:
    stream_id = client.ask()
    headers = [("Connection", "keep-alive"), ("Keep-Alive", "5"), ("Transfer-Encoding", "chunked")]
    client.server.respond_head(stream_id, 200, headers)
    client.exchange()
    assert client.head(stream_id) == {":status": "200"}


@pytest.mark.parametrize(
    ("name", "value"), [("a", "b\r\nc: d"), ("a", "\0"), ("a b", "c"), (":status", "200"), ("", "")]
)
def test_a_malformed_field_in_an_answer_is_a_bug_and_raises(
    client: Client, name: str, value: str
) -> None:
    with pytest.raises(ValueError, match="malformed"):
        client.server.respond_head(client.ask(), 200, [(name, value)])


@pytest.mark.parametrize("end", [False, True])
def test_a_head_too_long_for_a_frame_is_continued(client: Client, end: bool) -> None:
    # In Huffman's code each of these characters has 15 bits.
    headers = [(f"x-{number}", "|" * 4000) for number in range(6)]
    stream_id = client.ask()
    client.server.respond_head(stream_id, 200, headers, end=end)
    sent = client.server.output()
    frames = [frame for frame in raw_frames(sent) if frame.stream_id == stream_id]
    assert [frame.kind for frame in frames] == [HEADERS, CONTINUATION, CONTINUATION]
    client.events += client.h2.receive_data(sent)
    assert client.head(stream_id) == {":status": "200", **dict(headers)}
    assert client.server.is_open(stream_id) is not end


def test_data_is_cut_to_the_frames_that_the_client_accepts(client: Client) -> None:
    stream_id = client.listen()
    client.server.send(stream_id, b"x" * 40_000)
    assert [len(f.payload) for f in raw_frames(client.server.output())] == [16_384, 16_384, 7_232]
    client.h2.update_settings({5: 20_000})  # SETTINGS_MAX_FRAME_SIZE
    client.exchange()
    client.server.send(stream_id, b"x" * 25_000)
    assert [len(f.payload) for f in raw_frames(client.server.output())] == [20_000, 5_000]


def test_a_reset_reaches_the_client(client: Client) -> None:
    stream_id = client.listen()
    client.server.reset(stream_id, CANCEL)
    client.exchange()
    assert client.reset_code(stream_id) == CANCEL
    assert client.server.stream_count == 0


@pytest.mark.parametrize("how", ["the client leaves", "the answer ends", "the server closes"])
def test_answering_a_stream_that_is_over_does_nothing(client: Client, how: str) -> None:
    stream_id = client.listen()
    if how == "the client leaves":
        client.h2.reset_stream(stream_id, CANCEL)
        assert client.exchange() == [Left(stream_id)]
    elif how == "the answer ends":
        client.server.end(stream_id)
    else:
        client.server.close()
    client.server.output()
    assert not client.server.is_open(stream_id)
    client.server.respond_head(stream_id, 200, [])
    client.server.respond_head(stream_id, 200, [], end=True)
    assert client.server.window(stream_id) == 0
    assert client.server.send(stream_id, b"data") == 0
    client.server.end(stream_id)
    client.server.reset(stream_id, CANCEL)
    assert client.server.output() == b""
    assert client.server.stream_count == 0


def test_a_stream_that_never_was_is_not_open(client: Client) -> None:
    assert not client.server.is_open(99)
    assert client.server.send(99, b"data") == 0


def test_a_client_that_breaks_its_stream_has_left_it(client: Client) -> None:
    listening, broken = client.listen(), client.listen()
    # DATA after END_STREAM is an error of the stream (RFC 9113, 5.1, "half-closed (remote)").
    assert client.server.receive(raw(DATA, 0, broken, b"more")) == [Left(broken)]
    assert resets(client.server.output()) == [(broken, 5)]
    assert client.server.is_open(listening)


# -- the connection -------------------------------------------------------------------------


def test_a_ping_is_answered_on_both_sides(client: Client) -> None:
    client.h2.ping(b"are you?")
    assert client.exchange() == []
    assert isinstance(client.events[-1], PingAckReceived)
    client.server.ping()
    assert client.exchange() == [Pong()]


def test_a_body_that_takes_too_long_is_refused_from_when_it_was_first_looked_at(
    client: Client,
) -> None:
    late, quick = client.ask(POST, end=False), client.ask(POST, end=False)
    assert client.server.overdue(100.0) == []
    assert client.server.overdue(129.0) == []
    client.h2.end_stream(quick)
    client.exchange()
    (refused,) = client.server.overdue(130.0)
    assert (refused.stream_id, refused.refused.status) == (late, 408)
    assert client.server.uploads == 0


def test_a_stream_that_is_gone_has_no_window(client: Client) -> None:
    stream_id = client.listen()
    client.server.reset(stream_id, CANCEL)
    assert client.server.window(stream_id) == 0
    assert client.server.is_shut(stream_id)


def test_a_client_that_says_goaway_is_gone(client: Client) -> None:
    stream_id = client.listen()
    client.h2.close_connection(error_code=2)
    (gone,) = client.exchange()
    assert isinstance(gone, Gone)
    assert gone.by_peer
    assert gone.error_code == 2
    assert not client.server.is_open(stream_id)


def test_a_shutdown_is_announced_and_open_streams_go_on(client: Client) -> None:
    stream_id = client.listen()
    upload = client.ask(POST, end=False)
    client.server.send(stream_id, b"before")
    client.server.shutdown()
    client.server.shutdown()
    client.server.send(stream_id, b"after")
    frames = list(raw_frames(client.server.output()))
    assert [frame.kind for frame in frames] == [DATA, GOAWAY, DATA]
    assert [frame.payload for frame in frames if frame.kind == DATA] == [b"before", b"after"]
    assert goaways(raw(*frames[1])) == [(2**31 - 1, NO_ERROR)]
    client.h2.send_data(upload, b"body", end_stream=True)
    assert client.server.receive(client.h2.data_to_send()) != []
    client.server.end(stream_id)
    assert [frame.flags for frame in raw_frames(client.server.output())] == [END_STREAM]


def test_a_stream_that_crosses_the_announcement_is_refused(client: Client) -> None:
    client.listen()
    client.server.shutdown()
    client.server.output()
    client.h2.send_headers(3, GET, end_stream=True)
    assert client.server.receive(client.h2.data_to_send()) == []
    assert resets(client.server.output()) == [(3, REFUSED_STREAM)]


def test_the_last_goaway_names_the_last_stream_that_was_served(client: Client) -> None:
    client.listen()
    last = client.listen()
    client.server.shutdown()
    client.h2.send_headers(5, GET, end_stream=True)
    client.server.receive(client.h2.data_to_send())
    client.server.output()
    client.server.close(reason=b"the end")
    output = client.server.output()
    assert goaways(output) == [(last, NO_ERROR)]
    assert output.endswith(b"the end")


def test_nothing_happens_after_the_end(client: Client) -> None:
    client.ask(POST, end=False)
    assert client.server.uploads == 1
    client.server.close(error_code=11)
    assert client.server.uploads == client.server.stream_count == 0
    assert goaways(client.server.output()) == [(1, 11)]
    client.h2.send_headers(3, GET, end_stream=True)
    assert client.server.receive(client.h2.data_to_send()) == []
    client.server.close()
    client.server.shutdown()
    client.server.ping()
    assert client.server.output() == b""


def test_a_frame_without_data_gives_no_window_back() -> None:
    server = H2Server(Limits())
    server.data_to_send()
    server.return_connection_window(0)
    assert server.data_to_send() == b""
    server.return_connection_window(1)
    assert server.data_to_send() != b""
