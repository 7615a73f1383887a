"""The help reads in Japanese first and whole, and in English for those who ask."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from rich.cells import cell_len

from kodomo_platform import cli
from kodomo_platform.cli import languages
from kodomo_platform.errors import UsageError

FAMILIES = (
    "demo",
    "run",
    "synth",
    "onboard",
    "municipality",
    "catalog",
    "snapshots",
    "lineage",
    "evaluate",
    "model",
    "scores",
    "ui",
    "setup",
    "audit",
    "governance",
    "disclose",
    "forget",
)


@pytest.fixture(autouse=True)
def forgotten() -> Iterator[None]:
    yield
    languages.choose("ja")


def texts(command: Any) -> Iterator[tuple[str, int]]:
    """Every help text, with the columns that an 80-column terminal leaves it: less beside an option."""
    if command.help:
        yield command.help, 60
    yield from ((parameter.help, 40) for parameter in command.params if getattr(parameter, "help", None))
    for one in getattr(command, "commands", {}).values():
        yield from texts(one)


def is_japanese(text: str) -> bool:
    return any("぀" <= letter <= "鿿" for letter in text)


@pytest.mark.parametrize("name", FAMILIES)
def test_every_help_text_has_a_japanese_one_that_can_wrap(name: str) -> None:
    found = list(texts(cli._group.get_command(None, name)))
    assert [text for text, _ in found if not is_japanese(text)] == []
    # rich cuts off what has no blank within the width
    assert [part for text, width in found for part in text.split() if cell_len(part) > width] == []


def said(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    monkeypatch.setattr("sys.argv", ["kodomo", *arguments])
    with pytest.raises(SystemExit) as stop:
        cli.main()
    assert stop.value.code == 0
    return capsys.readouterr().out


def test_the_list_of_commands(home: Any, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    # Regression: after a help in Japanese, the option --help stayed Japanese for the rest of the process
    said(monkeypatch, capsys, "--help")
    english = said(monkeypatch, capsys, "--lang", "en", "--help")
    assert "Run one municipality through Dagster" in english
    assert not is_japanese(english)
    languages.choose("ja")
    japanese = said(monkeypatch, capsys, "--help")
    assert "1自治体を、届いたファイルから公開まで処理します。" in japanese
    assert "kodomo --lang en" in japanese


def test_another_language_is_refused() -> None:
    with pytest.raises(UsageError, match="unknown language"):
        cli._arguments(["--lang", "fr"])
    assert cli._arguments(["--lang=en", "run"]) == ["run"]
    assert languages.language() == "en"
