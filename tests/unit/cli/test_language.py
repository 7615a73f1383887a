"""What commands print and why they fail reads in Japanese first, and in English for those who ask."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import NoReturn

import pytest

from kodomo_platform import cli
from kodomo_platform.cli import languages
from kodomo_platform.errors import ExtractError


@pytest.fixture(autouse=True)
def forgotten() -> Iterator[None]:
    languages.choose("ja")
    yield
    languages.choose("ja")


class Said:
    """A command's exit code and what it printed."""

    def __init__(self, code: int, out: str, err: str) -> None:
        self.code, self.out, self.err = code, out, err
        self.all = out + err


@pytest.fixture
def kodomo(home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]):  # type: ignore[no-untyped-def]
    """The command line in this process."""
    monkeypatch.setenv("COLUMNS", "200")

    def call(*arguments: str) -> Said:
        monkeypatch.setattr("sys.argv", ["kodomo", *arguments])
        with pytest.raises(SystemExit) as stop:
            cli.main()
        return Said(int(str(stop.value.code)), *capsys.readouterr())

    return call


def is_japanese(text: str) -> bool:
    return any("ぁ" <= letter <= "鿿" for letter in text)


def test_an_error_with_its_parts(kodomo) -> None:  # type: ignore[no-untyped-def]
    said = kodomo("catalog", "list", "--domain", "schools")
    assert said.code == 2
    assert said.err == (
        "エラー: 分野「schools」はありません\n  正しくは: resident、education、childcare、welfare などのいずれか\n"
    )
    english = kodomo("--lang", "en", "catalog", "list", "--domain", "schools")
    assert english.code == 2
    assert english.err == (
        "error: unknown domain 'schools'\n  expected: one of resident, education, childcare, welfare, …\n"
    )


def test_the_setting_chooses_too(kodomo, monkeypatch: pytest.MonkeyPatch) -> None:  # type: ignore[no-untyped-def]
    from kodomo_platform.settings import use_home

    languages._chosen.clear()
    monkeypatch.setenv("KODOMO_LANG", "en")
    use_home(None)
    assert kodomo("snapshots", "verify").err.startswith("error: there is no snapshot to verify\n  what to do: ")


def test_the_faults_of_a_file(kodomo, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    file = tmp_path / "町.yaml"
    file.write_text("code: '112242'\nthemes: 3\ncolour: red\n", encoding="utf-8")
    said = kodomo("municipality", "check", str(file))
    assert said.code == 1
    lines = said.out.splitlines()
    assert f"{file}:1: code: 検査数字が違います。正しくは 112241 です" in lines
    assert f"{file}:3: colour: 使えないキー `colour` です" in lines
    assert any(line.startswith(f"{file}:2: themes: ") for line in lines)
    assert [line for line in lines if not is_japanese(line.removeprefix(str(file)))] == []
    assert lines[-1] == f"{file}: 誤り {len(lines) - 1}件"
    assert not is_japanese(kodomo("--lang", "en", "municipality", "check", str(file)).out.replace(str(file), ""))
    # a program reads the same whatever the language
    asked = ("municipality", "check", str(file), "--json")
    languages.choose("ja")
    japanese = kodomo(*asked)
    assert japanese.out == kodomo("--lang", "en", *asked).out


def test_an_error_that_lists_faults(kodomo, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    file = tmp_path / "131016.yaml"
    file.write_text("code: '131016'\nsources: {a: b: c}\n", encoding="utf-8")
    said = kodomo("onboard", str(file))
    assert said.err.splitlines() == [
        f"エラー: {file}: 誤りが1件あります",
        f"  {file}:2: YAMLとして正しくありません（「,」か「}}」がありません）",
        "  対処: 上に示した行を直し、`kodomo municipality check FILE` で確かめてください",
    ]


@pytest.mark.parametrize(
    ("arguments", "japanese", "english"),
    [
        (("run",), "オプション '--municipality' / '-m' が必要です。", "Missing option '--municipality' / '-m'."),
        (("rum",), "コマンド 'rum' はありません。", "No such command 'rum'."),
        (("run", "--mun"), "オプション --mun はありません。", "No such option: --mun"),
        (("demo", "--children", "x"), "'--children' の値が正しくありません", "Invalid value for '--children'"),
        (("--nonsense",), "オプション --nonsense はありません。", "No such option: --nonsense"),
        (("setup", "twice"), "余分な引数があります（twice）", "Got unexpected extra argument"),
    ],
)
def test_a_command_called_wrongly(kodomo, arguments: tuple[str, ...], japanese: str, english: str) -> None:  # type: ignore[no-untyped-def]
    assert japanese in kodomo(*arguments).err
    assert english in kodomo("--lang", "en", *arguments).err


def test_what_a_command_prints(kodomo, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    made = ("synth", "-m", "343021", "--children", "20", "--months", "2")
    said = kodomo(*made, "--out", str(tmp_path / "a"), "--truth", str(tmp_path / "b"))
    assert said.code == 0
    assert all(is_japanese(line) for line in said.out.splitlines())
    english = kodomo("--lang", "en", *made, "--out", str(tmp_path / "c"), "--truth", str(tmp_path / "d"))
    assert not is_japanese(english.out.replace("府中町", ""))
    table = kodomo("--lang", "en", "municipality", "list").out
    assert "7 municipalities" in table
    languages.choose("ja")
    assert "7自治体" in kodomo("municipality", "list").out


def test_commands_with_a_language_of_their_own_follow_the_first(kodomo, monkeypatch: pytest.MonkeyPatch) -> None:  # type: ignore[no-untyped-def]
    assert languages.spoken(None) is languages.Language.ja
    assert languages.spoken(languages.Language.en) is languages.Language.en
    languages.choose("en")
    assert languages.spoken(None) is languages.Language.en
    assert languages.spoken(languages.Language.ja) is languages.Language.ja


def test_a_full_disk_is_told_in_japanese(kodomo, monkeypatch: pytest.MonkeyPatch) -> None:  # type: ignore[no-untyped-def]
    def full(*_: object, **__: object) -> NoReturn:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("kodomo_platform.catalog.load_catalog", full)
    said = kodomo("catalog", "list")
    assert said.code == 1
    assert said.err.startswith("エラー: ディスクがいっぱいです。")
    assert "\n  対処: 空き容量を作って、" in said.err


def test_a_table_that_cannot_be_read_does_not_hide_the_error(kodomo, monkeypatch: pytest.MonkeyPatch) -> None:  # type: ignore[no-untyped-def]
    from kodomo_platform import messages

    messages._errors.cache_clear()
    monkeypatch.setattr(messages, "table", lambda: (_ for _ in ()).throw(OSError(5, "Input/output error")))
    try:
        said = languages.say_error(ExtractError("the file is empty", action="rename the folder"))
    finally:
        messages._errors.cache_clear()
    assert said == "the file is empty\n  対処: rename the folder"
