"""The fan-out benchmark: rows of figures, ours beside what they are measured against.

`python -m loadtests.bench` runs it. `rows` says which rows there are; each is a function
that is given a `Stage`, on which it has servers and swarms started. `fanout` is the measurement
itself, `figures` what comes out of it, `report` how that is shown.
"""
