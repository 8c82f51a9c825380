"""The load client: thousands of connections in a plain epoll loop, every event checked.

`loop` is the loop and `connection` one of its connections, over a `link` that `dialling` makes,
or one that is `stamped` with the kernel's times. `reading` is what a connection does with what
comes: `http1`, `http2`, `windows` and `events` understand it, `tape` compares it with what others
of the `audience` were sent, and a `book` takes it down. `target` says whom to call.

There are two kinds. `obedient` does what it is told and counts in a `ledger`; `__main__` makes a
process of it, which is told what to do in lines of JSON. A `crowd` is of browsers, which come
back when they are cut off (`returning`); it writes `receipts`, and `merging` puts those of several
processes together. Nothing here imports Trio, gevent or Locust.
"""
