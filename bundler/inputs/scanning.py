"""What the scanners say of the inputs, asked once for the same bytes: the store remembers.

Of models only headers and pickles are read, which takes less time than to look it up.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import suppress
from functools import partial
from typing import BinaryIO, TypeVar

from bundler.archive.store import Store
from bundler.core.bom.modelfacts import ModelFacts
from bundler.core.bom.packages import ImagePackages
from bundler.core.bom.packages import parse as parse_packages
from bundler.core.digest import Digest
from bundler.core.errors import IntegrityError
from bundler.core.lock import LockedImage
from bundler.inputs.inputs import Inputs, Objects
from bundler.scan import checkov
from bundler.scan.checkov import CheckovResult
from bundler.scan.checkov import scan_objects as run_checkov
from bundler.scan.modelfacts import read_facts
from bundler.scan.models import ScanResult, scan_model
from bundler.scan.packages import key, layers_of, scan_layers
from bundler.scan.scanner import ScanSubject
from bundler.sources.images import SourceImage
from bundler.sources.model import ResolvedModel

OpenFile = Callable[[Digest], BinaryIO]
ImageScan = Mapping[Digest, ImagePackages]
Result = TypeVar("Result", CheckovResult, ImagePackages)


def scan_objects(inputs: Inputs, targets: Mapping[str, Objects], store: Store) -> CheckovResult:
    """checkov's findings in the objects of `targets`, in one run of it."""
    return _recalled(
        store,
        checkov.key(targets, inputs.policy, inputs.checks, checkov.versions()),
        checkov.load_result,
        lambda: run_checkov(targets, inputs.policy, inputs.checks),
    )


def scan_image(image: LockedImage, source: SourceImage, store: Store) -> ImageScan:
    """What is installed in an image for each of its platforms, by the digest of its manifest."""
    found = {}
    for platform, digest in image.platforms.items():
        layers = layers_of(source.metadata[digest], source.open)
        found[digest] = _recalled(
            store,
            key(layers),
            partial(parse_packages, where=image.name),
            partial(scan_layers, f"{image.name} ({platform})", layers),
        )
    return found


def scan_files(model: ResolvedModel, packed: OpenFile | None = None) -> ScanResult:
    """The scanners over a model's files: as they are at the source, or as they were `packed`."""
    return scan_model(f"models/{model.name}", _subjects(model, packed))


def facts(model: ResolvedModel) -> ModelFacts:
    """What its card, configuration and headers say of a model."""
    return read_facts(f"models/{model.name}", _subjects(model, None))


def _recalled(
    store: Store, question: Digest, load: Callable[[bytes], Result], ask: Callable[[], Result]
) -> Result:
    """What the store remembers of `question`; else what `ask` says, remembered from now on."""
    answer = store.recall(question)
    if answer is not None:
        with suppress(IntegrityError):  # what another version of airbundle wrote is asked anew
            return load(answer)
    result = ask()
    store.remember(question, result.dump())
    return result


def _subjects(model: ResolvedModel, packed: OpenFile | None) -> list[ScanSubject]:
    return [
        ScanSubject(file.path, file.size, partial(packed, file.digest) if packed else file.open)
        for file in model.files
    ]
