"""Charts as SVG made here, each from the table beside it: print, screen readers and closed networks."""

from __future__ import annotations

from collections.abc import Sequence

from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString


def bars(rows: Sequence[tuple[str, int | None]], *, label: str) -> SafeString:
    """Horizontal bars; None (a small number, not shown) has no bar and a dash."""
    height = 26 * len(rows) + 8
    most = max((value for _, value in rows if value), default=1)
    parts = format_html_join(
        "",
        '<text x="216" y="{}" text-anchor="end">{}</text><rect class="fill-1" x="226" y="{}" width="{}" height="16" rx="2"/>'
        '<text x="{}" y="{}">{}</text>',
        (
            (
                26 * i + 21,
                name if len(name) <= 17 else name[:16] + "…",
                26 * i + 9,
                0 if not value else max(2, round(value / most * 440)),
                232 + (0 if not value else round(value / most * 440)),
                26 * i + 21,
                "—" if value is None else f"{value:,}",
            )
            for i, (name, value) in enumerate(rows)
        ),
    )
    return format_html(
        '<svg class="chart" viewBox="0 0 740 {}" role="img" aria-label="{}"><title>{}</title>{}</svg>',
        height,
        label,
        label,
        parts,
    )


def suppressed(value: int, least: int) -> int | None:
    """None for a count of 1 to ``least`` − 1: too few people to stay unrecognised. Zero is shown."""
    return None if 0 < value < least else value


def suppress_rows(rows: Sequence[tuple[str, int]], least: int) -> list[tuple[str, int | None]]:
    """Counts with the small ones hidden, and one more where the sum would give a single hidden one away."""
    made: list[tuple[str, int | None]] = [(name, suppressed(value, least)) for name, value in rows]
    hidden = [i for i, (_, value) in enumerate(made) if value is None]
    if len(hidden) == 1 and len(made) > 1:
        rest = [(value, i) for i, (_, value) in enumerate(made) if value]
        if rest:
            smallest = min(rest)[1]
            made[smallest] = (made[smallest][0], None)
    return made
