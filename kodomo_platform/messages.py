"""What the platform says to people, in Japanese: errors and their parts, faults of files, outputs of commands.

The English text stands in the code, as f-strings; ``messages_ja.yaml`` knows its template (``{}`` for what is put in)
and the Japanese one (``{0}`` for the first of these). What was put in goes back as it was, unless the Japanese template
says ``{0:ja}``: then it is itself a text of the platform, in one or more lines. What has no Japanese stays English.

Nothing is read before something is to be told. Which language a reader wants does not belong here.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from string import Formatter
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from kodomo_platform.errors import KodomoError

FILE = Path(__file__).with_name("messages_ja.yaml")

EXPECTED, ACTION = "正しくは", "対処"
# a folder, a file, a place in it and a name may stand before what is told; a text of colons alone is nobody's
_MOST_CUTS = 12
_LABELS = {"expected: ": f"{EXPECTED}: ", "what to do: ": f"{ACTION}: "}


@dataclass(frozen=True)
class Template:
    """An English text with gaps and its Japanese one.

    ``literals``: what stands before, between and after the gaps, one more than there are gaps. ``parts``: of the
    Japanese text, each a literal, the number of a gap, and whether what stood in the gap is itself told in Japanese.
    """

    literals: tuple[str, ...]
    parts: tuple[tuple[str, int | None, bool], ...]

    @property
    def weight(self) -> int:
        """How much of a text it fixes."""
        return sum(map(len, self.literals))

    def values(self, text: str) -> list[str] | None:
        """What stands in the gaps if the whole of ``text`` fits, else None.

        The leftmost place of each literal is taken; only a gap at the beginning of a line may hold several lines.
        """
        first, last = self.literals[0], self.literals[-1]
        if len(self.literals) == 1:
            return [] if text == first else None
        at, end = len(first), len(text) - len(last)
        if at > end or not text.startswith(first) or not text.endswith(last):
            return None
        found = []
        for literal in self.literals[1:-1]:
            next_ = text.find(literal, at, end)
            if next_ < 0:
                return None
            found.append(text[at:next_])
            at = next_ + len(literal)
        found.append(text[at:end])
        for before, value in zip(self.literals, found, strict=False):
            if "\n" in value and not before.rstrip(" ").endswith("\n"):
                return None
        return found


def template(english: str, japanese: str) -> Template:
    """The template of one entry of the table. Raises ValueError if the two do not fit together."""
    literals, gaps = [""], 0
    for literal, name, form, _ in Formatter().parse(english):
        literals[-1] += literal
        if name is not None:
            if name or form:
                raise ValueError(f"a gap of the English text is {{}}: {english}")
            literals.append("")
            gaps += 1
    parts = []
    for literal, name, form, _ in Formatter().parse(japanese):
        if name is not None and not (name.isdigit() and int(name) < gaps and form in ("", "ja")):
            raise ValueError(f"no such gap {{{name}:{form}}}: {japanese}")
        parts.append((literal, None if name is None else int(name), form == "ja"))
    return Template(tuple(literals), tuple(parts))


@dataclass(frozen=True)
class _Told:
    """A text, and how much of the English one was known."""

    weight: int
    text: str


class Messages:
    """One part of the table: finds the Japanese of a text."""

    def __init__(self, table: dict[str, str]) -> None:
        made = [template(english, japanese) for english, japanese in table.items()]
        self._plain = {one.literals[0]: one for one in made if len(one.literals) == 1}
        # the most specific first
        self._gapped = sorted((one for one in made if len(one.literals) > 1), key=lambda one: -one.weight)

    def whole(self, text: str) -> str | None:
        """The Japanese of a text that one template fits as a whole, else None."""
        found = self._whole(text)
        return found.text if found else None

    def japanese(self, text: str) -> str:
        """``text`` in Japanese: as a whole, else line by line what is known of it, the rest as it stands."""
        return self._read(text).text

    def _read(self, text: str) -> _Told:
        listed = self._listed(text)
        whole = self._whole(text)
        if whole and (listed is None or whole.weight >= listed.weight):
            return whole
        if listed:
            return listed
        lines = [self._line(line) for line in text.split("\n")]
        return _Told(sum(line.weight for line in lines), "\n".join(line.text for line in lines))

    def _whole(self, text: str) -> _Told | None:
        plain = self._plain.get(text)
        if plain:
            return self._told(plain, [])
        for one in self._gapped:
            values = one.values(text)
            if values is not None:
                return self._told(one, values)
        return None

    def _told(self, one: Template, values: list[str]) -> _Told:
        weight, out = one.weight, ""
        for literal, gap, is_text in one.parts:
            out += literal
            if gap is not None:
                value = self._read(values[gap]) if is_text else _Told(0, values[gap])
                weight, out = weight + value.weight, out + value.text
        return _Told(weight, out)

    def _listed(self, text: str) -> _Told | None:
        """Texts one after the other, all of them known."""
        if "; " not in text:
            return None
        found = []
        for piece in text.split("; "):
            told = self._whole(piece)
            if told is None:
                return None
            found.append(told)
        return _Told(sum(told.weight for told in found), "、".join(told.text for told in found))

    def _line(self, line: str) -> _Told:
        """A line of an error or of a list of faults."""
        text = line.lstrip()
        indent = line[: len(line) - len(text)]
        for label, japanese in _LABELS.items():
            if text.startswith(label):
                told = self._read(text.removeprefix(label))
                return _Told(len(label) + told.weight, indent + japanese + told.text)
        # before a colon stands where it is: a file and its line, a municipality; of all cuts the one that knows most
        cuts = [(found, cut) for cut in _cuts(text) if (found := self._listed(text[cut:]) or self._whole(text[cut:]))]
        if not cuts:
            return _Told(0, line)
        told, cut = max(cuts, key=lambda one: (one[0].weight, one[1]))
        place = text[:cut].removesuffix(": ")
        where = self._whole(place) if place else None
        return _Told(told.weight, f"{indent}{where.text if where else place}{': ' if place else ''}{told.text}")


def _cuts(text: str) -> Iterator[int]:
    """The beginning and the places after the first colons."""
    at = 0
    for _ in range(_MOST_CUTS):
        yield at
        found = text.find(": ", at)
        if found < 0:
            return
        at = found + 2


@lru_cache(maxsize=1)
def table() -> dict[str, dict[str, str]]:
    """The parts of the table: ``errors``, ``others`` (what libraries say inside of errors) and ``outputs``."""
    import yaml

    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    return dict(yaml.load(FILE.read_text(encoding="utf-8"), Loader=loader))


@lru_cache(maxsize=1)
def _errors() -> Messages:
    return Messages(table()["others"] | table()["errors"])


@lru_cache(maxsize=1)
def _outputs() -> Messages:
    return Messages(table()["outputs"])


def error_text(text: str) -> str:
    """A text of an error (or a whole one, or faults) in Japanese."""
    try:
        return _errors().japanese(text)
    except OSError:  # disk or process are at their end: in English the error is told all the same
        return text


def output_text(text: str) -> str:
    """What a command prints, in Japanese."""
    try:
        found = _outputs().whole(text)
    except OSError:
        return text
    return text if found is None else found


def in_japanese(error: KodomoError) -> str:
    """The error as `str` tells it in English."""
    what = error_text(error.what)
    lines = [what if error.where is None else f"{error_text(error.where)}: {what}"]
    if error.expected:
        lines.append(f"  {EXPECTED}: {error_text(error.expected)}")
    if error.action:
        lines.append(f"  {ACTION}: {error_text(error.action)}")
    return "\n".join(lines)


def in_both(error: KodomoError) -> str:
    """The error in Japanese, and below it in English, by which logs are searched."""
    japanese, english = in_japanese(error), str(error)
    return english if japanese == english else f"{japanese}\n\n{english}"
