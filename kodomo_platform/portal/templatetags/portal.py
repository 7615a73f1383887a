"""Tags of the portal's templates: both languages side by side, dates as people read them."""

from __future__ import annotations

from datetime import date, datetime
from typing import Any

from django import template
from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import mark_safe
from django.utils.translation import get_language

register = template.Library()

_ERAS = ((date(2019, 5, 1), "令和"), (date(1989, 1, 8), "平成"), (date(1926, 12, 25), "昭和"))
_SEX = {"female": ("女", "female"), "male": ("男", "male")}


def english() -> bool:
    """Whether the reader chose English."""
    return get_language() == "en"


@register.simple_tag
def t(ja: str, en: str, *values: Any) -> str:
    """The text of the reader's language; ``{}`` takes the values in order, escaped."""
    text = en if english() else ja
    # the text itself is the template's own; only what is put in comes from elsewhere
    return format_html(text, *values) if values else mark_safe(text)


@register.filter
def day(value: date | datetime | None) -> str:
    """A date: 2026年10月1日, or 2026-10-01 in English."""
    if value is None:
        return ""
    if isinstance(value, datetime):
        value = timezone.localtime(value).date()
    return value.isoformat() if english() else f"{value.year}年{value.month}月{value.day}日"


@register.filter
def era(value: date | None) -> str:
    """A birth date with its era, as Japanese papers have it."""
    if value is None:
        return ""
    if english():
        return value.isoformat()
    for start, name in _ERAS:
        if value >= start:
            year = value.year - start.year + 1
            return f"{name}{'元' if year == 1 else year}年{value.month}月{value.day}日"
    return day(value)


@register.filter
def moment(value: datetime | None) -> str:
    """Date and time to the minute."""
    return "" if value is None else timezone.localtime(value).strftime("%Y-%m-%d %H:%M")


@register.filter
def sex(value: str | None) -> str:
    """A sex as people read it."""
    ja, en = _SEX.get(value or "", ("不明", "not known"))
    return en if english() else ja


@register.filter
def kana(value: str | None) -> str:
    """A reading in full-width kana, as it stands above a name."""
    import unicodedata

    return unicodedata.normalize("NFKC", value or "").replace("\u3000", " ")


@register.filter
def school(value: str | None, code: str) -> str:
    """A school's name."""
    from kodomo_platform.portal.choices import school_name

    return school_name(code, value)


@register.filter
def grade(value: int | None) -> str:
    """A school year: 小1-小6, 中1-中3, before school as such."""
    if value is None:
        return ""
    if value < 1:
        return "preschool" if english() else "就学前"
    if english():
        return f"year {value}"
    return f"小{value}" if value <= 6 else f"中{value - 6}"


@register.filter
def get(mapping: dict[Any, Any] | None, key: Any) -> Any:
    """A dictionary's value by a variable key."""
    return None if mapping is None else mapping.get(key)
