"""The language of those who read: Japanese first, English with ``--lang en`` or ``KODOMO_LANG=en``.

The English text stands in the code, the Japanese one of the help in ``help_ja.yaml``, of outputs and errors in
`kodomo_platform.messages`; what has none is shown in English.
"""

from __future__ import annotations

import re
from enum import StrEnum
from functools import lru_cache
from pathlib import Path
from typing import Any

from kodomo_platform.errors import Fault, KodomoError
from kodomo_platform.settings import get_settings

# typer's own words, by the name it keeps them under
_PANELS = {
    "ARGUMENTS_PANEL_TITLE": "引数",
    "OPTIONS_PANEL_TITLE": "オプション",
    "COMMANDS_PANEL_TITLE": "コマンド",
    "ERRORS_PANEL_TITLE": "エラー",
    "ABORTED_TEXT": "中止しました。",
    "RICH_HELP": "説明は [blue]'{command_path} {help_option}'[/] で見られます。",
    "REQUIRED_LONG_STRING": "[必須]",
    "DEFAULT_STRING": "[既定: {}]",
}


_LINE_MAY_END = re.compile(r"([、。：）])(?=\S)(?![、。）])")
_chosen: list[str] = []


def choose(language: str) -> None:
    """Use ``ja`` or ``en`` in this process, whatever the setting."""
    _chosen[:] = [language]


def language() -> str:
    """``ja`` or ``en``."""
    return _chosen[0] if _chosen else get_settings().lang


class Language(StrEnum):
    """Language of what is printed."""

    ja = "ja"
    en = "en"


def spoken(asked: Language | None) -> Language:
    """The language asked for, or that of the process."""
    return asked or Language(language())


def say(text: str) -> str:
    """What a command prints, in the reader's language."""
    if language() == "en":
        return text
    from kodomo_platform.messages import output_text

    return output_text(text)


def say_error(error: KodomoError | Fault | str) -> str:
    """An error, a fault, or the text of one, in the reader's language."""
    if language() == "en":
        return str(error)
    from kodomo_platform.messages import error_text, in_japanese

    return in_japanese(error) if isinstance(error, KodomoError) else error_text(str(error))


@lru_cache(maxsize=1)
def japanese() -> dict[str, str]:
    """English help text to Japanese."""
    from ruamel.yaml import YAML

    return dict(YAML(typ="safe").load(Path(__file__).with_name("help_ja.yaml").read_text(encoding="utf-8")))


def in_japanese(text: str) -> str:
    """``text`` in Japanese if it is known; of a longer one its first paragraph decides."""
    known = japanese()
    whole = text.strip()
    return known.get(whole) or known.get(whole.split("\n\n")[0].strip()) or text


def _wrapping(text: str) -> str:
    """``text`` with blanks where a line may end: rich breaks lines at blanks alone and cuts off what does not fit."""
    return _LINE_MAY_END.sub(r"\1 ", text).strip()


def translate(command: Any) -> Any:
    """The command with its help, its options' and its commands' in Japanese."""
    translate_words()
    _translate(command)
    return command


def translate_words() -> None:
    """Make typer's own words Japanese in this process."""
    from typer import rich_utils

    for name, words in _PANELS.items():
        setattr(rich_utils, name, words)


def _translate(command: Any) -> None:
    command.help = _wrapping(in_japanese(command.help)) if command.help else command.help
    for parameter in command.params:
        if getattr(parameter, "help", None):
            parameter.help = _wrapping(in_japanese(parameter.help))
    made = command.get_help_option

    def help_option(ctx: Any) -> Any:
        option = made(ctx)
        if option is not None and option.help:
            option.help = in_japanese(option.help)
        return option

    command.get_help_option = help_option
    for one in getattr(command, "commands", {}).values():
        if one.short_help:
            one.short_help = _wrapping(in_japanese(one.short_help))
        _translate(one)
