"""airbundle: one signed file with models, images and manifests, for places connected to nothing.

The modules beside this one are the verbs; each tells one story (lock, build, verify, install …)
out of the rooms below it. Imports go down only: cli → verbs → sources | sign | scan | cluster →
archive | tools → core.
"""

__version__ = "0.1.0"
