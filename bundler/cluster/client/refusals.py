"""Why an API server says no, and what a site can do about it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any


def hint_for(status: Mapping[str, Any]) -> str | None:
    """What to do about a refusal, given the `Status` that came with it; None where unknown.

    The forms are those of Kubernetes' own messages, 1.27 to 1.36: there is no other word for who
    refused, since webhooks and policies choose code and reason themselves.
    """
    message = str(status.get("message"))
    found = ((form.search(message), hint) for form, hint in _FORMS)
    return next((hint.format_map(match.groupdict()) for match, hint in found if match), None)


# A `name` in the form has its place in the hint.
_FORMS = tuple(
    (re.compile(form), hint)
    for form, hint in (
        (
            r'admission webhook (?P<name>"[^"]{1,300}") denied the request',
            "the cluster's own webhook {name} refuses it, in its words: its owner says what it "
            "wants (kubectl get validatingwebhookconfigurations,mutatingwebhookconfigurations)",
        ),
        (
            r'failed calling webhook (?P<name>"[^"]{1,300}")',
            "the cluster's webhook {name} has to be asked and can't be: its pods don't run, or its "
            "Service has none, or a network policy is between; when it answers, the same command "
            "again continues",
        ),
        (
            r"ValidatingAdmissionPolicy (?P<name>'[^']{1,300}') with binding",
            "the cluster's own policy {name} refuses it, in its words: its owner says what it "
            "wants (kubectl get validatingadmissionpolicies)",
        ),
        (
            r"unable to create new content in namespace (?P<name>\S{1,63}) because it is being",
            "the namespace {name} is being deleted: wait until it is gone, then run the same "
            "command again; if it hangs, `kubectl get namespace {name} -o yaml` says in its "
            "conditions what holds it (objects with finalizers, or an API that doesn't answer)",
        ),
        (
            "violates PodSecurity ",
            "the namespace's label pod-security.kubernetes.io/enforce says what its pods may do: "
            "have the pods ask for less, or install into a namespace that allows it",
        ),
        (
            "exceeded quota: ",
            "the namespace's ResourceQuota has no room: who runs the cluster raises it, or the "
            "release gets smaller (by its parameters, if it has some for this)",
        ),
        (
            r'User "[^"]*" cannot |is attempting to grant RBAC permissions',
            "what the user of this kubeconfig may do is decided by the cluster's RBAC",
        ),
        (
            "field not declared in schema|unknown field ",
            "the cluster's version of this kind lacks the field: its CRD, or Kubernetes itself, "
            "is older than what the bundle was made for",
        ),
        (
            "field is immutable|may not change once set",
            "this field can't change while the object is there: deleting the object, if what it "
            "holds may go, lets the same command make it anew",
        ),
    )
)
