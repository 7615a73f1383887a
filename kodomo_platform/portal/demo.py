"""People for trying the portal, one per role, and a little to do. For demonstration data alone."""

from __future__ import annotations

from kodomo_platform.errors import ConfigurationError, NoSnapshotError
from kodomo_platform.portal.people import NewPerson, create_person
from kodomo_platform.portal.reading import register_of

_PEOPLE = (
    ("head", "校長 佐藤", "school_head"),
    ("teacher", "担任 鈴木", "school_staff"),
    ("ssw", "SSW 高橋", "social_worker"),
    ("desk", "相談員 田中", "desk"),
    ("lead", "統括 伊藤", "desk_lead"),
    ("nurse", "看護師 渡辺", "hospital"),
    ("holder", "学務課 山本", "holder"),
    ("analyst", "分析 中村", "analyst"),
    ("overseer", "総括 小林", "overseer"),
    ("counter", "窓口 加藤", "resident_desk"),
    ("admin", "管理 吉田", "administrator"),
)
_OFFICES = {
    "school_head": "学校", "school_staff": "学校", "social_worker": "教育センター", "desk": "こども家庭センター",
    "desk_lead": "こども家庭センター", "hospital": "小児センター", "holder": "学務課", "analyst": "データ活用室",
    "overseer": "こども政策課", "resident_desk": "情報公開窓口", "administrator": "情報政策課",
}  # fmt: skip


def demo_people(municipality: str, *, by: str = "demo") -> list[NewPerson]:
    """One person per role of one municipality; school people get its first school. Passwords are told once.

    Raises:
        ConfigurationError: nothing is published for the municipality, or its demo people are there already.
    """
    school, name = "", ""
    try:
        register = register_of(municipality)
    except NoSnapshotError as error:
        raise ConfigurationError(
            "there is no snapshot to look at", where=f"municipality {municipality}", action=error.action or ""
        ) from error
    rows = register.ask(
        "select school_code, grade, class, count(*) as n from child where school_code is not null and grade is not null "
        "group by all order by n desc, 1, 2, 3 limit 1"
    )
    if rows:
        school, name = str(rows[0]["school_code"]), f"{rows[0]['grade']}-{rows[0]['class']}"
    made = []
    for short, display, role in _PEOPLE:
        if role in ("school_head", "school_staff") and not school:
            continue
        made.append(
            create_person(
                f"{short}-{municipality}",
                municipality,
                display,
                office=_OFFICES[role],
                role=role,
                schools=(school,) if role == "school_head" else (),
                classes=((school, name),) if role == "school_staff" else (),
                sees_protected=role == "desk_lead",
                by=by,
                reason="demonstration",
            )
        )
    return made
