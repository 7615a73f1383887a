"""How good the links are, against a truth or (without one) from a clerical sample. The pipeline never calls this.

Truth: CSV or Parquet of ``source``, ``source_record_id``, ``person_id`` (and ``tags``, separated by ``|``). Records of
adults of the register are outside: they bear no child id by design.
"""

from __future__ import annotations

import math
from collections import defaultdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kodomo_platform.errors import LinkageError
from kodomo_platform.protection import HIDDEN, is_hidden

if TYPE_CHECKING:
    import duckdb

# the kinds of case the field asks about; what else stands in the truth's tags is reported as it is called there
_NEEDED = ("source", "source_record_id", "person_id")


def wilson(hits: int, of: int) -> tuple[float, float]:
    """95 % Wilson interval of a share; (0, 1) when nothing was counted."""
    if of == 0:
        return (0.0, 1.0)
    z, share = 1.959964, hits / of
    centre = share + z * z / (2 * of)
    spread = z * math.sqrt(share * (1 - share) / of + z * z / (4 * of * of))
    return (max(0.0, (centre - spread) / (1 + z * z / of)), min(1.0, (centre + spread) / (1 + z * z / of)))


def scores(tp: int, fp: int, fn: int) -> dict[str, Any]:
    """Precision, recall and F1 with their counts and intervals; an empty denominator counts as 1 (nothing was wrong)."""
    precision = tp / (tp + fp) if tp + fp else 1.0
    recall = tp / (tp + fn) if tp + fn else 1.0
    return {
        "precision": precision,
        "recall": recall,
        "f1": 2 * precision * recall / (precision + recall) if precision + recall else 0.0,
        "tp": tp,
        "fp": fp,
        "fn": fn,
        "precision_ci95": list(wilson(tp, tp + fp)),
        "recall_ci95": list(wilson(tp, tp + fn)),
    }


def evaluate(con: duckdb.DuckDBPyConnection, truth: Path) -> dict[str, Any]:
    """Pairwise and cluster scores, for all sources together, for records that name a person (``identity``), and for
    records that could be read at all (``loaded``: a line that was broken in the delivery cannot be linked by anybody).

    The truth need not fit: further columns are ignored, rows without a person are left out, a record of which two rows
    tell different people is left out too, a record that no id was given to counts as a child of its own (its pairs are
    missed). ``counts`` says how many there were of each.

    Raises:
        LinkageError: the truth cannot be read, lacks a column or is empty; or nothing was linked here.
    """
    _require_links(con)
    counts = _read_truth(con, truth)
    # adults of the register and the facts about them alone are outside
    con.execute(
        """
        create or replace temp table eval_record as
        with adults as (
            select p.source_record_id, s.id_system
            from linkage.lnk_person as p join cfg.source as s on s.source = p.source where not p.is_child
        ),
        identity as (select source, source_record_id from linkage.lnk_identity)
        select t.source, t.source_record_id, t.person_id, t.tags, x.child_id,
            i.source is not null as is_identity,
            coalesce(x.child_id, '-' || t.source || '|' || t.source_record_id) as cluster_id
        from eval_truth as t
        left join cfg.source as s on s.source = t.source
        left join linkage.lnk_crosswalk as x on x.source = t.source and x.source_record_id = t.source_record_id
        left join identity as i on i.source = t.source and i.source_record_id = t.source_record_id
        anti join adults as a on a.id_system = s.id_system and a.source_record_id = t.source_record_id
        """
    )
    report = _both(con, "true")
    report["identity"] = _both(con, "is_identity")
    report["loaded"] = _both(con, f"({_was_loaded(con)})")
    report["types_from"] = _kinds(con)
    report["by_type"] = _by_type(con)
    report["queue"] = _queue(con)
    report["counts"] = counts | _counts(con)
    return report


def _was_loaded(con: duckdb.DuckDBPyConnection) -> str:
    """SQL over `eval_record`: some staged row has this record's number. Always true where staging is not at hand."""
    tables = [
        str(name)
        for (name,) in con.execute(
            "select table_name from information_schema.columns where table_schema = 'staging' "
            "and column_name = 'source_record_id' and table_name like 'stg\\_%' escape '\\' order by 1"
        ).fetchall()
    ]
    if not tables:
        return "true"
    staged = " union all ".join(
        f"select '{name.removeprefix('stg_').replace('__', '.', 1)}' as source, source_record_id from staging.{name}"
        for name in tables
    )
    con.execute(f"create or replace temp table eval_staged as select distinct source, source_record_id from ({staged})")
    return "exists (select 1 from eval_staged as s where s.source = eval_record.source and s.source_record_id = eval_record.source_record_id)"


