"""The table of critical checks in ``docs/quality.md``: what each asks, beyond which share it stops a run, and what becomes of
one odd record. Made from the suites, so that the guide cannot say anything else; a test compares the two.
"""

from __future__ import annotations

from collections.abc import Iterable

from kodomo_platform.quality.suites import Expectation, Suite

BEGIN, END = "<!-- critical checks: made from the suites -->", "<!-- end of the critical checks -->"

_SET_APART = "隔離し、担当に問い合わせ、町は進む / set apart, asked about, the town goes on"
_WHOLE = "資料・列の全体の検査で、行は関係しない / about a whole source or column, no single row"
_PLATFORM = "行の誤りでは起こらない（起これば基盤の不具合） / no odd row leads there: a defect of the platform"
_ONE_ROW = {
    "key_present": _SET_APART, "key_readable": _SET_APART, "day_readable": _SET_APART, "usable": _SET_APART, "age": _SET_APART,
    "strangers": _SET_APART, "column": _WHOLE, "rows": _WHOLE, "spread": _WHOLE, "facts_stay": _WHOLE,
}  # fmt: skip


def _kind(expectation: Expectation) -> str:
    return "facts_stay" if expectation.id.startswith("facts_stay.") else expectation.id.rsplit(".", 1)[-1]


def critical_checks(suites: Iterable[Suite]) -> str:
    """The table in Markdown: checks of one kind, limit and layer share a line."""
    groups: dict[tuple[str, str, float, int], list[Expectation]] = {}
    for suite in suites:
        for e in suite.expectations:
            if e.severity == "critical":
                layer = e.table.split(".", 1)[0]
                groups.setdefault((layer, _kind(e), e.threshold, int(e.arguments.get("spare", 0))), []).append(e)
    lines = [
        "| 検査 / check | 対象 / where | 止める割合 / stops above | 1件だけのとき / one odd record | 理由 / why |",
        "|---|---|---|---|---|",
    ]
    order = {"raw": 0, "staging": 1, "linkage": 2, "marts": 3}
    for (layer, kind, threshold, spare), members in sorted(
        groups.items(), key=lambda entry: (order.get(entry[0][0], 9), entry[0][1:])
    ):
        first = members[0]
        where = first.table if len(members) == 1 else f"{layer}: {len(members)}検査 / checks"
        limit = f"{threshold:g} %" + (
            f"（{spare}行までは割合によらず通す / {spare} rows always pass）" if spare else ""
        )
        cells = (f"{first.ja} / {first.en}", where, limit, _ONE_ROW.get(kind, _PLATFORM), first.why)
        lines.append("| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |")
    return "\n".join(lines) + "\n"


def with_table(text: str, suites: Iterable[Suite]) -> str:
    """The guide's ``text`` with its table made anew."""
    before, rest = text.split(BEGIN, 1)
    return before + BEGIN + "\n\n" + critical_checks(suites) + "\n" + END + rest.split(END, 1)[1]
