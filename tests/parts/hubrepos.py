"""What a hub holds: repositories with commits, branches and tags, and what it says of their files.

The shapes are those that `huggingface_hub` 2.4 reads (`hf_api.py`: ModelInfo, RepoFile). A file is
under LFS where the hub's own `.gitattributes` and its limit of 10 MB would put it.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

_LFS_SUFFIXES = (".bin", ".h5", ".msgpack", ".onnx", ".ot", ".pt", ".safetensors")
_LFS_FROM = 10 * 1024**2
_CHUNK = 64 * 1024
# A pointer says version, oid and size: https://github.com/git-lfs/git-lfs/blob/main/docs/spec.md
_POINTER = "version https://git-lfs.github.com/spec/v1\noid sha256:{}\nsize {}\n"


@dataclass(frozen=True)
class Content:
    """The bytes of one file, in memory or where they lie; `size` may be misstated on purpose."""

    path: str
    source: bytes | Path
    stated_size: int | None = None

    @cached_property
    def real_size(self) -> int:
        """How many bytes there are."""
        return len(self.source) if isinstance(self.source, bytes) else self.source.stat().st_size

    @property
    def size(self) -> int:
        """How many bytes the hub says that there are."""
        return self.real_size if self.stated_size is None else self.stated_size

    @property
    def lfs(self) -> bool:
        """Whether git holds only a pointer to it."""
        return self.path.endswith(_LFS_SUFFIXES) or self.real_size >= _LFS_FROM

    @cached_property
    def sha256(self) -> str:
        """Of the bytes, in hex: what an LFS pointer says."""
        state = hashlib.sha256()
        for chunk in self.read(0, self.real_size):
            state.update(chunk)
        return state.hexdigest()

    @cached_property
    def oid(self) -> str:
        """The name that git gives to the blob, in hex; for LFS the pointer's."""
        if self.lfs:
            data = [self._pointer]
            size = len(self._pointer)
        else:
            data = list(self.read(0, self.real_size))
            size = self.real_size
        state = hashlib.sha1(b"blob %d\0" % size)
        for chunk in data:
            state.update(chunk)
        return state.hexdigest()

    @property
    def etag(self) -> str:
        """What the hub's clients name a file by."""
        return self.sha256 if self.lfs else self.oid

    def read(self, begin: int, end: int) -> Iterator[bytes]:
        """The bytes from `begin` to before `end`."""
        if isinstance(self.source, bytes):
            for at in range(begin, end, _CHUNK):
                yield self.source[at : min(at + _CHUNK, end)]
            return
        with self.source.open("rb") as file:
            file.seek(begin)
            while begin < end and (chunk := file.read(min(_CHUNK, end - begin))):
                yield chunk
                begin += len(chunk)

    @property
    def _pointer(self) -> bytes:
        return _POINTER.format(self.sha256, self.real_size).encode()

    def sibling(self, blobs: bool) -> dict[str, Any]:
        """What the model's own page says of it."""
        found: dict[str, Any] = {"rfilename": self.path}
        if blobs:
            found |= {"size": self.size, "blobId": self.oid}
            if self.lfs:
                lfs = {"sha256": self.sha256, "size": self.size, "pointerSize": len(self._pointer)}
                found["lfs"] = lfs
        return found

    def entry(self) -> dict[str, Any]:
        """What the tree's listing says of it."""
        found: dict[str, Any] = {
            "type": "file", "oid": self.oid, "size": self.size, "path": self.path
        }  # fmt: skip
        if self.lfs:
            lfs = {"oid": self.sha256, "size": self.size, "pointerSize": len(self._pointer)}
            found["lfs"] = lfs
        return found


Files = Mapping[str, Content]


@dataclass
class Repo:
    """One model: each commit's files, and the commits that branches and tags stand at.

    `private`: as good as missing for who may not read it. `gated`: seen by all, read by `readers`.
    """

    name: str
    private: bool = False
    gated: bool = False
    readers: frozenset[str] = frozenset()
    commits: dict[str, Files] = field(default_factory=dict)
    refs: dict[str, str] = field(default_factory=dict)

    def commit(self, files: Mapping[str, bytes | Path], branch: str = "main") -> str:
        """Adds a commit with exactly these files, to which `branch` moves; its name."""
        contents = {path: Content(path, source) for path, source in sorted(files.items())}
        state = hashlib.sha1(f"{self.name} {len(self.commits)}".encode())
        for content in contents.values():
            state.update(f"{content.path}\0{content.size}\0".encode("utf-8", "surrogatepass"))
        found = state.hexdigest()
        self.commits[found] = contents
        self.refs[branch] = found
        return found

    def misstate(self, path: str, size: int, commit: str) -> None:
        """From now on the hub says that the file has `size` bytes."""
        files = self.commits[commit]
        told = Content(path, files[path].source, size)
        self.commits[commit] = {**files, path: told}

    def find(self, revision: str) -> str | None:
        """The commit that a branch, a tag or a commit's own name means."""
        return revision if revision in self.commits else self.refs.get(revision)

    def info(self, commit: str, blobs: bool) -> dict[str, Any]:
        """The answer to `model_info`."""
        return {
            "_id": hashlib.sha1(self.name.encode()).hexdigest()[:24],
            "id": self.name,
            "modelId": self.name,
            "author": self.name.partition("/")[0],
            "sha": commit,
            "lastModified": "2024-11-05T16:28:11.000Z",
            "createdAt": "2022-03-02T23:29:05.000Z",
            "private": self.private,
            "gated": "auto" if self.gated else False,
            "disabled": False,
            "downloads": 1,
            "likes": 1,
            "tags": [],
            "cardData": {"license": "apache-2.0"},
            "siblings": [each.sibling(blobs) for each in self.commits[commit].values()],
        }

    def tree(self, commit: str) -> list[dict[str, Any]]:
        """The answer to a recursive listing: folders and files, sorted by path."""
        files = self.commits[commit]
        found = [content.entry() for content in files.values()]
        for folder in {folder for path in files for folder in _folders(path)}:
            oid = hashlib.sha1(folder.encode("utf-8", "surrogatepass")).hexdigest()
            found.append({"type": "directory", "oid": oid, "size": 0, "path": folder})
        return sorted(found, key=lambda entry: (entry["path"], entry["type"]))


def _folders(path: str) -> Iterator[str]:
    parts = path.split("/")
    for count in range(1, len(parts)):
        yield "/".join(parts[:count])


def files_below(folder: Path) -> dict[str, bytes | Path]:
    """Every file below `folder`, by its path relative to it: what a repository is made of."""
    return {
        str(Path(parent, name).relative_to(folder)): Path(parent, name)
        for parent, _, names in os.walk(folder)
        for name in names
    }
