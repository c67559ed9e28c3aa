"""Kubernetes objects as plain data: told apart, compared, planned, and changed at named places.

Manifests as rendered, images and parameters within them, kustomization files. Pure, as all of
core; nothing here knows a cluster.
"""
