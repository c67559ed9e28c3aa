"""Where inputs come from, one file a scheme. A source lists what it has, then streams it.

May import archive, tools and core. Nothing in here writes but into the store, unpacks, or follows a
link; what was listed is bound to its inode and times, and a file that changes between two looks at
it is refused.
"""
