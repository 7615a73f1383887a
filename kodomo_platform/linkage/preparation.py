"""From `lnk_identity` to the table that the passes read: one row per record, with keys and without placeholders.

Matching forms themselves are made in staging (`kodomo_platform.cleansing`); no character folding belongs here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import duckdb

REGISTER = "resident.register"
# the order in which sources lend their record to a cluster's name; also the order of new ids
SOURCE_ORDER = (
    REGISTER,
    "education.enrolment",
    "childcare.enrolment",
    "welfare.case",
    "welfare.consultation",
    "medical.flag",
)
# one record per child: two records of one such source are never linked by likeness
DUPLICATE_FREE = (REGISTER, "education.enrolment", "childcare.enrolment")
ADULT_AGE = 20  # "over 19": the Child Welfare Act's measures end at 20
# a block bigger than this on its key says nothing about a person: placeholders, dormitories
BLOCK_CAP = 400
# a number that so many records of one source share is a placeholder
NUMBER_CAP = 4

# a birth date that such a share of a source bears is a placeholder (one day is 1/6570 of childhood)
DATE_SHARE = 0.05

BLOCKS = {
    "b_given_birth": "given_match || '|' || birth_date",
    "b_kana_birth": "given_kana_match || '|' || birth_date",
    "b_name": "name_match",
    "b_kana": "kana_match",
    "b_alias": "coalesce(alias_match, name_match)",
    "b_town_birth": "town_key || '|' || birth_date",
    "b_phone_birth": "phone_match || '|' || birth_date",
    "b_phone_given": "phone_match || '|' || coalesce(given_kana_match, given_match)",
    "b_address_given": "address_key || '|' || coalesce(given_kana_match, given_match)",
    "b_address_kanji": "address_key || '|' || given_match",
}


def prepare(con: duckdb.DuckDBPyConnection, identity: str = "linkage.lnk_identity") -> dict[str, int]:
    """Create temporary table ``lnk_prepared`` (one row per record, ``rid`` in a fixed order).

    Returns:
        Counts for the metrics: blocks over the cap, numbers that were taken for placeholders.
    """
    order = " ".join(f"when '{source}' then {place}" for place, source in enumerate(SOURCE_ORDER))
    blocks = ",\n            ".join(f"{expression} as {name}" for name, expression in BLOCKS.items())
    con.execute(
        f"""
        create or replace temp table lnk_prepared as
        with adults as (
            select household_number, list_distinct(array_agg(name_match) filter (name_match is not null)
                || array_agg(kana_match) filter (kana_match is not null)) as guardians
            from {identity}
            where source = '{REGISTER}' and household_number is not null
                and (relationship in ('head', 'spouse', 'parent')
                    or birth_date <= (select max(as_of_date) from cfg.run) - interval {ADULT_AGE} year)
            group by household_number
        ),
        -- kanji in the kana column and kana in the name column: the columns were swapped where it was typed
        swapped as (
            select * replace (
                case when is_swapped then kana_match else name_match end as name_match,
                case when is_swapped then surname_kana_match else surname_match end as surname_match,
                case when is_swapped then given_kana_match else given_match end as given_match,
                case when is_swapped then null else kana_match end as kana_match,
                case when is_swapped then null else surname_kana_match end as surname_kana_match,
                case when is_swapped then null else given_kana_match end as given_kana_match
            )
            from (
                select *, coalesce(
                    regexp_matches(kana_match, '[一-龥々〆]') and not regexp_matches(name_match, '[一-龥々〆]'), false
                ) as is_swapped
                from {identity}
            )
        ),
        -- a date that a large part of a source shares is a placeholder, as is one that nobody alive can have
        placeholder_dates as (
            select source, birth_date
            from (select source, birth_date, count(*) as n, sum(count(*)) over (partition by source) as total
                from {identity} where birth_date is not null group by source, birth_date)
            where (n > 20 and n > total * {DATE_SHARE}) or birth_date <= date '1900-01-01'
        ),
        dated as (
            select s.* replace (
                case when d.source is null then s.birth_date end as birth_date,
                case when d.source is null then s.birth_date__earliest end as birth_date__earliest,
                case when d.source is null then s.birth_date__latest end as birth_date__latest
            )
            from swapped as s
            left join placeholder_dates as d on d.source = s.source and d.birth_date = s.birth_date
        ),
        forms as (
            select
                i.source, i.source_record_id,
                case i.source {order} else 99 end as source_rank,
                i.source = '{REGISTER}' as is_register,
                nullif(i.resident_number, '') as resident_number, i.household_number, i.relationship,
                nullif(i.name_match, '') as name_match, nullif(i.given_match, '') as given_match,
                nullif(i.surname_match, '') as surname_match,
                nullif(i.kana_match, '') as kana_match, nullif(i.given_kana_match, '') as given_kana_match,
                nullif(i.surname_kana_match, '') as surname_kana_match,
                nullif(i.alias_match, '') as alias_match, cast(null as varchar) as alias_kana,
                nullif(i.former_surname_match, '') as former_surname_match,
                case when i.name_match like '%〓%' and length(replace(i.name_match, '〓', '')) >= 2
                    then replace(i.name_match, '〓', '_') end as name_pattern,
                nullif(i.sex, 'unknown') as sex,
                i.birth_date,
                case when i.birth_date__latest - i.birth_date__earliest > 800 then null
                    else coalesce(i.birth_date__earliest, i.birth_date) end as birth_earliest,
                case when i.birth_date__latest - i.birth_date__earliest > 800 then null
                    else coalesce(i.birth_date__latest, i.birth_date) end as birth_latest,
                coalesce(i.birth_date is not null
                    and coalesce(i.birth_date__earliest = i.birth_date__latest, true), false) as birth_exact,
                coalesce(i.address_town, '') || '|' || nullif(i.address_block, '') as address_key,
                coalesce(nullif(i.address_town, ''), i.postal_code) as town_key,
                i.phone_match,
                case when i.source = '{REGISTER}' then a.guardians
                    else nullif(list_filter([i.guardian_match, i.guardian_kana_match], x -> x is not null), []) end
                    as guardians,
                i.became_resident_on, i.left_on,
                i.birth_date__latest as birth_possible
            from dated as i left join adults as a on a.household_number = i.household_number
        ),
        numbers as (
            select source, resident_number from forms where resident_number is not null and not is_register
            group by all having count(*) > {NUMBER_CAP}
        )
        select
            cast(row_number() over (order by f.source_rank, f.source, f.source_record_id) as integer) as rid,
            f.* replace (case when n.resident_number is null then f.resident_number end as resident_number),
            n.resident_number is not null as number_is_placeholder,
            {blocks}
        from forms as f left join numbers as n on n.source = f.source and n.resident_number = f.resident_number
        order by rid
        """
    )
    (placeholders,) = con.execute("select count(*) from lnk_prepared where number_is_placeholder").fetchone() or (0,)
    return {"placeholder_numbers": int(placeholders)}


def young(alias: str) -> str:
    """SQL: the record may be a child's or a young person's (register rows of adults need not be compared)."""
    return (
        f"(not {alias}.is_register or coalesce({alias}.birth_latest, {alias}.birth_date) is null "
        f"or coalesce({alias}.birth_latest, {alias}.birth_date) "
        f"> (select max(as_of_date) from cfg.run) - interval {ADULT_AGE + 5} year)"
    )


def cap_blocks(con: duckdb.DuckDBPyConnection, table: str) -> int:
    """Set block keys to NULL in ``table`` where too many records share one; returns how many keys were dropped."""
    dropped = 0
    for block in BLOCKS:
        con.execute(
            f"create or replace temp table lnk_crowded as select {block} as key from {table} "
            f"where {block} is not null group by 1 having count(*) > {BLOCK_CAP}"
        )
        (count,) = con.execute("select count(*) from lnk_crowded").fetchone() or (0,)
        if count:
            dropped += int(count)
            con.execute(f"update {table} set {block} = null where {block} in (select key from lnk_crowded)")
    con.execute("drop table if exists lnk_crowded")
    return dropped
