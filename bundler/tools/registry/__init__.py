"""A registry as both halves of the OCI distribution specification 1.1 see it.

`destination` pushes, `source` pulls, `catalog` lists and takes away. `site` is what they know of a
registry, `login` answers its challenges, `credentials` reads what `docker login` left, `aws` makes
ECR's repositories.
"""

from bundler.tools.registry.catalog import RegistryCatalog
from bundler.tools.registry.destination import RegistryDestination
from bundler.tools.registry.source import NoImageError, RegistrySource

__all__ = ["NoImageError", "RegistryCatalog", "RegistryDestination", "RegistrySource"]
