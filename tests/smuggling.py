"""Bytes that two servers on the way might take for different requests (RFC 9112, 11.2).

Each case is a request that must be refused, with the status. A valid request that follows it on
the same connection must never be answered: that would be the smuggled one.
"""

from __future__ import annotations

__all__ = ["CASES", "SMUGGLED"]

SMUGGLED = b"GET /smuggled HTTP/1.1\r\nHost: localhost\r\n\r\n"

GET = b"GET /page HTTP/1.1\r\nHost: localhost\r\n"
POST = b"POST /tell HTTP/1.1\r\nHost: localhost\r\n"
CHUNKED = POST + b"Transfer-Encoding: chunked\r\n\r\n"
LINE = b"GET /page HTTP/1.1\r\n"


def with_fields(*fields: bytes, body: bytes = b"") -> bytes:
    return POST + b"".join(field + b"\r\n" for field in fields) + b"\r\n" + body


CASES: dict[str, tuple[int, bytes]] = {
    # -- where the body ends (RFC 9112, 6.1 and 6.3)
    "Transfer-Encoding and Content-Length": (
        400,
        with_fields(b"Content-Length: 5", b"Transfer-Encoding: chunked", body=b"0\r\n\r\n"),
    ),
    "Content-Length and Transfer-Encoding, the other way round": (
        400,
        with_fields(b"Transfer-Encoding: chunked", b"Content-Length: 5", body=b"0\r\n\r\n"),
    ),
    "Transfer-Encoding in HTTP/1.0": (
        400,
        b"POST /tell HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    ),
    "two lengths that differ": (400, with_fields(b"Content-Length: 0", b"Content-Length: 44")),
    "two lengths that agree": (
        400,
        with_fields(b"Content-Length: 1", b"content-length: 1", body=b"x"),
    ),
    "two lengths in one field": (400, with_fields(b"Content-Length: 1, 1", body=b"x")),
    "a length and a comma": (400, with_fields(b"Content-Length: 1,", body=b"x")),
    "a length with a sign": (400, with_fields(b"Content-Length: +1", body=b"x")),
    "a negative length": (400, with_fields(b"Content-Length: -1")),
    "a length in hexadecimal": (400, with_fields(b"Content-Length: 0x1", body=b"x")),
    "a length with a fraction": (400, with_fields(b"Content-Length: 1.0", body=b"x")),
    "a length with a space in it": (400, with_fields(b"Content-Length: 1 0", body=b"x")),
    "a length with an underscore": (400, with_fields(b"Content-Length: 1_0", body=b"x")),
    "a length in other digits": (400, with_fields(b"Content-Length: \xd9\xa1")),
    "no length at all": (400, with_fields(b"Content-Length:")),
    "a length as long as nothing is": (400, with_fields(b"Content-Length: " + b"9" * 30)),
    "a coding that we do not know": (501, with_fields(b"Transfer-Encoding: gzip")),
    "a coding before chunked": (501, with_fields(b"Transfer-Encoding: gzip, chunked")),
    "a coding after chunked": (501, with_fields(b"Transfer-Encoding: chunked, identity")),
    "chunked twice": (501, with_fields(b"Transfer-Encoding: chunked, chunked")),
    "chunked in two fields": (
        501,
        with_fields(b"Transfer-Encoding: chunked", b"Transfer-Encoding: chunked"),
    ),
    "chunked with a parameter": (501, with_fields(b"Transfer-Encoding: chunked;a=b")),
    "chunked in quotes": (501, with_fields(b'Transfer-Encoding: "chunked"')),
    "chunked with a letter more": (501, with_fields(b"Transfer-Encoding: xchunked")),
    "chunked after a vertical tab": (400, with_fields(b"Transfer-Encoding: \x0bchunked")),
    "no coding at all": (501, with_fields(b"Transfer-Encoding:")),
    # -- where a chunk ends (RFC 9112, 7.1)
    "a chunk size with a sign": (400, CHUNKED + b"+1\r\nx\r\n0\r\n\r\n"),
    "a chunk size in C's hexadecimal": (400, CHUNKED + b"0x1\r\nx\r\n0\r\n\r\n"),
    "a chunk size after a space": (400, CHUNKED + b" 1\r\nx\r\n0\r\n\r\n"),
    "a chunk size that overflows": (400, CHUNKED + b"1" * 21 + b"\r\nx"),
    "no chunk size": (400, CHUNKED + b"\r\n0\r\n\r\n"),
    "a chunk size that ends with LF": (400, CHUNKED + b"1\nx\r\n0\r\n\r\n"),
    "a chunk extension that ends with LF": (400, CHUNKED + b"1;a\nx\r\n0\r\n\r\n"),
    "a chunk that ends with LF": (400, CHUNKED + b"1\r\nx\n0\r\n\r\n"),
    "a chunk that is longer than it says": (400, CHUNKED + b"1\r\nxy\r\n0\r\n\r\n"),
    "a last chunk that ends with LF": (400, CHUNKED + b"0\n\r\n\r\n"),
    "a body that ends with LF": (400, CHUNKED + b"0\r\n\n"),
    "trailers that end with LF": (400, CHUNKED + b"0\r\na: b\n\n"),
    "a trailer that is no field": (400, CHUNKED + b"0\r\nnonsense\r\n\r\n"),
    "a trailer with a space before the colon": (400, CHUNKED + b"0\r\na : b\r\n\r\n"),
    "a chunk size before a space": (400, CHUNKED + b"1 \r\nx\r\n0\r\n\r\n"),
    "a chunk extension with CR in it": (400, CHUNKED + b"1;a\rb\r\nx\r\n0\r\n\r\n"),
    "a chunk extension with NUL in it": (400, CHUNKED + b"1;\0\r\nx\r\n0\r\n\r\n"),
    "one trailer that ends with LF": (400, CHUNKED + b"0\r\na: b\nc: d\r\n\r\n"),
    "a trailer that goes on": (400, CHUNKED + b"0\r\na: b\r\n c\r\n\r\n"),
    "a trailer with a control character": (400, CHUNKED + b"0\r\na: \1\r\n\r\n"),
    "chunk extensions without bound": (400, CHUNKED + b"1;%b\r\nx\r\n" % (b"a" * 300) * 40),
    "trailers without bound": (
        400,
        CHUNKED + b"0\r\n" + b"a: %b\r\n" % (b"b" * 90) * 100 + b"\r\n",
    ),
    "more trailers than anybody has": (400, CHUNKED + b"0\r\n" + b"a:\r\n" * 201 + b"\r\n"),
    "a trailer that names a coding and ends with LF": (
        400,
        CHUNKED + b"0\r\nTransfer-Encoding: gzip\n\r\n",
    ),
    "a body in chunks of a byte": (400, CHUNKED + b"1\r\nx\r\n" * 1_100),
    # -- where a line ends (RFC 9112, 2.2 and 5.2)
    "lines that end with LF": (400, b"GET /page HTTP/1.1\nHost: localhost\n\n"),
    "one line that ends with LF": (400, LINE + b"Host: localhost\na: b\r\n\r\n"),
    "a request line that ends with LF": (400, b"GET /page HTTP/1.1\nHost: localhost\r\n\r\n"),
    "a head that ends with LF": (400, GET + b"\n"),
    "LF before the request": (400, b"\n" + GET + b"\r\n"),
    "CR before the request": (400, b"\r" + GET + b"\r\n"),
    "a line that ends with two CR": (400, LINE + b"Host: localhost\r\r\n\r\n"),
    "CR in a value": (400, GET + b"a: b\rContent-Length: 44\r\n\r\n"),
    "CR in the target": (400, b"GET /\r/page HTTP/1.1\r\nHost: localhost\r\n\r\n"),
    "a field that goes on after a space": (400, GET + b"a: b\r\n Content-Length: 44\r\n\r\n"),
    "a field that goes on after a tab": (400, GET + b"a: b\r\n\tc\r\n\r\n"),
    "a first field that goes on": (400, LINE + b" a: b\r\nHost: localhost\r\n\r\n"),
    "a coding that goes on": (400, with_fields(b"Transfer-Encoding:\r\n chunked")),
    # -- fields (RFC 9112, 5.1; RFC 9110, 5.5)
    "a space before the colon": (400, with_fields(b"Content-Length : 44")),
    "a tab before the colon": (400, with_fields(b"Transfer-Encoding\t: chunked")),
    "a NUL in a value": (400, GET + b"a: b\0c\r\n\r\n"),
    "a control character in a value": (400, GET + b"a: b\x01c\r\n\r\n"),
    "a backspace in a value": (400, GET + b"a: b\x08c\r\n\r\n"),
    "a delete in a value": (400, GET + b"a: b\x7fc\r\n\r\n"),
    "an escape in a value": (400, GET + b"User-Agent: \x1b[2J\r\n\r\n"),
    "a NUL in a name": (400, GET + b"Content\0-Length: 44\r\n\r\n"),
    "a letter of Latin-1 in a name": (400, GET + b"Content-Length\xa0: 44\r\n\r\n"),
    "a field without a name": (400, GET + b": b\r\n\r\n"),
    "a field without a colon": (400, GET + b"nonsense\r\n\r\n"),
    # -- the request line (RFC 9112, 3)
    "HTTP/0.9": (400, b"GET /page\r\n\r\n"),
    "HTTP/1.2": (505, b"GET /page HTTP/1.2\r\nHost: localhost\r\n\r\n"),
    "HTTP/2.0 in a request line": (505, b"GET /page HTTP/2.0\r\nHost: localhost\r\n\r\n"),
    "HTTP/1.10": (400, b"GET /page HTTP/1.10\r\nHost: localhost\r\n\r\n"),
    "http in small letters": (400, b"GET /page http/1.1\r\nHost: localhost\r\n\r\n"),
    "two spaces in the line": (400, b"GET  /page HTTP/1.1\r\nHost: localhost\r\n\r\n"),
    "a tab in the line": (400, b"GET\t/page HTTP/1.1\r\nHost: localhost\r\n\r\n"),
    "a space at the end of the line": (400, b"GET /page HTTP/1.1 \r\nHost: localhost\r\n\r\n"),
    "a space before the line": (400, b" GET /page HTTP/1.1\r\nHost: localhost\r\n\r\n"),
    "a target with a space": (400, b"GET /a page HTTP/1.1\r\nHost: localhost\r\n\r\n"),
    "a target that is not ASCII": (400, b"GET /p\xe4ge HTTP/1.1\r\nHost: localhost\r\n\r\n"),
    "a target with a fragment": (400, b"GET /page#a HTTP/1.1\r\nHost: localhost\r\n\r\n"),
    "a target without a slash": (400, b"GET page HTTP/1.1\r\nHost: localhost\r\n\r\n"),
    "no target": (400, b"GET HTTP/1.1\r\nHost: localhost\r\n\r\n"),
    "a target of another scheme": (
        400,
        b"GET ftp://localhost/ HTTP/1.1\r\nHost: localhost\r\n\r\n",
    ),
    "a tunnel": (501, b"CONNECT localhost:1 HTTP/1.1\r\nHost: localhost:1\r\n\r\n"),
    # -- the host (RFC 9112, 3.2)
    "no host": (400, LINE + b"\r\n"),
    "two hosts": (400, GET + b"Host: elsewhere\r\n\r\n"),
    "the same host twice": (400, GET + b"Host: localhost\r\n\r\n"),
    "two hosts in one field": (400, LINE + b"Host: localhost, elsewhere\r\n\r\n"),
    "two hosts in HTTP/1.0": (400, b"GET / HTTP/1.0\r\nHost: a\r\nHost: b\r\n\r\n"),
    "a host with a path": (400, LINE + b"Host: localhost/page\r\n\r\n"),
    "a host with a user": (400, LINE + b"Host: me@localhost\r\n\r\n"),
    "a host with a space": (400, LINE + b"Host: local host\r\n\r\n"),
    "a host whose port is none": (400, LINE + b"Host: localhost:http\r\n\r\n"),
    "a target of another host": (400, b"GET http://a/ HTTP/1.1\r\nHost: localhost\r\n\r\n"),
    "a target of another port": (
        400,
        b"GET http://localhost:81/ HTTP/1.1\r\nHost: localhost:82\r\n\r\n",
    ),
    "a target with a port that the host has not": (
        400,
        b"GET http://localhost:81/ HTTP/1.1\r\nHost: localhost\r\n\r\n",
    ),
    "a host with a port that the target has not": (
        400,
        b"GET http://localhost/ HTTP/1.1\r\nHost: localhost:81\r\n\r\n",
    ),
    "a target with a user": (400, b"GET http://a@b/ HTTP/1.1\r\nHost: b\r\n\r\n"),
    "a target without a host": (400, b"GET http:///page HTTP/1.1\r\nHost: localhost\r\n\r\n"),
    # -- sizes
    "a head over the limit": (431, GET + b"a: %b\r\n\r\n" % (b"b" * 40_000)),
    "a head of many fields": (431, GET + b"a: b\r\n" * 10_000 + b"\r\n"),
    "a target over the limit": (431, b"GET /%b HTTP/1.1\r\n\r\n" % (b"a" * 40_000)),
    "a body over the limit": (413, with_fields(b"Content-Length: 1048577")),
}
