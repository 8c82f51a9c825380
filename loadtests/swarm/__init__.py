"""The load client: thousands of connections in a plain epoll loop, every event checked.

`crowd` is the loop and `connection` one of its clients; `http1`, `http2`, `windows` and
`events` understand what a server sends, `tape` compares it with what others were sent, and
`ledger` counts. `target` says whom to call. `__main__` makes a process of it, which is told
what to do in lines of JSON.
"""
