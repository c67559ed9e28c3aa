"""What belongs to a partition of AWS and what only looks so, in the style of real manifests."""

from __future__ import annotations

from typing import Any

from bundler.core.objects.manifests import JsonObject
from tests.core.rules.host_table import schema, secret
from tests.core.rules.objects import (
    DIGEST,
    annotated,
    args,
    config_map,
    container,
    custom,
    deployment,
    env,
    pod_spec,
)

ECR = "123456789012.dkr.ecr.us-east-1.amazonaws.com"
FROM_ECR = f"registry.airbundle.invalid/{ECR}/team/server@{DIGEST}"
FROM_ACR = f"registry.airbundle.invalid/team.azurecr.io/server@{DIGEST}"
ROLE = "eks.amazonaws.com/role-arn"


def image(reference: str) -> JsonObject:
    return deployment(pod_spec(containers=[container(image=reference)]))


def selected(**labels: str) -> JsonObject:
    names = {"region": "topology.kubernetes.io/region", "zone": "topology.kubernetes.io/zone"}
    return deployment(pod_spec(nodeSelector={names[key]: value for key, value in labels.items()}))


def token(audience: str) -> JsonObject:
    source = {"serviceAccountToken": {"audience": audience, "path": "token"}}
    return deployment(pod_spec(volumes=[{"name": "t", "projected": {"sources": [source]}}]))


def keyed(key: str) -> JsonObject:
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "s"}, "data": {key: "x"}}


