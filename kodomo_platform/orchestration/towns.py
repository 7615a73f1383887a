"""Every loop over municipalities: each is examined on its own, a bad one is named in both languages and skipped.

What one municipality's file, folder or partition holds can never stop another's run. Which loop there is, and what it
asks of a municipality, belongs to `automation`.
"""

import logging
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from kodomo_platform.errors import KodomoError
from kodomo_platform.messages import in_both

T = TypeVar("T")


@dataclass(frozen=True)
class Skipped:
    """A municipality that could not be examined, and why: Japanese, then English; never a value that could be personal."""

    code: str
    why: str

    def __str__(self) -> str:
        return f"{self.code}: {self.why}"


@dataclass
class Examined(Generic[T]):
    """What came of those that could be examined, in the order of their codes, and those that could not."""

    results: dict[str, T] = field(default_factory=dict)
    skipped: list[Skipped] = field(default_factory=list)


def reason(error: Exception) -> str:
    """Why a municipality is skipped, in both languages. A library's own words may quote a value: only its kind is told."""
    if isinstance(error, KodomoError):
        return in_both(error)
    cause = error.strerror if isinstance(error, OSError) and error.strerror else type(error).__name__
    return (
        f"この自治体は確認できませんでした（{cause}）。ほかの自治体の処理は続けます / "
        f"this municipality could not be examined ({cause}); the others go on"
    )


def examine_each(codes: Iterable[str], examine: Callable[[str], T]) -> Examined[T]:
    """Call ``examine`` for each code; an error is that municipality's alone."""
    examined: Examined[T] = Examined()
    for code in codes:
        try:
            examined.results[code] = examine(code)
        except Exception as error:
            examined.skipped.append(Skipped(code[:40], reason(error)))
    return examined


def name_skipped(log: logging.Logger, skipped: Iterable[Skipped]) -> None:
    """One warning for each municipality that was left out, where the tick's log is read."""
    for one in skipped:
        log.warning("自治体 %s を飛ばしました / municipality %s is skipped: %s", one.code, one.code, one.why)


def skip_message(japanese: str, english: str, skipped: list[Skipped]) -> str:
    """Why a tick asked for nothing, with the codes of those that were left out."""
    if not skipped:
        return f"{japanese} / {english}"
    codes = ", ".join(one.code for one in skipped[:20]) + (" …" if len(skipped) > 20 else "")
    return (
        f"{japanese}。確認できず飛ばした自治体: {codes}（ログに理由） / "
        f"{english}; skipped, as the log of this tick says why: {codes}"
    )
