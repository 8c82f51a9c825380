"""The hub: one ordered log, and the audiences that hear it.

`hub` is the public face (publish, subscribe), `audience` says who hears the same thing,
`pump` carries what is new to them, `subscription` is a subscriber inside this program.
Nothing here knows HTTP: a connection takes part through `Outlet`.
"""

from .audience import Audience, Frame, Outlet, identity
from .gap import GAP_TYPE
from .hub import Hub, HubStatistics, InvalidTopic, open_hub
from .subscription import Subscription

__all__ = [
    "GAP_TYPE",
    "Audience",
    "Frame",
    "Hub",
    "HubStatistics",
    "InvalidTopic",
    "Outlet",
    "Subscription",
    "identity",
    "open_hub",
]
