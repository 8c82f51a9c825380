"""Clients and a server in memory, for a virtual clock: what several tests are made of."""
