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
    "given_near",
    "given_kana_match",
    "given_letters",
    "given_readings",
    "skeleton",
    "name_match",
    "name_near",
    "kana_match",
    "name_form",
    "kana_form",
    "is_foreign",
    "name_parts",
    "kana_parts",
    "alias_match",
    "name_pattern",
    "surname_match",
    "surname_near",
    "surname_kana_match",
    "former_surname_match",
    "birth_date",
    "birth_earliest",
    "birth_latest",
    "birth_exact",
    "sex",
    "address_town",
    "address_block",
    "town_key",
    "phone_match",
    "guardians",
    "guardian_givens",
)
LIST_COLUMNS = ("name_parts", "kana_parts", "guardians", "guardian_givens", "given_readings")
# levels of the given name: one character differs; from AGREES on the names agree (below, likeness alone never links);
# from SURE on kanji or kana agree and nothing that can be compared differs
GIVEN_NEAR, GIVEN_AGREES, GIVEN_SURE = 1, 2, 6
BIRTH_EQUAL, BIRTH_NEAR = 3, 1
# a slip of one digit of the day can step over the end of a month; no two children of one mother are born so near, twins apart
DAYS_NEAR = 10
# levels of the household: at most a surname agrees; two of address, phone and guardian; a surname that nothing
# contradicts; surname and town; surname and one of address, phone and guardian
SURNAME_ONLY, OTHER_SURNAME_ONE = 2, 3
SURNAME_AT_MOST, OTHER_SURNAME_TWO, SURNAME_ALONE, SAME_TOWN, SAME_HOUSEHOLD = 2, 4, 5, 7, 8


def comparisons(side: Side = dotted) -> tuple[Comparison, ...]:
    """The four comparisons over columns named by ``side``."""
    return (given_name(side), birth_date(side), sex(side), household(side))


def _equal(column: str, side: Side) -> str:
    return f"{side(column, 'l')} = {side(column, 'r')}"


def _variant(column: str, near: str, side: Side) -> str:
    """SQL: the two would agree if near kanji were one (斎/斉, 龍/竜); true as well where they agree."""
    left, right = (f"coalesce({side(near, a)}, {side(column, a)})" for a in ("l", "r"))
    return f"coalesce({left} = {right}, false)"


