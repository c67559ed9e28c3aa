"""What is outside of this process: the one place with subprocess and the one place with HTTP."""

import sys

# httpx loads its own command, too, where rich is installed (checkov brings it), and spends a third
# of its time on that. None stands for a module that is not there (Python's import system, 5.3.1).
sys.modules.setdefault("httpx._main", None)  # type: ignore[arg-type]
