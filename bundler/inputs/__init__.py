"""What a spec names, resolved: the way from `bundle.yaml` to everything that a bundle is made of.

`spec` reads the documents, `rendering` has the targets rendered, `matching` says which image a
reference means, `resolve` asks the sources, `lockfile` keeps the lock beside the spec. Stands
between the verbs and the rooms below: may import every room but `cli` and the verbs.
"""
