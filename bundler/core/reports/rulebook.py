"""What each rule and scanner looks for and what to do about it: the words of reports.

A finding carries the id of its rule; here are a title and a remedy for people who meet it in
somebody else's program. Checks that are not ours, checkov's, are described by their id alone.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

_WAIVE = "If it is right all the same, waive it in the policy with owner, reason and last day."


@dataclass(frozen=True)
class About:
    """A rule for a person: one sentence that says what is wrong, and how it is mended."""

    title: str
    remedy: str


RULEBOOK: Mapping[str, About] = {
    "closure": About(
        "An image or model is not in the bundle, or not pinned by its digest.",
        "List it in bundle.yaml and lock again. This can't be waived.",
    ),
    "external-host": About(
        "A manifest names a host outside of the cluster.",
        f"Remove it, name a Service, or list it under allowHosts in the policy. {_WAIVE}",
    ),
    "license": About(
        "A model's licence is not the one that bundle.yaml states.",
        f"Read the model's card and correct bundle.yaml. {_WAIVE}",
    ),
    "model-scan": About(
        "No scanner could look into a model's weights.",
        f"Convert the weights to safetensors. {_WAIVE}",
    ),
    "packages": About(
        "The packages of an image could not be listed.",
        f"Build the image from a distribution with a package database. {_WAIVE}",
    ),
    "parameter-target": About(
        "A parameter leads to no place in any target.",
        "Correct its kind, name and path, or remove it. This can't be waived.",
    ),
    "parameters": About(
        "A parameter would change what was audited.",
        f"Choose another place for it, or fix the value in an overlay. {_WAIVE}",
    ),
    "partition": About(
        "A target for one partition of AWS names another's ARN, region or host.",
        f"Name what the target's own partition has. {_WAIVE}",
    ),
    "pickle": About(
        "A model's file holds or hides code that runs when the file is loaded.",
        f"Convert the weights to safetensors, and unpack archives. {_WAIVE}",
    ),
    "pod-security": About(
        "A pod asks for more than Pod Security `restricted` admits.",
        f"Correct its securityContext, volumes and namespaces. {_WAIVE}",
    ),
    "report": About(
        "A bundle's report does not say that everything in it was looked at.",
        "Build the bundle anew, with a current airbundle. This can't be waived.",
    ),
    "rights": About(
        "A role or binding gives more rights than a workload needs.",
        f"Name the verbs, resources and groups that are needed, in a Role. {_WAIVE}",
    ),
    "safetensors": About(
        "The header of a safetensors file is not what the format says.",
        f"Get the file again, or write it again with the library. {_WAIVE}",
    ),
    "waiver": About(
        "A waiver of the policy fits no finding.",
        "Remove the waiver, or correct its object.",
    ),
}


def about(rule: str) -> About:
    """The words for `rule`; general ones for a check that is not ours."""
    general = About(f"The check {rule} failed.", f"See the documentation of {rule}. {_WAIVE}")
    return RULEBOOK.get(rule, general)
