# ruff: noqa: SIM905  # lists of names are read more easily as one text
"""Identity records that share nothing with the digital twins: other names, towns and faults, with their truth.

A model that is good on the twins it was trained on proves little. Here names are put together from parts (so that
near-namesakes are far more common than in life), four systems write each child in their own way, and every fault is drawn
apart: typing errors in kana and kanji, old surnames and addresses, dates swapped, cut or off by one, foreign names in any
order and alphabet, twins with like names. The raw texts go through the cleansing functions, as extracts do.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from random import Random
from typing import Any

import duckdb
import pyarrow as pa

from kodomo_platform.cleansing import register

AS_OF = date(2026, 10, 1)
REGISTER = "resident.register"
_FIRST = (
    "青アオ 赤アカ 秋アキ 浅アサ 東ヒガシ 荒アラ 有アリ 安アン 池イケ 石イシ 泉イズミ 市イチ 稲イナ 今イマ 岩イワ 植ウエ 内ウチ 梅ウメ 江エ 榎エノキ "
    "大オオ 岡オカ 奥オク 小オ 落オチ 尾オ 笠カサ 梶カジ 片カタ 金カネ 鎌カマ 上カミ 亀カメ 川カワ 河カワ 菊キク 岸キシ 北キタ 木キ 桐キリ 久ク 窪クボ 熊クマ 倉クラ 栗クリ "
    "黒クロ 桑クワ 小コ 古コ 越コシ 駒コマ 近コン 佐サ 斎サイ 坂サカ 榊サカキ 桜サクラ 笹ササ 沢サワ 塩シオ 重シゲ 篠シノ 柴シバ 島シマ 清シ 白シラ 末スエ 杉スギ 須ス 関セキ 高タカ 滝タキ 竹タケ "
    "武タケ 田タ 谷タニ 玉タマ 千チ 塚ツカ 辻ツジ 土ツチ 鶴ツル 寺テラ 戸ト 徳トク 富トミ 鳥トリ 中ナカ 長ナガ 永ナガ 成ナリ 西ニシ 根ネ 野ノ 橋ハシ 花ハナ 浜ハマ 早ハヤ 林ハヤシ 原ハラ 春ハル 日ヒ 平ヒラ "
    "広ヒロ 深フカ 福フク 藤フジ 船フナ 古フル 星ホシ 細ホソ 堀ホリ 本モト 前マエ 牧マキ 松マツ 丸マル 三ミ 水ミズ 南ミナミ 宮ミヤ 向ムカイ 村ムラ 森モリ 安ヤス 柳ヤナギ 山ヤマ 横ヨコ 吉ヨシ 若ワカ 渡ワタ"
).split()
_SECOND = (
    "田ダ 川カワ 山ヤマ 村ムラ 本モト 原ハラ 野ノ 沢ザワ 島シマ 崎サキ 井イ 口グチ 木キ 橋ハシ 岡オカ 池イケ 谷タニ 坂サカ 塚ヅカ 辺ベ 藤トウ 内ウチ 浦ウラ 尾オ 倉クラ 瀬セ 津ツ 永ナガ 浜ハマ 森モリ 宮ミヤ 江エ"
).split()
_BOY = (
    "大ダイ 陽ハル 悠ユウ 蒼ソウ 翔ショウ 健ケン 颯ソウ 隼ハヤ 一カズ 優ユウ 拓タク 直ナオ 智トモ 秀ヒデ 雅マサ 和カズ 康コウ 匠タク 晴ハル 遥ハル 朝アサ 律リツ 湊ミナ 壮ソウ 慶ケイ 啓ケイ 寛ヒロ 浩ヒロ 真シン 誠マコ"
).split()
_BOY_END = "太タ 斗ト 真マ 介スケ 也ヤ 人ト 樹キ 輝キ 馬マ 平ヘイ 士シ 希キ 哉ヤ 仁ト 之ユキ 翔ト 生キ 郎ロウ 一イチ 吾ゴ".split()
_GIRL = (
    "結ユ 陽ヒ 咲サ 美ミ 優ユ 愛アイ 莉リ 桜サ 彩アヤ 琴コト 紗サ 心ココ 花ハナ 杏アン 千チ 朱アカ 真マ 絢アヤ 菜ナ 凛リン 芽メ 葵アオ 詩ウタ 乃ノ 由ユ 玲レ 瑞ミズ 明ア 理リ 日ヒ"
).split()
_GIRL_END = (
    "子コ 美ミ 花カ 菜ナ 音ネ 乃ノ 香カ 里リ 衣イ 奈ナ 良ラ 羽ハ 月ヅキ 加カ 葉ハ 希キ 央オ 織オリ 帆ホ 愛ア".split()
)
_ALONE = "蓮レン 湊ミナト 樹イツキ 葵アオイ 凛リン 凜リン 翼ツバサ 光ヒカル 薫カオル 渚ナギサ 遥ハルカ 遙ハルカ 瞳ヒトミ 舞マイ 歩アユム 匠タクミ 司ツカサ 仁ジン 楓カエデ 環タマキ".split()
_VARIANT = {
    "高": "髙", "崎": "﨑", "辺": "邉", "浜": "濵", "沢": "澤", "広": "廣", "吉": "𠮷", "斎": "齋", "桜": "櫻", "黒": "黑", "柳": "栁", "橋": "槗",
    "徳": "德", "瀬": "瀨", "真": "眞", "恵": "惠", "清": "淸", "塚": "塚", "滝": "瀧", "島": "嶋", "富": "冨", "峰": "峯", "桑": "桒", "土": "圡",
}  # fmt: skip
_FOREIGN_FAMILY = (
    "SHARMA/シャルマ KHATRI/カトリ BISTA/ビスタ FERNANDO/フェルナンド PERERA/ペレラ RAHMAN/ラーマン HASAN/ハサン ALVES/アルヴェス RIBEIRO/リベイロ CARVALHO/カルヴァーリョ "
    "BAUTISTA/バウティスタ AQUINO/アキノ SORIANO/ソリアノ BUI/ブイ DANG/ダン DO/ドー PHAN/ファン TRINH/チン KOVALENKO/コヴァレンコ MOROZ/モロズ JOHNSON/ジョンソン BAKER/ベイカー "
    "MARTIN/マルタン MULLER/ミュラー SUKARNO/スカルノ WIJAYA/ウィジャヤ SOMCHAI/ソムチャイ"
).split()
_FOREIGN_GIVEN = (
    "ARJUN/アルジュン ROHAN/ロハン PRIYA/プリヤ ASHA/アーシャ RAFAEL/ラファエル BRUNO/ブルーノ CAMILA/カミラ BIANCA/ビアンカ MIGUEL/ミゲル DIEGO/ディエゴ SOFIA/ソフィア ISABEL/イサベル "
    "HUNG/フン TUAN/トゥアン LINH/リン HUONG/フオン OLENA/オレナ DANYLO/ダニーロ EMMA/エマ OLIVER/オリバー LUCIE/リュシー JONAS/ヨナス DEWI/デウィ BUDI/ブディ ANONG/アノン KAREN/カレン"
).split()
_SOUNDS = "アイウエオカキクケコサシスセソタチツテトナニヌネノハヒフヘホマミムメモヤユヨラリルレロワンガギグゴザジズダデドバビブベボ"
_TOWNS = (
    "緑ケ丘",
    "朝日町",
    "大字中里",
    "桜台",
    "栄町",
    "若葉台",
    "上野田",
    "南原",
    "字北浦",
    "旭が丘",
    "東雲町",
    "鷺沼",
    "向山",
    "新堀",
    "千代ケ崎",
    "古市場",
    "瑞穂台",
    "久保",
    "柏原",
    "富士見",
)
_BUILDINGS = ("メゾン{}", "コーポ{}", "{}ハイツ", "第二{}荘", "グランド{}", "市営{}住宅")
_WIDE = str.maketrans("0123456789", "０１２３４５６７８９")


@dataclass(frozen=True)
class Faults:
    """Shares of records (or people) that a fault strikes, in the typical quality."""

    outside: float = 0.016  # people that the register does not know (4 % in the bad quality)
    old_surname: float = 0.25  # of records of those whose surname changed
    old_address: float = 0.2  # of records of those who moved
    no_kana: float = 0.03
    kana_typo: float = 0.004
    kanji_typo: float = 0.003
    given_in_kana: float = 0.003
    unsplit: float = 0.01
    swapped_parts: float = 0.002
    no_birth: float = 0.012
    birth_slip: float = 0.006
    no_sex: float = 0.005
    wrong_sex: float = 0.001
    no_address: float = 0.02
    address_slip: float = 0.008
    no_phone: float = 0.12
    other_phone: float = 0.15
    no_guardian: float = 0.08


@dataclass
class _Person:
    number: int
    home: int
    given: str
    given_kana: str
    male: bool
    born: date
    tags: set[str]


def _split(part: str) -> tuple[str, str]:
    return part[0], part[1:]


def _given(random: Random, male: bool) -> tuple[str, str]:
    if random.random() < 0.12:
        return _split(random.choice(_ALONE))
    first, second = (
        (random.choice(_BOY), random.choice(_BOY_END)) if male else (random.choice(_GIRL), random.choice(_GIRL_END))
    )
    return first[0] + second[0], first[1:] + second[1:]


class _Home:
    def __init__(self, number: int, random: Random) -> None:
        rank = lambda size: min(int(size * random.random() ** 2.2), size - 1)  # noqa: E731  # common names are common
        self.number = number
        first, second = _FIRST[rank(len(_FIRST))], _SECOND[rank(len(_SECOND))]
        self.surname, self.kana = first[0] + second[0], first[1:] + second[1:]
        self.written = self.surname
        if random.random() < 0.3:
            for shown, form in _VARIANT.items():
                self.written = self.written.replace(shown, form)
        other, another = random.choice(_FIRST), random.choice(_SECOND)
        self.changed = random.random() < 0.05
        self.old_surname, self.old_kana = other[0] + another[0], other[1:] + another[1:]
        self.foreign = random.random() < 0.03
        self.family = random.choice(_FOREIGN_FAMILY).split("/")
        self.address, self.old_address = self._address(random), self._address(random)
        self.moved = random.random() < 0.08
        self.phones = [f"0{random.choice('789')}0{random.randrange(10**8):08d}", f"048{random.randrange(10**7):07d}"]
        self.mother, self.father = _given(random, False), _given(random, True)

    @staticmethod
    def _address(random: Random) -> tuple[str, int, int, int, str, int]:
        town = random.choice(_TOWNS)
        building = (
            random.choice(_BUILDINGS).format(random.choice(("ヒルズ", "青葉", "サンライズ", "山手")))
            if random.random() < 0.4
            else ""
        )
        return (
            town,
            random.randint(1, 6),
            random.randint(1, 40),
            random.randint(1, 30),
            building,
            random.randint(101, 409),
        )


_DIGITS = dict(enumerate("〇一二三四五六七八九"))


def _write_address(place: tuple[str, int, int, int, str, int], source: str, random: Random) -> str:
    town, chome, ban, go, building, room = place
    tail = f"　{building}{room}号" if building and random.random() < 0.6 else ""
    if source == REGISTER:
        return f"埼玉県緑山市{town}{_DIGITS[chome]}丁目{ban}番{go}号{f'　{building}{room}号室' if building else ''}"
    plain = town.replace("大字", "").replace("字", "") if random.random() < 0.5 else town
    if random.random() < 0.3:
        plain = plain.replace("ケ", "ヶ") if random.random() < 0.5 else plain.replace("が", "ヶ")
    if source == "medical.flag":
        return f"{plain}{chome}－{ban}－{go}{tail}".translate(_WIDE)
    if source == "education.enrolment":
        return f"緑山市{plain}{chome}-{ban}-{go}{tail}"
    return f"{plain}{chome}丁目{ban}番地{go}{tail}"


class _Writer:
    """Writes people as one system knows them."""

    def __init__(self, source: str, faults: Faults, factor: float, random: Random) -> None:
        self.source, self.faults, self.factor, self.random = source, faults, factor, random

    def hit(self, share: float) -> bool:
        return self.random.random() < min(share * self.factor, 0.9)

    def record(self, person: _Person, home: _Home) -> tuple[dict[str, Any], set[str]]:
        f, random, own = self.faults, self.random, self.source == REGISTER
        tags = set(person.tags)
        old = home.changed and not own and self.hit(f.old_surname)
        moved = home.moved and not own and self.hit(f.old_address)
        if old:
            tags.add("stale")
        if moved:
            tags.add("moved_record")
        name, kana, alias = self._name(person, home, old, tags)
        place = home.old_address if moved else home.address
        address = _write_address(place, self.source, random)
        if not own and self.hit(f.no_address):
            address = ""
            tags.add("no_address")
        elif not own and self.hit(f.address_slip):
            address = _write_address(
                (place[0], place[1], place[2] % 40 + 1, place[3], place[4], place[5]), self.source, random
            )
        phone = "" if own or self.hit(f.no_phone) else home.phones[int(self.hit(f.other_phone))]
        parent = home.mother if random.random() < 0.6 else home.father
        surname = home.old_surname if old else home.surname
        guardian = "" if own or self.hit(f.no_guardian) or home.foreign else f"{surname} {parent[0]}"
        sex = "male" if person.male != (not own and self.hit(f.wrong_sex)) else "female"
        return {
            "name": name, "kana": kana, "alias": alias, "address": address, "phone": phone, "guardian": guardian,
            "sex": "unknown" if not own and self.hit(f.no_sex) else sex, "birth": self._birth(person, tags),
        }, tags  # fmt: skip

    def _birth(self, person: _Person, tags: set[str]) -> date | None:
        f, random, own = self.faults, self.random, self.source == REGISTER
        if not own and self.hit(f.no_birth):
            tags.add("no_birth_date")
            return None
        if own or not self.hit(f.birth_slip):
            return person.born
        tags.add("birth_slip")
        born, kind = person.born, random.randrange(4)
        if kind == 0 and born.day <= 12:
            return date(born.year, born.day, born.month)
        if kind == 1:
            return born.replace(year=born.year - 1, day=min(born.day, 28))
        if kind == 2:
            return date(born.year, 1, 1)
        return born + timedelta(days=random.choice((-1, 1, 10)))

    def _name(self, person: _Person, home: _Home, old: bool, tags: set[str]) -> tuple[str, str, str]:
        f, random, own = self.faults, self.random, self.source == REGISTER
        if home.foreign:
            return self._foreign(person, home, tags)
        surname, surname_kana = (home.old_surname, home.old_kana) if old else (home.surname, home.kana)
        if not old and home.written != home.surname:
            tags.add("variant")
            if own or random.random() < 0.3:
                surname = home.written
        given, given_kana = person.given, person.given_kana
        if not own and self.hit(f.given_in_kana):
            given = "".join(chr(ord(c) - 0x60) if "ァ" <= c <= "ヶ" else c for c in given_kana)
        if not own and self.hit(f.kanji_typo) and len(given) > 1:
            tags.add("typo")
            ending = random.choice(_BOY_END if person.male else _GIRL_END)[0]
            given = given[:-1] + ending
        kana = [surname_kana, given_kana]
        if not own and self.hit(f.kana_typo):
            tags.add("typo")
            which = random.randrange(2)
            at = random.randrange(len(kana[which]))
            kana[which] = (
                kana[which][:at]
                + random.choice([random.choice(_SOUNDS), "", kana[which][at] * 2])
                + kana[which][at + 1 :]
            )
        reading = " ".join(kana)
        if not own and self.hit(f.no_kana):
            tags.add("no_kana")
            reading = ""
        gap = "" if not own and self.hit(f.unsplit) else random.choice("　 ") if not own else "　"
        if not own and self.hit(f.swapped_parts):
            return given + gap + surname, reading, ""
        return surname + gap + given, reading, ""

    def _foreign(self, person: _Person, home: _Home, tags: set[str]) -> tuple[str, str, str]:
        random, own = self.random, self.source == REGISTER
        tags.add("foreign")
        given, middle = (name.split("/") for name in person.given.split(" "))
        japanese = f"{home.surname}　{_given(Random(person.number), person.male)[0]}" if person.number % 4 == 0 else ""
        latin = [home.family[0], given[0], middle[0]]
        kana = [home.family[1], given[1], middle[1]]
        reading = "　".join(kana)
        if own:
            return " ".join(latin), reading, japanese
        way = random.random()
        if japanese and way < 0.5:
            return japanese, reading if random.random() < 0.7 else "", ""
        if random.random() < 0.2 * self.factor:
            latin, kana = latin[:2], kana[:2]
        if random.random() < 0.25:
            latin, kana = [*latin[1:], latin[0]], [*kana[1:], kana[0]]
        name = random.choice(
            (" ".join(latin), "・".join(kana), ", ".join([latin[0], " ".join(latin[1:])]), "　".join(kana))
        )
        return name, "　".join(kana) if random.random() < 0.8 else "", ""


def write_records(folder: Path, people: int, *, seed: int, factor: float) -> Path:
    """``identity.parquet`` (as `lnk_identity`), ``truth.parquet`` and ``run.parquet`` in ``folder``, which is returned.

    ``people``: children, about 3.4 records each over four systems and their parents in the register. ``factor``: 1 is
    the typical quality, 2.5 the bad one. No number stands anywhere but the register's own.
    """
    folder.mkdir(parents=True, exist_ok=True)
    random, faults = Random(seed), Faults()
    rows: list[tuple[Any, ...]] = []
    truth: list[tuple[str, str, str, str]] = []
    writers = {
        source: _Writer(source, faults, factor, Random(seed * 31 + place))
        for place, source in enumerate((REGISTER, "education.enrolment", "welfare.case", "medical.flag"))
    }
    shares = {REGISTER: 1.0, "education.enrolment": 0.85, "welfare.case": 0.75, "medical.flag": 0.82}
    made = homes = 0
    while made < people:
        home, homes = _Home(homes, random), homes + 1
        children = random.choices((1, 2, 3, 4), (0.45, 0.38, 0.14, 0.03))[0]
        born = AS_OF - timedelta(days=random.randint(100, 3000))
        taken: set[str] = set()
        outside = random.random() < faults.outside * factor
        last: _Person | None = None
        for place in range(children):
            twin = last is not None and random.random() < 0.03
            male = random.random() < 0.512 if not twin or random.random() < 0.4 else last.male  # type: ignore[union-attr]
            while True:
                given, kana = _given(random, male)
                if twin and last is not None and len(last.given) == 2 and random.random() < 0.5 and not home.foreign:
                    # twins' names are often alike
                    ending = random.choice(_BOY_END if male else _GIRL_END)
                    shared = next(
                        (p for p in (*_BOY, *_GIRL) if p[0] == last.given[0] and last.given_kana.startswith(p[1:])),
                        None,
                    )
                    if shared:
                        given, kana = shared[0] + ending[0], shared[1:] + ending[1:]
                if kana not in taken:
                    break
            taken.add(kana)
            if home.foreign:
                one, two = random.sample(_FOREIGN_GIVEN, 2)
                given, kana = f"{one} {two}", ""
            if twin and last is not None:
                last.tags.add("twin")
            else:
                born = (
                    born - timedelta(days=random.randint(330, 1150))
                    if place
                    else born - timedelta(days=random.randint(0, 3300 - 1100 * (children - 1)))
                )
            last = _Person(made, home.number, given, kana, male, born, {"twin"} if twin else set())
            if home.changed:
                last.tags.add("surname_changed")
            if outside:
                last.tags.add("not_in_register")
            made += 1
            _write(last, home, outside, writers, shares, random, rows, truth)
        if not outside:
            for parent, is_male in ((home.mother, False), (home.father, True)):
                rows.append((
                    REGISTER, f"A{home.number:07d}{int(is_male)}", f"A{home.number:07d}{int(is_male)}", f"H{home.number:07d}",
                    f"{home.written}　{parent[0]}" if not home.foreign else " ".join([home.family[0], "PARENT"]),
                    f"{home.kana} {parent[1]}" if not home.foreign else f"{home.family[1]} オヤ", "", "",
                    _write_address(home.address, REGISTER, random), "", "", "male" if is_male else "female",
                    date(1985, 1 + home.number % 12, 1 + home.number % 28), "head" if is_male else "spouse",
                ))  # fmt: skip
    stage(folder, rows, truth)
    return folder


def _write(
    person: _Person, home: _Home, outside: bool, writers: dict[str, _Writer], shares: dict[str, float], random: Random,
    rows: list[tuple[Any, ...]], truth: list[tuple[str, str, str, str]],
) -> None:  # fmt: skip
    for source, writer in writers.items():
        own = source == REGISTER
        if (own and outside) or random.random() >= shares[source]:
            continue
        record, tags = writer.record(person, home)
        number = f"{person.number:08d}" if own else f"{source[:1]}{(person.number * 7919 + 13) % 99_999_989:08d}"
        former = home.old_surname if own and home.changed and person.number % 5 == 0 and not home.foreign else ""
        rows.append((
            source, number, number if own else "", f"H{home.number:07d}" if own else "", record["name"], record["kana"],
            record["alias"], former, record["address"], record["phone"], record["guardian"], record["sex"], record["birth"],
            "child" if own else None,
        ))  # fmt: skip
        truth.append((source, number, f"P{person.number}", "|".join(sorted(tags))))


_RAW = (
    "source", "source_record_id", "resident_number", "household_number", "name", "kana", "alias", "former", "address",
    "phone", "guardian", "sex", "birth_date", "relationship",
)  # fmt: skip


def stage(folder: Path, rows: list[tuple[Any, ...]], truth: list[tuple[str, str, str, str]]) -> None:
    con = duckdb.connect()
    register(con)
    columns = list(zip(*rows, strict=True))
    kinds = [pa.date32() if name == "birth_date" else pa.string() for name in _RAW]
    con.register(
        "raw_rows",
        pa.table({name: pa.array(values, kind) for name, values, kind in zip(_RAW, columns, kinds, strict=True)}),
    )
    con.execute(
        f"""
        copy (
            with forms as materialized (
                select *, kodomo_name(nullif(name, '')) as n, kodomo_kana(nullif(kana, '')) as k,
                    kodomo_name(nullif(alias, '')) as a, kodomo_name(nullif(former, '')) as f,
                    kodomo_name(nullif(guardian, '')) as g, kodomo_address(nullif(address, '')) as d,
                    kodomo_phone(nullif(phone, '')) as p
                from raw_rows
            )
            select source, source_record_id, nullif(resident_number, '') as resident_number,
                nullif(household_number, '') as household_number, n.match as name_match, n.surname as surname_match,
                n.given as given_match, k.match as kana_match, k.surname as surname_kana_match,
                k.given as given_kana_match, a.match as alias_match, f.match as former_surname_match,
                coalesce(n.has_gaiji, false) as name_has_gaiji, sex, birth_date, 'day' as birth_date__precision,
                birth_date as birth_date__earliest, birth_date as birth_date__latest, cast(null as varchar) as postal_code,
                d.match as address_match, d.town as address_town, d.block as address_block,
                d.building as address_building, d.room as address_room, p as phone_match, g.match as guardian_match,
                cast(null as varchar) as guardian_kana_match, relationship, cast(null as date) as became_resident_on,
                cast(null as date) as left_on, date '{AS_OF}' as _extract_date, repeat('f', 64) as _source_file_sha256,
                row_number() over () as _row_number
            from forms
        ) to '{folder / "identity.parquet"}'
        """
    )
    con.register(
        "truth_rows",
        pa.table(
            dict(
                zip(
                    ("source", "source_record_id", "person_id", "tags"),
                    map(list, zip(*truth, strict=True)),
                    strict=True,
                )
            )
        ),
    )
    con.execute(f"copy (from truth_rows) to '{folder / 'truth.parquet'}'")
    con.execute(f"copy (select '112241' as municipality, date '{AS_OF}' as as_of_date) to '{folder / 'run.parquet'}'")
    con.close()
