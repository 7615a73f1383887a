"""Counts for those who lead and those who oversee, and the analysis of what marks a theme's children. No names."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from django.db.models import Avg, Count, F, Max
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils import timezone

from kodomo_platform.portal import charts, looks
from kodomo_platform.portal.cases import OUTCOMES, STATES
from kodomo_platform.portal.choices import choices, school_name
from kodomo_platform.portal.desk import Desk, page
from kodomo_platform.portal.models import Case, CaseStep, Flag, Look, Task
from kodomo_platform.portal.rights import Permission, Scope
from kodomo_platform.portal.visibility import Parameters, reaches


@page(Permission.VIEW_DASHBOARD)
def dashboard(request: HttpRequest) -> HttpResponse:
    """Coverage, results, the four phases, freshness; a head of a school sees their schools, nobody small numbers."""
    desk: Desk = request.desk
    least = choices(desk.actor.municipality).small_number
    bound = Parameters()
    where = _reach(desk, bound)
    themes = []
    within = desk.register.ask(f"select child_id from child where {where}", bound.values)
    ids = {row["child_id"] for row in within}
    whole = where == "true"
    for theme in desk.register.themes:
        rows = desk.register.ask(
            f"""
            select
                count(*) as asked, count(*) filter (s.alert) as alerts, count(*) filter (s.alert and not s.known) as new,
                count(*) filter (not s.determinable) as undetermined, count(*) filter (s.not_seen) as unseen
            from score as s inner join child on child.child_id = s.child_id
            where s.theme = $theme and {where}
            """,
            {**bound.values, "theme": theme},
        )[0]
        schools = desk.register.ask(
            f"""
            select child.school_code as school, count(*) filter (s.alert) as alerts
            from score as s inner join child on child.child_id = s.child_id
            where s.theme = $theme and child.school_code is not null and {where}
            group by 1 order by 2 desc, 1 limit 20
            """,
            {**bound.values, "theme": theme},
        )
        cases = Case.objects.filter(municipality=desk.actor.municipality, theme=theme)
        if not whole:
            cases = cases.filter(child_id__in=ids)
        by_state = {entry["state"]: entry["n"] for entry in cases.values("state").annotate(n=Count("pk"))}
        judged = sum(by_state.values())
        states = charts.suppress_rows(
            [(desk.t(*STATES[key]), by_state.get(key, 0)) for key in STATES if key != "proposed"], least
        )
        outcomes = {
            entry["outcome"]: entry["n"]
            for entry in cases.filter(state="ended").values("outcome").annotate(n=Count("pk"))
        }
        named = [(school_name(desk.actor.municipality, row["school"]), int(row["alerts"])) for row in schools]
        hidden = charts.suppress_rows(named, least)
        themes.append(
            {
                "label": desk.theme_label(theme),
                "counts": {key: charts.suppressed(int(value), least) for key, value in rows.items()},
                "judged": charts.suppressed(judged, least),
                "states": states,
                "states_chart": charts.bars(states, label=desk.t("対応の状況（人）", "cases by state")),
                "schools": hidden,
                "schools_chart": charts.bars(
                    hidden, label=desk.t("学校ごとの「会うことを検討」（人）", "alerts by school")
                )
                if hidden
                else "",
                "outcomes": charts.suppress_rows(
                    [(desk.t(*OUTCOMES[key]), n) for key, n in outcomes.items() if key in OUTCOMES], least
                ),
            }
        )
    content: dict[str, Any] = {
        "themes": themes,
        "least": least,
        "fresh": _fresh(desk),
        "whole": whole,
        "children": charts.suppressed(len(ids), least),
    }
    since = timezone.now() - timedelta(days=30)
    town = desk.actor.municipality
    if desk.actor.may(Permission.VIEW_LOOKS):
        content["looks"] = Look.objects.filter(municipality=town, at__gte=since).count()
        content["refused"] = Look.objects.filter(municipality=town, at__gte=since, refused=True).count()
    if whole:
        content["overdue"] = charts.suppressed(
            Task.objects.filter(municipality=town, done_at=None, due_on__lt=desk.today).count(), least
        )
        content["flags"] = charts.suppressed(Flag.objects.filter(municipality=town, at__gte=since).count(), least)
        wait = CaseStep.objects.filter(case__municipality=town, after="supporting").aggregate(
            days=Avg(F("at") - F("case__opened_at"))
        )
        content["days_to_support"] = None if wait["days"] is None else wait["days"].days
    desk.look(looks.OVERSIGHT, purpose=desk.t("状況（集計）", "dashboard"))
    return render(request, "portal/dashboard.html", content)


def _reach(desk: Desk, bound: Parameters) -> str:
    """Whom the counts are about. Those who oversee or analyse count the whole municipality and see nobody."""
    for grant in desk.actor.with_permission(Permission.VIEW_DASHBOARD):
        if grant.role.scope in (Scope.NONE, Scope.MUNICIPALITY):
            return "true"
    return reaches(desk.actor, Permission.VIEW_DASHBOARD, bound)


def _fresh(desk: Desk) -> list[dict[str, Any]]:
    """Per source: its newest extract that is in force, and its age in days."""
    from kodomo_platform.catalog import load_catalog

    sources = load_catalog().sources
    newest: dict[str, str] = {}
    for file in desk.register.manifest.get("lineage", {}).get("source_files", []):
        if file.get("active"):
            source, day = str(file["source"]), str(file.get("extract_date", ""))
            newest[source] = max(newest.get(source, ""), day)
    made: list[dict[str, Any]] = []
    for source, day in sorted(newest.items()):
        known = sources.get(source)
        label = source if known is None else (known.label_en if desk.language == "en" else known.label_ja)
        from datetime import date

        try:
            at = date.fromisoformat(day[:10])
        except ValueError:
            made.append({"label": label, "day": None, "age": None})
            continue
        made.append({"label": label, "day": at, "age": (desk.today - at).days})
    return made


@page(Permission.VIEW_ANALYSIS)
def analysis(request: HttpRequest) -> HttpResponse:
    """What marks the children of a theme (昭島市): averages of those shown against all others, small groups hidden."""
    from kodomo_platform.scoring.themes import load_features, load_themes

    desk: Desk = request.desk
    least = max(10, choices(desk.actor.municipality).small_number)
    themes = desk.register.themes
    theme = request.GET.get("theme", "")
    theme = theme if theme in themes else (themes[0] if themes else "")
    lines: list[dict[str, Any]] = []
    counts: dict[str, Any] = {}
    known = load_themes().get(theme)
    features = load_features()
    if known is not None:
        source = "read_parquet($file) as f inner join score as s on s.child_id = f.child_id and s.theme = $theme"
        values = {"file": desk.register.features_file, "theme": theme}
        counts = desk.register.ask(
            f"select count(*) filter (s.alert) as marked, count(*) filter (not s.alert) as others from {source}", values
        )[0]
        there = {
            row["column_name"]
            for row in desk.register.ask("describe select * from read_parquet($file)", {"file": values["file"]})
        }
        names = [name for name in known.features if name in features and name in there]
        parts = ", ".join(
            f"avg({n}) filter (s.alert and {n}__status = 'present') as a_{i}, avg({n}) filter (not s.alert and {n}__status = 'present') as b_{i}, "
            f"count({n}) filter (s.alert and {n}__status = 'present') as c_{i}, stddev_pop({n}) filter ({n}__status = 'present') as d_{i}"
            for i, n in enumerate(names)
            if f"{n}__status" in there
        )
        row = (
            desk.register.ask(f"select {parts} from {source}", values)[0]
            if parts and min(counts.values()) >= least
            else {}
        )
        for i, name in enumerate(names):
            if (
                not row
                or row.get(f"c_{i}") is None
                or row[f"c_{i}"] < least
                or row[f"b_{i}"] is None
                or not row[f"d_{i}"]
            ):
                continue
            feature = features[name]
            times = 100 if feature.format == "percent" else 1
            lines.append(
                {
                    "label": feature.label_en if desk.language == "en" else feature.label_ja,
                    "unit": feature.unit,
                    "marked": row[f"a_{i}"] * times,
                    "others": row[f"b_{i}"] * times,
                    "distance": (row[f"a_{i}"] - row[f"b_{i}"]) / row[f"d_{i}"],
                }
            )
        lines.sort(key=lambda line: -abs(line["distance"]))
    desk.look(looks.OVERSIGHT, purpose=desk.t("要因の分析", "analysis"), detail=theme)
    content = {
        "lines": lines[:30], "counts": counts, "least": least, "theme": theme,
        "themes": [(key, desk.theme_label(key)) for key in themes],
        "few": bool(counts) and min(counts.values()) < least,
    }  # fmt: skip
    return render(request, "portal/analysis.html", content)


def newest_look(town: str) -> Any:
    """When anybody last looked."""
    return Look.objects.filter(municipality=town).aggregate(at=Max("at"))["at"]
