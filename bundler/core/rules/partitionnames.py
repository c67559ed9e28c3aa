"""Names that belong to one partition of AWS, in free text: ARNs, hosts, regions and zones; and
hosts of one of Azure's clouds.

Partitions, the forms of their regions and their DNS suffixes are those of botocore's
endpoints.json. Regions are known by form, so that next year's are known too. Azure's suffixes are
those of `az cloud show` and of its comparison of endpoints
(learn.microsoft.com/azure/azure-government/compare-azure-government-global-azure); its regions are
plain words (`eastus`), and not looked for.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from bundler.core.reference import PLACEHOLDER_HOST
from bundler.core.rules.hostnames import plain


@dataclass(frozen=True, order=True)
class Named:
    """What was named (an ARN, a host, a region or a zone), as written, and whose it is."""

    kind: str
    text: str
    partition: str


_ARN = re.compile(
    r"(?<![A-Za-z0-9])arn:(?P<partition>aws[a-z-]{0,16}):[^\s\"'`<>,;|(){}\[\]\\]{0,2048}"
)
_HOST = re.compile(r"(?<![\w*-])[\w*-]+(?:\.[\w*-]+)+")
# With the letter of a zone, and as programs spell it (US_EAST_1), too.
_REGION = re.compile(
    r"(?<![a-z0-9])"
    r"(?P<area>us[_-](?:gov|iso[bf]?)|eu[_-]isoe|eusc[_-]de|us|eu|ap|sa|ca|me|af|il|mx|cn)"
    r"[_-](?:(?:north|south)(?:east|west)?|east|west|central)[_-][0-9]{1,2}[a-z]?"
    r"(?![a-z0-9])",
    re.IGNORECASE,
)
# The id of a zone, which is the same in every account: use1-az1, usgw1-az2.
_ZONE = re.compile(
    r"(?<![a-z0-9])"
    r"(?P<area>usg|cn|(?:us|eu|ap|sa|ca|me|af|il|mx)(?=[nsewc]))(?:[ns][ew]|[nsewc])"
    r"[0-9]-az[0-9]{1,2}(?![a-z0-9])",
    re.IGNORECASE,
)
# All other areas are commercial.
_AREAS = {
    "cn": "aws-cn",
    "eu-isoe": "aws-iso-e",
    "eusc-de": "aws-eusc",
    "us-gov": "aws-us-gov",
    "us-iso": "aws-iso",
    "us-isob": "aws-iso-b",
    "us-isof": "aws-iso-f",
    "usg": "aws-us-gov",
}
# Ends of hosts that one partition has, whatever stands before them.
_SUFFIXES = {
    "amazonaws-us-gov.com": "aws-us-gov",
    "amazonaws.cn": "aws-cn",
    "amazonaws.com.cn": "aws-cn",
    "amazonaws.eu": "aws-eusc",
    "amazonwebservices.com.cn": "aws-cn",
    "awsapps.com": "aws",
    "c2s.ic.gov": "aws-iso",
    "cloud.adc-e.uk": "aws-iso-e",
    "cloudfront.net": "aws",
    "console.aws.amazon.com": "aws",
    "csp.hci.ic.gov": "aws-iso-f",
    "public.ecr.aws": "aws",
    "quicksight.aws.amazon.com": "aws",
    "sc2s.sgov.gov": "aws-iso-b",
    "signin.aws.amazon.com": "aws",
    "azmk8s.io": "azure",
    "azure-api.net": "azure",
    "azure.com": "azure",
    "azure.net": "azure",
    "azurecr.io": "azure",
    "azurewebsites.net": "azure",
    "graph.microsoft.com": "azure",
    "microsoftonline.com": "azure",
    "trafficmanager.net": "azure",
    "windows.net": "azure",
    "azure.us": "azure-us-gov",
    "azurecr.us": "azure-us-gov",
    "azurewebsites.us": "azure-us-gov",
    "microsoftazure.us": "azure-us-gov",
    "microsoftonline.us": "azure-us-gov",
    "graph.microsoft.us": "azure-us-gov",
    "usgovcloudapi.net": "azure-us-gov",
    "usgovtrafficmanager.net": "azure-us-gov",
    "azure.cn": "azure-cn",
    "azurecr.cn": "azure-cn",
    "chinacloudapi.cn": "azure-cn",
    "chinacloudsites.cn": "azure-cn",
    "microsoftonline.cn": "azure-cn",
    "trafficmanager.cn": "azure-cn",
}
# Ends of hosts that several have: the region before them says which, and no region is commercial.
_SHARED = (
    "amazonaws.com",
    "amazoncognito.com",
    "api.aws",
    "awsapprunner.com",
    "elasticbeanstalk.com",
    "on.aws",
    "quicksight.aws.amazon.com",
)
# Before the region in S3's older endpoints: s3-us-gov-west-1, s3-website-us-gov-west-1.
_OLD_S3 = re.compile(r"^s3-(?:(?:fips|website)-)?")
# Domains below which clouds name Kubernetes' labels and drivers; nothing answers there.
_LABELS = re.compile(
    r"(?:eks|vpc|(?:[\w-]+\.)*k8s)\.amazonaws\.com"
    r"|(?:[\w-]+\.)*(?:kubernetes|csi)\.azure\.com"
)
_PLACEHOLDER = re.compile(rf"{re.escape(PLACEHOLDER_HOST)}/[\w./-]+@sha256:[0-9a-f]{{64}}")
# What word processors and web pages make of a hyphen.
_DASHES = dict.fromkeys(map(ord, "\u2010\u2011\u2012\u2013\u2014\u2015"), "-")
_LONGEST = 80


def foreign(text: str, own: str, carried: frozenset[str] = frozenset()) -> set[Named]:
    """What `text` names of other partitions than `own`, each by its largest name alone: an ARN
    and not the region in it.

    `carried` are placeholders of images in the bundle. The host within one says where the image
    came from, and nothing goes there.
    """
    found: set[Named] = set()

    def cut(match: re.Match[str], read: Callable[[re.Match[str]], Named | None]) -> str:
        name = read(match)
        # Of another cloud is not of another partition: that is for the rule of external hosts.
        if name is None or name.partition == own or _cloud(name.partition) != _cloud(own):
            return match[0]
        found.add(name)
        return " "

    text = plain(text).translate(_DASHES)
    text = _PLACEHOLDER.sub(lambda match: "" if match[0] in carried else match[0], text)
    for pattern, read in ((_ARN, _arn), (_HOST, _host), (_REGION, _region), (_ZONE, _zone)):
        text = pattern.sub(partial(cut, read=read), text)
    return found


def _arn(match: re.Match[str]) -> Named:
    text = match[0] if len(match[0]) <= _LONGEST else f"{match[0][: _LONGEST - 1]}…"
    return Named("ARN", text, match["partition"])


def _host(match: re.Match[str]) -> Named | None:
    host = match[0].lower().strip("-_")
    if _LABELS.fullmatch(host):
        return None
    name = host.lstrip("*.")
    # Below the bare suffix are the hosts of several partitions: an exception for a proxy, say.
    for suffix in _SHARED:
        if name.endswith(f".{suffix}"):
            return Named("host", host, _by_region(name.removesuffix(f".{suffix}")))
    for suffix, partition in _SUFFIXES.items():
        if name == suffix or name.endswith(f".{suffix}"):
            return Named("host", host, partition)
    return None


def _by_region(labels: str) -> str:
    """Whose endpoint it is: the region stands last, or before the service (REGION.elb).

    All else, and what stands before S3's own name, is called as a customer likes: a bucket.
    """
    *_, before, last = ("", *labels.split("."))
    region = _REGION.fullmatch(_OLD_S3.sub("", last))
    if region is None and not last.startswith("s3"):
        region = _REGION.fullmatch(before)
    if region is not None:
        return _of_area(region["area"])
    return "aws-us-gov" if last == "us-gov" else "aws"


def _region(match: re.Match[str]) -> Named:
    return Named("region", match[0], _of_area(match["area"]))


def _zone(match: re.Match[str]) -> Named:
    return Named("zone", match[0], _of_area(match["area"]))


def _cloud(partition: str) -> str:
    return partition.partition("-")[0]


def _of_area(area: str) -> str:
    return _AREAS.get(area.lower().replace("_", "-"), "aws")
