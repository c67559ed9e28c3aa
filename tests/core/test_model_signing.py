"""The statement about a model is the one that OpenSSF's own library makes of the same files."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from bundler.core.digest import Digest
from bundler.core.lock import LockedFile
from bundler.core.model_signing import model_statement
from tests.parts.model_signing import signed_by_the_library

# In the order of the library: folder by folder, then by code point.
NAMES = (
    ".gitattributes", "Q", "a/b", "a/b.c", "a/c/d", "a-b", "a.txt", "a0/x", "config.json", "é", "ﬀ",
    "😀/x",
)  # fmt: skip


def test_it_is_the_library_s_own(tmp_path: Path) -> None:
    folder = tmp_path / "mini"
    for name in NAMES:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(name.encode() * 3)
    files = [LockedFile(name, 1, Digest.of(name.encode() * 3)) for name in NAMES]
    made = json.loads(model_statement("mini", files))
    assert made == signed_by_the_library(folder, tmp_path)


@pytest.mark.parametrize("names", [NAMES, NAMES[::-1]])
def test_files_stand_folder_by_folder(names: tuple[str, ...]) -> None:
    files = [LockedFile(name, 1, Digest.of(name.encode())) for name in names]
    made = json.loads(model_statement("mini", files))
    resources = made["predicate"]["resources"]
    assert tuple(each["name"] for each in resources) == NAMES
    assert [each["digest"] for each in resources] == [Digest.of(n.encode()).hex for n in NAMES]
