"""Every text that people may meet has its Japanese one, and a text's values come back where they belong."""

from __future__ import annotations

import ast
import errno
import os
import re
import subprocess
import sys
from pathlib import Path
from string import Formatter
from typing import Any, get_args

import pytest
import typer
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from kodomo_platform import errors
from kodomo_platform.errors import ExtractError, Fault, KodomoError
from kodomo_platform.extracts.batches import Reason
from kodomo_platform.located_yaml import read_yaml
from kodomo_platform.messages import FILE, Messages, error_text, in_both, in_japanese, output_text, table, template
from tests.unit.said_in_code import Text, error_texts, output_texts

ERRORS, OTHERS, OUTPUTS = (table()[part] for part in ("errors", "others", "outputs"))


def lacking(texts: list[Text], known: dict[str, str]) -> list[str]:
    return [f"{text.at}: {text.template!r}" for text in texts if text.template not in known]


def test_every_text_of_an_error_has_a_japanese_one() -> None:
    found = error_texts()
    assert len(found) > 600  # the reader of the code finds what it is to find
    assert lacking(found, ERRORS) == []
    assert sorted(ERRORS.keys() - {text.template for text in found}) == []  # and none that no code says any more


def test_every_text_of_an_output_has_a_japanese_one() -> None:
    found = output_texts()
    assert len(found) > 150
    assert lacking(found, OUTPUTS) == []
    assert sorted(OUTPUTS.keys() - {text.template for text in found}) == []


def test_the_reader_of_the_code_finds_the_ways_in_which_texts_are_made() -> None:
    known = {text.template for text in error_texts()}
    assert "the catalogue has {} fault(s)\n{}" in known  # put together with +
    assert "or its prefecture" not in " ".join(known - {one for one in known if one.startswith("of {} addresses")})
    assert {"no such score version", "{} score versions begin like this"} <= known  # one of two
    assert "unknown feature {}: that is an item of the catalogue{}" in known  # returned by a function
    assert "; did you mean '{}'?" in known  # put in by another
    assert "a threshold is a number of percent" in known  # by one of another module
    assert "the check digit is wrong; expected {}{}" in known  # told by a generator
    assert "beside needs beside_ja and beside_en with {{value}}" in known  # braces of its own


