"""Serves a sentence encoder: KServe's V1 protocol, with the standard library and transformers.

`POST /v1/models/NAME:predict` takes ``{"instances": ["text", …]}`` and gives
``{"predictions": [[…], …]}``: for each text the mean of its tokens' vectors, of length 1. Settings
are the environment's MODEL_DIR (a folder in transformers' form), MODEL_NAME and PORT. It asks
nobody for anything: the model is what is in the folder.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import sys
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import MappingProxyType
from typing import Any

Encode = Callable[[Sequence[str]], list[list[float]]]

BODY_LIMIT = 1 << 20
_MODELS = "/v1/models"
_PREDICT = ":predict"
_LONGEST = 256
_NONE: Mapping[str, str] = MappingProxyType({})


class RefusedError(Exception):
    """A request that gets an error; `status` and the text are the answer."""

    def __init__(self, status: HTTPStatus, text: str) -> None:
        super().__init__(text)
        self.status = status


@dataclass
class Model:
    """What is served: not ready until `encode` is there."""

    name: str
    encode: Encode | None = None


def answer(model: Model, method: str, path: str, body: bytes) -> dict[str, Any]:
    """The answer to a request; RefusedError for any that gets none."""
    path, _, _ = path.partition("?")
    if method == "POST":
        name = path.removeprefix(f"{_MODELS}/").removesuffix(_PREDICT)
        if path != f"{_MODELS}/{name}{_PREDICT}":
            raise RefusedError(HTTPStatus.NOT_FOUND, "Not Found")
        return _predict(_loaded(model, name), body)
    match path:
        case "/v2/health/live":
            return {"live": True}
        case "/v2/health/ready":
            _loaded(model, model.name)
            return {"ready": True}
        case "/v1/models":
            return {"models": [model.name]}
    if not path.startswith(f"{_MODELS}/"):
        raise RefusedError(HTTPStatus.NOT_FOUND, "Not Found")
    name = path.removeprefix(f"{_MODELS}/")
    _loaded(model, name)
    return {"name": name, "ready": True}


def _loaded(model: Model, name: str) -> Encode:
    if name != model.name:
        raise RefusedError(HTTPStatus.NOT_FOUND, f"Model with name {name} does not exist.")
    if model.encode is None:
        raise RefusedError(HTTPStatus.SERVICE_UNAVAILABLE, f"Model with name {name} is not ready.")
    return model.encode


def _predict(encode: Encode, body: bytes) -> dict[str, Any]:
    try:
        content = json.loads(body)
    except (ValueError, RecursionError) as error:
        reason = f"Unrecognized request format: {error}"
        raise RefusedError(HTTPStatus.BAD_REQUEST, reason) from error
    texts = content.get("instances") if isinstance(content, dict) else None
    if not isinstance(texts, list):
        raise RefusedError(HTTPStatus.BAD_REQUEST, 'Expected "instances" to be a list')
    if not all(isinstance(each, str) for each in texts):
        raise RefusedError(HTTPStatus.BAD_REQUEST, 'Expected each of "instances" to be a string')
    return {"predictions": encode(texts) if texts else []}


def make_server(model: Model, port: int) -> ThreadingHTTPServer:
    """A server at every address of this machine; port 0 is any free one."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        # Seconds for a request to arrive.
        timeout = 30

        def handle(self) -> None:
            # Who gave up before the answer has none.
            with contextlib.suppress(ConnectionError):
                super().handle()

        def do_GET(self) -> None:
            self._take("0")

        def do_POST(self) -> None:
            self._take("")

        def _take(self, length: str) -> None:
            length = self.headers.get("Content-Length", length)
            if not length.isascii() or not length.isdigit():
                self._refuse(HTTPStatus.LENGTH_REQUIRED, "Content-Length is missing")
            elif int(length) > BODY_LIMIT:
                self._refuse(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, f"more than {BODY_LIMIT} bytes")
            else:
                self._answer(self.rfile.read(int(length)))

        def _answer(self, body: bytes) -> None:
            try:
                self._send(HTTPStatus.OK, answer(model, self.command, self.path, body))
            except RefusedError as refused:
                self._send(refused.status, {"error": str(refused)})

        def _refuse(self, status: HTTPStatus, text: str) -> None:
            # What the request goes on with was not read.
            self.close_connection = True
            self._send(status, {"error": text}, {"Connection": "close"})

        def _send(
            self, status: HTTPStatus, content: dict[str, Any], more: Mapping[str, str] = _NONE
        ) -> None:
            data = json.dumps(content).encode()
            self.send_response(status)
            for name, value in more.items():
                self.send_header(name, value)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def log_request(self, code: int | str = "-", size: int | str = "-") -> None:
            """Probes would fill the log."""

    return ThreadingHTTPServer(("", port), Handler)


def load(folder: Path) -> Encode:
    """The encoder of a folder with transformers' files and nothing else."""
    os.environ.update(HF_HUB_OFFLINE="1", TRANSFORMERS_OFFLINE="1")
    # A log is no terminal.
    os.environ.update(HF_HUB_DISABLE_PROGRESS_BARS="1", TQDM_DISABLE="1")
    # Seconds to import, and not there where the protocol alone is tested.
    import torch
    from transformers import AutoModel, AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True)
    model = AutoModel.from_pretrained(folder, local_files_only=True, use_safetensors=True).eval()

    def encode(texts: Sequence[str]) -> list[list[float]]:
        tokens = tokenizer(
            list(texts), padding=True, truncation=True, max_length=_LONGEST, return_tensors="pt"
        )
        with torch.inference_mode():
            vectors = model(**tokens).last_hidden_state
        weights = tokens["attention_mask"].unsqueeze(-1).to(vectors.dtype)
        means = (vectors * weights).sum(dim=1) / weights.sum(dim=1)
        result: list[list[float]] = torch.nn.functional.normalize(means, dim=1).tolist()
        return result

    return encode


def main() -> int:
    """Serves until it is told to end; live at once, ready when the model is loaded."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    model = Model(os.environ.get("MODEL_NAME", "model"))
    with make_server(model, int(os.environ.get("PORT", "8080"))) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        model.encode = load(Path(os.environ.get("MODEL_DIR", "/mnt/models")))
        print(f"{model.name} is ready", flush=True)
        signal.pause()
    return 0


if __name__ == "__main__":
    sys.exit(main())
