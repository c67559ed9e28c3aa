"""Bytes at rest: the bundle file (format 1), OCI image layouts, and the store of downloads.

May import core. Knows nothing of keys, clusters, or where bytes came from.
"""
