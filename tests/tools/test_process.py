"""Programs are started bare, and ended when they overstay."""

from __future__ import annotations

import os
import select
import sys
import time
from pathlib import Path

import pytest

from bundler.core.errors import ToolError
from bundler.tools.process import run
from tests.fakes.runner import RecordingRunner

FORTY_LINES = "import sys; [print('line', n, file=sys.stderr) for n in range(40)]; sys.exit(3)"
# A child that holds on to standard output when its parent is gone.
CHILD = """
import subprocess, sys
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
print(child.pid, file=open(sys.argv[1], "w"), flush=True)
"""


def python(code: str, *more: str) -> list[str]:
    return [sys.executable, "-c", code, *more]


def test_the_output_comes_back() -> None:
    assert run(python("print('x' * 200_000)")) == b"x" * 200_000 + b"\n"


def test_arguments_are_no_shell_line(tmp_path: Path) -> None:
    argument = f"$(touch {tmp_path}/x); *"
    assert run(python("import sys; print(sys.argv[1])", argument)) == f"{argument}\n".encode()
    assert list(tmp_path.iterdir()) == []


def test_the_environment_is_what_was_given(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SECRET", "s")
    code = "import os; print(sorted(os.environ.items()))"
    assert run(python(code), env={"A": "1"}) == b"[('A', '1'), ('LC_ALL', 'C.UTF-8')]\n"


def test_there_is_no_input_and_the_folder_is_the_one_given(tmp_path: Path) -> None:
    code = "import os, sys; print(repr(sys.stdin.read()), os.getcwd())"
    assert run(python(code), cwd=tmp_path) == f"'' {tmp_path.resolve()}\n".encode()


def test_a_failure_has_the_last_lines() -> None:
    with pytest.raises(ToolError, match="expected exit status 0, found 3") as raised:
        run(python(FORTY_LINES))
    lines = raised.value.message.splitlines()
    assert lines[1:] == [f"  line {number}" for number in range(30, 40)]
    assert raised.value.exit_code == 6


def test_the_folder_it_ran_in_takes_no_room_in_what_it_said(tmp_path: Path) -> None:
    deep = tmp_path / ("d" * 200)
    deep.mkdir()
    link = tmp_path / "link"
    link.symlink_to(deep)
    code = "import os, sys; sys.exit(f'{os.getcwd()}/a ' * 5 + sys.argv[1] + '/b the end')"
    with pytest.raises(ToolError) as raised:
        run(python(code, str(link)), cwd=link)
    assert str(raised.value.message).splitlines()[1:] == ["  a a a a a b the end"]


def test_a_signal_is_a_failure() -> None:
    with pytest.raises(ToolError, match="found -9"):
        run(python("import os, signal; os.kill(os.getpid(), signal.SIGKILL)"))


def test_a_program_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(ToolError, match=r"/nothing: can't be started: No such file"):
        run([f"{tmp_path}/nothing"])


def test_a_program_that_takes_too_long_is_ended() -> None:
    started = time.monotonic()
    with pytest.raises(ToolError, match=r"took longer than 0.2 seconds"):
        run(python("import time; print('x', flush=True); time.sleep(60)"), timeout=0.2)
    assert time.monotonic() - started < 30


def test_a_program_that_closes_its_output_and_stays_is_ended() -> None:
    code = "import os, time; os.close(1); os.close(2); time.sleep(60)"
    with pytest.raises(ToolError, match="took longer"):
        run(python(code), timeout=0.5)


def test_what_it_started_is_ended_with_it(tmp_path: Path) -> None:
    note = tmp_path / "pid"
    with pytest.raises(ToolError, match="took longer"):
        run(python(CHILD, str(note)), timeout=3)
    assert has_ended(int(note.read_text()))


def has_ended(pid: int) -> bool:
    """Whether the process ends within seconds; by itself it would stay for a minute."""
    try:
        descriptor = os.pidfd_open(pid)
    except ProcessLookupError:
        return True
    try:
        return bool(select.select([descriptor], [], [], 10)[0])
    finally:
        os.close(descriptor)


@pytest.mark.parametrize("stream", ["stdout", "stderr"])
def test_a_program_that_writes_too_much_is_ended(stream: str) -> None:
    code = f"import sys; sys.{stream}.write('x' * 3_000_000)"
    with pytest.raises(ToolError, match="wrote more than 1000000 bytes"):
        run(python(code), limit=1_000_000)
    assert run(python(code), limit=3_000_000) in (b"", b"x" * 3_000_000)


def test_the_fake_records_and_fails_like_the_real_one() -> None:
    fake = RecordingRunner(lambda argv: b"yes" if argv[1] == "good" else None)
    assert fake(["/x", "good"], env={"A": "1"}) == b"yes"
    with pytest.raises(ToolError):
        fake(["/x", "bad"])
    assert [call.argv for call in fake.calls] == [("/x", "good"), ("/x", "bad")]
    assert fake.calls[0].env == {"A": "1"}


def test_no_descriptor_stays_open() -> None:
    before = len(os.listdir("/proc/self/fd"))
    with pytest.raises(ToolError):
        run(python("import time; time.sleep(60)"), timeout=0.1)
    run(python("pass"))
    assert len(os.listdir("/proc/self/fd")) == before
