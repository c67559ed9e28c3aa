"""The small parts: servers that come and go, the installer, the model, the other Python."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from tests.parts import components, install, minilm
from tests.parts.components import GoTool
from tests.parts.service import Service, ServiceError, free_ports, running

SERVER = ["-m", "http.server", "--bind", "127.0.0.1"]


def test_a_server_is_ready_and_is_ended(tmp_path: Path) -> None:
    port = free_ports(1)[0]
    argv = [sys.executable, *SERVER, str(port)]
    with running(argv, tmp_path / "log") as service:
        service.wait_ready(f"http://127.0.0.1:{port}/")
    with socket.socket() as probe:
        assert probe.connect_ex(("127.0.0.1", port)) != 0


def test_a_server_that_ends_early_says_why(tmp_path: Path) -> None:
    service = Service([sys.executable, "-c", "raise SystemExit('no disk')"], tmp_path / "log")
    with pytest.raises(ServiceError, match="ended by itself:\nno disk"):
        service.wait_ready(f"http://127.0.0.1:{free_ports(1)[0]}/")


def test_a_server_that_is_never_ready(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tests.parts.service.READY_WITHIN", 0.0)
    argv = [sys.executable, "-c", "import signal; signal.pause()"]
    with running(argv, tmp_path / "log") as service, pytest.raises(ServiceError, match="not ready"):
        service.wait_ready(f"http://127.0.0.1:{free_ports(1)[0]}/")


def test_free_ports_differ() -> None:
    assert len(set(free_ports(20))) == 20


def test_the_installer_names_what_it_does_not_know(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        install.main(["krane"])
    assert "no component krane; there are " in capsys.readouterr().err


def test_the_installer_leaves_alone_what_is_there(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(components, "find_program", lambda name: Path("/bin", name))
    assert install.main(["skopeo"]) == 0
    assert capsys.readouterr().out == "skopeo: already there, 0.0 s\n"


def test_the_installer_fails_for_one_and_goes_on(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(components, "find_program", lambda name: None)
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    assert install.main(["skopeo", "crane"]) == 1
    assert capsys.readouterr().out.splitlines() == [
        "skopeo: FAILED: as root on Debian: apt-get install skopeo",
        "crane: FAILED: needs Go (1.21 for kustomize, 1.26 for the others) on PATH",
    ]


@pytest.mark.needs("go")
def test_the_installer_builds_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    module = tmp_path / "module"
    module.mkdir()
    (module / "go.mod").write_text("module example.invalid/hello\n\ngo 1.21\n")
    source = module / "main.go"
    source.write_text('package main\n\nfunc main() { println("one") }\n')
    monkeypatch.setattr(components, "TOOLS", tmp_path / "tools")
    monkeypatch.setattr(components, "GO_TOOLS", {"hello": GoTool(str(module), ".")})
    assert install.main(["hello"]) == install.main(["hello"]) == 0
    source.write_text('package main\n\nfunc main() { println("two") }\n')
    assert install.main(["hello"]) == 0
    outcomes = [line.split(",")[0] for line in capsys.readouterr().out.splitlines()]
    assert outcomes == ["hello: built", "hello: already built", "hello: built"]
    done = subprocess.run([tmp_path / "tools" / "hello"], capture_output=True, check=False)
    assert done.stderr == b"two\n"


def test_the_model_is_whole(minilm: Path) -> None:
    names = {path.relative_to(minilm).as_posix() for path in minilm.rglob("*") if path.is_file()}
    wanted = {"config.json", "model.safetensors", "tokenizer.json", "vocab.txt"}
    assert wanted | {"1_Pooling/config.json"} <= names
    assert (minilm / "model.safetensors").stat().st_size == 90_868_376


def test_a_wheel_with_other_bytes_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pin = tmp_path / "pin.txt"
    pin.write_text(minilm._PIN.read_text().replace("b9a0018d", "00000000"))
    monkeypatch.setattr(minilm, "_PIN", pin)
    with pytest.raises(minilm.FetchError, match="b9a0018d"):
        minilm._download(tmp_path)


def test_the_second_python_is_another(second_python: Path) -> None:
    script = "import sys; print(sys.version_info >= (3, 11), sys.version_info.minor)"
    done = subprocess.run(
        [second_python, "-c", script], capture_output=True, text=True, check=False
    )
    new_enough, minor = done.stdout.split()
    assert new_enough == "True"
    assert int(minor) != sys.version_info.minor
