"""Our hub, judged by the real client: what it downloads by its own means is what was put there."""

from __future__ import annotations

import hashlib
import subprocess
import sys
from pathlib import Path

import pytest

from tests.parts.components import ROOT
from tests.parts.hub import Hub
from tests.parts.hubrepos import files_below

CHILD = """
import sys
from huggingface_hub import HfApi, snapshot_download
name, folder = sys.argv[1:]
snapshot_download(name, local_dir=folder)
info = HfApi().model_info(name, files_metadata=True)
for file in info.siblings:
    print(file.rfilename, file.size, file.lfs.sha256 if file.lfs else None)
"""


def _snapshot(endpoint: str, name: str, folder: Path) -> list[str]:
    """What the client prints of the files; its snapshot is in `folder` then."""
    environment = {"HF_ENDPOINT": endpoint, "HF_HOME": str(folder / "home"), "NO_PROXY": "*"}
    argv = [sys.executable, "-c", CHILD, name, str(folder / "snapshot")]
    done = subprocess.run(argv, env=environment, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


def _read(folder: Path) -> dict[str, bytes]:
    paths = [path for path in folder.rglob("*") if path.is_file()]
    found = {str(path.relative_to(folder)): path.read_bytes() for path in paths}
    return {path: data for path, data in found.items() if not path.startswith(".cache/")}


@pytest.mark.needs("minilm")
def test_the_clients_own_snapshot_is_what_the_hub_holds(
    hub: Hub, minilm: Path, tmp_path: Path
) -> None:
    hub.add("sentence-transformers/all-MiniLM-L6-v2", files_below(minilm))
    told = _snapshot(hub.endpoint, "sentence-transformers/all-MiniLM-L6-v2", tmp_path)
    assert _read(tmp_path / "snapshot") == _read(minilm)
    weights = (minilm / "model.safetensors").read_bytes()
    line = f"model.safetensors {len(weights)} {hashlib.sha256(weights).hexdigest()}"
    assert line in told


def test_names_that_a_url_can_not_hold_arrive(hub: Hub, tmp_path: Path) -> None:
    files = {"a b?c#d/é 100%.json": b"{}", "empty": b""}
    hub.add("org/odd", files)
    hub.page = 1
    _snapshot(hub.endpoint, "org/odd", tmp_path)
    assert _read(tmp_path / "snapshot") == files
    assert len(hub.asked("/tree/")) == 3


def test_the_module_serves_folders(tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    (folder / "config.json").write_bytes(b"{}")
    argv = [sys.executable, "-m", "tests.parts.hub", f"org/tiny={folder}"]
    with subprocess.Popen(argv, cwd=ROOT, stdout=subprocess.PIPE, text=True) as server:
        try:
            assert server.stdout is not None
            endpoint = server.stdout.readline().strip()
            _snapshot(endpoint, "org/tiny", tmp_path / "copy")
        finally:
            server.terminate()
    assert _read(tmp_path / "copy" / "snapshot") == {"config.json": b"{}"}