def _require_links(con: duckdb.DuckDBPyConnection) -> None:
    (found,) = con.execute(
        "select count(*) from information_schema.tables where table_schema = 'linkage' "
        "and table_name in ('lnk_crosswalk', 'lnk_person', 'lnk_identity', 'lnk_review_queue')"
    ).fetchone() or (0,)
    if found < 4:
        raise LinkageError(
            "nothing was linked in this warehouse yet",
            expected="the tables of a finished linkage",
            action="`kodomo run --municipality CODE` first",
        )


def _read_truth(con: duckdb.DuckDBPyConnection, truth: Path) -> dict[str, int]:
    """Temporary table ``eval_truth``: a row per record of which the truth tells one person. Returns what was left out."""
    if not truth.is_file():
        raise LinkageError("there is no truth file", where=str(truth), expected="CSV or Parquet")
    import duckdb

    with truth.open("rb") as stream:
        is_parquet = stream.read(4) == b"PAR1"  # by its content: the name may say anything
    reader = "read_parquet(?)" if is_parquet else "read_csv(?, all_varchar = true, header = true)"
    try:
        con.execute(f"create or replace temp table eval_given as select * from {reader}", [str(truth)])
    except duckdb.Error as error:
        raise LinkageError(
            "the truth file cannot be read", where=str(truth), expected="CSV with a header, or Parquet"
        ) from error
    columns = {
        str(row[0]).strip().lstrip("\ufeff").lower(): str(row[0])
        for row in con.execute("describe eval_given").fetchall()
    }
    missing = [column for column in _NEEDED if column not in columns]
    if missing:
        raise LinkageError(f"the truth file lacks {', '.join(missing)}", where=str(truth), expected=", ".join(_NEEDED))
    text = {name: f"nullif(trim(cast({_quoted(columns[name])} as varchar)), '')" for name in _NEEDED}
    tags = f"cast({_quoted(columns['tags'])} as varchar)" if "tags" in columns else "cast(null as varchar)"
    con.execute(
        f"""
        create or replace temp table eval_told as
        select {text["source"]} as source, {text["source_record_id"]} as source_record_id,
            count(distinct {text["person_id"]}) as people, min({text["person_id"]}) as person_id,
            count(*) as rows, coalesce(string_agg(distinct {tags}, '|'), '') as tags
        from eval_given group by 1, 2
        """
    )
    con.execute(
        "create or replace temp table eval_truth as select source, source_record_id, person_id, tags from eval_told "
        "where source is not null and source_record_id is not null and people = 1"
    )
    row = con.execute(
        """
        select (select count(*) from eval_given), count(*) filter (where people = 0 or source is null or
            source_record_id is null), count(*) filter (where people > 1 and source is not null and
            source_record_id is not null), (select count(*) from eval_truth) from eval_told
        """
    ).fetchone()
    assert row is not None
    rows, incomplete, contradictory, usable = (int(value) for value in row)
    if not usable:
        raise LinkageError(
            "the truth file tells nobody's records",
            where=str(truth),
            expected="rows with source, source_record_id and person_id",
        )
    return {
        "truth_rows": rows,
        "truth_records_incomplete": incomplete,
        "truth_records_of_two_people": contradictory,
        "truth_records": usable,
    }


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _pairs(con: duckdb.DuckDBPyConnection, where: str) -> tuple[int, int, int]:
    row = con.execute(
        f"""
        with r as (select * from eval_record where {where}),
        together as (select count(*) * (count(*) - 1) // 2 as n from r group by person_id, cluster_id),
        true_pairs as (select count(*) * (count(*) - 1) // 2 as n from r group by person_id),
        made as (select count(*) * (count(*) - 1) // 2 as n from r group by cluster_id)
        select (select coalesce(sum(n), 0) from together), (select coalesce(sum(n), 0) from made),
            (select coalesce(sum(n), 0) from true_pairs)
        """
    ).fetchone()
    assert row is not None
    tp, made, true = (int(value) for value in row)
    return tp, made - tp, true - tp


