"""What a release needs of a cluster, judged from what the cluster says of itself.

Pure: everything that is known is given, nothing is asked here. `bundler.cluster.preflight` asks.
"""
