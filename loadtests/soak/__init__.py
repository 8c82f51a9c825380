"""A soak: an hour of honest clients and attacks on one server, which must lose and keep nothing.

    soaking     the course of it: warm-up, all leave, an hour, all leave
    crowds      honest clients: they come, stall, come back with their last id, and leave
    attacks     one at a time, in an order drawn by chance; attacker: the process that makes it
    sampling    what is looked at every five seconds, and printed every minute
    record      all that was seen, as soak.json has it
    judging     what of it is wrong, and how the run's end compares with its beginning
    report, picture   soak.md and soak.svg, made from soak.json

`python -m loadtests.soak` runs it. Loopback only, bounded in time; nothing runs on afterwards.
"""
