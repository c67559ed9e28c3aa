"""YAML text to plain data that knows where it was written.

PyYAML's pure-Python parser finds the structure, the same on every machine; what scalars mean is
decided in `yamlscalar`. What a reader may misunderstand is refused: duplicate keys, merge keys,
tags, keys that are no strings, aliases that expand without bound, deep nesting.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal, NoReturn

import yaml
from yaml import events

from bundler.core import yamlscalar
from bundler.core.errors import DocumentError
from bundler.core.yamlscalar import Scalar

MAX_DEPTH = 64
MAX_BYTES = 1 << 20
MAX_MANIFEST_BYTES = 16 << 20
MAX_ALIASED_NODES = 10_000

Path = tuple[str | int, ...]


@dataclass(frozen=True)
class Node:
    """A YAML value, the place it was written at, and its members as nodes.

    `where` is ``file:line:column``, both from 1. `content` is a scalar, a mapping or a tuple of
    nodes; `keys` says where each key of a mapping stands; `source` is a scalar as it was written,
    and `plain` whether it stands without quotes. `size` and `height` count nodes and levels.
    """

    where: str
    content: Scalar | Mapping[str, Node] | tuple[Node, ...]
    keys: Mapping[str, str]
    source: str = ""
    plain: bool = False
    size: int = 1
    height: int = 1

    @property
    def value(self) -> Any:
        """Plain data, made anew at every call: dict, list, str, int, float, bool or None."""
        if isinstance(self.content, Mapping):
            return {key: child.value for key, child in self.content.items()}
        if isinstance(self.content, tuple):
            return [child.value for child in self.content]
        return self.content

    def at(self, path: Path) -> Node:
        """The node at `path`, keys and indices from here down; KeyError or IndexError if none."""
        node = self
        for step in path:
            if isinstance(node.content, Mapping):
                node = node.content[str(step)]
            elif isinstance(node.content, tuple) and isinstance(step, int):
                node = node.content[step]
            else:
                raise KeyError(step)
        return node

    def mark(self, path: Path = (), key: bool = False) -> str:
        """``file:line:column`` of the value at `path`, or of the mapping key that leads to it."""
        if key:
            return self.at(path[:-1]).keys[str(path[-1])]
        return self.at(path).where


def load_all(text: str, where: str, ambiguous: Literal["core", "refuse"] = "core") -> list[Node]:
    """The documents of the YAML stream `text`; an empty document is a node whose value is None.

    `where` names the file. With ``ambiguous="refuse"``, as Kubernetes manifests need, a plain
    scalar that readers of YAML 1.1 and 1.2 understand differently is refused instead of being
    read as 1.2 has it. DocumentError for everything that is refused. A text holds at most 1 MiB,
    manifests 16 MiB.
    """
    limit = MAX_MANIFEST_BYTES if ambiguous == "refuse" else MAX_BYTES
    size = len(text.encode("utf-8", "surrogatepass"))
    if size > limit:
        raise DocumentError(where, "", f"holds {size} bytes, more than {limit}")
    return list(_Composer(text, where, ambiguous == "refuse").documents())


def node_of(value: Any, where: str) -> Node:
    """Plain data as a node, all of it at one place: what came as JSON is checked like YAML."""
    if isinstance(value, dict):
        members = {key: node_of(item, where) for key, item in value.items()}
        return Node(where, members, dict.fromkeys(members, where))
    if isinstance(value, list):
        return Node(where, tuple(node_of(item, where) for item in value), {})
    return Node(where, value, {}, str(value))


def spell(path: Path) -> str:
    """A path as messages show it: ``spec.models[0].name``."""
    text = ""
    for step in path:
        text += f"[{step}]" if isinstance(step, int) else f".{step}" if text else step
    return text


class _Composer:
    """Turns the parser's events into nodes, one document at a time."""

    def __init__(self, text: str, where: str, unambiguous: bool) -> None:
        self._where = where
        self._unambiguous = unambiguous
        self._next = self._reader(text)
        self._anchors: dict[str, Node | None] = {}
        self._aliased = 0

    def documents(self) -> Iterator[Node]:
        while not isinstance(event := self._next(), events.StreamEndEvent):
            if isinstance(event, events.DocumentStartEvent):
                if event.version not in (None, (1, 2)):
                    self._refuse(event, (), "%YAML names another version than 1.2")
                self._anchors = {}
                self._aliased = 0
                yield self._node(self._next(), ())

    def _reader(self, text: str) -> Callable[[], events.Event]:
        """A function that gives the next event; what PyYAML raises leaves as a DocumentError."""
        stream: Iterator[events.Event] | None = None

        def following() -> events.Event:
            nonlocal stream
            try:
                if stream is None:
                    stream = iter(yaml.parse(text, Loader=yaml.SafeLoader))
                return next(stream)
            except yaml.reader.ReaderError as error:
                line = text.count("\n", 0, error.position) + 1
                column = error.position - text.rfind("\n", 0, error.position)
                raise DocumentError(
                    f"{self._where}:{line}:{column}", "", "holds a character that YAML forbids"
                ) from error
            except yaml.MarkedYAMLError as error:
                mark = error.problem_mark or error.context_mark
                problem = ", ".join(part for part in (error.context, error.problem) if part)
                raise DocumentError(self._place(mark), "", f"is not YAML: {problem}") from error
            except (ValueError, OverflowError) as error:  # \U00110000, %YAML 1.<5000 digits>
                raise DocumentError(
                    self._where, "", f"is not YAML: an escape or a version is out of range: {error}"
                ) from error

        return following

    def _node(self, event: events.Event, path: Path) -> Node:
        if isinstance(event, events.AliasEvent):
            return self._alias(event, path)
        assert isinstance(event, events.ScalarEvent | events.CollectionStartEvent)
        if len(path) >= MAX_DEPTH:
            self._refuse(event, (), f"is nested deeper than {MAX_DEPTH} levels")
        if event.tag is not None:
            self._refuse(
                event, path, f"carries the tag {event.tag}", "tags are not supported: remove it"
            )
        self._open(event, path)
        if isinstance(event, events.ScalarEvent):
            node = self._scalar(event, path)
        elif isinstance(event, events.MappingStartEvent):
            node = self._mapping(event, path)
        else:
            node = self._sequence(event, path)
        if event.anchor is not None:
            self._anchors[event.anchor] = node
        return node

    def _open(self, event: events.NodeEvent, path: Path) -> None:
        """Declares the anchor without its node, so that an alias inside can be told apart."""
        if event.anchor is not None:
            if event.anchor in self._anchors:
                self._refuse(event, path, f"anchor &{event.anchor} stands twice")
            self._anchors[event.anchor] = None

    def _alias(self, event: events.AliasEvent, path: Path) -> Node:
        name = str(event.anchor)
        if name not in self._anchors:
            self._refuse(event, path, f"alias *{name} has no anchor before it")
        node = self._anchors[name]
        if node is None:
            self._refuse(event, path, f"alias *{name} stands inside its own anchor")
        self._aliased += node.size
        if self._aliased > MAX_ALIASED_NODES:
            self._refuse(event, path, f"aliases expand to more than {MAX_ALIASED_NODES} values")
        if len(path) + node.height > MAX_DEPTH:
            self._refuse(event, (), f"is nested deeper than {MAX_DEPTH} levels")
        return node

    def _scalar(self, event: events.ScalarEvent, path: Path) -> Node:
        text = event.value
        if any("\ud800" <= char <= "\udfff" for char in text):
            self._refuse(event, path, "holds half of a surrogate pair")
        if not event.implicit[0]:
            return Node(self._place(event.start_mark), text, {}, text)
        if self._unambiguous and (reason := yamlscalar.quarrel(text)):
            statement, _, advice = reason.partition("; ")
            self._refuse(event, path, f"{text} is {statement}", advice)
        try:
            value = yamlscalar.resolve(text)
        except ValueError as error:
            self._refuse(event, path, str(error), f'write "{text[:40]}" if it is a string')
        return Node(self._place(event.start_mark), value, {}, text, plain=True)

    def _sequence(self, event: events.Event, path: Path) -> Node:
        items: list[Node] = []
        while not isinstance(item := self._next(), events.SequenceEndEvent):
            items.append(self._node(item, (*path, len(items))))
        return self._collection(event, tuple(items), {}, items)

    def _mapping(self, event: events.Event, path: Path) -> Node:
        members: dict[str, Node] = {}
        keys: dict[str, str] = {}
        while not isinstance(item := self._next(), events.MappingEndEvent):
            key = self._key(item, path)
            if key in members:
                self._refuse(item, (*path, key), f"stands twice, first at {keys[key]}")
            keys[key] = self._place(item.start_mark)
            members[key] = self._node(self._next(), (*path, key))
        return self._collection(event, members, keys, list(members.values()))

    def _key(self, event: events.Event, path: Path) -> str:
        if isinstance(event, events.ScalarEvent) and event.value == "<<" and event.implicit[0]:
            self._refuse(
                event, path, "merge keys (<<) are not supported", "write the merged fields out"
            )
        if isinstance(event, events.CollectionStartEvent):
            self._refuse(event, path, "a key is a list or a mapping, not a string")
        node = self._node(event, path)
        if not isinstance(node.content, str):
            self._refuse(
                event, path, f"key {node.source or 'null'} is not a string",
                f'write it in quotes: "{node.source}"',
            )  # fmt: skip
        return node.content

    def _collection(
        self,
        event: events.Event,
        content: Mapping[str, Node] | tuple[Node, ...],
        keys: Mapping[str, str],
        children: list[Node],
    ) -> Node:
        size = 1 + sum(child.size for child in children)
        height = 1 + max((child.height for child in children), default=0)
        return Node(self._place(event.start_mark), content, keys, size=size, height=height)

    def _place(self, mark: Any) -> str:
        return f"{self._where}:{mark.line + 1}:{mark.column + 1}" if mark else self._where

    def _refuse(
        self, event: events.Event, path: Path, problem: str, hint: str | None = None
    ) -> NoReturn:
        raise DocumentError(self._place(event.start_mark), spell(path), problem, hint)
