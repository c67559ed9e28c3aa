"""Every wrong document, by kind."""

from __future__ import annotations

from tests.core.documents.bad_bundles import BAD_BUNDLES
from tests.core.documents.bad_parameters import BAD_PARAMETERS
from tests.core.documents.bad_policies import BAD_POLICIES, BAD_TRUST

BAD = {
    "Bundle": BAD_BUNDLES | BAD_PARAMETERS,
    "TrustPolicy": BAD_TRUST,
    "Policy": BAD_POLICIES,
}
