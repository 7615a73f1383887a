"""Why a run was stopped, in the order in which a person would look: the check, the office, the column, what to do.

A fault in one source's numbers shows in every source that uses them. They are told as one, and the source whose numbers they
are is named; the others are not blamed. Counts only, never a value.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from kodomo_platform.catalog import Catalog, Source, load_catalog
from kodomo_platform.quality.results import ExpectationResult

if TYPE_CHECKING:
    from kodomo_platform.municipalities.models import Municipality

# What is asked of the office, by the last part of an expectation's id: (Japanese, English).
_TO_DO = {
    "key_readable": (
        "この列を文字列のまま書き出して再提出してください（Excelで開いて保存すると、番号が指数表示や数式になります）",
        "export this column as text and deliver again (a spreadsheet turns numbers into exponents and formulas)",
    ),
    "key_present": ("番号の列が抽出に入っているかを確かめ、再提出してください", "see that the extract holds the numbers and deliver again"),
    "column": ("列の名前や抽出条件が変わっていないかを確かめ、再提出してください", "see whether the column was renamed or left out"),
    "spread": (
        "番号の列が一つの値で埋められていないかを確かめ、再提出してください", "see whether one number was filled into all rows",
    ),
    "day_readable": (
        "日付の書き方が変わっていないかを確かめてください。正しければ自治体の設定の dates を直します",
        "see whether dates are written in another way; if they are right, mend `dates` in the municipality's file",
    ),
    "usable": (
        "日付の書き方（元号・桁）か列の取り違えを確かめ、再提出してください",
        "see whether the era, the digits or the column are other ones, and deliver again",
    ),
    "rows": ("抽出の条件を確かめ、再提出してください", "see by which conditions the extract was made"),
    "strangers": (
        "別の自治体の資料や、古い台帳でないことを確かめてください", "see that neither is another municipality's or an old one",
    ),
    "facts_stay": (
        "この資料の抽出を前回と比べてください。正しい変化なら、自治体の設定の quality_overrides に理由を書いて通します",
        "compare the extract with the former one; if the change is right, allow it with a reason in quality_overrides",
    ),
}  # fmt: skip
_ELSE = (
    "訂正依頼票にある行を確かめ、再提出してください", "look at the rows on the correction sheet and deliver again",
)  # fmt: skip
_OURS = (
    "資料の誤りではなく、この基盤の不具合です。運用担当者が開発者に知らせてください",
    "no fault of any extract but of this platform: operations should tell the developers",
)  # fmt: skip


@dataclass(frozen=True)
class Blocked:
    """One reason for stopping. ``office``: who can mend it; None: nobody outside."""

    expectation_id: str
    check: str
    office: str | None
    source: str | None
    column: str | None
    action: str
    tables: tuple[str, ...] = ()

    @property
    def line(self) -> str:
        """One line: the check first, then who does what."""
        where = "・".join(part for part in (self.source, self.column and f"「{self.column}」の列") if part)
        who = f"{self.office}（{where}）" if self.office else where
        return f"{self.check} → {f'{who}: ' if who else ''}{self.action}"


def blocked(results: Sequence[ExpectationResult], municipality: Municipality) -> list[Blocked]:
    """Why ``results`` stop the run, causes before what follows from them; empty when they do not."""
    catalog = load_catalog()
    failed = [r for r in results if not r.passed and r.severity == "critical"]
    broken_keys = {
        r.source for r in failed if r.source and _kind(r) in ("key_readable", "key_present", "column", "spread")
    }
    strangers: dict[str, list[ExpectationResult]] = {}
    answer = []
    for result in failed:
        home = _home(result, catalog) if _kind(result) == "strangers" else None
        if home is not None:
            strangers.setdefault(home.key, []).append(result)
        else:
            answer.append(_told(result, municipality, catalog))
    for key, followers in strangers.items():
        home = catalog.sources[key]
        if key in broken_keys:
            continue  # its own line says it: the numbers that nobody finds are its numbers
        if len(followers) == 1:
            answer.append(_told(followers[0], municipality, catalog))
            continue
        names = "、".join(catalog.sources[r.source].label_ja for r in followers if r.source)
        answer.append(
            Blocked(
                followers[0].expectation_id,
                f"{len(followers)}資料（{names}）の番号のほとんどが「{home.label_ja}」にありません / the numbers of {len(followers)} "
                f"sources are not in {home.label_en}",
                _office(municipality, home),
                home.label_ja,
                _column(municipality, home, home.record_key),
                "まずこの台帳の番号の列を確かめてください。ほかの資料の担当には問い合わせ不要です / look at the numbers of this register "
                "first; the other offices need not be asked",
                tuple(r.table_name for r in followers),
            )
        )
    return sorted(answer, key=lambda one: _rank(_kind_of(one.expectation_id)))


# Causes first: what a broken column leads to stands below it.
_ORDER = ("column", "key_readable", "key_present", "spread", "day_readable", "usable", "rows", "strangers")


def _rank(kind: str) -> int:
    return _ORDER.index(kind) if kind in _ORDER else len(_ORDER)


def _kind_of(expectation_id: str) -> str:
    own = expectation_id.split(":", 1)[1]
    return "facts_stay" if own.startswith("facts_stay.") else own.rsplit(".", 1)[-1]


def _kind(result: ExpectationResult) -> str:
    return _kind_of(result.expectation_id)


def _told(result: ExpectationResult, municipality: Municipality, catalog: Catalog) -> Blocked:
    kind = _kind(result)
    key = result.expectation_id.split(":facts_stay.", 1)[1] if kind == "facts_stay" else result.source
    source = catalog.sources.get(key or "")
    count = f"（{result.unexpected:,}/{result.evaluated:,}）" if result.status != "error" else f"（{result.reason}）"
    item = result.item or (source.record_key if source is not None and kind == "strangers" else None)
    ja, en = _TO_DO.get(kind, _ELSE if source is not None else _OURS)
    if result.status == "error":
        ja, en = _OURS
    return Blocked(
        result.expectation_id,
        f"{result.label_ja} / {result.label_en}{count}",
        _office(municipality, source) if source is not None else None,
        source.label_ja if source is not None else None,
        _column(municipality, source, item) if source is not None and item else None,
        f"{ja} / {en}",
        (result.table_name,),
    )


def _home(result: ExpectationResult, catalog: Catalog) -> Source | None:
    source = catalog.sources.get(result.source or "")
    if source is None:
        return None
    return next(
        (s for s in catalog.sources.values() if s.is_identity and s.id_system == source.id_system and s is not source),
        None,
    )


def _office(municipality: Municipality, source: Source) -> str:
    config = municipality.by_source.get(source.key)
    return config.holder if config is not None else source.by_name[source.record_key].holder


def _column(municipality: Municipality, source: Source, item: str) -> str:
    """The column's own name in this municipality's file, where it has one; else the item's."""
    config = municipality.by_source.get(source.key)
    column = config.by_item.get(item) if config is not None else None
    named = getattr(column, "column", None)
    return str(named or (source.by_name[item].label_ja if item in source.by_name else item))
