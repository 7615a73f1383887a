"""The published snapshot as the portal reads it: opened once per version, always through `visibility`.

One DuckDB in memory per municipality and snapshot version, a cursor per question. Nothing here writes, and there is no
way around a person's rights: every public function asks for an `Actor` and selects from `visibility.relation`.
"""

from __future__ import annotations

import json
import threading
from collections import OrderedDict
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any, Literal

import duckdb

from kodomo_platform.errors import Fault, NoSnapshotError, PublishingError
from kodomo_platform.portal.rights import Actor, Permission
from kodomo_platform.portal.visibility import Parameters, domains_read, reaches, relation
from kodomo_platform.settings import get_settings
from kodomo_platform.shelf import Snapshot, current_snapshot, verify
from kodomo_platform.warehouse import connect

PAGE_SIZE = 50
#: most search results shown; whoever has more must say more
MOST_HITS = 50
_KEPT_VERSIONS = 4

Sort = Literal["rank", "name", "class", "seen"]
Only = Literal["", "alert", "new", "undetermined", "unseen", "protected"]


@dataclass(frozen=True)
class Filters:
    """What a list is narrowed to. Empty: not narrowed."""

    theme: str = ""
    school: str = ""
    grade: int | None = None
    band: str = ""
    only: Only = ""
    #: narrowed to these children (state or owner of a case, known to the database of cases only)
    among: tuple[str, ...] | None = None
    not_among: tuple[str, ...] | None = None
    sort: Sort = "rank"
    page: int = 1


@dataclass(frozen=True)
class Rows:
    """One page of a list and how many there are in all."""

    rows: list[dict[str, Any]]
    total: int
    page: int
    pages: int


_CHILD = """
create table child as
with
stated as (
    select
        r.*,
        case
            -- in the register's words; whoever is not in the register may be protected without our knowing
            when r.protection_measure = 'active' then 2
            when r.protection_measure = 'none' and contains(coalesce(r.sources::varchar, ''), 'resident.register') then 0
            else 1
        end as own
    from read_parquet($file) as r
),
apart as (
    select child_id, address, postal_code, guardian_phone from read_parquet($apart)
),
home as (
    select household_id, max(own) as highest
    from stated
    where household_id is not null
    group by household_id
)
select
    s.child_id, s.name, s.name_kana, s.birth_date, s.sex, s.household_id, coalesce(a.address, s.address) as address,
    coalesce(a.postal_code, s.postal_code) as postal_code, s.school_code, s.grade::bigint as grade, s.class,
    s.facility_code, s.resident_number, s.guardian_name, coalesce(a.guardian_phone, s.guardian_phone) as guardian_phone,
    s.age_years::bigint as age_years, s.is_resident, s.last_seen_on, coalesce(s.sources::varchar, '') as sources,
    -- the household shares one address: one protected child protects all of them
    case greatest(s.own, case when h.highest = 2 then 2 else 0 end) when 2 then 'active' when 1 then 'unknown' else 'none' end
        as protection,
    kodomo_name(s.name).match as name_key,
    kodomo_kana(s.name_kana).match as kana_key
from stated as s
left join home as h on s.household_id = h.household_id
left join apart as a on s.child_id = a.child_id
where s.child_id not in (select child_id from read_parquet($withheld))
order by s.child_id
"""

_SCORE = """
create table score as
select
    *,
    coalesce(contains(rule_hits, '"already_known"'), false) as known,
    coalesce(contains(rule_hits, '"not_seen"'), false) as not_seen
from read_parquet($file)
order by theme, rank
"""


#: what `verify` says of a table that the contract has gained since. The manifest's own hash is remembered, so that
#: nobody takes a table out of a snapshot unseen; one from before an upgrade is sound and is shown
_LATER_TABLE = "not in the manifest"


