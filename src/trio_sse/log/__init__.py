"""The log: every event published, in one order, as far back as its bounds allow.

Owns the order, the ids and the history. A subscriber is a cursor into it: the position that
it reads on from. `log` says what an engine promises, `memory` is the embedded one.

Refuses: two events of one id, because Last-Event-ID must name one place in the one order.
"""

from .log import ALL, DuplicateId, Entry, Log, LogStatistics, Reading
from .memory import MemoryLog

__all__ = ["ALL", "DuplicateId", "Entry", "Log", "LogStatistics", "MemoryLog", "Reading"]
