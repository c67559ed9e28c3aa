"""The documents that a user writes: their dataclasses, and how YAML becomes them.

One file a kind. `structure` reads, `plain` writes, `schema` describes; all three look at nothing
but the dataclasses and the checks in their annotations.
"""
