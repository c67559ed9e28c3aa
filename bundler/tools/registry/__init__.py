"""A registry as both halves of the OCI distribution specification 1.1 see it.

`destination` pushes, `source` pulls; `site` is what both know of a registry, `login` answers its
challenges, `credentials` reads what `docker login` left.
"""

from bundler.tools.registry.destination import RegistryDestination
from bundler.tools.registry.source import NoImageError, RegistrySource

__all__ = ["NoImageError", "RegistryDestination", "RegistrySource"]
