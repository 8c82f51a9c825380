"""Load tests as one types them: `make loadtest-storm` is `python -m loadtests.scenarios storm`.

    table       which scenarios there are, and what each has its variants do
    load        a variant's settings, and how Locust is told of them
    preflight   what this machine allows, and how many processes that makes; pure
    servers     those that are measured: ours, the same hub under Hypercorn, and others
    sampling    what the servers use and hold, once a second
    trial       one variant from start to end
    folder      what came of all of them, as a folder under results/
    terminal    progress, and the table at the end

A scenario is a list of variants, measured one after the other. Each starts its servers and its
Locust anew and ends them; one that fails is reported beside the others and hides none of them.
"""
