"""From `lnk_identity` to the table that the passes read: one row per record, with keys and without placeholders.

Matching forms themselves are made in staging (`kodomo_platform.cleansing`); no character folding belongs here.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

from kodomo_platform.cleansing.characters import near_map

if TYPE_CHECKING:
    import duckdb
    import pyarrow as pa

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

# a phone that so many surnames of one town share is an office's, a school's or a filler, and no family's
PHONE_SURNAMES = 5
# an address that so many share is a whole estate's or a home's for children: only with the room is it a family's
ADDRESS_SURNAMES = 12

# a birth date that such a share of a source bears is a placeholder (one day is 1/6570 of childhood)
DATE_SHARE = 0.05

BLOCKS = {
    "b_given_birth": "coalesce(given_near, given_match) || '|' || birth_date",
    "b_kana_birth": "given_kana_match || '|' || birth_date",
    "b_name": "coalesce(name_near, name_match, name_form)",
    "b_kana": "kana_match",
    "b_form": "coalesce(kana_form, name_form)",
    "b_alias": "coalesce(alias_match, name_match)",
    "b_town_birth": "town_key || '|' || birth_date",
    "b_block_birth": "address_block || '|' || birth_date",
    "b_phone_birth": "phone_match || '|' || birth_date",
    "b_phone_given": "phone_match || '|' || coalesce(given_kana_match, given_match)",
    "b_block_given": "address_block || '|' || coalesce(given_kana_match, given_match)",
    "b_phone_kanji": "phone_match || '|' || coalesce(given_near, given_match)",
    "b_block_kanji": "address_block || '|' || coalesce(given_near, given_match)",
    # of a foreign name a part may be left out, but hardly the first and the last in the alphabet at once
    "b_first_birth": "case when is_foreign then name_parts[1] || '|' || birth_date end",
    "b_last_birth": "case when is_foreign then name_parts[-1] || '|' || birth_date end",
}
# a name in kana alone: a foreign one, or one written by its reading
_KANA_NAME = "[ぁ-ゖァ-ヺー ]+"
_KANA_FROM, _KANA_TO = (
    "ぁあぃいぅうぇえぉおかがきぎくぐけげこごさざしじすずせぜそぞただちぢっつづてでとどなにぬねのはばぱひびぴふぶぷへべぺほぼぽまみむめもゃやゅゆょよらりるれろゎわゐゑをんゔァィゥェォッャュョー",
    "アアイイウウエエオオカガキギクグケゲコゴサザシジスズセゼソゾタダチジツツズテデトドナニヌネノハバパヒビピフブプヘベペホボポマミムメモヤヤユユヨヨラリルレロワワイエオンブアイウエオツヤユヨ",
)

# DuckDB measures edits in bytes, of which a kana has three: a letter of its own for each folded kana
_KANA_LETTERS = (
    "アイウエオカガキギクグケゲコゴサザシジスズセゼソゾタダチツテデトドナニヌネノハバパヒビピフブプヘベペホボポマミムメモヤユヨラリルレロワン",
    "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789!#$%&()*+,-.:;<=>?",
)
# what is left of a reading when only the kind of each consonant counts: spellings of a foreign name meet
_CONSONANTS = {
    "K": "カガキギクグケゲコゴ", "S": "サザシジスズセゼソゾチ", "T": "タダツテデトド", "N": "ナニヌネノン", "M": "マミムメモ",
    "P": "ハバパヒビピフブプヘベペホボポ", "R": "ラリルレロ",
}  # fmt: skip
_VOWELS = "アイウエオヤユヨワ"
# hiragana divided by a blank in its source has lost it in the matching form, but kept its two parts
_NAME_PARTS = "case when given_match <> '' and name_match not like '% %' then surname_match || ' ' || given_match else name_match end"


def _as_kana(column: str) -> str:
    """SQL: a text in kana as `cleansing.kana` folds readings."""
    return f"translate({column}, '{_KANA_FROM}', '{_KANA_TO}')"


def _reversed(surname: str, given: str) -> str:
    """SQL: what stands as surname is a given name in this town and no other's surname, and the other way round."""
    return (
        f"({surname}.as_surname = 1 and {surname}.as_given >= 2 and {given}.as_surname >= 2 "
        f"and {given}.as_surname > {given}.as_given and strpos({given}.name, ' ') = 0)"
    )


