"""Writes the generated part of every suite from the catalogue; the hand-written part is kept as it stands.

Rules of thumb behind the thresholds stand here as each expectation's ``why``. Expectations that need knowledge of one
table alone are written by hand in ``expectations/``.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from kodomo_platform.catalog import Catalog, Item, Source, load_catalog
from kodomo_platform.quality.suites import SUITES_DIR

BEGIN = "# ---- generated from the catalogue by `kodomo quality generate`; changes here are lost ----"
END = "# ---- end of the generated part; what follows is written by hand ----"

# The day before which no living child or guardian of one can have an event: older dates are a wrong era.
_EARLIEST = "1900-01-02"
# Sources about children alone: nobody in them was born, and nothing in them happened, longer ago than this (years
# before the extract; a child is served until 20, a pregnancy comes before it).
_CHILDREN_ONLY = ("education.", "childcare.", "health.", "medical.", "survey.", "consent.", "welfare.consultation",
                  "welfare.case", "welfare.support", "welfare.child_benefit")  # fmt: skip
_YEARS_BACK = 25

# Age in months at which a source's events can happen (School Education Act art. 17: six to fifteen; a year either side).
_AGES = {
    "education.attendance": (60, 204), "education.health_room": (60, 204), "education.assessment": (60, 204),
    "education.school_checkup": (60, 204), "education.counselling": (60, 204), "education.fees": (60, 204),
    "survey.wellbeing": (60, 228), "childcare.attendance": (0, 96), "health.vaccination": (0, 228),
    "health.home_visit": (-10, 228),
}  # fmt: skip
# Infant check-ups and the ages at which they fall due (Maternal and Child Health Act art. 12, with the slack of practice).
_CHECKUP_AGES = {"m4": (2, 11), "m18": (15, 30), "y3": (33, 54)}

# Where a value cannot leap between two rows of one child: (item, order, most it falls, most it rises).
_STEPS = {
    "education.school_checkup": [("height_cm", "checked_on", 4, 25), ("weight_kg", "checked_on", 15, 30)],
}  # fmt: skip

# Sums that cannot exceed their whole (staging, where numbers are numbers).
_SUMS = {
    "education.attendance": [
        ("absent_days", "late_days", "school_days"), ("absent_days", "early_leave_days", "school_days"),
    ],
    "childcare.attendance": [("absent_days", "late_pickup_days", "open_days")],
}  # fmt: skip
# So many odd rows stop no delivery, however small it is: they are set apart and asked about.
_SPARE = 2
# Fewer rows than this say nothing about where a delivery is from.
_ENOUGH_ROWS = 50
# Sources in which one person stands once: a second row of the same person is a second number for it.
_ONE_ROW_PER_PERSON = ("education.enrolment", "childcare.enrolment", "resident.register")

# Fillers seen in exports; a municipality declares its own as null tokens, then they are blanks.
_FILLER = (
    r"^(不明|不詳|なし|無し|無|未定|未登録|未入力|住所不定|該当なし|(?i:null|none|n/a|na|nan|dummy|test)|#[A-Z/]+[!?]?|"
    r"ダミー|テスト|[-－ー―]+|[*＊]+|[?？]+|0[0-]*|9{5,}|[9-]{8,}|[1-]{9,}|(?i:undefined|unknown|nil|void)|[xX×]{2,}|0?123456789[0-9]*|[.。・,]+)$"
)
# Texts that went through a wrong conversion: UTF-8 read as CP932 or Latin-1, entities, codes of spreadsheets, marks of no
# width; and what only programs write.
_BROKEN = (
    r"^[=+@]|[<>]|[\x00-\x1F\x7F]|\x{FFFD}|\?\?|[\x{200B}-\x{200F}\x{202A}-\x{202E}\x{2060}\x{FEFF}]|[\x{0080}-\x{009F}]|"
    r"&(#[0-9x]|amp;|lt;|gt;|quot;|nbsp;)|_x00[0-9A-Fa-f]{2}_|[縺繧繝]|[郢譁蜷螟][\x{FF61}-\x{FF9F}]|[ÃÂ][\x{0080}-\x{00BF}]|"
    r"ã[\x{0080}-\x{00FF}]|\\u[0-9a-fA-F]{4}|%[0-9A-F]{2}%[0-9A-F]{2}"
)
# Records that somebody made to try a system out.
_TRIALS = r"テスト|ﾃｽﾄ|てすと|ダミー|ﾀﾞﾐｰ|サンプル|ｻﾝﾌﾟﾙ|見本|研修用|(?i:test|dummy|sample)"
# Telephone numbers that nobody has: one digit all along, or digits in their order.
_DUMMY_PHONE = (
    r"(" + "|".join(f"{d}{{3,4}}[-)]?{d}{{4}}" for d in range(10)) + r"|0?123[-)]?4567|1234[-)]?5678)$|^0?12-?345-?6789"
)
_VARIANTS = r"[髙﨑德邊邉齋齊濵濱瀨塚澤櫻惠眞廣國嶋黑曻栁桒𠮷]|[\x{FE00}-\x{FE0F}]|[\x{E0100}-\x{E01EF}]"

Entry = dict[str, Any]

# Pairs of dates that must come in this order, by source (where both stand in one row).
_DATE_ORDER = {
    "resident.register": [("birth_date", "became_resident_on"), ("became_resident_on", "left_on"), ("birth_date", "left_on")],
    "education.enrolment": [("birth_date", "enrolled_on"), ("enrolled_on", "left_on")],
    "education.school_aid": [("certified_on", "ended_on")],
    "childcare.enrolment": [("birth_date", "enrolled_on"), ("enrolled_on", "left_on")],
    "welfare.child_benefit": [("started_on", "ended_on")],
    "welfare.public_assistance": [("started_on", "ended_on")],
    "welfare.disability": [("issued_on", "expires_on")],
    "welfare.consultation": [("birth_date", "consulted_on")],
    "welfare.case": [("opened_on", "closed_on"), ("birth_date", "closed_on")],
    "welfare.support": [("assessed_on", "support_started_on")],
    "medical.flag": [("birth_date", "flagged_on")],
    "consent.record": [("valid_from", "valid_until"), ("consented_on", "withdrawn_on")],
}  # fmt: skip

# Parts that cannot exceed their whole.
_PARTS = {
    "education.attendance": [
        ("absent_days", "school_days"), ("late_days", "school_days"), ("early_leave_days", "school_days"),
    ],
    "childcare.attendance": [("absent_days", "open_days"), ("late_pickup_days", "open_days")],
}  # fmt: skip

# Dates that lie ahead by their nature.
_MAY_BE_AHEAD = {"ended_on", "expires_on", "valid_until", "valid_from", "left_on"}
# Columns that may hold one value in a small town.
_MAY_BE_ALIKE = {"school_code", "facility_code", "school_days", "open_days", "assessed_on", "checked_on", "answered_on",
                 "updated_on", "grade", "untreated_cavities", "unpaid_yen", "unpaid_months", "valid_from", "valid_until",
                 "ended_on", "visit_seq"}  # fmt: skip
# Counts by which a file may well be sorted.
_MAY_BE_SORTED = {"visit_seq", "grade"}
# Items that are empty for most people: blanks say nothing about the extract.
_OFTEN_BLANK = {"resident_number", "household_number", "guardian_phone", "alias_name", "former_surname", "mother_number",
                "updated_on", "address", "postal_code", "guardian_name", "department"}  # fmt: skip


def entry(
    ident: str,
    expect: str,
    kind: str,
    severity: str,
    threshold: float,
    why: str,
    ja: str,
    en: str,
    *,
    item: str | None = None,
    applies_when: str = "the source is held",
    **arguments: Any,
) -> Entry:
    """One expectation as a suite file holds it."""
    made: Entry = {"id": ident, "expect": expect}
    if item:
        made["item"] = item
    if arguments:
        made["arguments"] = arguments
    made |= {
        "kind": kind, "severity": severity, "threshold": threshold, "why": why, "applies_when": applies_when,
        "ja": ja, "en": en,
    }  # fmt: skip
    return made


def raw_suite(source: Source) -> list[Entry]:
    """Expectations on a source's raw rows: what its holder can mend."""
    # of what is recorded for every child, some row must be there; of what happens to some, a small town may have none
    # yet (where there were rows before, an extract without any is refused at the door)
    happens_to_some = source.event_date not in (None, "month")
    made = [
        entry("rows", "expect_table_to_have_rows", "completeness", "warning" if happens_to_some else "critical", 0,
              "a small town may have nothing to record yet, but an extract made by a wrong query looks the same"
              if happens_to_some else "a source that is held but empty would read as 'nothing happened'",
              f"{source.label_ja}に行があること", f"{source.label_en} has rows"),
        entry("rejects", "expect_rejects_to_be_few", "conformance", "warning", 0,
              "rejected rows are counted at the door and block there above the municipality's limit; here each one is told",
              f"{source.label_ja}の最新の抽出に読み取れない行がないこと", f"no row of the newest extract of {source.label_en} is rejected"),
        entry("volume", "expect_volume_to_be_steady", "plausibility", "warning", 0,
              "half or double the rows of the former extract is rarely a true change",
              f"{source.label_ja}の件数が前回の半分から2倍の間であること",
              f"{source.label_en} has between half and double the rows of the former extract",
              applies_when="two extracts are loaded and the former had more than 20 rows", least=0.5, most=2.0),
        entry("fresh", "expect_extract_to_be_fresh", "plausibility", "warning", 0,
              "staff act on what they see; two monthly deliveries missed is stale",
              f"{source.label_ja}の最新抽出が62日以内であること", f"the newest extract of {source.label_en} is 62 days old at most",
              days=62),
        entry("duplicates", "expect_rows_to_be_unique", "conformance", "warning", 0,
              "staging keeps the latest of doubled rows; the holder should know that they are there",
              f"{source.label_ja}に同じ鍵の行が重複しないこと", f"no two rows of {source.label_en} share their key",
              columns=list(source.natural_key)),
    ]  # fmt: skip
    made.append(
        entry("duplicates.all", "expect_rows_to_be_unique", "conformance", "info", 0,
              "where doubled rows differ, nobody but the holder knows which of them is right: each of them is counted",
              f"{source.label_ja}のどの行も鍵がほかの行と重ならないこと", f"each row of {source.label_en} has a key of its own",
              columns=list(source.natural_key), count_all=True)
    )  # fmt: skip
    made.append(
        entry("line_ends", "expect_lines_to_end_alike", "conformance", "info", 0,
              "lines that end in two ways come from files pasted together, or from line breaks inside cells",
              f"{source.label_ja}のファイルの改行が一通りであること", f"the lines of {source.label_en} end in one way",
              applies_when="the source comes as a text file")
    )  # fmt: skip
    month = source.by_name.get(source.event_date or "")
    if month is not None and month.type == "month":
        made.append(
            entry("months", "expect_months_to_be_complete", "completeness", "warning", 0,
                  "a month with a fifth of the usual rows was not, or only in part, exported",
                  f"{source.label_ja}に抜けた月がないこと", f"no month of {source.label_en} is missing", item=month.name,
                  applies_when="a usual month has 20 rows or more")
        )  # fmt: skip
        made.append(
            entry("recent", "expect_events_to_be_recent", "plausibility", "warning", 0,
                  "a new extract whose newest month is older than this is an old export under a new date",
                  f"{source.label_ja}の最新の月が抽出日の92日前以降であること",
                  f"the newest month of {source.label_en} is at most 92 days before its extract", item=month.name, days=92)
        )  # fmt: skip
    for item in source.items:
        made.extend(_raw_item(source, item))
    return made