# In a target for GovCloud: what, object, what must be named
FOREIGN: tuple[tuple[str, JsonObject, str], ...] = (
    (
        "a role",
        annotated(ROLE, "arn:aws:iam::123456789012:role/s"),
        "ARN 'arn:aws:iam::123456789012:role/s' of the partition aws",
    ),
    (
        "a role of China",
        annotated(ROLE, "arn:aws-cn:iam::123456789012:role/s"),
        "ARN 'arn:aws-cn:iam::123456789012:role/s' of the partition aws-cn",
    ),
    (
        "a policy that AWS keeps",
        args("--policy", "arn:aws:iam::aws:policy/ReadOnlyAccess"),
        "ARN 'arn:aws:iam::aws:policy/ReadOnlyAccess' of the partition aws",
    ),
    (
        "an ARN with escapes",
        args("--arn=arn%3Aaws%3As3%3A%3A%3Amodels"),
        "ARN 'arn:aws:s3:::models' of the partition aws",
    ),
    (
        "an ARN with a region is one thing",
        args("arn:aws:sqs:us-east-1:123456789012:jobs"),
        "ARN 'arn:aws:sqs:us-east-1:123456789012:jobs' of the partition aws",
    ),
    (
        "a region in GovCloud's own ARN",
        args("arn:aws-us-gov:sqs:eu-west-1:123456789012:jobs"),
        "region 'eu-west-1' of the partition aws",
    ),
    ("a region", env("AWS_REGION", "us-east-1"), "region 'us-east-1' of the partition aws"),
    ("a region in an argument", args("--region=ap-southeast-2"), "region 'ap-southeast-2'"),
    ("a region with two digits", args("--region=us-west-12"), "region 'us-west-12'"),
    (
        "a region of China",
        env("REGION", "cn-northwest-1"),
        "'cn-northwest-1' of the partition aws-cn",
    ),
    (
        "a secret region",
        env("REGION", "us-isob-east-1"),
        "'us-isob-east-1' of the partition aws-iso-b",
    ),
    ("a constant", config_map(app_py="Region.US_EAST_1"), "region 'US_EAST_1'"),
    ("a zone", selected(zone="us-east-1a"), "region 'us-east-1a' of the partition aws"),
    ("a local zone", selected(zone="us-east-1-bos-1a"), "region 'us-east-1' of the partition aws"),
    ("the id of a zone", args("--zone-id", "use1-az1"), "zone 'use1-az1' of the partition aws"),
    ("a user pool", env("POOL", "us-west-2_aBcDeF123"), "region 'us-west-2' of the partition aws"),
    ("a bucket's name", env("BUCKET", "models-eu-central-1"), "region 'eu-central-1'"),
    (
        "an endpoint",
        env("S3", "https://s3.us-west-2.amazonaws.com"),
        "host 's3.us-west-2.amazonaws.com' of the partition aws",
    ),
    (
        "an endpoint with FIPS",
        env("S3", "https://s3-fips.us-west-2.amazonaws.com"),
        "host 's3-fips.us-west-2.amazonaws.com' of the partition aws",
    ),
    (
        "an endpoint without a region",
        env("STS", "https://sts.amazonaws.com"),
        "host 'sts.amazonaws.com' of the partition aws",
    ),
    (
        "a bucket called like a region",
        env("S3", "https://us-gov-west-1.s3.us-east-1.amazonaws.com"),
        "host 'us-gov-west-1.s3.us-east-1.amazonaws.com' of the partition aws",
    ),
    (
        "a bucket called like a region, where the region goes unsaid",
        env("S3", "https://us-gov-west-1.s3.amazonaws.com"),
        "host 'us-gov-west-1.s3.amazonaws.com' of the partition aws",
    ),
    (
        "a bucket with a region in its name",
        env("S3", "https://us-gov-west-1-models.s3.amazonaws.com"),
        "host 'us-gov-west-1-models.s3.amazonaws.com' of the partition aws",
    ),
    (
        "a bucket called like an endpoint",
        env("S3", "s3-us-gov-west-1.x.s3.amazonaws.com"),
        "host 's3-us-gov-west-1.x.s3.amazonaws.com' of the partition aws",
    ),
    (
        "a faster bucket",
        env("S3", "us-gov-west-1.s3-accelerate.amazonaws.com"),
        "host 'us-gov-west-1.s3-accelerate.amazonaws.com' of the partition aws",
    ),
    (
        "a bucket called like GovCloud",
        env("S3", "us-gov.x.s3.amazonaws.com"),
        "host 'us-gov.x.s3.amazonaws.com' of the partition aws",
    ),
    (
        "an environment called like a region",
        env("APP", "app-us-gov-west-1.elasticbeanstalk.com"),
        "host 'app-us-gov-west-1.elasticbeanstalk.com' of the partition aws",
    ),
    (
        "an old endpoint",
        env("S3", "s3-eu-west-1.amazonaws.com"),
        "host 's3-eu-west-1.amazonaws.com'",
    ),
    (
        "with two stacks",
        env("S3", "s3.dualstack.eu-west-1.api.aws"),
        "'s3.dualstack.eu-west-1.api.aws'",
    ),
    (
        "a function",
        args("https://x.lambda-url.us-east-1.on.aws/"),
        "host 'x.lambda-url.us-east-1.on.aws'",
    ),
    ("all hosts of a service", env("NO_PROXY", "*.s3.amazonaws.com"), "host '*.s3.amazonaws.com'"),
    ("in capitals", env("S3", "S3.AmazonAWS.com"), "host 's3.amazonaws.com' of the partition aws"),
    (
        "an endpoint of China",
        env("S3", "s3.cn-north-1.amazonaws.com.cn"),
        "host 's3.cn-north-1.amazonaws.com.cn' of the partition aws-cn",
    ),
    ("an isolated endpoint", env("S3", "s3.us-iso-east-1.c2s.ic.gov"), "of the partition aws-iso"),
    (
        "a console",
        args("https://us-east-1.console.aws.amazon.com/s3"),
        "host 'us-east-1.console.aws.amazon.com' of the partition aws",
    ),
    (
        "QuickSight",
        args("https://quicksight.aws.amazon.com/sn/start"),
        "host 'quicksight.aws.amazon.com' of the partition aws",
    ),
    ("App Runner", args("https://x.awsapprunner.com"), "host 'x.awsapprunner.com'"),
    (
        "App Runner with a region",
        args("https://x.us-east-1.awsapprunner.com"),
        "host 'x.us-east-1.awsapprunner.com' of the partition aws",
    ),
    *(
        (f"a dash U+{ord(dash):X}", args(f"us{dash}east{dash}1"), "region 'us-east-1'")
        for dash in "\u2010\u2011\u2012\u2013\u2014\u2015"
    ),
    ("a public image", args("--image", "public.ecr.aws/x/y:1"), "host 'public.ecr.aws'"),
    (
        "a distribution",
        config_map(page="src=//d111.cloudfront.net/x.js"),
        "host 'd111.cloudfront.net'",
    ),
    ("a registry in an argument", args(f"--mirror={ECR}"), f"host '{ECR}' of the partition aws"),
    ("an image that does not travel", image(f"{ECR}/team/server:1"), f"host '{ECR}'"),
    ("a placeholder that does not travel", image(FROM_ECR.replace("ab", "cd")), f"host '{ECR}'"),
    ("a key of a ConfigMap", keyed("us-east-1.json"), "region 'us-east-1' of the partition aws"),
    ("inside of JSON", config_map(x='{"region\\u003a": "us\\u002deast-1"}'), "region 'us-east-1'"),
    ("inside of a Secret", secret("[default]\nregion = us-east-2\n"), "region 'us-east-2'"),
    (
        "a custom resource",
        custom("karpenter.k8s.aws/v1", "EC2NodeClass", role="arn:aws:iam::1:role/n"),
        "ARN 'arn:aws:iam::1:role/n' of the partition aws",
    ),
    (
        "a default of a schema",
        schema(properties={"region": {"default": "us-east-1"}}),
        "region 'us-east-1'",
    ),
)

