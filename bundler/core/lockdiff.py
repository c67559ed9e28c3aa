"""What differs between a lock and the inputs as they are now, in words."""

from __future__ import annotations

from dataclasses import replace

from bundler.core.lock import Lock, LockedImage

# Whose render counts, not its version: that is compared by the digest of each target.
FOR_INFORMATION = frozenset({"kustomize"})


def differences(locked: Lock, found: Lock) -> tuple[str, ...]:
    """A line for each input that is new, gone or another; empty when `found` fits `locked`."""
    before, now = _facts(locked), _facts(found)
    lines = []
    for name in sorted(before.keys() | now.keys()):
        if name not in now:
            lines.append(f"{name}: locked, but gone")
        elif name not in before:
            lines.append(f"{name}: found, but not locked")
        elif before[name] != now[name]:
            lines.append(f"{name}: locked {before[name]}, found {now[name]}")
    if not lines and _compared(locked) != _compared(found):
        # What follows from the inputs was edited by hand: an image's platforms, an order.
        lines.append("what is locked is not what `airbundle lock` writes for the same inputs")
    return tuple(lines)


def changes(before: Lock, now: Lock) -> tuple[str, ...]:
    """A line for each input that is new, gone or changed between two locks.

    What changed by itself, with the inputs that stand in other lines, is named without digests.
    """
    old, new = _facts(before), _facts(now)
    lines = []
    for name in sorted(name for name in old.keys() | new.keys() if old.get(name) != new.get(name)):
        if name not in new:
            lines.append(f"{name}: gone")
        elif name not in old:
            lines.append(f"{name}: new")
        elif name == "spec" or name.startswith("target "):
            lines.append(f"{name}: changed")
        else:
            lines.append(f"{name}: changed from {old[name]} to {new[name]}")
    return tuple(lines)


def _compared(lock: Lock) -> Lock:
    tools = {name: text for name, text in lock.tools.items() if name not in FOR_INFORMATION}
    return replace(lock, tools=tools)


def _facts(lock: Lock) -> dict[str, str]:
    facts = {
        "name": lock.name,
        "version": lock.version,
        "platforms": ", ".join(lock.platforms),
        "spec": str(lock.spec),
    }
    facts |= {f"source {path}": str(digest) for path, digest in lock.sources.items()}
    facts |= {f"policy {path}": str(digest) for path, digest in lock.policies.items()}
    facts |= {f"target {name}": str(digest) for name, digest in lock.targets.items()}
    facts |= {f"tool {name}": version for name, version in _compared(lock).tools.items()}
    for model in lock.models:
        about = (model.source, model.revision or "no revision", model.license)
        facts[f"model {model.name}"] = ", ".join(about)
        facts |= {
            f"model {model.name} {f.path}": f"{f.size} bytes, {f.digest}" for f in model.files
        }
    for files in lock.files:
        facts[f"files {files.name}"] = f"{files.source}, {files.kind}"
        facts |= {
            f"files {files.name} {f.path}": f"{f.size} bytes, {f.digest}" for f in files.files
        }
    facts |= {f"image {image.name}": _image(image) for image in lock.images}
    return facts


def _image(image: LockedImage) -> str:
    of = f" of {image.resolved}" if image.resolved != image.digest else ""
    return f"{image.source}, {image.digest}{of}"
