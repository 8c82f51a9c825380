"""The smallest honest fan-out for other servers: a queue a subscriber, filled by a POST.

Each is written as that server's documentation has its users write it: a publish encodes the
event once and puts it into every queue, and a task a subscriber takes it out and sends it. They
run in an environment of their own (`peers.txt`).
"""