def _raw_item(source: Source, item: Item) -> Iterator[Entry]:
    key = item.name in source.natural_key
    record_key = item.name == source.record_key
    yield entry(
        f"{item.name}.column", "expect_column_to_be_filled", "completeness", "critical" if record_key else "info" if item.blank_means == "not_applicable" or item.name in _OFTEN_BLANK else "warning", 0,
        "a column without a single value was renamed or not exported",
        f"「{item.label_ja}」の列に値があること", f"the column '{item.label_en}' holds values",
        item=item.name, applies_when="the municipality's file maps the item",
    )  # fmt: skip
    if record_key:
        yield entry(
            f"{item.name}.key_present", "expect_values_to_be_present", "completeness", "critical", 5,
            "without its number a record links to nobody; some percent are lost in any system, more is a broken export",
            f"「{item.label_ja}」が5%を超えて空でないこと", f"'{item.label_en}' is blank in at most 5 % of rows", item=item.name,
            spare=_SPARE,
        )  # fmt: skip
        limit_ = _limit(source.unreadable_percent)
        yield entry(
            f"{item.name}.key_readable", "expect_keys_to_be_readable", "conformance", "critical", source.unreadable_percent,
            source.unreadable_why,
            f"「{item.label_ja}」が番号として読めること（読めない行が{limit_}%以下。指数表示・数式・#エラーは番号ではない）",
            f"'{item.label_en}' reads as a number (at most {limit_} % do not: exponents, formulas and errors are none)",
            item=item.name, spare=_SPARE,
        )  # fmt: skip
        if not source.is_identity:
            yield entry(
                f"{item.name}.spread", "expect_keys_to_be_spread", "plausibility", "critical", 0,
                "nobody has four fifths of a town's records: one number in nearly all rows was filled down or destroyed, and "
                "one child would carry everybody's facts",
                f"「{item.label_ja}」の一つの番号が8割以上の行を占めないこと",
                f"no single '{item.label_en}' stands on four fifths of the rows", item=item.name,
                applies_when=f"at least {_ENOUGH_ROWS} rows have a number", share=80, least=_ENOUGH_ROWS,
            )  # fmt: skip
    if item.blank_means == "blank":
        often = item.name in _OFTEN_BLANK
        yield entry(
            f"{item.name}.present", "expect_values_to_be_present", "completeness", "info" if often else "warning",
            0 if key or item.type == "date" else 5,
            "many people have none: counted, no alarm" if often
            else "a key part or an event without its date cannot be used" if key or item.type == "date"
            else "single blanks happen in every office; above this the item is being left out",
            f"「{item.label_ja}」が空でないこと", f"'{item.label_en}' is not blank", item=item.name,
        )  # fmt: skip
    if item.type in ("date", "month", "int", "decimal", "code"):
        what = {"date": ("日付として読める", "reads as a date"), "month": ("年月として読める", "reads as a month"),
                "int": ("整数として読める", "reads as a whole number"), "decimal": ("数値として読める", "reads as a number"),
                "code": ("コード表にある", "is on the code list")}[item.type]  # fmt: skip
        yield entry(
            f"{item.name}.readable", "expect_values_to_be_readable", "conformance", "warning", 0,
            "every value that cannot be read is lost for the child it is about",
            f"「{item.label_ja}」が{what[0]}こと", f"'{item.label_en}' {what[1]}", item=item.name,
        )  # fmt: skip
    if item.name == (source.event_date or ("birth_date" if source.is_identity else None)):
        limit_ = _limit(source.unreadable_percent)
        yield entry(
            f"{item.name}.day_readable", "expect_values_to_be_readable", "conformance", "critical", source.unreadable_percent,
            source.unreadable_why,
            f"「{item.label_ja}」の読めない行が{limit_}%以下であること", f"at most {limit_} % of '{item.label_en}' cannot be read",
            item=item.name, applies_when="a value was there", spare=_SPARE,
        )  # fmt: skip
    if item.type in ("int", "decimal") and (item.minimum is not None or item.maximum is not None):
        limits: dict[str, Any] = {
            k: v for k, v in (("minimum", item.minimum), ("maximum", item.maximum)) if v is not None
        }
        yield entry(
            f"{item.name}.range", "expect_values_to_be_between", "plausibility", "warning", 0,
            "the catalogue's limits: beyond them a value is a slip of the key or another unit",
            f"「{item.label_ja}」が{_limit(item.minimum)}〜{_limit(item.maximum)}の範囲にあること",
            f"'{item.label_en}' lies between {_limit(item.minimum)} and {_limit(item.maximum)}", item=item.name, **limits,
        )  # fmt: skip
    if item.type == "date":
        if item.name not in _MAY_BE_AHEAD:
            yield entry(
                f"{item.name}.not_ahead", "expect_dates_in_order", "plausibility", "warning", 0,
                "an event after the day of its extract has not happened",
                f"「{item.label_ja}」が抽出日より後でないこと", f"'{item.label_en}' is not after the extract", item=item.name,
                not_after="_extract_date",
            )  # fmt: skip
        young = source.key.startswith(_CHILDREN_ONLY)
        limit: dict[str, Any] = {"years": _YEARS_BACK} if young else {"date": _EARLIEST}
        yield entry(
            f"{item.name}.not_ancient", "expect_dates_not_before", "plausibility", "warning", 0,
            "a source about children holds nothing from before they were born: an earlier day is a wrong era or a filler"
            if young else "an earlier day comes from a wrong era or a filler",
            f"「{item.label_ja}」が抽出日の{_YEARS_BACK}年前より前でないこと" if young
            else f"「{item.label_ja}」が{_EARLIEST}より前でないこと",
            f"'{item.label_en}' is not more than {_YEARS_BACK} years before the extract" if young
            else f"'{item.label_en}' is not before {_EARLIEST}", item=item.name,
            **limit,
        )  # fmt: skip
        if item.name in _MAY_BE_AHEAD:
            yield entry(
                f"{item.name}.not_far_ahead", "expect_dates_not_far_ahead", "plausibility", "warning", 0,
                "an end may lie ahead, but a day this far ahead stands for 'no end' and has to be declared as a blank",
                f"「{item.label_ja}」が抽出日の20年後より後でないこと",
                f"'{item.label_en}' is not more than 20 years after the extract", item=item.name, years=20,
            )  # fmt: skip
    if item.type == "id" and item.name in ("resident_number", "household_number", "mother_number"):
        yield entry(
            f"{item.name}.check_digit", "expect_check_digit", "conformance",
            "info", 0,
            "only newly issued numbers carry a check digit (modulus 11): a failed one is counted and never an alarm",
            f"「{item.label_ja}」の検査数字が合うこと", f"the check digit of '{item.label_en}' fits", item=item.name,
        )  # fmt: skip
    if item.type == "id":
        yield entry(
            f"{item.name}.form", "expect_values_to_match", "conformance", "warning", 0,
            "numbers of systems hold digits, letters and hyphens; anything else is a shifted column or a note",
            f"「{item.label_ja}」が番号の形であること", f"'{item.label_en}' has the form of a number", item=item.name,
            pattern="[0-9A-Za-z][0-9A-Za-z._/-]{0,39}", narrow=True,
        )  # fmt: skip
    if item.type == "id" and item.name not in ("school_code", "facility_code"):
        yield entry(
            f"{item.name}.length", "expect_lengths_to_agree", "conformance", "warning", 0,
            "a spreadsheet takes leading zeros off and writes long numbers as 1.23E+09: the record then links to nobody",
            f"「{item.label_ja}」の桁数がそろっていること", f"numbers of '{item.label_en}' have one length", item=item.name,
            applies_when="nearly all numbers of the column have one length",
        )  # fmt: skip
    if item.type == "id":
        yield entry(
            f"{item.name}.digits", "expect_digits_alone", "conformance", "info", 0,
            "a letter among numbers of digits is a slip of the eye (O for 0, l for 1) or a note",
            f"「{item.label_ja}」が数字だけであること", f"'{item.label_en}' holds digits alone", item=item.name,
            applies_when="nearly all numbers of the column are digits alone",
        )  # fmt: skip
    if item.name in ("school_code", "facility_code"):
        yield entry(
            f"{item.name}.rare", "expect_values_to_be_shared", "plausibility", "info", 0,
            "a code on a handful of rows, where all others stand on many, is a slip or a place that does not exist",
            f"「{item.label_ja}」がごく少数の行だけの値でないこと", f"'{item.label_en}' is not a value of a handful of rows",
            item=item.name, applies_when="200 values or more are known and nearly all stand on more than five rows",
        )  # fmt: skip
    if item.type in ("address", "postal"):
        yield entry(
            f"{item.name}.rare", "expect_values_to_be_shared", "plausibility", "info", 0,
            "a beginning that hardly anybody else has, where nearly all share theirs, is another region's or a slip",
            f"「{item.label_ja}」の初めの3文字がごく少数の行だけのものでないこと",
            f"the first three characters of '{item.label_en}' are not those of a handful of rows", item=item.name, first=3,
            applies_when="200 values or more are known and nearly all stand on more than five rows",
        )  # fmt: skip
    if item.type in ("int", "decimal") and item.name != "grade":
        yield entry(
            f"{item.name}.outliers", "expect_no_outliers", "plausibility", "info", 0,
            "ten times what all but one in a hundred have, or a tenth of it: another unit, a lost decimal point or two "
            "numbers run together",
            f"「{item.label_ja}」が飛び抜けて大きく(小さく)ないこと", f"'{item.label_en}' does not stand out by far", item=item.name,
            applies_when="200 values or more are known",
        )  # fmt: skip
    if item.type in ("int", "decimal") and not source.is_identity and not key and item.name not in _MAY_BE_SORTED:
        yield entry(
            f"{item.name}.unsorted", "expect_column_to_be_unsorted", "plausibility", "info", 0,
            "a column that never falls from row to row was sorted by itself, or the whole file by it",
            f"「{item.label_ja}」が並べ替えられていないこと", f"'{item.label_en}' is not sorted", item=item.name,
            applies_when="200 values or more are known, of three kinds or more",
        )  # fmt: skip
    if item.type == "decimal":
        yield entry(
            f"{item.name}.commas", "expect_values_to_lack_pattern", "conformance", "warning", 0,
            "a comma that parts no thousands stands for a decimal point: the number reads a hundred times too large",
            f"「{item.label_ja}」の小数点がカンマでないこと", f"'{item.label_en}' has no decimal comma", item=item.name,
            pattern=r"[,，]([0-9]{1,2}|[0-9]{4,})$",
        )  # fmt: skip
    if item.type in ("date", "month"):
        yield entry(
            f"{item.name}.style", "expect_dates_in_style", "conformance", "info", 0,
            "read all the same, but a date written in another way than the rest was typed by hand or pasted",
            f"「{item.label_ja}」がこの出典の日付の書き方であること", f"'{item.label_en}' is written in the source's style", item=item.name,
            applies_when="the municipality's file declares a style",
        )  # fmt: skip
    if item.type in ("date", "int", "decimal", "name", "kana", "id", "address") and item.name not in _MAY_BE_ALIKE:
        yield entry(
            f"{item.name}.varies", "expect_column_to_vary", "plausibility", "warning", 0,
            "a column with one and the same value in every row was filled by the export, not by people",
            f"「{item.label_ja}」がすべて同じ値でないこと", f"'{item.label_en}' is not the same in every row", item=item.name,
            applies_when="200 values or more are known", among=200,
        )  # fmt: skip
    if item.type == "postal":
        yield entry(
            f"{item.name}.form", "expect_values_to_match", "conformance", "warning", 0,
            "a postal code has seven digits", f"「{item.label_ja}」が7桁であること", f"'{item.label_en}' has seven digits",
            item=item.name, pattern="〒?[0-9]{3}-?[0-9]{4}", narrow=True,
        )  # fmt: skip
    if item.type == "phone":
        yield entry(
            f"{item.name}.form", "expect_values_to_match", "conformance", "warning", 0,
            "a telephone number of this country begins with 0 (or +81) and has ten or eleven digits", f"「{item.label_ja}」が電話番号の形であること",
            f"'{item.label_en}' has the form of a telephone number", item=item.name,
            pattern=r"[(（]?(0|\+81)[()（）-]{0,2}([0-9][()（）-]{0,2}){9,10}", narrow=True,
        )  # fmt: skip
        yield entry(
            f"{item.name}.dummy", "expect_values_to_lack_pattern", "conformance", "warning", 0,
            "nobody answers a number of one digit or of digits in their order: it was typed to get past the screen",
            f"「{item.label_ja}」が架空の番号でないこと", f"'{item.label_en}' is no dummy number", item=item.name,
            pattern=_DUMMY_PHONE,
        )  # fmt: skip
    if item.type in ("name", "kana"):
        yield entry(
            f"{item.name}.trial", "expect_values_to_lack_pattern", "conformance", "warning", 0,
            "a record made to try a system out is nobody: it must not become a child",
            f"「{item.label_ja}」が試験用の名前でないこと", f"'{item.label_en}' is not of a trial record", item=item.name,
            pattern=_TRIALS,
        )  # fmt: skip
    if item.type in ("kana", "address"):
        yield entry(
            f"{item.name}.signs", "expect_values_to_lack_pattern", "conformance", "warning", 0,
            "such signs stand for a character that was lost, or are noise of another program",
            f"「{item.label_ja}」に記号がないこと", f"'{item.label_en}' holds no signs", item=item.name,
            pattern=r"[*＊?？!！$%&|;=_^~\\]",
        )  # fmt: skip
    if item.type in ("name", "kana", "address", "text"):
        yield entry(
            f"{item.name}.form", "expect_values_to_lack_pattern", "conformance", "warning", 0,
            "mark-up, formulas, control and replacement characters in a text come from a broken conversion",
            f"「{item.label_ja}」に数式・タグ・制御文字・文字化けがないこと",
            f"'{item.label_en}' holds no formula, mark-up, control or replacement character", item=item.name,
            pattern=_BROKEN,
        )  # fmt: skip
    if item.type in ("name", "kana", "address"):
        yield entry(
            f"{item.name}.gaiji", "expect_values_to_lack_pattern", "conformance", "info", 0,
            "user-defined characters are kept by their code; the holder may tell which character is meant",
            f"「{item.label_ja}」に外字がないこと", f"'{item.label_en}' holds no user-defined character", item=item.name,
            pattern="〓",
        )  # fmt: skip
    if item.type in ("name", "kana", "address", "text", "id", "phone", "postal"):
        yield entry(
            f"{item.name}.filler", "expect_values_to_lack_pattern", "completeness", "warning", 0,
            "a filler that the municipality's file does not declare would be read as a value",
            f"「{item.label_ja}」に「不明」「NULL」等の埋め草がないこと", f"'{item.label_en}' holds no undeclared filler", item=item.name,
            pattern=_FILLER,
        )  # fmt: skip
    yield entry(
        f"{item.name}.trimmed", "expect_values_to_be_trimmed", "conformance", "info", 0,
        "blanks around a value are taken off; many of them point at a fixed-width export",
        f"「{item.label_ja}」の前後に空白がないこと", f"'{item.label_en}' has no blanks around it", item=item.name,
    )  # fmt: skip
    if item.type in ("id", "int", "decimal", "postal", "phone"):
        yield entry(
            f"{item.name}.width", "expect_values_to_lack_pattern", "conformance", "info", 0,
            "full-width digits are read as digits; they are counted so that the export can be mended",
            f"「{item.label_ja}」に全角数字がないこと", f"'{item.label_en}' holds no full-width digits", item=item.name,
            pattern="[０-９]",
        )  # fmt: skip
    if item.type in ("name", "address"):
        yield entry(
            f"{item.name}.variants", "expect_values_to_lack_pattern", "conformance", "info", 0,
            "variant characters are folded for matching; systems write them differently",
            f"「{item.label_ja}」に異体字がないこと", f"'{item.label_en}' holds no variant characters", item=item.name,
            pattern=_VARIANTS,
        )  # fmt: skip
    if item.type == "name":
        yield entry(
            f"{item.name}.letters", "expect_values_to_lack_pattern", "conformance", "warning", 0,
            "digits and signs in a name are a note, a number or a shifted column (codes of user-defined characters aside)",
            f"「{item.label_ja}」に数字・記号がないこと", f"'{item.label_en}' holds no digits or signs", item=item.name,
            pattern=r"^[^〓{]*[0-9０-９#$%&*_|;:!?！？＠＃＄％＆＊＿｜；：/\\]",
        )  # fmt: skip
        yield entry(
            f"{item.name}.notes", "expect_values_to_lack_pattern", "conformance", "info", 0,
            "a title or remark beside the name keeps it from matching", f"「{item.label_ja}」に敬称や注記がないこと",
            f"'{item.label_en}' holds no title or remark", item=item.name,
            pattern=r"(様|殿|さん|くん|ちゃん|先生)$|[(（\[【].*|旧姓|通称|同居|転出|死亡|要確認|重複",
        )  # fmt: skip
        if item.name in ("name", "guardian_name"):
            yield entry(
                f"{item.name}.parts", "expect_names_in_parts", "conformance", "info", 0,
                "a name of one part, where nearly all have two, was cut off or lost its surname or given name",
                f"「{item.label_ja}」が氏と名に分かれていること", f"'{item.label_en}' has a surname and a given name", item=item.name,
                applies_when="nearly all names of the column have two parts",
            )  # fmt: skip
            yield entry(
                f"{item.name}.short", "expect_values_to_lack_pattern", "conformance", "info", 0,
                "a name of one character was cut off", f"「{item.label_ja}」が1文字でないこと",
                f"'{item.label_en}' is longer than one character", item=item.name, pattern=r"^.$",
            )  # fmt: skip
        yield entry(
            f"{item.name}.not_kana", "expect_values_to_lack_pattern", "conformance", "info", 0,
            "a name in kana alone may be the reading in the wrong column (foreign names are written so, too)",
            f"「{item.label_ja}」がカナだけでないこと", f"'{item.label_en}' is not kana alone", item=item.name,
            pattern=r"^[\p{Katakana}ー・ 　･-ﾟ]+$",
        )  # fmt: skip
    if item.uncertain:
        yield entry(
            f"{item.name}.certain", "expect_dates_to_be_certain", "completeness", "info", 0,
            "register dates may be known in part; they keep their bounds and are counted",
            f"「{item.label_ja}」が日まで分かること", f"'{item.label_en}' is known to the day", item=item.name,
        )  # fmt: skip
    if item.type == "kana":
        yield entry(
            f"{item.name}.half_width", "expect_values_to_lack_pattern", "conformance", "info", 0,
            "half-width kana are widened for matching; mixed use points at several entry screens",
            f"「{item.label_ja}」に半角カナがないこと", f"'{item.label_en}' holds no half-width kana", item=item.name,
            pattern="[･-ﾟ]",
        )  # fmt: skip
        yield entry(
            f"{item.name}.script", "expect_values_to_lack_pattern", "conformance", "info", 0,
            "Latin letters or hiragana in the reading do not match other systems' katakana",
            f"「{item.label_ja}」にローマ字・ひらがながないこと", f"'{item.label_en}' holds neither Latin letters nor hiragana",
            item=item.name, pattern=r"[A-Za-zＡ-Ｚａ-ｚ]|\p{Hiragana}",
        )  # fmt: skip
        yield entry(
            f"{item.name}.voiced", "expect_values_to_lack_pattern", "conformance", "info", 0,
            "separate voiced marks are joined for matching",
            f"「{item.label_ja}」に分離した濁点がないこと", f"'{item.label_en}' holds no separate voiced marks", item=item.name,
            pattern=r"[゛゜\x{3099}\x{309A}]",
        )  # fmt: skip
        yield entry(
            f"{item.name}.kana", "expect_values_to_lack_pattern", "conformance", "warning", 0,
            "kanji or Latin digits in the reading mean swapped columns",
            f"「{item.label_ja}」に漢字・数字がないこと", f"'{item.label_en}' holds neither kanji nor digits", item=item.name,
            pattern=r"\p{Han}|[0-9０-９]",
        )  # fmt: skip
    if item.type == "address":
        yield entry(
            f"{item.name}.house", "expect_values_to_match", "completeness", "info", 0,
            "an address without any number does not tell where somebody lives", f"「{item.label_ja}」に番地があること",
            f"'{item.label_en}' has a house number", item=item.name,
            pattern=r"(?s).*[0-9０-９一二三四五六七八九十〇].*",
        )  # fmt: skip
    for other in (second for first, second in _DATE_ORDER.get(source.key, []) if first == item.name):
        yield entry(
            f"{item.name}.before_{other}", "expect_dates_in_order", "plausibility", "warning", 0,
            "time runs one way; equal days are fine",
            f"「{item.label_ja}」が「{source.by_name[other].label_ja}」より後でないこと",
            f"'{item.label_en}' is not after '{source.by_name[other].label_en}'", item=item.name,
            applies_when="both dates are known to the day", not_after=other,
        )  # fmt: skip
    for other in (whole for part, whole in _PARTS.get(source.key, []) if part == item.name):
        yield entry(
            f"{item.name}.within_{other}", "expect_value_not_above", "plausibility", "warning", 0,
            "a part cannot exceed its whole",
            f"「{item.label_ja}」が「{source.by_name[other].label_ja}」以下であること",
            f"'{item.label_en}' is not above '{source.by_name[other].label_en}'", item=item.name, not_above=other,
        )  # fmt: skip


