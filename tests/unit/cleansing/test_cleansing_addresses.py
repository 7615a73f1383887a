"""Addresses: one place in its many spellings meets, two lots never do; and over the whole postal list."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kodomo_platform.cleansing.addresses import match_address
from kodomo_platform.cleansing.towns import forms, read_numeral, towns, write_numeral
from tests.benchmarks.bench_addresses import agree, measure


@pytest.mark.parametrize(
    ("text", "town", "block"),
    [
        # numbers that belong to the town
        ("多摩市一ノ宮三丁目5番8号", "1ノ宮", "3-5-8"),
        ("東京都中央区八丁堀二丁目7番9号", "8丁堀", "2-7-9"),
        ("港区麻布十番一丁目4番6号", "麻布10番", "1-4-6"),
        ("秋田市保戸野八丁12番3号", "保戸野8丁", "12-3"),
        ("札幌市白石区本通2丁目南6番4号", "本通2丁目南", "6-4"),
        ("高松市塩江町安原下第2号123番地4", "塩江町安原下第2号", "123-4"),
        ("上川郡東神楽町南14線東1号5番地", "南14線東1号", "5"),
        ("雨竜郡妹背牛町字妹背牛5区123番地", "妹背牛5区", "123"),
        ("名張市桔梗が丘西3番町1街区2番地", "桔梗が丘西3番町1街区", "2"),
        ("三千石町字六軒12番地", None, "12"),
        # the street of Kyoto is no part of the town
        ("京都市下京区仏光寺通東洞院東入仏光寺西町345-1", "仏光寺西町", "345-1"),
        ("京都市東山区四条通大和大路東入祇園町南側570-2", "祇園町南側", "570-2"),
        ("京都市上京区堀川通寺之内上る2丁目下天神町650-1", "下天神町", "650-1"),
        # a city whose lots have no town
        ("龍ケ崎市3710", None, "3710"),
        ("静岡県下田市二丁目4番26号", None, "2-4-26"),
        # kanji numerals, letters, branches
        ("串本町串本千二百三十四番地", "串本", "1234"),
        ("加賀市大聖寺東町九十五", "大聖寺東町", "95"),
        ("戸田市新曽壱丁目弐番参号", "新曽", "1-2-3"),
        ("戸田市新曽廿一番地", "新曽", "21"),
        ("共和町南幌似6番地ロ", "南幌似", "6-ロ"),
        ("戸田市新曽6番地の甲2", "新曽", "6-甲-2"),
        ("七尾市能登島向田町ハの74", "能登島向田町", "ハ-74"),
        ("戸田市新曽8番地1号の3", "新曽", "8-1-3"),
        # a spreadsheet's dates
        ("田辺市湊3月29日", "湊", "3-29"),
        ("田辺市湊2001年3月4日", "湊", None),
        # no place at all
        ("12345", None, "12345"),
        ("国外", None, None),
    ],
)
def test_town_and_block(text: str, town: str | None, block: str | None) -> None:
    form = match_address(text)
    assert form.block == block
    if town is not None or block is None or text.startswith(("龍", "静", "1")):
        assert form.town == town


@pytest.mark.parametrize(
    "texts",
    [
        [
            "札幌市中央区北1西2-3-4",
            "札幌市中央区北1条西2丁目3番地4",
            "中央区北一条西二丁目三番四号",
            "北１西２－３－４",
        ],
        ["旭川市東光5-3-2-1", "旭川市東光5条3丁目2番1号"],
        ["帯広市西5南6-7", "帯広市西5条南6丁目7番地", "西五条南六丁目7"],
        ["八幡平市大更第35地割12番地3", "八幡平市大更35-12-3"],
        ["いわき市小川町西小川12番地", "小川町西小川12"],
        ["由布市庄内町長野21番地", "大分県由布市庄内町長野21", "庄内町長野21"],
        ["千代田区丸の内1-2-3", "丸ノ内一丁目2番3号", "丸之内1丁目2-3"],
        ["横浜市神奈川区三ツ沢下町5-6", "三ッ沢下町5番6号", "三つ沢下町5-6"],
        ["千代田区霞が関3-1-1", "霞ヶ関3-1-1", "霞ケ関三丁目1番1号", "霞ガ関3丁目1番地1"],
        ["武蔵野市緑が丘5-2-1", "緑ケ丘5丁目2番地1", "緑ヶ丘5-2-1"],
        ["札幌市中央区大通り西5-8", "大通西5丁目8"],
        ["甲斐市龍地514-1", "甲斐市竜地514-1"],
        ["塩竈市旭町1-1", "塩釜市旭町1-1", "塩竃市旭町1-1"],
        ["笛吹市芦川町鶯宿46", "芦川町鴬宿46"],
        ["甲賀市水口町水口(本町)5-6", "甲賀市水口町水口5-6", "水口町水口（通称　本町）５番地６"],
        ["(前期)大町市八坂1090", "大町市八坂1090番地"],
        ["大阪市中央区上町A-12", "大阪市中央区上町Ａ番12号"],
        [
            "福岡市 東区 箱崎 1-2-3",
            "福岡市東区箱崎一丁目2番3号",
            "〒812-0053 福岡県福岡市東区箱崎1-2-3",
            "東区筥崎1-2-3",
        ],
        ["黒川郡富谷町ひより台2-3-4", "富谷市ひより台2-3-4"],
        ["浜松市中区元城町103-2", "浜松市中央区元城町103番地の2"],
        ["浦和市高砂3-15-1", "さいたま市浦和区高砂三丁目15番1号"],
        ["京都市中京区高倉通六角下る和久屋町343", "京都市中京区高倉通六角下ル和久屋町343番地", "中京区和久屋町343"],
        [
            "戸田市新曽1─2─3",
            "新曽1━2━3",
            "新曽1\u00ad2\u00ad3",
            "新曽1⎯2⎯3",
            "新曽1一2一3",
            "新曽1〜2〜3",
            "新曽一の二の三",
            "新曽1/2/3",
        ],
        ["十日町市本町二丁目226番地1", "十日町市本町2-226-1"],
    ],
)
def test_one_place_meets(texts: list[str]) -> None:
    assert len({match_address(text).match for text in texts}) == 1, [match_address(text) for text in texts]


@pytest.mark.parametrize(
    ("text", "block", "building", "room"),
    [
        ("戸田市本町4-5-6二番館201", "4-5-6", "二番館", "201"),
        ("川崎市川崎区駅前本町15番5十五番館ビル", "15-5", "十五番館ビル", None),
        ("那覇市小禄2丁目6番13号2丁目ハイツ201", "2-6-13", "2丁目ハイツ", "201"),
        ("戸田市本町4-5-6-201", "4-5-6", None, "201"),
        ("戸田市本町4-5-6-201 コーポ桜", "4-5-6", "コポ桜", "201"),
        ("戸田市本町4-5-6（コーポ桜201）", "4-5-6", "コポ桜", "201"),
        ("戸田市本町4-5-6-A101", "4-5-6", None, "A101"),
        ("戸田市本町4丁目5番6号3号棟201号室", "4-5-6", "3号棟", "201"),
        ("戸田市本町4-101号室", "4", None, "101"),
    ],
)
def test_a_building_stays_out_of_the_lot(text: str, block: str, building: str | None, room: str | None) -> None:
    form = match_address(text)
    assert (form.block, form.building, form.room) == (block, building, room)


def test_the_own_municipality_comes_first() -> None:
    # 高浜町 is a town of Fukui too
    assert match_address("高浜町1-2", "201006").town == match_address("新潟市中央区高浜町1-2").town
    # 栄町 is a city of Chiba and a town of many; without a hint the town
    assert match_address("栄町3-1").town == "栄町"
    assert match_address("栄町安食台3-1", "123293").town == match_address("千葉県印旛郡栄町安食台3-1").town
    # a prefecture's code means all of it, a designated city's all its wards
    assert len(towns().of_code("230006")) > 50
    assert len(towns().of_code("401307")) == 7
    assert len(towns().of_code("22130")) == 3


def test_every_way_to_write_a_town_has_one_spelling() -> None:
    known = towns().towns
    for text, spelling in {
        "一ノ宮": "1ノ宮",
        "1ノ宮": "1ノ宮",
        "拾六町": "十六町",
        "十六町": "十六町",
        "北1西": "北1条西",
    }.items():
        assert known[text] == spelling
    for town in ("八丁堀", "三番町", "北一条西", "壱町田", "西五条南"):
        keys, _ = forms(town)
        assert len({known[key] for key in keys}) == 1


@settings(deadline=None)
@given(st.integers(1, 9999))
def test_kanji_numerals(number: int) -> None:
    assert read_numeral(write_numeral(number)) == number


_LOTS = st.tuples(st.integers(1, 40), st.integers(1, 99), st.integers(1, 99))
_TOWNS = st.sampled_from(
    ["多摩市一ノ宮", "中央区八丁堀", "東神楽町14号北", "札幌市白石区本通2丁目南", "高松市塩江町安原下第2号", "港区麻布十番", "戸田市新曽",
     "京都市上京区寺町通石薬師下る染殿町", "謎市謎町字七軒", "札幌市中央区北1条西", "妹背牛町1区", "千代田区三番町", "江津市二宮町"]
)  # fmt: skip


@settings(deadline=None, max_examples=300)
@given(_TOWNS, _LOTS, _LOTS)
def test_two_lots_of_a_town_never_agree(town: str, one: tuple[int, ...], other: tuple[int, ...]) -> None:
    """Whatever the styles, linkage takes two lots for one address only if they are one."""
    for lots in (one, other):
        forms = [
            match_address(town + written)
            for written in (
                "{}丁目{}番{}号".format(*lots),
                "{}-{}-{}".format(*lots),
                "{}丁目{}番{}号".format(*map(write_numeral, lots)),
                "{}丁目{}番地の{}".format(*lots),
            )
        ]
        assert len({form.match for form in forms}) == 1, forms
    written = match_address(town + "{}-{}-{}".format(*one)), match_address(town + "{}-{}-{}".format(*other))
    assert agree(*written) == (one == other)


@pytest.mark.parametrize("own", [False, True])
def test_towns_of_the_postal_list(own: bool) -> None:
    """A sample of the list; all of it is a slow test and a benchmark."""
    result = measure(every=97, own=own)
    assert result["agreeing_rows"] == 0, result["agreeing"]
    assert result["right_rows"] >= 0.998, result["examples"]


@pytest.mark.slow
@pytest.mark.parametrize("own", [False, True])
def test_all_towns_of_the_postal_list(own: bool) -> None:
    result = measure(own=own)
    assert result["rows"] > 110_000
    assert result["agreeing_rows"] == 0, result["agreeing"]
    assert result["right_rows"] >= 0.998, result["examples"]


def test_areas_that_the_list_runs_together_keep_lots_apart() -> None:
    """Regression: the postal list has 川尻４０地割、川尻４, cut off in the middle of its areas."""
    town = "岩手県和賀郡西和賀町川尻４０地割、川尻４"
    for one, other in (("3丁目5番8号", "1-20-4"), ("123番地4", "587番地10")):
        assert not agree(match_address(town + one), match_address(town + other))
