"""JSON that two parsers could read in two ways is refused; what is canonical is spelled once."""

from __future__ import annotations

import json

import pytest

from bundler.core import strictjson
from bundler.core.errors import IntegrityError

MAX = 2**53 - 1


def nested(depth: int, opening: str = "[", closing: str = "]") -> bytes:
    return (opening * depth + closing * depth).encode()


ACCEPTED: dict[str, tuple[bytes, object]] = {
    "nothing": (b"{}", {}),
    "white space around": (b" \t\r\n{} \n", {}),
    "a scalar": (b"null", None),
    "the largest": (str(MAX).encode(), MAX),
    "the smallest": (str(-MAX).encode(), -MAX),
    "minus nought": (b"-0", 0),
    "32 lists": (nested(32), json.loads(nested(32))),
    "32 objects": (b'{"a":' * 31 + b"{}" + b"}" * 31, json.loads('{"a":' * 31 + "{}" + "}" * 31)),
    "a pair of halves": (b'"\\ud83d\\ude00"', "\U0001f600"),
    "cases that only Unicode folds": ('{"é": 1, "É": 2}'.encode(), {"é": 1, "É": 2}),
    "the same key in two objects": (b'[{"a": 1}, {"a": 2}]', [{"a": 1}, {"a": 2}]),
}


@pytest.mark.parametrize(("data", "value"), ACCEPTED.values(), ids=list(ACCEPTED))
def test_what_all_parsers_read_alike_passes(data: bytes, value: object) -> None:
    assert strictjson.parse(data, "it") == value


REFUSED: dict[str, tuple[bytes, str]] = {
    "empty": (b"", "is not JSON"),
    "a key twice": (b'{"a": 1, "a": 1}', "'a' stands twice"),
    "a key twice, escaped": (b'{"a": 1, "\\u0061": 1}', "'a' stands twice"),
    "a key twice, inside": (b'[{"b": {"a": 1, "a": 1}}]', "'a' stands twice"),
    "keys in two cases": (b'{"layers": [], "Layers": []}', "'Layers' stands twice, or beside"),
    "U+017F for s": ('{"layers": [], "layer\u017f": []}'.encode(), "differs only in case"),
    "U+212A for k": ('{"kind": 1, "\u212aind": 2}'.encode(), "differs only in case"),
    "U+212A escaped": (b'{"kind": 1, "\\u212aind": 2}', "differs only in case"),
    "a fraction": (b"[1.0]", "number 1.0 is no integer"),
    "an exponent": (b"[1e3]", "number 1e3 is no integer"),
    "NaN": (b"[NaN]", "number NaN is no integer"),
    "Infinity": (b"[Infinity]", "number Infinity is no integer"),
    "minus Infinity": (b"[-Infinity]", "number -Infinity is no integer"),
    "2^53": (str(MAX + 1).encode(), "beyond 2"),
    "-2^53": (str(-MAX - 1).encode(), "beyond 2"),
    "a huge number": (b"9" * 5000, "beyond 2"),
    "33 lists": (nested(33), "nested deeper than 32"),
    "33 objects": (b'{"a":' * 32 + b"{}" + b"}" * 32, "nested deeper than 32"),
    "a list in 32 objects": (b'{"a":' * 32 + b"[]" + b"}" * 32, "nested deeper than 32"),
    "100,000 lists": (nested(100_000), "nested deeper than 32"),
    "a high half": (b'"\\ud83d"', "half of a surrogate pair"),
    "a low half": (b'"\\ude00"', "half of a surrogate pair"),
    "halves in the wrong order": (b'"\\ude00\\ud83d"', "half of a surrogate pair"),
    "half of a pair in a key": (b'{"\\ud83d": 1}', "half of a surrogate pair"),
    "half of a pair inside": (b'[{"a": ["\\ud83d"]}]', "half of a surrogate pair"),
    "half of a pair as bytes": (b'"\xed\xa0\xbd"', "is not UTF-8"),
    "a byte order mark": (b"\xef\xbb\xbf{}", "is not JSON"),
    "UTF-16": ("{}".encode("utf-16"), "is not UTF-8"),
    "Latin-1": (b'"\xe9"', "is not UTF-8"),
    "an overlong encoding": (b'"\xc0\xaf"', "is not UTF-8"),
    "bytes behind": (b"{} x", "is not JSON"),
    "two documents": (b"{}{}", "is not JSON"),
    "a zero behind": (b"{}\x00", "is not JSON"),
    "other white space": ("{}\u00a0".encode(), "is not JSON"),
    "a form feed": (b"\x0c{}", "is not JSON"),
    "a comma too many": (b"[1,]", "is not JSON"),
    "a leading nought": (b"[01]", "is not JSON"),
    "a plus": (b"[+1]", "is not JSON"),
    "digits of another script": ("[\u0661]".encode(), "is not JSON"),
    "a newline in a string": (b'"a\nb"', "is not JSON"),
    "single quotes": (b"{'a': 1}", "is not JSON"),
    "a comment": (b"{} // x", "is not JSON"),
}


@pytest.mark.parametrize(("data", "problem"), REFUSED.values(), ids=list(REFUSED))
def test_what_two_parsers_could_read_differently_is_refused(data: bytes, problem: str) -> None:
    with pytest.raises(IntegrityError) as refused:
        strictjson.parse(data, "index.json")
    assert refused.value.message.startswith("index.json: ")
    assert problem in refused.value.message


@pytest.mark.parametrize(
    ("key", "folded"),
    [
        ("mediaType", "mediatype"),
        ("ABCXYZ", "abcxyz"),
        ("layer\u017f", "layers"),
        ("\u212aind", "kind"),
        ("É@[", "É@["),
    ],
)
def test_keys_fold_as_go_folds_them(key: str, folded: str) -> None:
    assert strictjson.fold(key) == folded


CANONICAL: dict[str, tuple[object, bytes]] = {
    "sorted, without spaces": ({"b": [1, 2], "a": {}}, b'{"a":{},"b":[1,2]}'),
    "by code point": ({"\U0001f600": 1, "\uffee": 2}, '{"\uffee":2,"\U0001f600":1}'.encode()),
    "as UTF-8": ("é", '"é"'.encode()),
    "escapes": ('\b\f\n\r\t\x01\x7f"\\/', b'"\\b\\f\\n\\r\\t\\u0001\x7f\\"\\\\/"'),
}


@pytest.mark.parametrize(("value", "data"), CANONICAL.values(), ids=list(CANONICAL))
def test_there_is_one_canonical_spelling(value: object, data: bytes) -> None:
    assert strictjson.canonical(value) == data
    assert strictjson.parse(data, "it") == value