class Register:
    """One snapshot, open to be read."""

    def __init__(self, snapshot: Snapshot) -> None:
        self.code = snapshot.municipality
        self.version = snapshot.version
        self.as_of: date = snapshot.as_of
        self.created_at: datetime = snapshot.created_at
        self.path = snapshot.path
        self.manifest = snapshot.manifest
        self._con = connect(":memory:")
        from kodomo_platform.cleansing.functions import register

        register(self._con)
        apart = snapshot.file("protected_addresses")
        # a snapshot from before protected addresses stood apart holds them in the register itself
        sources = {"file": str(snapshot.file("child_register"))}
        sources["apart"] = str(apart) if apart.exists() else sources["file"]
        withheld = snapshot.file("withheld")
        # of whom nothing may be shown: consent was the ground and is not there any more
        nobody = f"(select child_id from read_parquet('{sources['file']}') where false)"
        statement = (
            _CHILD if withheld.exists() else _CHILD.replace("(select child_id from read_parquet($withheld))", nobody)
        )
        if withheld.exists():
            sources["withheld"] = str(withheld)
        self._con.execute(statement, sources)
        self._con.execute(_SCORE, {"file": str(snapshot.file("risk_scores"))})
        self.features_file = str(snapshot.file("child_features"))
        self.crosswalk_file = str(snapshot.file("crosswalk"))
        self.quality_file = str(snapshot.file("quality_results"))
        self.rejects_file = str(snapshot.file("rejects"))
        self.themes: list[str] = [
            row[0] for row in self._con.execute("select distinct theme from score order by 1").fetchall()
        ]

    def close(self) -> None:
        """Give the memory back."""
        self._con.close()

    # --- questions -----------------------------------------------------------------------------------------------

    def ask(self, sql: str, values: dict[str, Any] | None = None) -> list[dict[str, Any]]:
        """Rows of a question as dictionaries. For the portal's own modules: callers bring `visibility` into it."""
        cursor = self._con.cursor()
        try:
            done = cursor.execute(sql, values) if values else cursor.execute(sql)
            names = [column[0] for column in done.description or []]
            return [dict(zip(names, row, strict=True)) for row in done.fetchall()]
        finally:
            cursor.close()

    def _listed(
        self, actor: Actor, filters: Filters, bound: Parameters, hide_records: bool, permission: Permission
    ) -> str:
        """FROM and WHERE of a list. What a person may not see can neither be filtered nor sorted by."""
        theme = bound.add(filters.theme)
        scored = f"select child_id, rank, band, alert, determinable, known, not_seen from score where theme = {theme}"
        conditions = ["true"]
        if filters.theme:
            conditions.append("s.child_id is not null")
        if filters.school:
            conditions.append(f"c.school_code = {bound.add(filters.school)}")
        if filters.grade is not None:
            conditions.append(f"c.grade = {bound.add(filters.grade)}")
        if filters.band:
            conditions.append(f"c.score_shown and s.band = {bound.add(filters.band)}")
        narrowed = {
            "alert": "c.score_shown and s.alert",
            "new": "c.score_shown and s.alert and not s.known",
            "undetermined": "c.score_shown and not s.determinable",
            "unseen": "c.score_shown and s.not_seen",
            "protected": "c.protected",
        }
        if filters.only:
            conditions.append(narrowed[filters.only])
        if filters.among is not None:
            conditions.append(f"c.child_id in (select unnest({bound.add(list(filters.among))}::varchar[]))")
        if filters.not_among is not None:
            conditions.append(f"c.child_id not in (select unnest({bound.add(list(filters.not_among))}::varchar[]))")
        seen = relation(actor, bound, permission=permission, hide_records=hide_records)
        return (
            f"from ({seen}) as c left join ({scored}) as s on c.child_id = s.child_id where {' and '.join(conditions)}"
        )

    def listed(
        self, actor: Actor, filters: Filters, *, hide_records: bool = False, size: int | None = PAGE_SIZE
    ) -> Rows:
        """The register as ``actor`` may see it, one page of it (``size`` None: all)."""
        actor.require(Permission.LIST_CHILDREN)
        bound = Parameters()
        part = self._listed(actor, filters, bound, hide_records, Permission.LIST_CHILDREN)
        order = {
            "rank": "case when c.score_shown then s.rank end asc nulls last",
            "name": "c.kana_key asc nulls last",
            "class": "c.school_code asc nulls last, c.grade asc nulls last, c.class asc nulls last, c.kana_key asc nulls last",
            "seen": "c.last_seen_on asc nulls first",
        }[filters.sort]
        total = int(self.ask(f"select count(*) as n {part}", bound.values)[0]["n"])
        pages = 1 if size is None else max(1, -(-total // size))
        page = min(max(1, filters.page), pages)
        window = "" if size is None else f" limit {size} offset {(page - 1) * size}"
        # first who stands on the page, then what is told of them: sorting must not carry every child's reasons
        chosen = [
            row["child_id"]
            for row in self.ask(f"select c.child_id {part} order by {order}, c.child_id{window}", bound.values)
        ]
        rows = self._told_of(actor, chosen, filters.theme, hide_records)
        return Rows([_decoded(row) for row in rows], total, page, pages)

    def _told_of(self, actor: Actor, ids: list[str], theme: str, hide_records: bool) -> list[dict[str, Any]]:
        """Everything a list tells of ``ids``, in their order."""
        if not ids:
            return []
        bound = Parameters()
        seen = relation(actor, bound, permission=Permission.LIST_CHILDREN, hide_records=hide_records)
        among = f"child_id in (select unnest({bound.add(ids)}::varchar[]))"
        rows = self.ask(
            f"select c.*, {_scored_columns()} from (select * from ({seen}) as a where {among}) as c "
            f"left join (select * from score where theme = {bound.add(theme)} and {among}) as s on c.child_id = s.child_id",
            bound.values,
        )
        by_id = {row["child_id"]: row for row in rows}
        return [by_id[child_id] for child_id in ids]

    def child(self, actor: Actor, child_id: str, *, hide_records: bool = False) -> dict[str, Any] | None:
        """One child with the scores of every theme, or None: not there and not to be seen answer alike."""
        actor.require(Permission.VIEW_CHILD)
        bound = Parameters()
        seen = relation(actor, bound, permission=Permission.VIEW_CHILD, hide_records=hide_records)
        rows = self.ask(f"select * from ({seen}) as c where child_id = {bound.add(child_id)}", bound.values)
        if not rows:
            return None
        child = rows[0]
        child["scores"] = []
        if child["score_shown"] or child["reasons_shown"]:
            for row in self.ask("select * from score where child_id = $child order by theme", {"child": child_id}):
                shown = {"score_shown": child["score_shown"], "reasons_shown": child["reasons_shown"]}
                child["scores"].append(_decoded(_without_hidden({**row, **shown})))
        return child

    def reached(self, actor: Actor, permission: Permission, child_id: str, *, hide_records: bool = False) -> bool:
        """Whether ``permission`` reaches this child, who must also be one whom ``actor`` may open."""
        bound = Parameters()
        seen = relation(actor, bound, permission=Permission.VIEW_CHILD, hide_records=hide_records)
        reach = reaches(actor, permission, bound)
        child = bound.add(child_id)
        return bool(
            self.ask(
                f"select 1 as yes from child where child_id = {child} and {reach} "
                f"and child_id in (select child_id from ({seen}) as c)",
                bound.values,
            )
        )

    def household(self, actor: Actor, household_id: str | None, *, hide_records: bool = False) -> list[dict[str, Any]]:
        """The children of a household whom ``actor`` may see, oldest first."""
        actor.require(Permission.VIEW_CHILD)
        if not household_id:
            return []
        bound = Parameters()
        seen = relation(actor, bound, permission=Permission.VIEW_CHILD, hide_records=hide_records)
        return self.ask(
            f"select * from ({seen}) as c where household_id = {bound.add(household_id)} "
            "order by age_years desc nulls last, child_id",
            bound.values,
        )

    def search(self, actor: Actor, text: str, *, hide_records: bool = False) -> tuple[list[dict[str, Any]], str, int]:
        """Children by number, id, birth date, kana or kanji; how the text was understood; how many in all."""
        actor.require(Permission.SEARCH_CHILDREN)
        bound = Parameters()
        seen = relation(actor, bound, permission=Permission.SEARCH_CHILDREN, hide_records=hide_records)
        understood, condition = understand(text, bound)
        part = f"from ({seen}) as c where {condition}"
        total = int(self.ask(f"select count(*) as n {part}", bound.values)[0]["n"])
        rows = self.ask(f"select * {part} order by kana_key nulls last, child_id limit {MOST_HITS}", bound.values)
        return rows, understood, total

    def facts(self, actor: Actor, child_id: str) -> dict[str, Any]:
        """The child's row of features (values and ``__status``), empty where there is none or no right to it."""
        bound = Parameters()
        reach = reaches(actor, Permission.FIELD_REASONS, bound)
        rows = self.ask(
            f"select f.* from read_parquet({bound.add(self.features_file)}) as f where f.child_id = {bound.add(child_id)} "
            f"and exists (select 1 from child where child.child_id = f.child_id and {reach})",
            bound.values,
        )
        return rows[0] if rows else {}

    def schools(self, actor: Actor, *, hide_records: bool = False) -> list[dict[str, Any]]:
        """Schools and grades of the children whom ``actor`` may list, with counts."""
        bound = Parameters()
        seen = relation(actor, bound, permission=Permission.LIST_CHILDREN, hide_records=hide_records)
        return self.ask(
            f"select school_code, count(*) as children from ({seen}) as c where school_code is not null group by 1 order by 1",
            bound.values,
        )

    def which_exist(
        self, actor: Actor, ids: list[str], permission: Permission, *, hide_records: bool = False
    ) -> dict[str, dict[str, Any]]:
        """Those of ``ids`` whom ``actor`` may see, by id: for rows of other tables that name children."""
        if not ids:
            return {}
        bound = Parameters()
        seen = relation(actor, bound, permission=permission, hide_records=hide_records)
        rows = self.ask(
            f"select * from ({seen}) as c where child_id in (select unnest({bound.add(sorted(set(ids)))}::varchar[]))",
            bound.values,
        )
        return {row["child_id"]: row for row in rows}


_SCORED = (
    "score",
    "score_low",
    "score_high",
    "rank",
    "band",
    "alert",
    "determinable",
    "undetermined_reason",
    "known",
    "not_seen",
)
_TOLD = ("reasons", "rule_hits")


def _without_hidden(row: dict[str, Any]) -> dict[str, Any]:
    hidden = (() if row["score_shown"] else _SCORED) + (() if row["reasons_shown"] else _TOLD)
    return {**row, **dict.fromkeys(hidden)}


def _scored_columns() -> str:
    return ", ".join(
        (
            *(f"case when c.score_shown then s.{name} end as {name}" for name in _SCORED),
            *(f"case when c.reasons_shown then s.{name} end as {name}" for name in _TOLD),
            "s.score_version",
            "s.model_name",
        )
    )


def _decoded(row: dict[str, Any]) -> dict[str, Any]:
    for name in ("reasons", "rule_hits"):
        row[name] = json.loads(row[name]) if row.get(name) and row.get("reasons_shown", True) else []
    return row


def understand(text: str, bound: Parameters) -> tuple[str, str]:
    """What a search text asks for (``number``, ``birth``, ``kana``, ``name``, ``nothing``) and its SQL condition."""
    from kodomo_platform.cleansing.dates import read_date
    from kodomo_platform.cleansing.kana import match_kana
    from kodomo_platform.cleansing.names import match_name
    from kodomo_platform.cleansing.numbers import normalise_number

    asked = " ".join(text.split())[:80]
    if not asked:
        return "nothing", "false"
    reading = read_date(asked)
    day = getattr(reading, "value", None)
    number = normalise_number(asked)
    digits = number.isdigit()
    if isinstance(day, date) and not (digits and len(number) == 10):
        return "birth", f"birth_date = {bound.add(day)}"
    if digits:
        return "number", f"resident_number = {bound.add(number)}"
    if asked.isascii() and asked.startswith("c") and len(asked) >= 12 and asked.isalnum():
        return "id", f"child_id = {bound.add(asked)}"
    name, kana = match_name(asked), match_kana(asked)
    conditions = []
    if name.match:
        conditions.append(f"contains(name_key, {bound.add(name.match)})")
    kana_like = bool(kana.match) and all("ァ" <= character <= "ヿ" or character == " " for character in str(kana.match))
    if kana_like:
        conditions.append(f"starts_with(kana_key, {bound.add(kana.match)})")
        # given name alone, as people say it at the desk
        conditions.append(f"contains(kana_key, {bound.add(kana.match)})")
    if not conditions:
        return "nothing", "false"
    return ("kana" if kana_like else "name"), f"coalesce({' or '.join(conditions)}, false)"


# --- the versions that are open -------------------------------------------------------------------------------------

_guard = threading.Lock()
_open: OrderedDict[tuple[str, str], Register] = OrderedDict()
_damaged: dict[tuple[str, str], tuple[Fault, ...]] = {}


def register_of(code: str) -> Register:
    """The municipality's current snapshot, opened and checked once per version.

    Raises:
        NoSnapshotError: nothing is published, or what is there is not what was published.
    """
    try:
        snapshot = current_snapshot(code)
    except PublishingError as error:
        raise NoSnapshotError(error.what, where=error.where, action=error.action) from error
    key = (str(get_settings().home), str(snapshot.path))
    with _guard:
        if key in _open:
            _open.move_to_end(key)
            return _open[key]
        faults = _damaged.get(key) or tuple(fault for fault in verify(snapshot.path) if fault.message != _LATER_TABLE)
        if faults:
            _damaged[key] = faults
            raise NoSnapshotError(
                "the snapshot is not what was published",
                where=f"municipality {code}, version {snapshot.version}",
                expected="files as the manifest lists them",
                action="`kodomo snapshots verify` says what is wrong; publish again with `kodomo run`",
            )
        try:
            opened = Register(snapshot)
        except duckdb.Error as error:
            raise NoSnapshotError(
                "the snapshot cannot be read",
                where=f"municipality {code}, version {snapshot.version}",
                action="`kodomo snapshots verify` says what is wrong; publish again with `kodomo run`",
            ) from error
        _open[key] = opened
        while len(_open) > _KEPT_VERSIONS:
            # the last reader's cursor keeps the database alive; closing here would end its question
            _open.popitem(last=False)
        return opened


def forget_open() -> None:
    """Close every open snapshot (tests)."""
    with _guard:
        for opened in _open.values():
            opened.close()
        _open.clear()
        _damaged.clear()


def readable(actor: Actor, item: str | None) -> bool:
    """Whether an item such as ``welfare.case.severity`` lies in a domain this person reads. Items of no domain: yes."""
    if not item or "." not in item:
        return True
    domains = domains_read(actor)
    return "*" in domains or item.partition(".")[0] in domains
