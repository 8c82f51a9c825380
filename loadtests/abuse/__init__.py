"""Attacks on a server, one after the other, while a canary on the same server must notice nothing.

`python -m loadtests.abuse` runs all at full strength and writes a table; tests/abuse runs each
until the server has sent the attacker away. Loopback only, bounded in time and count.
"""
