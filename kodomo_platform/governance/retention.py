"""How long each class of data is kept, what is due to go, and a certificate of what went.

The report of 2022-12-20 (guideline, chapter 7.5) names five classes: 1 outreach, 2 logs, 3 analysis with personal data,
4 analysis without, 5 models and results. Years come from the catalogue or the town's own word; the shortest of a class
holds for a file that mixes items. A legal hold on any child keeps everything that could hold that child.
"""

from __future__ import annotations

import datetime as dt
import shutil
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from kodomo_platform import operations
from kodomo_platform.catalog import load_catalog
from kodomo_platform.errors import GovernanceError
from kodomo_platform.municipalities import load_municipality
from kodomo_platform.municipalities.models import Municipality
from kodomo_platform.operations import Act
from kodomo_platform.settings import get_settings
from kodomo_platform.shelf import snapshots

HOLD = "hold"
CLASSES = {
    1: "アウトリーチ用",
    2: "ログ",
    3: "分析用（個人情報を含む）",
    4: "分析用（個人情報を含まない）",
    5: "モデル・分析結果",
}


@dataclass(frozen=True)
class Due:
    """A file or folder whose time is over: its store, class, how old it is, and the years that it may be kept."""

    path: str
    store: str
    data_class: int
    dated: dt.date
    years: int
    kept_by: str = ""


def years_of(municipality: Municipality, source: str) -> tuple[int, int]:
    """(class, years) of a source: the class of most items and the shortest years of any."""
    governance = municipality.governance
    items = load_catalog().sources[source].items
    years = []
    for item in items:
        own = governance.of(item.key).retention_years if governance is not None else None
        years.append(item.retention.years if own is None else own)
    classes = [item.retention.data_class for item in items]
    return max(sorted(set(classes)), key=classes.count), min(years)


def _before(day: dt.date, years: int) -> dt.date:
    try:
        return day.replace(year=day.year - years)
    except ValueError:  # 29 February
        return day.replace(year=day.year - years, day=28)


def _dated(code: str, municipality: Municipality) -> Iterator[tuple[Path, str, int, dt.date, int]]:
    settings = get_settings()
    shortest = min(years_of(municipality, config.source)[1] for config in municipality.sources)
    for folder in sorted((settings.landing / code).glob("*")):
        try:
            day = dt.date.fromisoformat(folder.name)
        except ValueError:
            continue
        yield folder, "landing", 3, day, shortest
    for load in operations.loads(code):
        path = settings.archive / code / load.sha256
        if path.is_file() and load.source in municipality.by_source:
            data_class, years = years_of(municipality, load.source)
            yield path, "archive", data_class, load.extract_date, years
    for snapshot in snapshots(code):
        if not snapshot.is_current:
            yield snapshot.path, "published", 5, snapshot.as_of, shortest
    reports = settings.reports / code
    for path in sorted(reports.rglob("*")) if reports.is_dir() else []:
        if path.is_file():
            yield path, "reports", 5, dt.date.fromtimestamp(path.stat().st_mtime), shortest


def holds(code: str) -> list[str]:
    """Keys of the legal holds that stand."""
    return [record.key for record in operations.governance_records(code, HOLD, state="active")]


def hold(code: str, key: str, child_id: str, act: Act, *, on: dt.date) -> None:
    """Keep everything of a child (a court, an audit, an appeal) until the hold ends."""
    operations.child_history(child_id)
    operations.open_record(code, HOLD, key, "active", act, effective_on=on, person=child_id)


def end_hold(code: str, key: str, act: Act, *, on: dt.date) -> None:
    """End a hold."""
    operations.change_record(code, HOLD, key, "ended", act, effective_on=on, seen=["active"])


def plan(code: str, today: dt.date) -> list[Due]:
    """What is due to go on a day; ``kept_by`` names the hold that keeps it nevertheless."""
    municipality = load_municipality(code)
    kept_by = ", ".join(holds(code))
    home = get_settings().home
    return [
        Due(str(path.relative_to(home)), store, data_class, day, years, kept_by)
        for path, store, data_class, day, years in _dated(code, municipality)
        if day <= _before(today, years)
    ]


def carry_out(code: str, today: dt.date, act: Act) -> dict[str, Any]:
    """Delete what is due and write a certificate; what is left is looked through again as proof.

    Raises:
        GovernanceError: something that was deleted is still there.
    """
    due = plan(code, today)
    gone, kept = [d for d in due if not d.kept_by], [d for d in due if d.kept_by]
    home = get_settings().home
    for item in gone:
        path = home / item.path
        if path.is_dir():
            for file in path.rglob("*"):
                file.chmod(0o700 if file.is_dir() else 0o600)
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)
    left = [d.path for d in plan(code, today) if not d.kept_by] + [d.path for d in gone if (home / d.path).exists()]
    if left:
        raise GovernanceError(f"{len(left)} files that are due could not be deleted", where=left[0])
    certificate = {
        "on": today.isoformat(),
        "deleted": [{**asdict(d), "dated": d.dated.isoformat()} for d in gone],
        "kept_by_hold": [{**asdict(d), "dated": d.dated.isoformat()} for d in kept],
        "proof": "looked through again: nothing due is left",
    }
    number = len(operations.governance_records(code, "certificate")) + 1
    operations.open_record(
        code,
        "certificate",
        f"retention-{today.isoformat()}-{number}",
        "issued",
        act,
        effective_on=today,
        body=certificate,
    )
    return certificate
