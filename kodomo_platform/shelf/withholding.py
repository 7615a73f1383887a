"""Of whom nothing may be shown: consent was the ground and is not there any more.

The snapshot in use says so, for older snapshots too: a withdrawal reaches what was published before it. Removing old
snapshots does not belong here (governance does it).
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

import duckdb

from kodomo_platform.errors import WithheldError
from kodomo_platform.shelf.snapshots import current_snapshot

STATES = {
    "withdrawn": ("同意が撤回されています", "consent was withdrawn"),
    "refused": ("同意されていません（不同意）", "consent was refused"),
    "ended": ("同意の期間が終わっています", "consent has ended"),
    "not_yet": ("同意の期間がまだ始まっていません", "consent has not begun yet"),
    "unreadable": (
        "同意記録に読み取れない箇所があるため、撤回として扱っています",
        "the consent record cannot be read, so it counts as withdrawn",
    ),
    "no_line": ("同意記録がありません", "there is no consent on record"),
}


@dataclass(frozen=True)
class Withheld:
    """Why nothing is shown of one child, and since when (None: not known)."""

    state: str
    since: date | None

    def words(self, language: str = "ja") -> str:
        """The reason in one sentence, with its day."""
        said = STATES.get(self.state, STATES["no_line"])[language != "ja"]
        if self.since is None:
            return said
        day = self.since
        return f"{said}（{day.year}年{day.month}月{day.day}日）" if language == "ja" else f"{said} ({day.isoformat()})"


def withheld(code: str, child_id: str) -> Withheld | None:
    """Whether the snapshot in use withholds ``child_id``; None where it does not."""
    file = current_snapshot(code).file("withheld")
    if not file.is_file():  # published before there was such a list
        return None
    with duckdb.connect(":memory:") as con:
        row = con.execute(
            "select state, since from read_parquet(?) where child_id = ?", [str(file), child_id]
        ).fetchone()
    return None if row is None else Withheld(str(row[0]), row[1])


def require_open(code: str, child_id: str) -> None:
    """Raises `WithheldError` where nothing may be shown of this child, of any date."""
    if withheld(code, child_id) is not None:
        raise WithheldError(
            "nothing is shown of this child: consent is the ground and is not there",
            where=f"municipality {code}",
            expected="a consent that holds today",
            action="what was published before is not shown either; the office that keeps the consents can say more",
        )
