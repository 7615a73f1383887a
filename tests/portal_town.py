"""A small town with a published snapshot and people of every role, for the tests of the portal.

Importing this module sets Django up with the portal's settings, before any test touches the operations database: a
process has one Django. The town is published by `publishing` itself and copied for each test that writes.
"""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import duckdb

from kodomo_platform.portal.serving import SETTINGS_MODULE

_before = os.environ.get("DJANGO_SETTINGS_MODULE")
_home = os.environ.get("KODOMO_HOME")
_empty = tempfile.mkdtemp(prefix="kodomo-portal-settings-")
os.environ["KODOMO_HOME"] = _empty
os.environ["DJANGO_SETTINGS_MODULE"] = SETTINGS_MODULE
from kodomo_platform.settings import use_home  # noqa: E402

use_home(None)
import django  # noqa: E402
from django.apps import apps  # noqa: E402

if not apps.ready:
    django.setup()
# processes that tests start configure themselves
if _before is None:
    del os.environ["DJANGO_SETTINGS_MODULE"]
if _home is None:
    del os.environ["KODOMO_HOME"]
else:
    os.environ["KODOMO_HOME"] = _home
use_home(None)

from kodomo_platform import operations  # noqa: E402
from kodomo_platform.portal.digits import digits_now  # noqa: E402
from kodomo_platform.portal.reading import forget_open  # noqa: E402
from kodomo_platform.publishing import publish  # noqa: E402
from tests.unit.publishing.handmade import AS_OF, CODE, RUN, Town, fill  # noqa: E402

THEME = "school_refusal"
SCHOOLS = ("1001", "1002")
#: planted where a source can fill a field; none may reach a page as markup
PLANTED = "<script>alert(1)</script>\"'><img src=x onerror=alert(2)>"
NAMES = ("髙橋 さくら", "渡邉 太郎", "渡辺 花子", "斎藤 学", "山﨑 梅", "佐藤 海", "NGUYEN VAN AN", "葛󠄀城 葵")
KANA = (
    "タカハシ サクラ",
    "ワタナベ タロウ",
    "ワタナベ ハナコ",
    "サイトウ マナブ",
    "ヤマザキ ウメ",
    "サトウ ウミ",
    "グエン ヴァン アン",
    "カツラギ アオイ",
)


@dataclass(frozen=True)
class Child:
    """One child of the town, as the tests know it."""

    child_id: str
    name: str
    kana: str
    school: str | None
    grade: int
    cls: str
    protected: str
    household: str
    address: str
    phone: str
    number: str
    sources: str
    score: float


def _child(number: int) -> Child:
    school = None if number % 10 == 9 else SCHOOLS[number % 2]
    return Child(
        child_id=f"cchild{number:04d}abcdefg",
        name=PLANTED if number == 12 else NAMES[number % len(NAMES)],
        kana=KANA[number % len(KANA)],
        school=school,
        grade=1 + number % 6,
        cls=PLANTED if number == 13 else f"{1 + number % 2}組",
        # one protected child protects its household, child 5 that of child 4
        protected="active" if number in (4, 11, 20) else "none",
        household=f"h{number // 2:04d}",
        address=PLANTED if number == 14 else f"戸田市秘密町{number}番地",
        phone=f"090-0000-{number:04d}",
        number=f"99{number:08d}",
        # child 8 is in no register: nobody knows whether it is protected
        sources="education.enrolment" if number in (8, 9) else "resident.register,education.enrolment",
        score=round(0.95 - number * 0.02, 4),
    )


CHILDREN = tuple(_child(number) for number in range(40))
#: whose address may not be shown to anyone who is not named: protected, of the same household, or not known
HIDDEN = frozenset(
    child.child_id
    for child in CHILDREN
    if child.household in {other.household for other in CHILDREN if other.protected == "active"}
    or "resident.register" not in child.sources
)
PROTECTED = frozenset(
    child.child_id
    for child in CHILDREN
    if child.household in {other.household for other in CHILDREN if other.protected == "active"}
)


def _reasons(number: int) -> str:
    return json.dumps(
        [
            {"item": "education.attendance.absent_days", "feature": "absent_days_ytd", "value": number, "status": "present",
             "contribution": 2.0, "sentence_ja": f"今年度の欠席は{number}日", "sentence_en": f"{number} days absent"},
            {"item": "welfare.case.severity", "feature": "case_severity_24m", "value": 2, "status": "present",
             "contribution": 1.0, "sentence_ja": f"福祉の記録{number}", "sentence_en": f"welfare record {number}"},
            {"item": "survey.wellbeing.mood", "feature": "survey_mood", "value": 1, "status": "present", "contribution": 0.5,
             "sentence_ja": PLANTED if number == 15 else "気分が低い", "sentence_en": "low mood"},
            {"item": "absent_inputs", "value": 1, "status": "present", "contribution": 0.0, "absent": {},
             "sentence_ja": "使えなかった情報があります", "sentence_en": "some inputs were absent"},
        ],
        ensure_ascii=False,
    )  # fmt: skip


