"""Bytes at rest: the bundle file (format 1) and OCI image layouts.

May import core. Knows nothing of keys, clusters, or where bytes came from.
"""