# In a target for GovCloud: what, object
OWN: tuple[tuple[str, JsonObject], ...] = (
    ("its role", annotated(ROLE, "arn:aws-us-gov:iam::123456789012:role/server")),
    ("its region", env("AWS_REGION", "us-gov-west-1")),
    ("its zone", selected(region="us-gov-east-1", zone="us-gov-east-1b")),
    ("its zone's id", args("--zone-id=usgw1-az2")),
    ("its endpoint", env("S3", "https://s3-fips.us-gov-west-1.amazonaws.com")),
    ("its old endpoint", env("S3", "s3-us-gov-west-1.amazonaws.com")),
    ("its old website", env("S3", "models.s3-website-us-gov-west-1.amazonaws.com")),
    ("its load balancer", args("x-1.us-gov-west-1.elb.amazonaws.com")),
    ("its cluster", args("https://ABC.gr7.us-gov-west-1.eks.amazonaws.com")),
    ("its private endpoint", args("vpce-1.s3.us-gov-west-1.vpce.amazonaws.com")),
    ("its bucket in two labels", env("S3", "a.us-east.s3.us-gov-west-1.amazonaws.com")),
    ("its QuickSight", args("https://us-gov-west-1.quicksight.aws.amazon.com")),
    ("its endpoint without a region", env("IAM", "https://iam.us-gov.amazonaws.com")),
    ("its console", args("https://console.amazonaws-us-gov.com")),
    ("its registry", args("123456789012.dkr.ecr-fips.us-gov-west-1.amazonaws.com/team/x")),
    ("all of AWS past the proxy", env("NO_PROXY", ".amazonaws.com,*.amazonaws.com,.api.aws")),
    ("an image that came from elsewhere", image(FROM_ECR)),
    ("and is named in a text", config_map(x=f'{{"sidecar": "{FROM_ECR}"}}')),
    ("a label of EKS", annotated("eks.amazonaws.com/nodegroup", "vpc.amazonaws.com/pod-eni")),
    ("a label of kops", args("--label=node.k8s.amazonaws.com/instancegroup=gpu")),
    ("a resource of Neuron", custom("v1", "Thing", name="aws.amazon.com/neuron")),
    ("the audience of a token", token("sts.amazonaws.com")),
    ("any partition", args("arn:${AWS_PARTITION}:s3:::models", "arn:*:s3:::models")),
    (
        "inside of other words",
        args("campus-east-1st", "status-east-1", "bonus-west-2", "us-east-1st"),
    ),
    ("a region of somebody else", args("us-east1", "us-east1-b", "eastus-1", "europe-west-1")),
    ("words", args("us-central", "us-east-", "me-too-1", "eu-west-123", "use-az1", "cause1-az1")),
    ("a package", args("com.amazonaws.services.s3.AmazonS3", "software.amazon.awssdk")),
    (
        "a host that ends alike",
        args("notamazonaws.com", "x.myamazonaws.com", "amazonaws.com.example"),
    ),
    ("a description", schema(properties={"region": {"description": "such as us-east-1"}})),
)

# In a target for Azure Government: what, object, what must be named
FOREIGN_TO_AZURE: tuple[tuple[str, JsonObject, str], ...] = (
    (
        "a commercial account of storage",
        env("BLOB", "https://models.blob.core.windows.net/x"),
        "host 'models.blob.core.windows.net' of the partition azure",
    ),
    (
        "the commercial authority",
        env("AZURE_AUTHORITY_HOST", "https://login.microsoftonline.com/"),
        "host 'login.microsoftonline.com' of the partition azure",
    ),
    ("a registry", args("--mirror=team.azurecr.io"), "host 'team.azurecr.io'"),
    ("a vault", env("VAULT", "https://keys.vault.azure.net"), "host 'keys.vault.azure.net'"),
    ("the manager", args("https://management.azure.com"), "host 'management.azure.com'"),
    (
        "an account of China",
        env("BLOB", "https://models.blob.core.chinacloudapi.cn"),
        "of the partition azure-cn",
    ),
)

# In a target for Azure Government: what, object
OWN_TO_AZURE: tuple[tuple[str, JsonObject], ...] = (
    ("its storage", env("BLOB", "https://models.blob.core.usgovcloudapi.net")),
    ("its authority", env("AZURE_AUTHORITY_HOST", "https://login.microsoftonline.us/")),
    ("its registry", args("--mirror=team.azurecr.us")),
    ("a label of AKS", args("--label=kubernetes.azure.com/accelerator")),
    ("a driver", custom("v1", "Thing", driver="disk.csi.azure.com")),
    ("its zone's label", args("topology.disk.csi.azure.com/zone")),
    ("a region of AWS, which is no partition of Azure", env("REGION", "us-east-1")),
    ("a host that ends alike", args("notazure.com", "login.microsoftonline.com.example")),
    ("an image that came from elsewhere", image(FROM_ACR)),
)

ENUM: dict[str, Any] = {
    "name": "region",
    "type": "enum",
    "default": "us-gov-west-1",
    "values": ("us-gov-west-1", "us-east-1"),
    "description": "Where it runs",
}