def _clusters(con: duckdb.DuckDBPyConnection, where: str) -> dict[str, Any]:
    """A cluster is right when it holds exactly one person's records, all of them.

    ``false_merges`` counts clusters that hold several people, ``false_splits`` people who stand in several clusters.
    """
    row = con.execute(
        f"""
        with r as (select * from eval_record where {where}),
        c as (select cluster_id, count(distinct person_id) as people, any_value(person_id) as person_id, count(*) as n
            from r group by cluster_id),
        p as (select person_id, count(*) as n, count(distinct cluster_id) as clusters from r group by person_id)
        select count(*) filter (where c.people = 1 and c.n = p.n), (select count(*) from c), (select count(*) from p),
            count(*) filter (where c.people > 1), (select count(*) from p where clusters > 1)
        from c join p using (person_id)
        """
    ).fetchone()
    assert row is not None
    right, made, true, merged, split = (int(value) for value in row)
    return scores(right, made - right, true - right) | {"false_merges": merged, "false_splits": split}


def _both(con: duckdb.DuckDBPyConnection, where: str) -> dict[str, Any]:
    return {"pairwise": scores(*_pairs(con, where)), "cluster": _clusters(con, where)}


def _kinds(con: duckdb.DuckDBPyConnection) -> str:
    """Temporary table ``eval_kind``: the kinds of case a record of `eval_record` is, one row each.

    What a record lacks is read from it. The rest is read from the truth's tags where it has any; else from the records
    themselves, sorted by the truth's people: the same name written otherwise, another surname or address of one person,
    two people of one birth date and one home, a name without kanji or with an alias (a foreign name in kanji shows
    nothing by which to know it).

    Returns:
        ``tags`` or ``records``: where the kinds were read.
    """
    con.execute(
        """
        create or replace temp table eval_kind as
        select i.source, i.source_record_id, unnest(list_filter([
            case when i.kana_match is null then 'no_kana' end,
            case when i.address_block is null then 'no_address' end,
            case when i.birth_date is null then 'no_birth_date' end,
            case when i.name_has_gaiji then 'gaiji' end], x -> x is not null)) as kind
        from linkage.lnk_identity as i join eval_record using (source, source_record_id)
        """
    )
    (tagged,) = con.execute("select count(*) from eval_record where tags <> ''").fetchone() or (0,)
    if tagged:
        con.execute(
            "insert into eval_kind select source, source_record_id, unnest(list_distinct(list_filter("
            "list_transform(string_split(tags, '|'), x -> trim(x)), x -> x <> ''))) from eval_record where is_identity"
        )
        return "tags"
    con.execute(
        f"""
        create or replace temp table eval_form as
        with written as ({_names_as_written(con)})
        select r.person_id, i.source, i.source_record_id, i.name_match, i.surname_match, i.kana_match, i.birth_date,
            i.former_surname_match, i.alias_match, i.name_has_gaiji, w.name as written,
            i.address_town || '|' || i.address_block as home, i.household_number, i.phone_match
        from eval_record as r
        join linkage.lnk_identity as i using (source, source_record_id)
        left join written as w using (source, source_record_id)
        """
    )
    con.execute(
        r"""
        insert into eval_kind
        with told as (
            select person_id,
                count(distinct surname_match) filter (where not coalesce(name_has_gaiji, false)) > 1
                    and count(distinct name_match) > 1 or count(former_surname_match) > 0 as surname_changed,
                count(distinct home) > 1 as moved,
                count(distinct regexp_replace(written, '[\s　・]', '', 'g')) > count(distinct name_match) as variant,
                bool_or(alias_match is not null or regexp_matches(coalesce(written, name_match), '[A-Za-zＡ-Ｚａ-ｚァ-ヶ]')
                    and not regexp_matches(coalesce(written, name_match), '[一-龥々]')) as is_foreign
            from eval_form group by person_id
        ),
        places as (
            select distinct person_id, birth_date, unnest([home, household_number, phone_match]) as place from eval_form
            where birth_date is not null
        ),
        twins as (
            select person_id from places where place is not null
            qualify count(distinct person_id) over (partition by birth_date, place) > 1
        ),
        people as (
            select person_id, 'surname_changed' as kind from told where surname_changed
            union all select person_id, 'moved' from told where moved
            union all select person_id, 'variant' from told where variant
            union all select person_id, 'foreign' from told where is_foreign
            union all select distinct person_id, 'twin' from twins
        )
        select f.source, f.source_record_id, p.kind from people as p join eval_form as f using (person_id)
        """
    )
    con.execute("drop table eval_form")
    return "records"