def _limit(value: float | None) -> str:
    if value is None:
        return ""
    return f"{int(value):,}" if float(value).is_integer() else f"{value:g}"


def staging_suite(source: Source, catalog: Catalog) -> list[Entry]:
    """Expectations on a source's cleansed rows: what later rooms rely on."""
    key = [name for name in source.natural_key if name != source.record_key]
    if source.domain == "consent":
        # a ledger keeps every line: the second of one day may take the first back
        key += ["_source_file_sha256", "_row_number"]
    made = [
        entry("rows", "expect_table_to_have_rows", "completeness", "critical", 0,
              "cleansing must not lose a whole source",
              f"整形後の{source.label_ja}に行があること", f"cleansed {source.label_en} has rows",
              applies_when="the extract has rows", unless_empty=f"raw.{source.raw_table}"),
        entry("record_key", "expect_values_to_be_present", "conformance", "critical", 0,
              "staging names every row; a row without a name is a defect of the platform",
              "記録番号が空でないこと", "every row has a record id", item="source_record_id", by_status=False),
        entry("natural_key", "expect_rows_to_be_unique", "conformance", "critical", 0,
              "doubled rows would count a child's days twice",
              f"整形後の{source.label_ja}に同じ鍵の行が重複しないこと", f"cleansed {source.label_en} holds each key once",
              columns=["source_record_id", *key]),
        entry("named_by_row", "expect_values_to_lack_pattern", "completeness", "warning", 2,
              "rows without a number in their own system link by identity at best",
              f"{source.label_ja}の番号のない行が2%以下であること", f"at most 2 % of {source.label_en} lack their number",
              item="source_record_id", pattern="^~"),
    ]  # fmt: skip
    for item in source.items:
        if item.name == source.record_key:
            continue
        if item.type in ("name", "kana", "address", "postal", "phone"):
            continue
        if source.is_identity and item.name in ("resident_number", "household_number"):
            continue  # identity staging gives these without a status
        made.append(
            entry(f"{item.name}.unreadable", "expect_values_to_be_readable", "conformance", "warning", 1,
                  "up to one percent is single slips, told in the raw suite; above it a rule for reading is missing",
                  f"「{item.label_ja}」の読めない値が1%以下であること", f"at most 1 % of '{item.label_en}' is unreadable",
                  item=item.name, applies_when="a value was there")
        )  # fmt: skip
        if item.name == (source.event_date or ("birth_date" if source.is_identity else None)):
            limit_ = _limit(source.unreadable_percent)
            made.append(
                entry(f"{item.name}.usable", "expect_values_to_be_readable", "plausibility", "critical",
                      source.unreadable_percent,
                      "a day that nobody can have had is no day: single ones are set apart and asked about, more mean a "
                      "wrong era, a wrong style or a wrong column",
                      f"「{item.label_ja}」の読めない行とあり得ない日の行が合わせて{limit_}%以下であること",
                      f"at most {limit_} % of '{item.label_en}' is unreadable or impossible", item=item.name,
                      applies_when="a value was there", spare=_SPARE)
            )  # fmt: skip
        if item.type == "code" and item.codes:
            made.append(
                entry(f"{item.name}.codes", "expect_values_to_be_in_set", "conformance", "critical", 0,
                      "staging maps every local code to the catalogue's or to unreadable: another code is a defect",
                      f"「{item.label_ja}」がカタログのコードだけであること", f"'{item.label_en}' holds catalogue codes only",
                      item=item.name, values=list(item.codes))
            )  # fmt: skip
    home = _identity_source(source, catalog)
    if home is not None and not source.is_identity:
        made.append(
            entry("orphans", "expect_rows_to_exist_in", "conformance", "warning", 5,
                  "who left keeps earlier rows; more orphans than this means two systems drifted apart",
                  f"{source.label_ja}の番号が{home.label_ja}にあること", f"numbers of {source.label_en} exist in {home.label_en}",
                  table=f"staging.{home.staging_table}", columns=["source_record_id"],
                  where="source_record_id not like '~%'")
        )  # fmt: skip
        made.append(
            entry("strangers", "expect_rows_to_exist_in", "conformance", "critical", 80,
                  "another municipality's delivery reads perfectly well; without a code or an address in it, only its "
                  "numbers give it away",
                  f"{source.label_ja}の番号の20%以上が{home.label_ja}にあること（別の自治体の資料ではないこと）",
                  f"at least 20 % of the numbers of {source.label_en} exist in {home.label_en}",
                  applies_when=f"at least {_ENOUGH_ROWS} rows have a number",
                  table=f"staging.{home.staging_table}", columns=["source_record_id"],
                  where="source_record_id not like '~%'", least=_ENOUGH_ROWS)
        )  # fmt: skip
        if source.event_date and source.by_name[source.event_date].type == "date" and source.key not in _BEFORE_BIRTH:
            event = source.by_name[source.event_date]
            made.append(
                entry(f"{event.name}.born", "expect_event_not_before_birth", "plausibility", "warning", 0.5,
                      "an event of a child before its birth belongs to another child or year",
                      f"「{event.label_ja}」が出生前でないこと", f"'{event.label_en}' is not before birth", item=event.name,
                      applies_when="the person is known and born on a known day",
                      table=f"staging.{home.staging_table}")
            )  # fmt: skip
    if home is not None and not source.is_identity:
        made.extend(_about_person(source, home))
    made.extend(_row_sense(source))
    if source.key == "health.infant_checkup":
        made.append(
            entry("checked_on.born", "expect_event_not_before_birth", "plausibility", "warning", 0.5,
                  "a check-up before birth belongs to another child or year",
                  "「受診日」が出生前でないこと", "the check-up is not before birth", item="checked_on",
                  table="staging.stg_resident__register")
        )  # fmt: skip
        for checkup, (low, high) in _CHECKUP_AGES.items():
            for name in ("due_on", "checked_on"):
                item = source.by_name[name]
                made.append(
                    entry(f"{name}.age_{checkup}", "expect_event_at_age", "plausibility", "warning", 1,
                          "each check-up belongs to an age; another age is the wrong check-up, child or year",
                          f"「{item.label_ja}」が健診({checkup})の月齢({low}〜{high}か月)にあること",
                          f"'{item.label_en}' of check-up {checkup} falls at {low} to {high} months", item=name,
                          applies_when="the child is known", table="staging.stg_resident__register", from_months=low,
                          to_months=high, where=f"checkup = '{checkup}'", columns=["checkup"])
                )  # fmt: skip
    for (key_, name), group in _ALIKE_IN_GROUP.items():
        if key_ == source.key and home is not None:
            item, place = source.by_name[name], home.by_name[group]
            made.append(
                entry(f"{name}.as_others", "expect_value_as_in_group", "plausibility", "info", 0,
                      "a school is open on the same days for all: a child with days of its own was copied wrongly or moved",
                      f"「{item.label_ja}」が同じ「{place.label_ja}」・同じ月のほかの人と同じであること",
                      f"'{item.label_en}' is that of the others of the same '{place.label_en}' and month", item=name,
                      applies_when="20 rows or more of one place and month", table=f"staging.{home.staging_table}",
                      group=group, by=source.event_date)
            )  # fmt: skip
    for start, until, by in _PERIODS.get(source.key, []):
        item = source.by_name[start]
        made.append(
            entry(f"{start}.apart", "expect_periods_apart", "plausibility", "info", 0,
                  "two periods of the same kind cannot run at once for one person: one was not ended, or is somebody else's",
                  f"同じ人の{source.label_ja}の期間が重ならないこと", f"periods of {source.label_en} of one person do not overlap",
                  item=start, applies_when="the person has several periods", by=list(by), until=until)
        )  # fmt: skip
    if source.is_identity and source.key != "resident.register":
        made.extend(_against_register("resident_number" in source.by_name))
    return made


