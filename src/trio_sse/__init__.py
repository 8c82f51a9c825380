"""trio-sse: a Server-Sent Events hub and embeddable server on Trio."""

__version__ = "0.1.0"
