"""Days and moments as people read them: 2026年11月30日 5時34分, in the time of the place where the office is.

Files and records keep ISO 8601 in UTC; only what is shown goes through here.
"""

from __future__ import annotations

from datetime import date, datetime
from typing import Any
from zoneinfo import ZoneInfo

#: every municipality of this country keeps one time (明治28年勅令第167号)
LOCAL = ZoneInfo("Asia/Tokyo")


def shown_day(value: Any, language: str = "ja") -> str:
    """A day: 2026年10月1日, or 2026-10-01 in English. What is no day comes back as it is written."""
    try:
        day = value if isinstance(value, date) else date.fromisoformat(str(value)[:10])
    except ValueError:
        return str(value)
    return f"{day.year}年{day.month}月{day.day}日" if language == "ja" else f"{day:%Y-%m-%d}"


def shown_moment(value: Any, language: str = "ja") -> str:
    """A moment with its minute, in local time; one without a zone is taken for UTC. What is no moment stays as it is."""
    try:
        moment = value if isinstance(value, datetime) else datetime.fromisoformat(str(value))
    except ValueError:
        return str(value)
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=ZoneInfo("UTC"))
    local = moment.astimezone(LOCAL)
    if language == "ja":
        return f"{local.year}年{local.month}月{local.day}日 {local.hour}時{local.minute}分"
    return f"{local:%Y-%m-%d %H:%M}"