def _about_person(source: Source, home: Source) -> Iterator[Entry]:
    """A source's events beside the person that they are about."""
    table = f"staging.{home.staging_table}"
    event = source.by_name.get(source.event_date or "")
    if event is None:
        return
    if source.key in _AGES:
        low, high = _AGES[source.key]
        yield entry(
            f"{event.name}.age", "expect_event_at_age", "plausibility", "warning", 1,
            "an event at an impossible age has the wrong child, the wrong year or a wrong birth date behind it",
            f"「{event.label_ja}」の時点の年齢がこの制度の範囲にあること", f"'{event.label_en}' falls at an age that the service is for",
            item=event.name, applies_when="the person is known and its birth date bounded", table=table, from_months=low,
            to_months=high,
        )  # fmt: skip
    if source.id_system in ("school", "childcare") and source.key != "education.school_aid":
        yield entry(
            f"{event.name}.stay", "expect_event_within_stay", "plausibility", "warning", 1,
            "who had not come yet or had left cannot be absent: two systems disagree about the dates",
            f"「{event.label_ja}」が在籍期間の中にあること", f"'{event.label_en}' lies within the stay", item=event.name,
            applies_when="the person is known", table=table, since="enrolled_on", days=62,
        )  # fmt: skip


def _row_sense(source: Source) -> Iterator[Entry]:
    """Values of one row, or of one child over time, that cannot stand together."""
    for first, second, whole in _SUMS.get(source.key, []):
        a, b, c = (source.by_name[name] for name in (first, second, whole))
        yield entry(
            f"{first}.with_{second}", "expect_rows_to_satisfy", "plausibility", "info", 0,
            "nobody is late on a day of absence: together they cannot exceed the days",
            f"「{a.label_ja}」と「{b.label_ja}」の合計が「{c.label_ja}」以下であること",
            f"'{a.label_en}' and '{b.label_en}' together do not exceed '{c.label_en}'", item=second,
            condition=f"{first} + {second} <= {whole}", columns=[first, second, whole],
        )  # fmt: skip
    for name, order, fall, rise in _STEPS.get(source.key, []):
        item = source.by_name[name]
        yield entry(
            f"{name}.steps", "expect_steps_to_be_small", "plausibility", "info", 0,
            "children neither shrink nor shoot up between two school check-ups: a unit, a digit or another child",
            f"「{item.label_ja}」が前後の健診から飛び離れていないこと", f"'{item.label_en}' does not leap between check-ups",
            item=name, by="source_record_id", order=order, fall=fall, rise=rise,
        )  # fmt: skip
    if source.key in _ONE_ROW_PER_PERSON:
        yield entry(
            "one_row_per_person", "expect_rows_to_be_unique", "plausibility", "info", 0,
            "the same name, birth date and address under two numbers: one person registered twice",
            f"{source.label_ja}に同じ人が二つの番号でいないこと", f"nobody stands twice in {source.label_en}",
            columns=["name_match", "birth_date", "address_match"], count_all=True,
        )  # fmt: skip
    if source.is_identity and "guardian_name" in source.by_name:
        yield entry(
            "guardian_name.other", "expect_rows_to_satisfy", "plausibility", "info", 0,
            "a child is not its own guardian: a column was copied", "保護者の氏名が本人の氏名と異なること",
            "the guardian's name is not the child's", item="guardian_name", condition="guardian_match <> name_match",
            columns=["guardian_match", "name_match"],
        )  # fmt: skip
        yield entry(
            "name.guardians", "expect_rows_to_satisfy", "plausibility", "info", 0,
            "one of the two may have changed the name and the other record not, or somebody else's name stands there; "
            "families of two surnames are right as they are",
            "本人の氏が保護者の氏と同じこと", "the surname is the guardian's", item="name",
            condition="starts_with(guardian_match, surname_match)",
            columns=["guardian_name", "guardian_match", "surname_match"],
            where="guardian_match is not null and surname_match is not null",
        )  # fmt: skip


