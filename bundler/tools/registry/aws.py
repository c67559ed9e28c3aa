"""ECR's repositories, made by Amazon's own `aws`: the registry's API can't.

It knows every way to be somebody in AWS (profiles, SSO, roles of a machine or a pod), FIPS
endpoints and the isolated regions; nothing of that is told again here.
https://docs.aws.amazon.com/cli/latest/reference/ecr/create-repository.html
"""

from __future__ import annotations

import os
import shlex
import shutil

from bundler.core.errors import SourceError, ToolError
from bundler.core.registries import SiteRegistry
from bundler.tools.process import Runner, run

_THERE = "RepositoryAlreadyExistsException"


def create_repository(registry: SiteRegistry, repository: str, runner: Runner = run) -> None:
    """Make `repository` (its whole name); that it is there already is as good.

    SourceError with the command that does it when `aws` is not on PATH, or fails.
    """
    program = require_program(registry, repository)
    command = _command(registry, repository)
    try:
        runner([program, *command[1:]], env=os.environ)
    except ToolError as error:
        if _THERE not in error.message:
            raise SourceError(
                f"registry {registry.registry.host}: the repository {repository} can't be made: "
                f"{error.message}",
                f"have somebody run it who may: {shlex.join(command)}",
            ) from error


def require_program(registry: SiteRegistry, repository: str) -> str:
    """Where `aws` is; SourceError with the command to run elsewhere when it is not on PATH."""
    program = shutil.which("aws")
    if program is None:
        raise SourceError(
            f"registry {registry.registry.host}: has no repository {repository}, and ECR wants "
            "each to be made first; `aws`, which does that, is not on PATH",
            f"install it, or have somebody run {shlex.join(_command(registry, repository))}",
        )
    return program


def _command(registry: SiteRegistry, repository: str) -> list[str]:
    place = registry.aws
    account = [] if place is None else ["--registry-id", place[0], "--region", place[1]]
    return ["aws", "ecr", "create-repository", "--repository-name", repository, *account]
