"""What a hospital noticed: entered in under a minute, at the municipality's desk at once, linked or "who is this?".

The hospital's own words about the child stay sealed. A link by number-free identity (name, reading, birth date, sex,
address) is made by `match`: certain only where reading or name, birth date and sex all agree with one child and no
other; everything else is a question for a person. The hospital sees its own entries and nothing of the child.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

from django.db import IntegrityError, transaction
from django.utils import timezone

from kodomo_platform.errors import NoSnapshotError, WrongStepError
from kodomo_platform.portal.cases import clean
from kodomo_platform.portal.desk import Desk
from kodomo_platform.portal.looks import written
from kodomo_platform.portal.models import Flag
from kodomo_platform.portal.reading import register_of
from kodomo_platform.portal.rights import Permission
from kodomo_platform.portal.visibility import Parameters, relation

KINDS = {
    "injury": ("けが・あざ", "injury or bruise"),
    "neglect": ("養育の状況が気になる", "care that worries"),
    "growth": ("発育・栄養が気になる", "growth or nutrition"),
    "mind": ("心の状態が気になる", "state of mind"),
    "guardian": ("保護者の様子が気になる", "state of a guardian"),
    "missed": ("受診・健診の中断", "visits broken off"),
    "other": ("その他", "other"),
}
SEVERITIES = {
    3: ("今すぐ連絡がほしい", "please call at once"),
    2: ("早めに見てほしい", "please look soon"),
    1: ("知らせておきたい", "for your knowledge"),
}


@dataclass(frozen=True)
class Candidate:
    """A child of the register that a flag may be about, and what agrees."""

    child_id: str
    agrees: tuple[str, ...]
    differs: tuple[str, ...]
    points: int
    certain: bool


def enter(desk: Desk, form: Any) -> Flag:
    """Write a flag down. The same form sent twice is one flag.

    Raises:
        WrongStepError: the name or what was noticed is missing, or a value is none that can be.
    """
    desk.actor.require(Permission.ENTER_FLAG)
    from kodomo_platform.cleansing.dates import read_date

    name = clean(form.get("name", ""), what=desk.t("氏名", "name"), required=False, most=100)
    kana = clean(form.get("name_kana", ""), what=desk.t("ふりがな", "reading"), required=False, most=100)
    if not name and not kana:
        raise WrongStepError(
            "a name is missing", expected="the name or its reading", action="fill it in; nothing was written"
        )
    birth = form.get("birth_date", "").strip()[:40]
    day = read_date(birth).value if birth else None
    if birth and day is None:
        raise WrongStepError(
            "the birth date cannot be read",
            expected="a day such as 2019-05-01 or 令和元年5月1日; leave it empty if it is not known",
        )
    if day is not None and not desk.today - timedelta(days=366 * 21) <= day <= desk.today + timedelta(days=300):
        raise WrongStepError("the birth date is not a child's", expected="a day within the last 20 years")
    kind = form.get("kind", "")
    severity = form.get("severity", "")
    if kind not in KINDS or severity not in {str(number) for number in SEVERITIES}:
        raise WrongStepError("what was noticed, or how urgent it is, is missing", expected="one of the choices")
    sex = form.get("sex", "")
    child = {
        "name": name,
        "name_kana": kana,
        "birth_date": day.isoformat() if day else "",
        "sex": sex if sex in ("female", "male") else "",
        "address": clean(form.get("address", ""), what=desk.t("住所", "address"), required=False, most=200),
        "phone": clean(form.get("phone", ""), what=desk.t("電話", "phone"), required=False, most=30),
    }
    text = clean(form.get("text", ""), what=desk.t("内容", "text"), required=False, most=2000)
    form_id = clean(form.get("form_id", ""), what="form", most=40)
    candidates = match(desk.actor.municipality, child)
    certain = [candidate for candidate in candidates if candidate.certain]
    try:
        with transaction.atomic():
            flag = Flag.objects.create(
                municipality=desk.actor.municipality,
                child=json.dumps(child, ensure_ascii=False),
                kind=kind,
                severity=int(severity),
                text=text,
                noticed_on=desk.today,
                by=desk.actor.login,
                by_name=desk.person.display_name,
                office=desk.person.office,
                form_id=form_id,
                state="linked" if len(certain) == 1 else "open",
                child_id=certain[0].child_id if len(certain) == 1 else "",
                evidence=[_plain(candidate) for candidate in candidates],
                decided_by="linkage" if len(certain) == 1 else "",
                decided_at=timezone.now() if len(certain) == 1 else None,
            )
            written(
                desk.actor.login, "portal flag entered", f"flag {flag.pk}", "hospital flag", desk.actor.municipality
            )
    except IntegrityError:
        return Flag.objects.get(by=desk.actor.login, form_id=form_id)
    return flag


def _plain(candidate: Candidate) -> dict[str, Any]:
    return {
        "child_id": candidate.child_id, "agrees": list(candidate.agrees), "differs": list(candidate.differs),
        "points": candidate.points, "certain": candidate.certain,
    }  # fmt: skip


def match(code: str, child: dict[str, str]) -> list[Candidate]:
    """Children of the register that ``child`` may be, the likeliest first, at most five.

    The register is asked as a whole: the question is the platform's, and what comes back is shown to the desk alone,
    through its own rights. Without a snapshot there is nobody to ask: the flag is open and waits.
    """
    from kodomo_platform.cleansing.addresses import match_address
    from kodomo_platform.cleansing.kana import match_kana
    from kodomo_platform.cleansing.names import match_name

    try:
        register = register_of(code)
    except NoSnapshotError:
        return []
    name = match_name(child["name"]).match if child["name"] else None
    kana = match_kana(child["name_kana"] or "").match if child["name_kana"] else None
    block = match_address(child["address"]) if child["address"] else None
    birth = date.fromisoformat(child["birth_date"]) if child["birth_date"] else None
    rows = register.ask(
        """
        select child_id, name_key, kana_key, birth_date, sex, address from child
        where ($name is not null and name_key = $name) or ($kana is not null and kana_key = $kana)
            or ($birth is not null and birth_date = $birth::date)
        limit 2000
        """,
        {"name": name, "kana": kana, "birth": birth.isoformat() if birth else None},
    )
    made = []
    for row in rows:
        agrees: list[tuple[str, int]] = []
        differs: list[tuple[str, int]] = []
        for key, mine, theirs, points in (
            ("name", name, row["name_key"], 3),
            ("kana", kana, row["kana_key"], 3),
            ("birth_date", birth, row["birth_date"], 4),
            ("sex", child["sex"] or None, row["sex"] if row["sex"] != "unknown" else None, 1),
            ("address", block.match if block else None, match_address(row["address"]).match if block and row["address"] else None, 2),
        ):  # fmt: skip
            if mine is None or theirs is None:
                continue
            (agrees if mine == theirs else differs).append((key, points))
        total = sum(points for _, points in agrees) - sum(points for _, points in differs if points != 2)
        names = {key for key, _ in agrees}
        certain = (
            "birth_date" in names
            and bool({"name", "kana"} & names)
            and not {"name", "kana", "sex", "birth_date"} & {key for key, _ in differs}
        )
        if (total > 0 and len(agrees) > 1) or {"name", "kana"} & names:
            made.append(
                Candidate(row["child_id"], tuple(k for k, _ in agrees), tuple(k for k, _ in differs), total, certain)
            )
    made.sort(key=lambda candidate: (-candidate.points, candidate.child_id))
    if sum(candidate.certain for candidate in made) > 1:
        # twins of one name do not exist; two children who both fit are a question for a person
        made = [Candidate(c.child_id, c.agrees, c.differs, c.points, False) for c in made]
    return made[:5]


def link(desk: Desk, flag: Flag, child_id: str) -> None:
    """A person says who the child is, or that nobody of the register is (empty ``child_id``). Can be changed again."""
    desk.actor.require(Permission.RECEIVE_FLAGS)
    if child_id:
        bound = Parameters()
        seen = relation(desk.actor, bound, permission=Permission.VIEW_CHILD, hide_records=desk.hide_records)
        known = desk.register.ask(f"select 1 from ({seen}) as c where child_id = {bound.add(child_id)}", bound.values)
        if not known:
            raise WrongStepError(
                "no such child within your rights", expected="one of the children shown, or an id from the search"
            )
    with transaction.atomic():
        Flag.objects.filter(pk=flag.pk).update(
            state="linked" if child_id else "unknown",
            child_id=child_id,
            decided_by=desk.actor.login,
            decided_at=timezone.now(),
        )
        written(
            desk.actor.login,
            "portal flag linked",
            f"flag {flag.pk}",
            "hospital flag",
            desk.actor.municipality,
            person=child_id,
        )
