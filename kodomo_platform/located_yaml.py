"""Read a YAML file that people wrote, and remember on which line everything stands.

For files that are *checked* (catalogue, municipalities, criteria): every fault can then name its line. Only the plain
core of YAML is read: mappings, lists, text, whole and decimal numbers, true/false, null. Dates stay text (their readers
know what they expect), a number with a leading zero stays text (codes keep their zeros), and anchors, aliases, tags,
several documents and duplicate keys are faults, so that no small file can grow into a large one.

What a file *means* does not belong here.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml
from yaml.events import (
    AliasEvent,
    DocumentStartEvent,
    Event,
    MappingEndEvent,
    MappingStartEvent,
    ScalarEvent,
    SequenceEndEvent,
    SequenceStartEvent,
    StreamEndEvent,
    StreamStartEvent,
)

from kodomo_platform.errors import Fault

# The largest shipped file is a tenth of this; a file beyond it is not a configuration.
MAX_BYTES = 2_000_000
MAX_DEPTH = 20

_INT = re.compile(r"[-+]?(0|[1-9][0-9]*)")
_FLOAT = re.compile(r"[-+]?(0|[1-9][0-9]*)\.[0-9]+([eE][-+]?[0-9]+)?")
_LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)

Path_ = tuple[str | int, ...]


@dataclass
class LocatedYaml:
    """A parsed file: its data, the line of every node, and what was wrong with it as YAML."""

    file: Path
    data: Any = None
    lines: dict[Path_, int] = field(default_factory=dict)
    faults: list[Fault] = field(default_factory=list)

    def line(self, path: Path_) -> int | None:
        """The line (from 1) of ``path``, or of its nearest ancestor that the file has."""
        for length in range(len(path), -1, -1):
            if path[:length] in self.lines:
                return self.lines[path[:length]]
        return None

    def fault(self, path: Path_, message: str) -> Fault:
        """A fault at ``path``."""
        return Fault(self.file, self.line(path), dotted(path), message)


def dotted(path: Path_) -> str:
    """``('sources', 0, 'file')`` as people read it: ``sources[0].file``."""
    text = ""
    for step in path:
        text += f"[{step}]" if isinstance(step, int) else (f".{step}" if text else step)
    return text


def read_yaml(file: Path) -> LocatedYaml:
    """Read ``file``. Never raises for what stands in it: see ``faults``."""
    result = LocatedYaml(file)
    try:
        size = file.stat().st_size
        if size > MAX_BYTES:
            result.faults.append(
                Fault(file, None, "", f"the file has {size:,} bytes; a definition has at most {MAX_BYTES:,}")
            )
            return result
        content = file.read_bytes()
    except OSError as error:
        result.faults.append(Fault(file, None, "", f"cannot be read: {error.strerror or type(error).__name__}"))
        return result
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content[: error.start].count(b"\n") + 1
        result.faults.append(Fault(file, line, "", "not UTF-8; save the file as UTF-8"))
        return result
    try:
        _Builder(result, iter(yaml.parse(text, Loader=_LOADER))).build()
    except _TooDeepError as error:
        result.faults.append(Fault(file, error.line, "", f"more than {MAX_DEPTH} levels inside each other"))
        result.data = None
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        problem = getattr(error, "problem", None) or getattr(error, "reason", None) or type(error).__name__
        result.faults.append(Fault(file, None if mark is None else mark.line + 1, "", f"not valid YAML: {problem}"))
        result.data = None
    return result


class _TooDeepError(Exception):
    def __init__(self, line: int) -> None:
        super().__init__()
        self.line = line


def _line(event: Event) -> int:
    """The line of an event, from 1."""
    mark = event.start_mark
    return 1 if mark is None else int(mark.line) + 1


class _Builder:
    """Turns parser events into plain data, one pass, without ever expanding an alias."""

    def __init__(self, result: LocatedYaml, events: Iterator[Event]) -> None:
        self._result = result
        self._events = events

    def build(self) -> None:
        documents = 0
        for event in self._events:
            if isinstance(event, StreamStartEvent | StreamEndEvent):
                continue
            if isinstance(event, DocumentStartEvent):
                documents += 1
                if documents > 1:
                    self._fault((), event, "a second document; one file holds one document")
                    return
                self._result.data = self._node(next(self._events), ())

    def _fault(self, path: Path_, event: Event, message: str) -> None:
        self._result.faults.append(Fault(self._result.file, _line(event), dotted(path), message))

    def _node(self, event: Event, path: Path_) -> Any:
        self._result.lines.setdefault(path, _line(event))
        if isinstance(event, AliasEvent):
            self._fault(path, event, "aliases (*name) are not allowed; write the value out")
            return None
        if getattr(event, "anchor", None):
            self._fault(path, event, "anchors (&name) are not allowed; write the value out")
        if isinstance(event, ScalarEvent):
            return self._scalar(event, path)
        if len(path) > MAX_DEPTH:
            raise _TooDeepError(_line(event))
        if isinstance(event, MappingStartEvent):
            return self._mapping(path)
        if isinstance(event, SequenceStartEvent):
            return self._sequence(path)
        raise AssertionError(f"unexpected event {type(event).__name__}")

    def _sequence(self, path: Path_) -> list[Any]:
        values: list[Any] = []
        for event in self._events:
            if isinstance(event, SequenceEndEvent):
                break
            values.append(self._node(event, (*path, len(values))))
        return values

    def _mapping(self, path: Path_) -> dict[str, Any]:
        values: dict[str, Any] = {}
        for event in self._events:
            if isinstance(event, MappingEndEvent):
                break
            if not isinstance(event, ScalarEvent):
                self._fault(path, event, "a key must be text")
                self._node(event, (*path, "?"))
                self._node(next(self._events), (*path, "?"))
                continue
            key = str(event.value)
            below = (*path, key)
            if getattr(event, "anchor", None):
                self._fault(below, event, "anchors (&name) are not allowed; write the value out")
            if key in values:
                self._fault(below, event, f"the key '{key[:60]}' stands here twice")
                self._node(next(self._events), (*below, "?"))
                continue
            self._result.lines[below] = _line(event)
            values[key] = self._node(next(self._events), below)
        return values

    def _scalar(self, event: ScalarEvent, path: Path_) -> Any:
        if event.tag not in (None, "!"):
            self._fault(path, event, "tags (!name) are not allowed")
        text = str(event.value)
        plain = event.implicit[0] and event.style in (None, "")
        if not plain:
            return text
        if text in ("", "~", "null"):
            return None
        if text in ("true", "false"):
            return text == "true"
        if _INT.fullmatch(text) and len(text) < 19:
            return int(text)
        if _FLOAT.fullmatch(text):
            return float(text)
        return text