# What all children of one place and month share: (source, item) → the home source's item that tells the place.
_ALIKE_IN_GROUP = {
    ("education.attendance", "school_days"): "school_code", ("childcare.attendance", "open_days"): "facility_code",
}  # fmt: skip
# Periods of which a person has one at a time: (start, end, what tells them apart).
_PERIODS: dict[str, list[tuple[str, str, tuple[str, ...]]]] = {
    "education.enrolment": [("enrolled_on", "left_on", ("resident_number",))],
    "childcare.enrolment": [("enrolled_on", "left_on", ("resident_number",))],
    "education.school_aid": [("certified_on", "ended_on", ("source_record_id",))],
    "welfare.child_benefit": [("started_on", "ended_on", ("source_record_id", "benefit"))],
    "welfare.public_assistance": [("started_on", "ended_on", ("source_record_id",))],
    "welfare.case": [("opened_on", "closed_on", ("resident_number",))],
}  # fmt: skip

# About a child before it is born, by their nature.
_BEFORE_BIRTH = {"health.pregnancy", "health.infant_checkup"}


def _against_register(numbered: bool) -> Iterator[Entry]:
    """An identity source beside the residents' register: by the number both hold, else by the rest of the identity."""
    register: dict[str, Any] = {"table": "staging.stg_resident__register", "there": "source_record_id"}
    alike: dict[str, Any] = {"where_same": ["given_match"]} if numbered else {}
    if numbered:
        register |= {"own": "resident_number", "applies_when": "the person stands once in the register"}
        yield entry(
            "number.same_birth", "expect_same_as_in", "plausibility", "warning", 5,
            "one number with two birth dates: a wrong number, a number of two people, or a slip in the date",
            "宛名番号の人の生年月日が住民記録と同じこと", "the number's birth date is the register's", item="resident_number",
            compared=["birth_date"], **register,
        )  # fmt: skip
        yield entry(
            "number.same_sex", "expect_same_as_in", "plausibility", "warning", 5,
            "one number with two sexes: a wrong number, or codes of sex that are mapped the wrong way round",
            "宛名番号の人の性別が住民記録と同じこと", "the number's sex is the register's", item="sex",
            compared=["sex"], where_same=["birth_date"], where="sex is not null and sex <> 'unknown'", **register,
        )  # fmt: skip
        yield entry(
            "number.known", "expect_rows_to_exist_in", "conformance", "warning", 5,
            "people from outside have numbers of their own; more than a few mean a wrong column or an old register",
            "宛名番号が住民記録にあること", "the number stands in the register", item="resident_number",
            table="staging.stg_resident__register", columns=["source_record_id"], own=["resident_number"],
        )  # fmt: skip
    yield entry(
        "sex.same", "expect_same_as_in", "plausibility", "warning", 5,
        "same person by all else, other sex: more than a few mean that the codes of sex are mapped the wrong way round",
        "ほかが一致する人の性別が住民記録と同じこと", "with all else alike the sex is the register's", item="sex",
        compared=["sex"], where="sex is not null and sex <> 'unknown'",
        otherwise=[["name_match", "birth_date"], ["kana_match", "birth_date", "address_match"]],
        **(register if not numbered else {**register, **alike}),
    )  # fmt: skip
    yield entry(
        "birth_date.same", "expect_same_as_in", "plausibility", "info", 0,
        "same person by all else, other birth date: day and month swapped or mistyped",
        "ほかが一致する人の生年月日が住民記録と同じこと", "with all else alike the birth date is the register's",
        item="birth_date", compared=["birth_date"], otherwise=["name_match", "address_match"],
        **register, **alike,
    )  # fmt: skip
    yield entry(
        "name.same", "expect_same_as_in", "plausibility", "info", 0,
        "a surname changed in one system and not yet in the other",
        "同じ人の氏が住民記録と同じこと", "the person's surname is the register's", item="name",
        compared=["surname_match"], otherwise=[["given_match", "birth_date", "address_match"],
                                               ["given_kana_match", "birth_date", "address_match"]], **register,
    )  # fmt: skip
    yield entry(
        "name.same_given", "expect_same_as_in", "plausibility", "info", 0,
        "another given name under the same number and birth date: a mistyped name, or a twin's",
        "同じ人の名が住民記録と同じこと", "the person's given name is the register's", item="name",
        compared=["given_match"], where_same=["birth_date"], otherwise=["surname_match", "birth_date", "address_match"],
        **register,
    )  # fmt: skip
    yield entry(
        "name_kana.same_given", "expect_same_as_in", "plausibility", "info", 0,
        "another reading of the given name under the same number and birth date: mistyped, or somebody else's",
        "同じ人の名の読みが住民記録と同じこと", "the reading of the person's given name is the register's", item="name_kana",
        compared=["given_kana_match"], where_same=["birth_date"],
        otherwise=["name_match", "birth_date", "address_match"], **register,
    )  # fmt: skip
    yield entry(
        "address.same", "expect_same_as_in", "plausibility", "info", 0,
        "a move that one system has not heard of",
        "同じ人の住所が住民記録と同じこと", "the person's address is the register's", item="address",
        compared=["address_match"], otherwise=[["name_match", "birth_date"], ["kana_match", "birth_date"]], **register,
    )  # fmt: skip