def _names_as_written(con: duckdb.DuckDBPyConnection) -> str:
    """SQL: source, source_record_id, name as the source writes it; no rows where staging is not at hand."""
    staged = [
        (str(source), f"stg_{str(source).replace('.', '__')}")
        for (source,) in con.execute("select distinct source from linkage.lnk_identity order by 1").fetchall()
    ]
    there = {
        str(name)
        for (name,) in con.execute(
            "select table_name from information_schema.columns where table_schema = 'staging' and column_name = 'name'"
        ).fetchall()
    }
    return " union all ".join(
        [
            f"select '{source}' as source, source_record_id, arg_max(name, (_extract_date, _row_number)) as name "
            f"from staging.{table} group by source_record_id"
            for source, table in staged
            if table in there
        ]
        or [
            "select cast(null as varchar) as source, cast(null as varchar) as source_record_id, "
            "cast(null as varchar) as name where false"
        ]
    )


def _by_type(con: duckdb.DuckDBPyConnection) -> dict[str, Any]:
    """Pairs of identity records that touch a record of the type."""
    con.execute(
        """
        create or replace temp table eval_typed as
        select distinct r.source, r.source_record_id, r.person_id, r.cluster_id, k.kind
        from eval_record as r join eval_kind as k using (source, source_record_id)
        where r.is_identity
        """
    )
    rows = con.execute(
        """
        with r as (select * from eval_record where is_identity),
        pairs as (
            select t.kind, t.source, t.source_record_id, r.source as other_source, r.source_record_id as other_record,
                t.person_id = r.person_id as same, t.cluster_id = r.cluster_id as linked
            from eval_typed as t join r on r.person_id = t.person_id
            union
            select t.kind, t.source, t.source_record_id, r.source, r.source_record_id,
                t.person_id = r.person_id, t.cluster_id = r.cluster_id
            from eval_typed as t join r on r.cluster_id = t.cluster_id
        ),
        once as (
            select distinct kind, least(source || '|' || source_record_id, other_source || '|' || other_record) as a,
                greatest(source || '|' || source_record_id, other_source || '|' || other_record) as b, same, linked
            from pairs where (source, source_record_id) <> (other_source, other_record)
        )
        select kind, count(*) filter (where same and linked), count(*) filter (where linked and not same),
            count(*) filter (where same and not linked)
        from once group by kind order by kind
        """
    ).fetchall()
    return {kind: scores(int(tp), int(fp), int(fn)) for kind, tp, fp, fn in rows}


def _queue(con: duckdb.DuckDBPyConnection) -> dict[str, Any]:
    """The open questions: how many are one person, how many are traps (twins, or one name on two people)."""
    rows = con.execute(
        """
        with twins as (select distinct source, source_record_id from eval_kind where kind = 'twin')
        select q.kind, l.person_id is not null and r.person_id is not null as known,
            coalesce(l.person_id = r.person_id, false) as same,
            coalesce(x.source is not null and y.source is not null, false)
                or coalesce(a.name_match = b.name_match, false) or coalesce(a.kana_match = b.kana_match, false) as alike
        from linkage.lnk_review_queue as q
        left join eval_truth as l on l.source = q.left_source and l.source_record_id = q.left_record
        left join eval_truth as r on r.source = q.right_source and r.source_record_id = q.right_record
        left join linkage.lnk_identity as a on a.source = q.left_source and a.source_record_id = q.left_record
        left join linkage.lnk_identity as b on b.source = q.right_source and b.source_record_id = q.right_record
        left join twins as x on x.source = q.left_source and x.source_record_id = q.left_record
        left join twins as y on y.source = q.right_source and y.source_record_id = q.right_record
        """
    ).fetchall()
    by_kind: dict[str, dict[str, int]] = defaultdict(lambda: {"count": 0, "true": 0, "traps": 0})
    for kind, known, same, alike in rows:
        by_kind[kind]["count"] += 1
        by_kind[kind]["true"] += bool(same)
        by_kind[kind]["traps"] += bool(known and alike and not same)
    true = sum(found["true"] for found in by_kind.values())
    traps = sum(found["traps"] for found in by_kind.values())
    known_pairs = sum(bool(row[1]) for row in rows)
    (records,) = con.execute("select count(*) from eval_record where is_identity").fetchone() or (0,)
    return {
        "count": len(rows),
        "true": true,
        "traps": traps,
        "not_in_truth": len(rows) - known_pairs,
        "share_true": true / known_pairs if known_pairs else 0.0,
        "share_true_ci95": list(wilson(true, known_pairs)),
        "share_unclear": (true + traps) / known_pairs if known_pairs else 0.0,
        "share_of_records": len(rows) / records if records else 0.0,
        "by_kind": dict(sorted(by_kind.items())),
    }


