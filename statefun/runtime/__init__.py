"""The embedded runtime: what a cluster does for an app, in one process and one SQLite file.

Here: an engine without I/O or clock, the stores behind it, and the driver that gives it both. It speaks to functions in
the bytes of the request-reply protocol alone, and knows nothing of how they are written: `_turn` is never seen here.
"""
