"""Pure values and rules: digests, documents, lock, compile, rules, plan.

Nothing in here opens a file, reads the clock or the environment, starts a process or
speaks to a network; whatever is decided here can be decided again on the far side.
"""
