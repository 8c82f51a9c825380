"""The real server and clients that know nothing of it, on real sockets."""
