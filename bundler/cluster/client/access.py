"""The way in: a kubeconfig, or the service account of a pod."""

from __future__ import annotations

import time
from pathlib import Path

from bundler.cluster.client.api import Cluster
from bundler.cluster.client.kubeconfig import find_entry
from bundler.cluster.client.login import Login
from bundler.tools.http import Sleep


def open_cluster(
    kubeconfig: Path | None, context: str | None, manager: str, sleep: Sleep = time.sleep
) -> Cluster:
    """The cluster of `kubeconfig` (or of KUBECONFIG, ~/.kube/config, the pod's service account).

    What is applied belongs to the field `manager`. ClusterError when there is no kubeconfig, or
    it can't be read, or it lacks the context, or its credential plugin gives none.
    """
    login = Login(find_entry(kubeconfig, context), sleep)
    with login.entered() as session:
        return Cluster(session, manager, login)