def _counts(con: duckdb.DuckDBPyConnection) -> dict[str, int]:
    row = con.execute(
        """
        select count(*), count(*) filter (where is_identity), count(distinct person_id), count(distinct child_id),
            count(*) filter (where child_id is null), (select count(*) from eval_truth) - count(*),
            (select count(*) from linkage.lnk_crosswalk anti join eval_truth using (source, source_record_id))
        from eval_record
        """
    ).fetchone()
    assert row is not None
    names = (
        "records", "identity_records", "people", "children", "records_without_child_id", "truth_records_of_adults",
        "linked_records_not_in_truth",
    )  # fmt: skip
    return dict(zip(names, (int(value) for value in row), strict=True))


# the forms that a case's two records are shown by, when values are asked for
SHOWN = (
    "name_match", "kana_match", "alias_match", "former_surname_match", "sex", "birth_date", "resident_number",
    "address_match", "phone_match", "guardian_match",
)  # fmt: skip


def worst_cases(
    con: duckdb.DuckDBPyConnection, limit: int = 30, *, show_values: int = 0
) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """False merges and false splits after `evaluate`.

    Returns:
        The patterns (fault, the two sources, kinds of case, level of agreement by comparison, pairs), merges first, then
        those that occur most often: no values. And up to ``show_values`` cases with both records' matching forms:
        personal, for the eyes of who mends the linkage alone.
    """
    from kodomo_platform.linkage.evidence import comparisons
    from kodomo_platform.linkage.preparation import prepare

    prepare(con)
    levels = {
        comparison.name: {level.number: level.name for level in comparison.levels} for comparison in comparisons()
    }
    cases = ", ".join(f"{comparison.case_sql()} as {comparison.name}" for comparison in comparisons())
    con.execute(
        f"""
        create or replace temp table eval_wrong as
        with kinds as (
            select source, source_record_id, string_agg(distinct kind, '|' order by kind) as kinds
            from eval_kind group by all
        ),
        r as (
            select e.person_id, e.cluster_id, coalesce(k.kinds, '') as kinds, p.rid
            from eval_record as e join lnk_prepared as p using (source, source_record_id)
            left join kinds as k using (source, source_record_id)
        ),
        wrong as (
            select 'false_split' as fault, a.rid as one, b.rid as two, a.kinds from r as a join r as b
                on a.person_id = b.person_id and a.cluster_id <> b.cluster_id and a.rid < b.rid
            union all
            select 'false_merge', a.rid, b.rid, a.kinds from r as a join r as b
                on a.person_id <> b.person_id and a.cluster_id = b.cluster_id and a.rid < b.rid
        )
        select w.fault, l.source as left_source, r.source as right_source, w.kinds, {cases},
            l.source_record_id as left_record, r.source_record_id as right_record
        from wrong as w join lnk_prepared as l on l.rid = w.one join lnk_prepared as r on r.rid = w.two
        """
    )
    con.execute("drop table if exists lnk_prepared")
    key = ("fault", "left_source", "right_source", "kinds", *levels)
    rows = con.execute(
        f"select {', '.join(key)}, count(*) as pairs from eval_wrong group by all "
        f"order by fault, pairs desc, {', '.join(key[1:])} limit {int(limit)}"
    ).fetchall()
    patterns = [
        {
            name: levels[name][value] if name in levels else value
            for name, value in zip((*key, "pairs"), row, strict=True)
        }
        for row in rows
    ]
    return patterns, _cases(con, show_values)


def _cases(con: duckdb.DuckDBPyConnection, limit: int) -> list[dict[str, Any]]:
    if not limit:
        return []
    sides = ", ".join(f"l.{name}, r.{name}" for name in SHOWN)
    rows = con.execute(
        f"""
        select w.fault, w.left_source, w.left_record, w.right_source, w.right_record, w.kinds, {sides}
        from eval_wrong as w
        join linkage.lnk_identity as l on l.source = w.left_source and l.source_record_id = w.left_record
        join linkage.lnk_identity as r on r.source = w.right_source and r.source_record_id = w.right_record
        order by w.fault, w.left_source, w.left_record, w.right_source, w.right_record limit {int(limit)}
        """
    ).fetchall()
    names = ("fault", "left_source", "left_record", "right_source", "right_record", "kinds")
    where = ("address_match", "phone_match")
    hidden = [is_hidden(con, ((row[1], row[2]), (row[3], row[4]))) for row in rows]
    return [
        dict(zip(names, row[: len(names)], strict=True))
        | {
            "values": {
                name: [
                    "" if value is None else HIDDEN["ja"] if closed and name in where else str(value)
                    for value in row[at : at + 2]
                ]
                for name, at in zip(SHOWN, range(len(names), len(row), 2), strict=True)
            }
        }
        for row, closed in zip(rows, hidden, strict=True)
    ]