def _near(column: str) -> str:
    """SQL: ``column`` with near kanji (`cleansing.near_map`) taken for one another; NULL where it holds none of them, as
    most names do."""
    near = near_map()
    kanji, targets = "".join(near), "".join(near.values())
    return f"case when regexp_matches({column}, '[{kanji}]') then translate({column}, '{kanji}', '{targets}') end"


def _skeleton(column: str) -> str:
    """SQL: consonants of a whole reading, part by part; NULL when hardly anything is left."""
    kana = "".join(_CONSONANTS.values()) + _VOWELS
    kinds = "".join(kind * len(kana) for kind, kana in _CONSONANTS.items())
    return f"nullif(translate({column}, '{kana}', '{kinds}'), '')"


def _sorted_parts(column: str) -> str:
    return f"array_to_string(list_sort(string_split({column}, ' ')), ' ')"


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
                || array_agg(kana_match) filter (kana_match is not null)) as guardians,
                array_agg(distinct given_match) filter (given_match <> '') as guardian_givens
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
                case when is_swapped then name_match else kana_match end as kana_match,
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
        -- given name before surname: the town knows which is which
        seen as (
            select name, sum(as_surname) as as_surname, sum(as_given) as as_given
            from (
                select surname_match as name, count(*) as as_surname, 0 as as_given from swapped group by surname_match
                union all select given_match, 0, count(*) from swapped group by given_match
                union all select surname_kana_match, count(*), 0 from swapped group by surname_kana_match
                union all select given_kana_match, 0, count(*) from swapped group by given_kana_match
            )
            where name <> '' group by name
        ),
        reversed as (
            select s.source, s.source_record_id, coalesce({_reversed("a", "b")}, false) as name_reversed,
                coalesce({_reversed("c", "d")}, false) as kana_reversed
            from swapped as s
            left join seen as a on a.name = s.surname_match left join seen as b on b.name = s.given_match
            left join seen as c on c.name = s.surname_kana_match left join seen as d on d.name = s.given_kana_match
            where {_reversed("a", "b")} or {_reversed("c", "d")}
        ),
        ordered as (
            select s.* replace (
                case when name_reversed then s.given_match else s.surname_match end as surname_match,
                case when name_reversed then s.surname_match else s.given_match end as given_match,
                case when name_reversed then s.given_match || s.surname_match else s.name_match end as name_match,
                case when kana_reversed then s.given_kana_match else s.surname_kana_match end as surname_kana_match,
                case when kana_reversed then s.surname_kana_match else s.given_kana_match end as given_kana_match,
                case when kana_reversed then s.given_kana_match || s.surname_kana_match else s.kana_match end
                    as kana_match
            )
            from swapped as s left join reversed as v
                on v.source = s.source and v.source_record_id = s.source_record_id
        ),
        dated as (
            select s.* replace (
                case when d.source is null then s.birth_date end as birth_date,
                case when d.source is null then s.birth_date__earliest end as birth_date__earliest,
                case when d.source is null then s.birth_date__latest end as birth_date__latest
            )
            from ordered as s
            left join placeholder_dates as d on d.source = s.source and d.birth_date = s.birth_date
        ),
        shared_phones as (
            select phone_match from dated where phone_match is not null
            group by phone_match having count(distinct coalesce(surname_match, name_match, kana_match)) >= {PHONE_SURNAMES}
        ),
        shared_addresses as (
            select address_town, address_block from dated where address_block is not null and source <> '{REGISTER}'
            group by all having count(distinct coalesce(surname_match, name_match, kana_match)) >= {ADDRESS_SURNAMES}
            union
            select address_town, address_block from dated where address_block is not null and source = '{REGISTER}'
            group by all having count(distinct coalesce(surname_match, name_match, kana_match)) >= {ADDRESS_SURNAMES}
        ),
        private as (
            select d.* replace (
                case when p.phone_match is null then d.phone_match end as phone_match,
                case when a.address_block is null then d.address_block
                    when d.address_room <> '' then d.address_block || '/' || d.address_room end as address_block
            )
            from dated as d left join shared_phones as p on p.phone_match = d.phone_match
            left join shared_addresses as a on a.address_block = d.address_block
                and a.address_town is not distinct from d.address_town
        ),
        -- A name slot that holds kana says what the reading says, and no kanji. Of such a name and of a reading of many
        -- parts only the whole can be compared, in any order: which part is the given name, nobody knows
        written as (
            select *, coalesce(regexp_full_match(name_match, '{_KANA_NAME}'), false) as is_kana_name
            from private
        ),
        named as (
            select *,
                case when is_kana_name then {_sorted_parts(_as_kana(_NAME_PARTS))} end as name_form,
                case when kana_match like '% %' then {_sorted_parts("kana_match")}
                    when surname_kana_match is not null and given_kana_match is not null
                        then {_sorted_parts("surname_kana_match || ' ' || given_kana_match")}
                    else nullif(kana_match, '') end as kana_form,
                coalesce(kana_match like '% %' or (is_kana_name and (name_match like '% %'
                    or not regexp_matches(name_match, '[ぁ-ゖ]'))) or alias_match <> '', false) as is_foreign
            from written
        ),
        forms as (
            select
                i.source, i.source_record_id,
                case i.source {order} else 99 end as source_rank,
                i.source = '{REGISTER}' as is_register,
                nullif(i.resident_number, '') as resident_number, i.household_number, i.relationship,
                case when not i.is_kana_name then nullif(i.name_match, '') end as name_match,
                case when not i.is_kana_name and not regexp_full_match(i.given_match, '{_KANA_NAME}')
                    then nullif(i.given_match, '') end as given_match,
                case when not i.is_kana_name then nullif(i.surname_match, '') end as surname_match,
                nullif(i.kana_match, '') as kana_match,
                case when not i.is_foreign then coalesce(nullif(i.given_kana_match, ''),
                    case when regexp_full_match(i.given_match, '{_KANA_NAME}')
                        then {_as_kana("i.given_match")} end) end as given_kana_match,
                case when not i.is_foreign then nullif(i.surname_kana_match, '') end as surname_kana_match,
                i.name_form, i.kana_form, i.is_foreign,
                case when i.is_foreign or i.is_kana_name
                    then string_split(coalesce(i.kana_form, i.name_form), ' ') end as name_parts,
                string_split(i.kana_form, ' ') as kana_parts,
                case when i.is_foreign then {_skeleton("coalesce(i.name_form, i.kana_form)")} end as skeleton,
                nullif(i.alias_match, '') as alias_match,
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
                nullif(i.address_town, '') as address_town, nullif(i.address_block, '') as address_block,
                coalesce(nullif(i.address_town, ''), i.postal_code) as town_key,
                i.phone_match,
                case when i.source = '{REGISTER}' then a.guardians
                    else nullif(list_filter([i.guardian_match, i.guardian_kana_match], x -> x is not null), []) end
                    as guardians,
                case when i.source = '{REGISTER}' then a.guardian_givens
                    when i.surname_match <> '' and starts_with(i.guardian_match, i.surname_match)
                        and length(i.guardian_match) > length(i.surname_match)
                        then [i.guardian_match[length(i.surname_match) + 1:]] end as guardian_givens,
                i.became_resident_on, i.left_on,
                i.birth_date__latest as birth_possible
            from named as i left join adults as a on a.household_number = i.household_number
        ),
        compared as (
            select *, {_near("name_match")} as name_near, {_near("surname_match")} as surname_near,
                {_near("given_match")} as given_near
            from forms
        ),
        numbers as (
            select source, resident_number from forms where resident_number is not null and not is_register
            group by all having count(*) > {NUMBER_CAP}
        )
        select
            translate(f.given_kana_match, '{_KANA_LETTERS[0]}', '{_KANA_LETTERS[1]}') as given_letters,
            cast(row_number() over (order by f.source_rank, f.source, f.source_record_id) as integer) as rid,
            f.* replace (case when n.resident_number is null then f.resident_number end as resident_number),
            n.resident_number is not null as number_is_placeholder,
            -- may be a child's or a young person's: register rows of adults need not be compared
            not f.is_register or coalesce(f.birth_latest, f.birth_date) is null
                or coalesce(f.birth_latest, f.birth_date)
                    > (select max(as_of_date) from cfg.run) - interval {ADULT_AGE + 5} year as is_young,
            {blocks}
        from compared as f left join numbers as n on n.source = f.source and n.resident_number = f.resident_number
        order by rid
        """
    )
    _add_readings(con)
    (placeholders,) = con.execute("select count(*) from lnk_prepared where number_is_placeholder").fetchone() or (0,)
    return {"placeholder_numbers": int(placeholders)}


@lru_cache(maxsize=1)
def _name_list() -> pa.Table | None:
    """Given names and their readings as the packaged list has them (japanese-personal-name-dataset, MIT), or None where the
    package is missing: then the town's own records alone say how a name is read."""
    import csv
    from importlib.util import find_spec
    from pathlib import Path

    import pyarrow as pa

    spec = find_spec("japanese_personal_name_dataset")
    if spec is None or spec.origin is None:
        return None
    written: list[str] = []
    read: list[str] = []
    for name in ("first_name_man_opti.csv", "first_name_woman_opti.csv"):
        with (Path(spec.origin).parent / "dataset" / name).open(encoding="utf-8", newline="") as file:
            for reading, _latin, *spellings in csv.reader(file):
                written += spellings
                read += [reading] * len(spellings)
    return pa.table({"written": written, "reading": read})