def _publish(children: tuple[Child, ...]) -> None:
    with duckdb.connect() as con:
        fill(con)
        con.execute("create table town(number int, child_id text, name text, kana text, school text, grade int, cls text,"
                    "protected text, household text, address text, phone text, resident text, sources text, score double, reasons text)")  # fmt: skip
        con.executemany(
            f"insert into town values ({', '.join('?' * 15)})",
            [
                (n, c.child_id, c.name, c.kana, c.school, c.grade, c.cls, c.protected, c.household, c.address, c.phone,
                 c.number, c.sources, c.score, _reasons(n))
                for n, c in enumerate(children)
            ],
        )  # fmt: skip
        sources = con.execute("select typeof(sources) from marts.mart_child limit 1").fetchone()
        assert sources is not None
        told = "string_split(t.sources, ',')" if "[]" in sources[0] else "t.sources"
        for table, replaced in (
            (
                "marts.mart_child",
                "t.child_id as child_id, t.name as name, t.kana as name_kana, date '2015-04-02' + t.number::int as birth_date,"
                "t.household as household_id, t.address as address, t.school as school_code, t.grade as grade, t.cls as class,"
                "t.protected as protection_measure, t.resident as resident_number, '保護者 ' || t.number as guardian_name,"
                f"t.phone as guardian_phone, {told} as sources",
            ),
            ("marts.mart_child_features", "t.child_id as child_id, t.household as household_id"),
            (
                "marts.risk_scores",
                "t.child_id as child_id, t.score as score, t.score - 0.02 as score_low, t.score + 0.02 as score_high,"
                "(t.number + 1)::bigint as rank, case when t.number < 10 then 'high' else 'low' end as band, t.number < 10 as alert,"
                "t.number != 7 as determinable, case when t.number = 7 then 'too_few_inputs' end as undetermined_reason,"
                "t.reasons::json as reasons",
            ),
        ):
            con.execute(
                f"create or replace table {table} as select f.* replace ({replaced}) from (select * from {table} limit 1) as f, town as t"
            )
        con.execute(
            "create or replace table linkage.lnk_crosswalk as select * replace (t.number::varchar as source_record_id,"
            "t.child_id as child_id, (t.number + 1)::bigint as source_row_number) from (select * from linkage.lnk_crosswalk limit 1), town as t;"
            "create or replace table staging.stg_resident__register as select * replace (t.number::varchar as source_record_id,"
            "(t.number + 1)::bigint as _row_number) from (select * from staging.stg_resident__register limit 1), town as t;"
        )
        publish(con, Town(), AS_OF, dagster_run_id=RUN, code_version="abc123")


PEOPLE = {
    "head": ("school_head", {"schools": (SCHOOLS[0],)}),
    "head2": ("school_head", {"schools": (SCHOOLS[1],)}),
    "teacher": ("school_staff", {"classes": ((SCHOOLS[0], "1-1組"),)}),
    "ssw": ("social_worker", {}),
    "desk": ("desk", {}),
    "desk2": ("desk", {}),
    "lead": ("desk_lead", {"sees_protected": True}),
    "nurse": ("hospital", {}),
    "holder": ("holder", {}),
    "analyst": ("analyst", {}),
    "overseer": ("overseer", {}),
    "counter": ("resident_desk", {}),
    "admin": ("administrator", {}),
    # of another municipality
    "stranger": ("desk_lead", {"municipality": "172065", "sees_protected": True}),
}
_secrets: dict[str, tuple[str, str]] = {}


@lru_cache(maxsize=1)
def built() -> Path:
    """A home with the published town and its people, made once per process."""
    home = Path(tempfile.mkdtemp(prefix="kodomo-portal-town-")) / "home"
    home.mkdir()
    with pointed_at(home):
        from kodomo_platform.portal import serving
        from kodomo_platform.portal.people import create_person

        serving.prepare()
        operations.installation_secret()  # a home with snapshots has one
        _publish(CHILDREN)
        for login, (role, more) in PEOPLE.items():
            more = dict(more)
            made = create_person(
                login,
                more.pop("municipality", CODE),
                f"{login} さん",
                role=role,
                by="test",
                reason="test",
                **more,  # type: ignore[arg-type]
            )
            _secrets[login] = (made.password, made.totp_secret)
        operations.close()
    return home


class pointed_at:  # noqa: N801 - a context manager
    """This process uses ``home`` until the block ends."""

    def __init__(self, home: Path) -> None:
        self.home, self.before = home, os.environ.get("KODOMO_HOME")

    def __enter__(self) -> Path:
        os.environ["KODOMO_HOME"] = str(self.home)
        use_home(None)
        forget_open()
        operations.migrate()
        return self.home

    def __exit__(self, *_: Any) -> None:
        operations.close()
        forget_open()
        if self.before is None:
            os.environ.pop("KODOMO_HOME", None)
        else:
            os.environ["KODOMO_HOME"] = self.before
        use_home(None)
        if self.before is not None and Path(self.before, "portal").is_dir():
            operations.migrate()  # a test's own town inside a module's: its database is asked again


def copy_to(home: Path) -> None:
    """The town in a folder of a test's own. Snapshots are tied to their folder by what operations remembers: hashes."""
    shutil.copytree(built(), home, symlinks=True, dirs_exist_ok=True)
    current = home / "published" / CODE / "current"
    if current.is_symlink():
        target = current.readlink()
        if target.is_absolute():
            current.unlink()
            current.symlink_to(home / target.relative_to(built()))


def sign_in(login: str) -> Any:
    """A client signed in with both factors."""
    from django.core.cache import cache
    from django.test import Client

    cache.clear()  # the digits of a half minute serve once; tests are faster than that
    password, secret = _secrets[login]
    client = Client(raise_request_exception=False)
    answer = client.post("/sign-in/", {"login": login, "password": password})
    assert answer.status_code == 302, answer.content.decode()
    answer = client.post("/second-factor/authenticate/", {"code": digits_now(secret)})
    assert answer.status_code == 302, answer.content.decode()
    return client


def password_of(login: str) -> tuple[str, str]:
    """Password and secret of the second factor of a person of the town."""
    built()
    return _secrets[login]


def quick_sign_in(login: str) -> Any:
    """A client with a session of its own, without hashing a password: for tests with thousands of tries."""
    from django.contrib.auth.models import User
    from django.test import Client

    client = Client(raise_request_exception=False)
    client.force_login(User.objects.get(username=login), backend="django.contrib.auth.backends.ModelBackend")
    return client
