"""A runner of programs that starts none: it records what was asked and answers from a table."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from bundler.core.errors import ToolError
from bundler.tools.process import TIMEOUT, Runner


@dataclass(frozen=True)
class Call:
    argv: tuple[str, ...]
    cwd: Path | None
    env: Mapping[str, str]
    timeout: float


@dataclass
class RecordingRunner:
    """Answers with what `answer` gives for the arguments; None is a program that fails."""

    answer: Callable[[tuple[str, ...]], bytes | None]
    calls: list[Call] = field(default_factory=list)

    def __call__(
        self,
        argv: Sequence[str],
        *,
        cwd: Path | None = None,
        env: Mapping[str, str] | None = None,
        timeout: float = TIMEOUT,
    ) -> bytes:
        self.calls.append(Call(tuple(argv), cwd, dict(env or {}), timeout))
        answer = self.answer(tuple(argv))
        if answer is None:
            raise ToolError(f"{argv[0]}: expected exit status 0, found 1")
        return answer


_: type[Runner] = RecordingRunner