def _add_readings(con: duckdb.DuckDBPyConnection) -> None:
    """Column ``given_readings`` of ``lnk_prepared``: how the given name of a record without kana may be read, as other records
    of the town and the packaged list of names say."""
    known = _name_list()
    listed = ""
    if known is not None:
        # a table of its own: joined as it stands, DuckDB may push a filter into Arrow that Arrow does not know
        con.register("lnk_incoming_list", known)
        con.execute("create or replace temp table lnk_name_list as from lnk_incoming_list")
        con.unregister("lnk_incoming_list")
        listed = f"union select written, {_as_kana('reading')} from lnk_name_list"
    con.execute(
        f"""
        create or replace temp table lnk_reading as
        with wanted as (
            select distinct given_match as written from lnk_prepared
            where given_match is not null and given_kana_match is null and not is_foreign
        ),
        said as (
            select given_match as written, given_kana_match as reading from lnk_prepared
            where given_match is not null and given_kana_match is not null and not is_foreign
            {listed}
        )
        select w.written, list(distinct s.reading order by s.reading) as readings
        from wanted as w join said as s on s.written = w.written group by w.written
        """
    )
    con.execute(
        "create or replace temp table lnk_prepared as select p.*, r.readings as given_readings from lnk_prepared as p "
        "left join lnk_reading as r on r.written = case when p.given_kana_match is null and not p.is_foreign "
        "then p.given_match end "
        "order by rid"
    )
    con.execute("drop table lnk_reading")
    if known is not None:
        con.execute("drop table lnk_name_list")


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