def _identity_source(source: Source, catalog: Catalog) -> Source | None:
    for other in catalog.sources.values():
        if other.is_identity and other.id_system == source.id_system and other.key != source.key:
            return other
    return None


def suite_text(table: str, generated: list[Entry], hand_written: str = "", *, optional: bool = False) -> str:
    """A suite file: the generated part between its marks, then what people wrote."""
    lines = [f"table: {table}"]
    if optional:
        lines.append("optional: true")
    lines += ["", BEGIN, "generated:" if generated else "generated: []"]
    for made in generated:
        for place, (name, value) in enumerate(made.items()):
            shown = json.dumps(value, ensure_ascii=False) if not isinstance(value, int | float) else value
            if name in ("id", "expect", "item", "kind", "severity"):
                shown = value
            lines.append(f"  {'- ' if place == 0 else '  '}{name}: {shown}")
    lines += [END]
    return "\n".join(lines) + "\n" + (hand_written or "\nhand_written: []\n")


def hand_written_part(file: Path) -> str:
    """What stands after the generated part of a suite file ('' when there is no such file or mark)."""
    if not file.exists():
        return ""
    text = file.read_text(encoding="utf-8")
    return text.split(END + "\n", 1)[1] if END in text else ""


def generate(directory: Path | None = None, catalog: Catalog | None = None) -> list[Path]:
    """Rewrite the generated part of every raw and staging suite; the files that changed."""
    directory, catalog = directory or SUITES_DIR, catalog or load_catalog()
    directory.mkdir(parents=True, exist_ok=True)
    changed = []
    for source in catalog.sources.values():
        for table, made in (
            (f"raw.{source.raw_table}", raw_suite(source)),
            (f"staging.{source.staging_table}", staging_suite(source, catalog)),
        ):
            file = directory / f"{table.split('.', 1)[1]}.yaml"
            text = suite_text(table, made, hand_written_part(file))
            if not file.exists() or file.read_text(encoding="utf-8") != text:
                file.write_text(text, encoding="utf-8")
                changed.append(file)
    return changed
