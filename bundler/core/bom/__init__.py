"""The bill of materials: what it knows of models and of packages, and how CycloneDX spells it."""