def _whole_kana(side: Side) -> str:
    """The whole reading agrees, in any order, whichever slot it stands in."""
    return " or ".join(
        f"coalesce({side(one, 'l')} = {side(other, 'r')}, false)"
        for one in ("kana_form", "name_form")
        for other in ("kana_form", "name_form")
    )


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
        f"or {_whole_kana(side)} or coalesce({unsplit_kana}, false)"
    )

    def none(columns: tuple[str, ...]) -> str:
        both = [" and ".join(f"{side(column, a)} is null" for column in columns) for a in ("l", "r")]
        return f"(({both[0]}) or ({both[1]}))"

    # one record tells the reading, the other only a kanji form that is read so: a homophone. Twins are called differently
    read_so = " or ".join(
        f"coalesce(list_contains({side('given_readings', a)}, {side('given_kana_match', b)}), false)"
        for a, b in (("l", "r"), ("r", "l"))
    )
    no_kanji = none(("name_match", "alias_match"))
    no_kana = none(("kana_form", "name_form"))
    variant_unsplit = " or ".join(
        f"coalesce({side('given_match', a)} is null and length({side('given_match', b)}) >= 2 and ends_with("
        f"coalesce({side('name_near', a)}, {side('name_match', a)}), coalesce({side('given_near', b)}, {side('given_match', b)})), false)"
        for a, b in (("l", "r"), ("r", "l"))
    )
    variant = f"{_variant('given_match', 'given_near', side)} or {_variant('name_match', 'name_near', side)} or {variant_unsplit}"
    left, right = side("given_letters", "l"), side("given_letters", "r")
    one_edit = f"abs(length({left}) - length({right})) <= 1 and damerau_levenshtein({left}, {right}) <= 1"
    # of two kana one is half the name: with kanji that agree it may be a slip, alone it is another name
    slip = f"coalesce(least(length({left}), length({right})) >= 2 and {one_edit}, false)"
    near_kana = f"coalesce(least(length({left}), length({right})) >= 3 and {one_edit}, false)"
    one, two = side("given_match", "l"), side("given_match", "r")
    same_places = " + ".join(f"({one}[{place}] = {two}[{place}])::int" for place in (1, 2, 3))
    near_kanji = (
        f"coalesce(length({one}) between 2 and 3 and length({one}) = length({two}) and {same_places} = 2, false)"
    )
    # a foreign name with a middle name and without: every part of the one stands in the other
    parts, others = side("name_parts", "l"), side("name_parts", "r")
    kana_parts, kana_others = side("kana_parts", "l"), side("kana_parts", "r")
    within = " or ".join(
        f"coalesce(least(len({a}), len({b})) >= 2 and (list_has_all({a}, {b}) or list_has_all({b}, {a})), false)"
        for a, b in ((parts, others), (kana_parts, others), (parts, kana_others))
    )
    partly = f"(({side('is_foreign', 'l')} or {side('is_foreign', 'r')}) and ({within}))"
    return Comparison(
        "given_name",
        "名（漢字・カナ）",
        "given name (kanji and kana)",
        (
            Level(-1, "not_comparable", "比べられない", "cannot be compared", f"{no_kanji} and {no_kana}"),
            Level(8, "both", "漢字もカナも一致", "kanji and kana agree", f"({kanji}) and ({kana})"),
            Level(7, "kanji", "漢字が一致（カナなし）", "kanji agree, no kana", f"({kanji}) and {no_kana}"),
            Level(6, "kana", "カナが一致（漢字なし）", "kana agree, no kanji", f"({kana}) and {no_kanji}"),
            Level(
                5,
                "nearly_both",
                "漢字が一致しカナが一字違い、または外国人名の一部がない",
                "kanji agree and kana differ in one character, or a part of a foreign name is left out",
                f"(({kanji}) and {slip}) or {partly}",
            ),
            Level(
                4,
                "variant",
                "漢字は似た字体（龍・竜など）で、カナは一致またはなし",
                "kanji are near variants (龍/竜), kana agree or cannot be compared",
                f"({variant}) and (({kana}) or {no_kana})",
            ),
            Level(3, "kanji_alone", "漢字は一致しカナは異なる", "kanji agree, kana differ", kanji),
            Level(
                2,
                "kana_alone",
                "カナは一致し漢字は異なる（片方のカナがなければ、そう読む漢字）",
                "kana agree, kanji differ (or, where one has no kana, are read so)",
                f"({kana}) or {read_so}",
            ),
            Level(
                1,
                "near",
                "カナまたは漢字が一字違い",
                "kana or kanji differ in one character",
                f"{near_kana} or {near_kanji} or coalesce({_equal('skeleton', side)}, false)",
            ),
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
    # systems that want a day fill in the first of January
    filled = " or ".join(f"(month({day}) = 1 and day({day}) = 1)" for day in (left, right))
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
                f"年・月・日のうち一つ違い、{DAYS_NEAR}日以内の違い、月日が逆、または一方が同年の1月1日",
                f"one part differs, at most {DAYS_NEAR} days apart, month and day swapped, or one is the first of January of "
                "the same year",
                f"{exact} and (({parts}) = 2 or abs(date_diff('day', {left}, {right})) <= {DAYS_NEAR} or ({swapped}) "
                f"or (year({left}) = year({right}) and ({filled})))",
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
    # a name written without a space: it begins with the other's surname
    unsplit = " or ".join(
        f"coalesce({side('surname_match', a)} is null and length({side('surname_match', b)}) >= 2 "
        f"and starts_with({side('name_match', a)}, {side('surname_match', b)}), false)"
        for a, b in (("l", "r"), ("r", "l"))
    )
    variant_unsplit = " or ".join(
        f"coalesce({side('surname_match', a)} is null and length({side('surname_match', b)}) >= 2 and starts_with("
        f"coalesce({side('name_near', a)}, {side('name_match', a)}), coalesce({side('surname_near', b)}, {side('surname_match', b)})), false)"
        for a, b in (("l", "r"), ("r", "l"))
    )
    variant = (
        f"({_variant('surname_match', 'surname_near', side)} or {_variant('name_match', 'name_near', side)} "
        f"or {variant_unsplit})"
    )
    surname = (
        f"(coalesce({_equal('surname_match', side)}, false) or coalesce({_equal('surname_kana_match', side)}, false) "
        f"or coalesce({side('former_surname_match', 'l')} = {side('surname_match', 'r')}, false) "
        f"or coalesce({side('former_surname_match', 'r')} = {side('surname_match', 'l')}, false) "
        f"or coalesce({_equal('name_match', side)}, false) or coalesce({_equal('kana_match', side)}, false) "
        f"or {_whole_kana(side)} or {unsplit} "
        f"or coalesce({side('alias_match', 'l')} = {side('name_match', 'r')}, false) "
        f"or coalesce({side('alias_match', 'r')} = {side('name_match', 'l')}, false) "
        f"or coalesce({side('is_foreign', 'l')} and {side('is_foreign', 'r')} "
        f"and list_has_any({side('name_parts', 'l')}, {side('name_parts', 'r')}), false))"
    )
    town_l, town_r = side("address_town", "l"), side("address_town", "r")
    # one system writes the city before the town, the other does not
    same_town = f"(ends_with({town_l}, {town_r}) or ends_with({town_r}, {town_l}))"
    address = f"coalesce({_equal('address_block', side)} and {same_town}, false)"
    # the guardian's surname changes with the child's: the given name alone is looked at too
    guardians = (
        f"(coalesce(list_has_any({side('guardians', 'l')}, {side('guardians', 'r')}), false) "
        f"or coalesce(list_has_any({side('guardian_givens', 'l')}, {side('guardian_givens', 'r')}), false))"
    )
    support = f"({address}::int + coalesce({_equal('phone_match', side)}, false)::int + {guardians}::int)"
    town = f"(coalesce({_equal('town_key', side)}, false) or coalesce({same_town}, false))"
    nothing = " and ".join(
        f"({side(column, 'l')} is null or {side(column, 'r')} is null)"
        for column in ("address_block", "phone_match", "guardians")
    )
    no_surname = (
        f"({side('name_match', 'l')} is null or {side('name_match', 'r')} is null) "
        f"and ({side('kana_form', 'l')} is null or {side('kana_form', 'r')} is null)"
    )
    return Comparison(
        "household",
        "世帯（姓・住所・電話・保護者）",
        "household (surname, address, phone, guardian)",
        (
            Level(-1, "not_comparable", "比べられない", "cannot be compared", f"{no_surname} and {nothing}"),
            Level(
                9,
                "surname_and_two",
                "姓のほか住所・電話・保護者の二つ以上が一致",
                "surname and two of address, phone, guardian agree",
                f"{surname} and {support} >= 2",
            ),
            Level(
                8,
                "surname_and_one",
                "姓のほか住所・電話・保護者の一つが一致",
                "surname and one of address, phone, guardian agree",
                f"{surname} and {support} = 1",
            ),
            Level(7, "surname_and_town", "姓と町名が一致", "surname and town agree", f"{surname} and {town}"),
            Level(
                5,
                "surname_alone",
                "姓が一致（住所・電話・保護者は比べられない）",
                "surname agrees, nothing else can be compared",
                f"{surname} and {nothing}",
            ),
            Level(
                6,
                "variant_surname_and_one",
                "姓は似た字体（斎・斉など）で、住所・電話・保護者の一つ以上が一致",
                "surnames are near variants (斎/斉), one or more of address, phone, guardian agree",
                f"{variant} and {support} >= 1",
            ),
            Level(
                4,
                "other_surname_two",
                "姓は異なり住所・電話・保護者の二つ以上が一致",
                "other surname, two of address, phone, guardian agree",
                f"{support} >= 2",
            ),
            Level(
                3,
                "other_surname_one",
                "姓は異なり住所・電話・保護者の一つが一致",
                "other surname, one of address, phone, guardian agrees",
                f"{support} = 1",
            ),
            Level(2, "surname_only", "姓は一致し住所などは異なる", "surname agrees, the rest differs", surname),
            Level(
                1,
                "variant_surname_only",
                "姓は似た字体（斎・斉など）で、ほかは異なるか比べられない",
                "surnames are near variants (斎/斉), nothing else agrees",
                variant,
            ),
            Level(0, "different", "異なる", "different", "else"),
        ),
    )
