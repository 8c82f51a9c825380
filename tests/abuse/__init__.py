"""Every attack once, on a real server in a process of its own, beside a canary in another."""