def test_no_error_is_made_of_what_the_reader_cannot_read() -> None:
    """An error's first part is a text, a name bound to one, or what another error said: else nothing would be checked."""
    unread = []
    for path in sorted(Path(errors.__file__).parent.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            match node:
                case ast.Call(func=ast.Name(id=name), args=[first, *_]) if name.endswith("Error") and hasattr(
                    errors, name
                ):
                    if not isinstance(first, ast.Constant | ast.JoinedStr | ast.BinOp | ast.IfExp | ast.Name) and not (
                        isinstance(first, ast.Attribute) and first.attr == "what"
                    ):
                        unread.append(f"{path.name}:{node.lineno}")
    assert unread == []


def test_the_table_is_sound() -> None:
    assert read_yaml(FILE).faults == []  # no key twice
    for part in table().values():
        for english, japanese in part.items():
            template(english, japanese)
            letters = japanese.replace("ja}", "}")
            if re.search(r"[a-z]{3,} [a-z]{3,}", re.sub(r"`[^`]*`|\{[^}]*\}", "", english)):
                assert re.search(r"[ぁ-ん一-龥ァ-ヶ]", letters), english
            # a command, a key or a file that is named in English is named in Japanese, too
            for name in re.findall(r"`[^`]+`|--[a-z-]+|KODOMO_[A-Z_]+", english):
                bare = re.sub(r"\{\}", "", name)
                told = re.sub(r"\{\d(:ja)?\}", "", japanese)
                assert bare in told, (english, name)


def test_every_value_is_told() -> None:
    for english, japanese in {**ERRORS, **OUTPUTS}.items():
        gaps = sum(name is not None for _, name, _, _ in Formatter().parse(english))
        told = {int(name) for _, name, _, _ in Formatter().parse(japanese) if name is not None}
        assert told == set(range(gaps)), english


# values as they come: names of files, numbers, keys, Japanese; none of them is a text of the table
VALUES = st.one_of(
    st.integers(0, 10**7).map(str),
    st.from_regex(r"[A-Z]{2}[0-9]{2}_[a-z]{3}\.CSV", fullmatch=True),
    st.text("台帳住民学校欠席", min_size=1, max_size=8),
)


@pytest.mark.parametrize("part", ["errors", "others", "outputs"])
@settings(max_examples=10)
@given(values=st.lists(VALUES, min_size=9, max_size=9))
def test_values_come_back_where_they_belong(part: str, values: list[str]) -> None:
    """Of every entry, with any values."""
    tell = output_text if part == "outputs" else error_text
    for english, japanese in table()[part].items():
        assert tell(english.format(*values)) == re.sub(r"\{(\d):ja\}", r"{\1}", japanese).format(*values)


@given(st.text(max_size=300))
def test_a_text_that_is_none_of_ours_stays_as_it_is(text: str) -> None:
    tagged = f"zq{text}zq".replace(": ", ":").replace("; ", ";")
    assert error_text(tagged) == tagged
    assert output_text(tagged) == tagged


@given(st.lists(st.sampled_from(["a", "b", " of ", "ab"]), max_size=400).map("".join))
def test_matching_is_the_leftmost_that_fits(text: str) -> None:
    one = template("{} of {} of {}", "{0}|{1}|{2}")
    found = re.fullmatch(r"([^\n]*?) of ([^\n]*?) of ([^\n]*)", text)
    assert one.values(text) == (list(found.groups()) if found else None)


def test_the_most_specific_template_is_taken() -> None:
    known = Messages({"expected {}": "A {0}", "expected one of {}": "B {0}", "expected a mapping": "C"})
    assert [known.japanese(f"expected {one}") for one in ("a mapping", "one of x", "y")] == ["C", "B x", "A y"]


def test_an_error_in_japanese() -> None:
    error = ExtractError(
        "3 of 9 records cannot be read: undecodable 2 (records 4, 5); wrong_field_count 1 (records 7)",
        where="2026-10-08/就学援助.csv",
        expected="at most 1 % (`reject_limit_percent`)",
        action="ask the holder to correct the extract; the last good state is untouched",
    )
    assert in_japanese(error).splitlines() == [
        "2026-10-08/就学援助.csv: 9件のうち3件を読み取れません: "
        "文字として読めない 2件（4, 5行目）、欄の数が違う 1件（7行目）",
        "  正しくは: 1%まで（`reject_limit_percent`）",
        "  対処: 抽出データの修正を保有主体に依頼してください。直前の正しい状態はそのまま残っています",
    ]
    assert str(error).startswith("2026-10-08/就学援助.csv: 3 of 9 records cannot be read")
    both = in_both(error)
    assert both.startswith(in_japanese(error))
    assert both.endswith(str(error))


def test_an_error_that_tells_others() -> None:
    """A run's error holds those of its steps, each with what was expected and what to do; a suite's holds its faults."""
    step = ExtractError(
        "the file is empty", where="2026-10-08/a.csv", expected="records under a header", action="rename the folder"
    )
    run = KodomoError(
        f"nothing was published; the last good snapshot is still the current one\n{step}",
        where="municipality 343021, run 0a1b: raw_education__attendance",
    )
    assert in_japanese(run).splitlines() == [
        "自治体 343021、実行 0a1b: raw_education__attendance: 何も公開していません。直前の正しいスナップショットを引き続き使っています",
        "2026-10-08/a.csv: ファイルが空です",
        "  正しくは: 見出し行の下に、データの行",
        "  対処: フォルダーの名前を直してください",
    ]
    faults = [
        Fault(Path("/town: x/a.yaml"), 3, "sources[0].file", "unknown key; did you mean 'pattern'?"),
        Fault(Path("/town: x/a.yaml"), None, "", "not valid YAML: did not find expected key"),
        Fault(Path("/town: x/a.yaml"), 9, "generated[2]", "expect_x needs an 'item'"),
    ]
    told = error_text("3 fault(s) in the suites:\n" + "\n".join(f"  {fault}" for fault in faults)).splitlines()
    assert told == [
        "検査の定義に誤りが3件あります:",
        "  /town: x/a.yaml:3: sources[0].file: 使えないキーです。「pattern」ではありませんか",
        "  /town: x/a.yaml: YAMLとして正しくありません（キーの位置が正しくありません。字下げを確かめてください）",
        "  /town: x/a.yaml:9: generated[2]: expect_x には「item」が必要です",
    ]


def test_a_value_with_lines_of_its_own_does_not_pass_for_a_text() -> None:
    assert error_text("no municipality 1\n2") == "自治体 1 は登録されていません\n2"


def test_nothing_is_read_before_something_is_told() -> None:
    code = (
        "import sys, kodomo_platform.cli, kodomo_platform.messages as m;"
        "assert not m.table.cache_info().misses and not {'yaml', 'ruamel.yaml'} & set(sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


# --- what libraries say


def test_the_reasons_of_rejects() -> None:
    assert [one for one in get_args(Reason) if f"{one} {{}} (records {{}})" not in OTHERS] == []


def test_what_libraries_say_is_what_they_say() -> None:
    """Every other entry is one that pydantic, the YAML reader, the system or typer makes: none is left from former ones."""
    from pydantic_core._pydantic_core import list_all_errors

    said = {re.sub(r"\{\w+\}", "{}", one["message_template_python"]) for one in list_all_errors()}
    said |= {os.strerror(code) for code in errno.errorcode}
    said |= {f"{one} {{}} (records {{}})" for one in get_args(Reason)}
    said |= set(yaml_problems())
    typers = "\n".join(path.read_text(encoding="utf-8") for path in Path(typer.__file__).parent.rglob("*.py"))
    literals = "\x1f".join(re.findall(r"[\w ():.'?]+", typers))

    def is_typers(english: str) -> bool:
        return all(part.strip(" .?") in literals for part in re.split(r"\{\}|(?<=Missing )\w+", english))

    assert [one for one in OTHERS if one not in said and not is_typers(one)] == []


def yaml_problems() -> list[str]:
    """What the reader says of the slips that people make."""
    samples = (
        "a: b: c", "a: 1\n b: 2", "a: [1, 2\nb: 3", "a: {x: 1\nb: 3", "- a\nb: 1", "a: @x", "a: 'x", 'a: "\\q"', "a:\n\tb: 1",
        "a\nb: 1", "a: \x01", "a: [1 2: 3", "? a\nb", "a: %x", "x: 1\n- b", "a: [\n", "a: {b c\nd}", "{a: 1\nb: 2", "\t- a: 1",
        "a:\n  - b\n c: 1", "a: {", "[a\nb: 1]", "key: `x", "a: b\n\tc: d",
    )  # fmt: skip
    loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    found = []
    for sample in samples:
        try:
            list(yaml.parse(sample, Loader=loader))
        except yaml.YAMLError as error:
            found.append(str(getattr(error, "problem", None) or getattr(error, "reason", None)))
    return [one.replace("{", "{{").replace("}", "}}") for one in found]


def test_the_usual_slips_of_yaml_are_told_in_japanese() -> None:
    assert [one for one in set(yaml_problems()) if one not in OTHERS] == []
