"""The Kubernetes API: read the present state, apply a plan, keep the record of a release."""
