"""How alike two identity records are, level by level. What follows from the levels is `assignment`'s business.

Four comparisons, and no more: given name (kanji and kana together), birth date, sex, household (surname, address, phone
and guardian together). Finer comparisons would count the same evidence twice and link siblings and twins. The
conditions are SQL over a pair of records, written once and used by the number check, the exact pass and Splink alike.
An absent field never counts against a pair: what cannot be compared is level -1.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

Side = Callable[[str, str], str]


def dotted(column: str, side: str) -> str:
    """Columns of two table aliases ``l`` and ``r``."""
    return f"{side}.{column}"


def suffixed(column: str, side: str) -> str:
    """Columns of one pair table, as Splink has them."""
    return f'"{column}_{side}"'


@dataclass(frozen=True)
class Level:
    """One level: number (higher = more alike; -1 = cannot be compared), name, words for reviewers, condition."""

    number: int
    name: str
    label_ja: str
    label_en: str
    sql: str


@dataclass(frozen=True)
class Comparison:
    """One comparison: its levels in the order they are tried; the first that holds counts."""

    name: str
    label_ja: str
    label_en: str
    levels: tuple[Level, ...]

    def case_sql(self) -> str:
        whens = " ".join(f"when {level.sql} then {level.number}" for level in self.levels if level.sql != "else")
        return f"case {whens} else {self.levels[-1].number} end"

    def level(self, number: int) -> Level:
        return next(level for level in self.levels if level.number == number)


# what a comparison reads: `preparation` makes exactly these columns
PAIR_COLUMNS = (
    "given_match",
    "given_kana_match",
    "name_match",
    "kana_match",
    "alias_match",
    "alias_kana",
    "name_pattern",
    "surname_match",
    "surname_kana_match",
    "former_surname_match",
    "birth_date",
    "birth_earliest",
    "birth_latest",
    "birth_exact",
    "sex",
    "address_key",
    "town_key",
    "phone_match",
    "guardians",
)


def comparisons(side: Side = dotted) -> tuple[Comparison, ...]:
    """The four comparisons over columns named by ``side``."""
    return (given_name(side), birth_date(side), sex(side), household(side))


def _equal(column: str, side: Side) -> str:
    return f"{side(column, 'l')} = {side(column, 'r')}"


def given_name(side: Side) -> Comparison:
    """Given name, kanji and kana as one. The whole name (or alias) being equal says that the given name is."""

    def either(left: str, right: str) -> str:
        return f"{side(left, 'l')} = {side(right, 'r')} or {side(right, 'l')} = {side(left, 'r')}"

    # a name written without a space has no given part: it agrees when it ends with the other's
    unsplit = " or ".join(
        f"({side('given_match', a)} is null and length({side('given_match', b)}) >= 2 "
        f"and ends_with({side('name_match', a)}, {side('given_match', b)}))"
        for a, b in (("l", "r"), ("r", "l"))
    )
    unsplit_kana = " or ".join(
        f"({side('given_kana_match', a)} is null and length({side('given_kana_match', b)}) >= 2 "
        f"and ends_with({side('kana_match', a)}, {side('given_kana_match', b)}))"
        for a, b in (("l", "r"), ("r", "l"))
    )
    # 〓 stands for one unknown character
    wildcard = " or ".join(
        f"({side('name_pattern', a)} is not null and {side('name_match', b)} like {side('name_pattern', a)})"
        for a, b in (("l", "r"), ("r", "l"))
    )
    kanji = (
        f"coalesce({_equal('given_match', side)}, false) or coalesce({_equal('name_match', side)}, false) "
        f"or coalesce({either('alias_match', 'name_match')}, false) or coalesce({unsplit}, false) "
        f"or coalesce({wildcard}, false)"
    )
    kana = (
        f"coalesce({_equal('given_kana_match', side)}, false) or coalesce({_equal('kana_match', side)}, false) "
        f"or coalesce({unsplit_kana}, false) or coalesce({either('alias_kana', 'kana_match')}, false)"
    )
    no_kanji = f"({side('name_match', 'l')} is null or {side('name_match', 'r')} is null)"
    no_kana = f"({side('kana_match', 'l')} is null or {side('kana_match', 'r')} is null)"
    left, right = side("given_kana_match", "l"), side("given_kana_match", "r")
    near = (
        f"least(length({left}), length({right})) >= 3 and abs(length({left}) - length({right})) <= 1 "
        f"and damerau_levenshtein({left}, {right}) <= 1"
    )
    return Comparison(
        "given_name",
        "名（漢字・カナ）",
        "given name (kanji and kana)",
        (
            Level(-1, "not_comparable", "比べられない", "cannot be compared", f"{no_kanji} and {no_kana}"),
            Level(5, "both", "漢字もカナも一致", "kanji and kana agree", f"({kanji}) and ({kana})"),
            Level(4, "kanji", "漢字が一致（カナなし）", "kanji agree, no kana", f"({kanji}) and {no_kana}"),
            Level(3, "kana", "カナが一致（漢字なし）", "kana agree, no kanji", f"({kana}) and {no_kanji}"),
            Level(
                2,
                "one_of_two",
                "漢字・カナの一方のみ一致",
                "one of kanji and kana agrees, the other differs",
                f"({kanji}) or ({kana})",
            ),
            Level(1, "near", "カナが一字違い", "kana differ in one character", f"coalesce({near}, false)"),
            Level(0, "different", "異なる", "different", "else"),
        ),
    )


def birth_date(side: Side) -> Comparison:
    """Birth date. Uncertain dates agree when their ranges meet; one part off is near."""
    left, right = side("birth_date", "l"), side("birth_date", "r")
    missing = f"({side('birth_earliest', 'l')} is null or {side('birth_earliest', 'r')} is null)"
    exact = f"{side('birth_exact', 'l')} and {side('birth_exact', 'r')}"
    overlap = (
        f"{side('birth_earliest', 'l')} <= {side('birth_latest', 'r')} "
        f"and {side('birth_earliest', 'r')} <= {side('birth_latest', 'l')}"
    )
    parts = " + ".join(f"({part}({left}) = {part}({right}))::int" for part in ("year", "month", "day"))
    swapped = f"year({left}) = year({right}) and month({left}) = day({right}) and day({left}) = month({right})"
    return Comparison(
        "birth_date",
        "生年月日",
        "birth date",
        (
            Level(-1, "not_comparable", "比べられない", "cannot be compared", missing),
            Level(3, "equal", "一致", "agrees", f"{exact} and {left} = {right}"),
            Level(
                2, "possible", "不確かだが矛盾しない", "uncertain, not contradictory", f"not ({exact}) and {overlap}"
            ),
            Level(
                1,
                "near",
                "年・月・日のうち一つ違い、または月日が逆",
                "one part differs, or month and day swapped",
                f"{exact} and (({parts}) = 2 or ({swapped}))",
            ),
            Level(0, "different", "異なる", "different", "else"),
        ),
    )


def sex(side: Side) -> Comparison:
    """Sex as the sources have it; unknown cannot be compared."""
    left, right = side("sex", "l"), side("sex", "r")
    return Comparison(
        "sex",
        "性別",
        "sex",
        (
            Level(-1, "not_comparable", "比べられない", "cannot be compared", f"({left} is null or {right} is null)"),
            Level(1, "equal", "一致", "agrees", f"{left} = {right}"),
            Level(0, "different", "異なる", "different", "else"),
        ),
    )


def household(side: Side) -> Comparison:
    """Surname, address, phone and guardian as one: what supports a link but never decides between siblings."""
    surname = (
        f"(coalesce({_equal('surname_match', side)}, false) or coalesce({_equal('surname_kana_match', side)}, false) "
        f"or coalesce({side('former_surname_match', 'l')} = {side('surname_match', 'r')}, false) "
        f"or coalesce({side('former_surname_match', 'r')} = {side('surname_match', 'l')}, false) "
        f"or coalesce({_equal('name_match', side)}, false) or coalesce({_equal('kana_match', side)}, false) "
        f"or coalesce({side('alias_match', 'l')} = {side('name_match', 'r')}, false) "
        f"or coalesce({side('alias_match', 'r')} = {side('name_match', 'l')}, false))"
    )
    guardians = f"list_has_any({side('guardians', 'l')}, {side('guardians', 'r')})"
    support = (
        f"(coalesce({_equal('address_key', side)}, false)::int + coalesce({_equal('phone_match', side)}, false)::int "
        f"+ coalesce({guardians}, false)::int)"
    )
    town = f"coalesce({_equal('town_key', side)}, false)"
    nothing = " and ".join(
        f"({side(column, 'l')} is null or {side(column, 'r')} is null)"
        for column in ("address_key", "phone_match", "guardians")
    )
    no_surname = (
        f"({side('name_match', 'l')} is null or {side('name_match', 'r')} is null) "
        f"and ({side('kana_match', 'l')} is null or {side('kana_match', 'r')} is null)"
    )
    return Comparison(
        "household",
        "世帯（姓・住所・電話・保護者）",
        "household (surname, address, phone, guardian)",
        (
            Level(-1, "not_comparable", "比べられない", "cannot be compared", f"{no_surname} and {nothing}"),
            Level(
                7,
                "surname_and_two",
                "姓のほか住所・電話・保護者の二つ以上が一致",
                "surname and two of address, phone, guardian agree",
                f"{surname} and {support} >= 2",
            ),
            Level(
                6,
                "surname_and_one",
                "姓のほか住所・電話・保護者の一つが一致",
                "surname and one of address, phone, guardian agree",
                f"{surname} and {support} = 1",
            ),
            Level(5, "surname_and_town", "姓と町名が一致", "surname and town agree", f"{surname} and {town}"),
            Level(
                4,
                "surname_alone",
                "姓が一致（住所・電話・保護者は比べられない）",
                "surname agrees, nothing else can be compared",
                f"{surname} and {nothing}",
            ),
            Level(
                3,
                "other_surname_two",
                "姓は異なり住所・電話・保護者の二つ以上が一致",
                "other surname, two of address, phone, guardian agree",
                f"{support} >= 2",
            ),
            Level(
                2,
                "other_surname_one",
                "姓は異なり住所・電話・保護者の一つが一致",
                "other surname, one of address, phone, guardian agrees",
                f"{support} = 1",
            ),
            Level(1, "surname_only", "姓は一致し住所などは異なる", "surname agrees, the rest differs", surname),
            Level(0, "different", "異なる", "different", "else"),
        ),
    )
