"""The monthly report of looks and acts with odd patterns, and the self-inspection sheet (guideline, chapter 7.6).

What is odd is said, not judged: a person asks. Counts and accounts only; no child is named.
"""

from __future__ import annotations

import datetime as dt
from collections import Counter
from dataclasses import dataclass, field
from zoneinfo import ZoneInfo

from kodomo_platform import operations
from kodomo_platform.governance import requests

_TOKYO = ZoneInfo("Asia/Tokyo")
_MANY = 50  # looks of one account in one day
_LOOKS = ("look", "disclose", "view", "print", "export", "search")


@dataclass
class MonthlyReport:
    """One month of a municipality."""

    municipality: str
    month: str
    by_actor: dict[str, int] = field(default_factory=dict)
    by_action: dict[str, int] = field(default_factory=dict)
    odd: list[str] = field(default_factory=list)
    denied: int = 0
    exports: int = 0
    late_requests: int = 0
    chain_sound: bool = True


def monthly(code: str, month: dt.date) -> MonthlyReport:
    """The report of the month that ``month`` lies in."""
    first = dt.datetime(month.year, month.month, 1, tzinfo=_TOKYO)
    after = (first + dt.timedelta(32)).replace(day=1)
    report = MonthlyReport(code, f"{month:%Y-%m}")
    actors: Counter[str] = Counter()
    actions: Counter[str] = Counter()
    daily: Counter[tuple[str, dt.date]] = Counter()
    night: Counter[str] = Counter()
    aimless: Counter[str] = Counter()
    for entry in operations.audit_log(municipality=code, since=first, until=after):
        actions[entry.action] += 1
        report.denied += "denied" in entry.action or "refused" in entry.action
        report.exports += entry.action.startswith("export")
        if not entry.action.startswith(_LOOKS):
            continue
        at = entry.at.astimezone(_TOKYO)
        actors[entry.actor] += 1
        daily[(entry.actor, at.date())] += 1
        night[entry.actor] += at.hour < 6 or at.hour >= 22
        aimless[entry.actor] += not entry.erased and not entry.reason.strip()
    report.by_actor, report.by_action = dict(sorted(actors.items())), dict(sorted(actions.items()))
    report.odd += [
        f"{actor}：{day.isoformat()}に{count}件の閲覧" for (actor, day), count in sorted(daily.items()) if count > _MANY
    ]
    report.odd += [f"{actor}：夜間（22時から6時）の閲覧 {count}件" for actor, count in sorted(night.items()) if count]
    report.odd += [f"{actor}：理由のない閲覧 {count}件" for actor, count in sorted(aimless.items()) if count]
    report.late_requests = sum(due.days_left < 0 for due in requests.due(code, after.date()))
    report.chain_sound = operations.audit_verify().sound
    return report


QUESTIONS = (
    ("役割", "総括管理・保有管理・分析・活用の各主体が決まっているか（第4章）"),
    ("利用目的", "項目ごとの利用目的と根拠が、期限内で承認されているか（第3.3章、第5章）"),
    ("アクセス", "閲覧できる職員が必要な範囲に限られているか（第7.5章）"),
    ("記録", "閲覧・操作の記録に、欠け・書換えがないか（第7.5章）"),
    ("保存期間", "保存期間を過ぎたデータが残っていないか（第7.5章）"),
    ("請求", "開示・訂正・利用停止の請求に、期限内に答えているか（法第83条・第94条・第102条）"),
    ("委託先", "委託先の監督を行ったか（法第66条第2項）"),
    ("研修", "取り扱う職員の研修を行ったか（第7.6章）"),
)


def self_inspection(code: str, today: dt.date) -> list[tuple[str, str, str]]:
    """(area, question, what the platform can say by itself); an empty answer is for a person to fill in."""
    from kodomo_platform.governance import retention
    from kodomo_platform.municipalities import load_municipality
    from kodomo_platform.policy.grounds import closures, endings

    municipality = load_municipality(code)
    missing = ["すべて"] if municipality.governance is None else municipality.governance.roles.missing
    shut, soon = closures(municipality, today), endings(municipality, today)
    late = sum(due.days_left < 0 for due in requests.due(code, today))
    due = retention.plan(code, today)
    known = {
        "役割": "4つとも決まっている" if not missing else f"未定：{'、'.join(missing)}",
        "利用目的": f"使えない項目 {len(shut)}件、60日以内に終わる根拠 {len(soon)}件",
        "記録": "監査記録は書かれたまま" if operations.audit_verify().sound else "監査記録が書かれたときと違う",
        "保存期間": f"期限を過ぎたもの {len(due)}件",
        "請求": f"期限を過ぎた請求 {late}件",
        "委託先": f"記録 {len(operations.governance_records(code, 'outsourcer'))}件",
        "研修": f"記録 {len(operations.governance_records(code, 'training'))}件",
    }
    return [(area, question, known.get(area, "")) for area, question in QUESTIONS]
