"""Plain data as YAML that every reader takes for the same data.

A string stands without quotes only where it looks like nothing else: YAML 1.1, YAML 1.2 and
go-yaml disagree about `no`, `1e-5`, `0o17`, `12:30` and more.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

import yaml

_PLAIN = re.compile(r"[A-Za-z_/][A-Za-z0-9_./@-]*(?: ?[A-Za-z0-9_./@:-]*[A-Za-z0-9_./@-])*")
# A block is cut into lines by its reader, and readers disagree about what else ends a line (NEL,
# U+2028, U+2029) and what may not stand in one at all (controls, a byte order mark).
_BLOCK = re.compile(
    "[\n\x20-\x7e\xa0-\u2027\u202a-\ud7ff\ue000-\ufefe\uff00-\ufffd\U00010000-\U0010ffff]*"
)
_WORDS = re.compile(r"(?i:true|false|yes|no|on|off|y|n|null)")


class _Dumper(yaml.SafeDumper):
    def ignore_aliases(self, data: Any) -> bool:  # noqa: ARG002 (PyYAML calls it)
        return True


def _string(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    style = '"'
    if "\n" in text and _BLOCK.fullmatch(text):
        style = "|"
    elif _PLAIN.fullmatch(text) and not _WORDS.fullmatch(text):
        style = ""
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=style)


_Dumper.add_representer(str, _string)


def dump_all(documents: Iterable[Any]) -> str:
    """YAML documents, keys in their order, no aliases; `yamltext.load_all` gives the same data."""
    text: str = yaml.dump_all(
        documents,
        Dumper=_Dumper,
        sort_keys=False,
        default_flow_style=False,
        allow_unicode=True,
        explicit_start=True,
        width=2**31,
    )
    return text
