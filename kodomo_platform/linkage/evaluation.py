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
    """Pairwise and cluster scores, both for all sources together and (``identity``) for records that name a person.

    Raises:
        LinkageError: the truth cannot be read or lacks a column.
    """
    _read_truth(con, truth)
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
    report["by_type"] = _by_type(con)
    report["queue"] = _queue(con)
    report["counts"] = _counts(con)
    return report


def _read_truth(con: duckdb.DuckDBPyConnection, truth: Path) -> None:
    if not truth.is_file():
        raise LinkageError("there is no truth file", where=str(truth), expected="CSV or Parquet")
    import duckdb

    reader = "read_parquet(?)" if truth.suffix == ".parquet" else "read_csv(?, all_varchar = true, header = true)"
    try:
        con.execute(f"create or replace temp table eval_given as select * from {reader}", [str(truth)])
    except duckdb.Error as error:
        raise LinkageError(
            "the truth file cannot be read", where=str(truth), expected="CSV with a header, or Parquet"
        ) from error
    columns = {row[0] for row in con.execute("describe eval_given").fetchall()}
    missing = [column for column in _NEEDED if column not in columns]
    if missing:
        raise LinkageError(f"the truth file lacks {', '.join(missing)}", where=str(truth), expected=", ".join(_NEEDED))
    tags = "tags" if "tags" in columns else "''"
    con.execute(
        "create or replace temp table eval_truth as select source, cast(source_record_id as varchar) as "
        f"source_record_id, any_value(person_id) as person_id, coalesce(any_value({tags}), '') as tags "
        "from eval_given group by all having source is not null"
        if tags == "''"
        else "create or replace temp table eval_truth as select source, cast(source_record_id as varchar) as "
        "source_record_id, any_value(person_id) as person_id, coalesce(string_agg(distinct tags, '|'), '') as tags "
        "from eval_given group by source, source_record_id"
    )


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


def _clusters(con: duckdb.DuckDBPyConnection, where: str) -> tuple[int, int, int]:
    """A cluster is right when it holds exactly one person's records, all of them."""
    row = con.execute(
        f"""
        with r as (select * from eval_record where {where}),
        c as (select cluster_id, count(distinct person_id) as people, any_value(person_id) as person_id, count(*) as n
            from r group by cluster_id),
        p as (select person_id, count(*) as n from r group by person_id)
        select count(*) filter (where c.people = 1 and c.n = p.n), (select count(*) from c), (select count(*) from p)
        from c join p using (person_id)
        """
    ).fetchone()
    assert row is not None
    right, made, true = (int(value) for value in row)
    return right, made - right, true - right


def _both(con: duckdb.DuckDBPyConnection, where: str) -> dict[str, Any]:
    return {"pairwise": scores(*_pairs(con, where)), "cluster": scores(*_clusters(con, where))}


def _by_type(con: duckdb.DuckDBPyConnection) -> dict[str, Any]:
    """Pairs of identity records that touch a record of the type: tags of the truth, and what the records lack."""
    con.execute(
        """
        create or replace temp table eval_typed as
        with lacks as (
            select source, source_record_id,
                list_filter([case when kana_match is null then 'no_kana' end,
                    case when address_block is null then 'no_address' end,
                    case when birth_date is null then 'no_birth_date' end,
                    case when name_has_gaiji then 'gaiji' end], x -> x is not null) as kinds
            from linkage.lnk_identity
        )
        select distinct r.source, r.source_record_id, r.person_id, r.cluster_id,
            unnest(list_distinct(coalesce(l.kinds, []) || list_filter(string_split(r.tags, '|'), x -> x <> ''))) as kind
        from eval_record as r left join lacks as l using (source, source_record_id)
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
    rows = con.execute(
        """
        select q.kind, l.person_id = r.person_id, list_contains(string_split(l.tags || '|' || r.tags, '|'), 'twin'),
            l.person_id is null or r.person_id is null
        from linkage.lnk_review_queue as q
        left join eval_truth as l on l.source = q.left_source and l.source_record_id = q.left_record
        left join eval_truth as r on r.source = q.right_source and r.source_record_id = q.right_record
        """
    ).fetchall()
    by_kind: dict[str, dict[str, int]] = defaultdict(lambda: {"count": 0, "true": 0})
    for kind, same, _, _ in rows:
        by_kind[kind]["count"] += 1
        by_kind[kind]["true"] += bool(same)
    (records,) = con.execute("select count(*) from eval_record where is_identity").fetchone() or (0,)
    return {
        "count": len(rows),
        "true": sum(bool(row[1]) for row in rows),
        "traps": sum(not row[1] and bool(row[2]) for row in rows),
        "share_of_records": len(rows) / records if records else 0.0,
        "by_kind": dict(by_kind),
    }


def _counts(con: duckdb.DuckDBPyConnection) -> dict[str, int]:
    row = con.execute(
        "select count(*), count(*) filter (where is_identity), count(distinct person_id), "
        "count(distinct child_id), count(*) filter (where child_id is null) from eval_record"
    ).fetchone()
    assert row is not None
    names = ("records", "identity_records", "people", "children", "records_without_child_id")
    return dict(zip(names, (int(value) for value in row), strict=True))


def worst_cases(con: duckdb.DuckDBPyConnection, limit: int = 50) -> list[dict[str, Any]]:
    """False splits and merges after `evaluate`: sources, tags and levels of evidence, no values."""
    from kodomo_platform.linkage.evidence import comparisons
    from kodomo_platform.linkage.preparation import prepare

    prepare(con)
    cases = ", ".join(f"{comparison.case_sql()} as {comparison.name}" for comparison in comparisons())
    found = con.execute(
        f"""
        with r as (
            select e.*, p.rid from eval_record as e join lnk_prepared as p using (source, source_record_id)
        ),
        wrong as (
            select 'false split' as fault, a.rid as one, b.rid as two, a.tags from r as a join r as b
                on a.person_id = b.person_id and a.cluster_id <> b.cluster_id and a.rid < b.rid
            union all
            select 'false merge', a.rid, b.rid, a.tags from r as a join r as b
                on a.person_id <> b.person_id and a.cluster_id = b.cluster_id and a.rid < b.rid
        )
        select w.fault, l.source as left_source, r.source as right_source, w.tags, {cases}, count(*) as pairs
        from wrong as w join lnk_prepared as l on l.rid = w.one join lnk_prepared as r on r.rid = w.two
        group by all order by fault, pairs desc, left_source, right_source, tags limit {int(limit)}
        """
    )
    names = [column[0] for column in found.description or []]
    rows = [dict(zip(names, row, strict=True)) for row in found.fetchall()]
    con.execute("drop table if exists lnk_prepared")
    return rows
