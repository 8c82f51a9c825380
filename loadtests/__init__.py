"""Load tests: what trio-sse costs, beside a bare C loop and beside other servers.

`bench` prints and writes the table of figures, `soak` lets clients come and go for ten
minutes, `swarm` is the load client of both, `server_under_test` the server. All of them talk
to 127.0.0.0/8 only. Nothing here is part of the package.
"""
