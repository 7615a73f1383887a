"""The help in the language of those who read it: Japanese first, English with ``--lang en`` or ``KODOMO_LANG=en``.

The English text stands in the code, the Japanese one in ``help_ja.yaml``; what has none is shown in English.
"""

from __future__ import annotations

import re
from functools import lru_cache
from pathlib import Path
from typing import Any

from kodomo_platform.settings import get_settings

# typer's own words, by the name it keeps them under
_PANELS = {
    "ARGUMENTS_PANEL_TITLE": "引数",
    "OPTIONS_PANEL_TITLE": "オプション",
    "COMMANDS_PANEL_TITLE": "コマンド",
    "ERRORS_PANEL_TITLE": "エラー",
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
    from typer import rich_utils

    for name, words in _PANELS.items():
        setattr(rich_utils, name, words)
    _translate(command)
    return command


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
