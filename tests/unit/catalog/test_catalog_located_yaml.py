"""YAML from people's hands: lines are kept, and nothing explodes."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kodomo_platform.located_yaml import MAX_BYTES, dotted, read_yaml


def _write(tmp_path: Path, content: str | bytes) -> Path:
    file = tmp_path / "some.yaml"
    file.write_bytes(content if isinstance(content, bytes) else content.encode())
    return file


def test_values_and_lines(tmp_path: Path) -> None:
    read = read_yaml(_write(tmp_path, "a: 1\nb:\n  - x\n  - {c: '01', d: 012, e: true, f: ~, g: 1.5, h: 2022-12-20}\n"))
    assert read.faults == []
    assert read.data == {
        "a": 1,
        "b": ["x", {"c": "01", "d": "012", "e": True, "f": None, "g": 1.5, "h": "2022-12-20"}],
    }
    assert read.line(("b", 1, "d")) == 4
    assert read.line(("b", 0)) == 3
    assert read.line(("b", 1, "nowhere")) == 4


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("a: &x [1]\nb: *x\n", "aliases"),
        ("a: &x [1]\n", "anchors"),
        ("a: 1\na: 2\n", "stands here twice"),
        ("a: [1\n", "not valid YAML"),
        ("a: !!python/object:os.system x\n", "tags"),
        ("a: 1\n---\nb: 2\n", "second document"),
        ("? [a, b]\n: 1\n", "a key must be text"),
        ("[" * 50 + "]" * 50, "levels"),
        (b"\xff\xfe\x00a", "not UTF-8"),
        (b"a: " + b"x" * MAX_BYTES, "at most"),
    ],
)
def test_what_is_refused(tmp_path: Path, content: str | bytes, message: str) -> None:
    assert any(message in str(fault) for fault in read_yaml(_write(tmp_path, content)).faults)


def test_a_billion_laughs_stay_small(tmp_path: Path) -> None:
    lines = ["a0: &a0 [lol, lol]"] + [f"a{n}: &a{n} [*a{n - 1}, *a{n - 1}]" for n in range(1, 60)]
    read = read_yaml(_write(tmp_path, "\n".join(lines)))
    assert len(read.faults) >= 60
    assert len(read.lines) < 1000


def test_a_missing_file_is_a_fault(tmp_path: Path) -> None:
    assert "cannot be read" in str(read_yaml(tmp_path / "no.yaml").faults[0])


@given(st.binary(max_size=300))
def test_nothing_raises(tmp_path_factory: pytest.TempPathFactory, content: bytes) -> None:
    file = tmp_path_factory.mktemp("any") / "any.yaml"
    file.write_bytes(content)
    read_yaml(file)


def test_dotted() -> None:
    assert dotted(("sources", 0, "file", "pattern")) == "sources[0].file.pattern"
