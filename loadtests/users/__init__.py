"""Locust users for Server-Sent Events, who share one crowd of connections in each process.

`listeners` and `publisher` are the user classes, for locustfiles. `options` adds the arguments and
`settings` says what they mean; `permission` refuses what should not be loaded; `beginning` does
all this when Locust starts.

In each process that has users the `crew` keeps them and their crowd (`crowds`, loadtests/swarm),
and `statistics` puts what they received into Locust's own. Where Locust is told what to do, the
`conductor` leads a run from its first connection to its last event; `news` is what the processes
tell it, and `outcome` what becomes of that, with a `timeline`. `seam` is where Locust has no types.

`publishing` is the publisher's own process, without Locust: `schedule` says when events are due,
and `post` posts them.
"""
