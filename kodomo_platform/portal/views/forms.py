"""Forms to print: a purpose is asked for, the look is written, the serial number counts on, the PDF is handed over."""

from __future__ import annotations

from typing import Any

from django.db import IntegrityError, transaction
from django.db.models import Max
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render as render_page
from django.utils import timezone

from kodomo_platform.errors import OperationsError, WrongStepError
from kodomo_platform.portal import forms as room
from kodomo_platform.portal import looks
from kodomo_platform.portal.cases import NOTE_KINDS, SEEN, STATES, clean, open_case
from kodomo_platform.portal.choices import school_name
from kodomo_platform.portal.desk import Desk, page
from kodomo_platform.portal.models import Form
from kodomo_platform.portal.rights import Permission
from kodomo_platform.portal.templatetags.portal import day, era, grade, kana, sex
from kodomo_platform.portal.views.children import assessed, child_content, filters_of

_MOST_ROWS = 2000
_REMARK = "判定は支援を検討するための手がかりであり、低い値は「安全」を意味しません。この帳票は個人情報です。不要になったら確実に廃棄してください。"


@page(Permission.PRINT_FORMS, "GET", "POST")
def print_child(request: HttpRequest, child_id: str) -> HttpResponse:
    """個票: one child as the page shows it."""
    desk: Desk = request.desk
    desk.reach(Permission.PRINT_FORMS, child_id)
    content = child_content(desk, child_id)
    child = content["child"]
    if request.method != "POST":
        return _ask(request, desk, child["name"] or child_id, [child_id])
    purpose = _purpose(desk, request)
    themes = []
    for block in content["blocks"]:
        view = block["view"]
        label = STATES[block["state"]][0]
        themes.append(
            {
                "label": view.label,
                "result": f"{view.mark}　{view.words}".strip("　"),
                "numbers": view.score is not None,
                "reasons": [
                    {"text": reason.text, "weight": "" if reason.weight is None else f"{reason.weight:+.2f}"}
                    for reason in view.reasons
                ],
                "notes": [
                    *view.notes,
                    *([f"ほかに、役割により表示しない情報が{view.hidden}件あります"] if view.hidden else []),
                ],
                "state": label,
            }
        )
    notes = [
        {
            "day": note.happened_on.isoformat(),
            "kind": NOTE_KINDS[note.kind][0],
            "text": "、".join(part for part in (SEEN[note.seen][0] if note.seen else "", note.text) if part),
            "by": note.by_name,
        }
        for note in content["notes"]
        if note.pk not in content["amended"]
    ]
    data = {
        "facts": _facts(desk, child),
        "protected": _protected(child),
        "themes": themes,
        "notes": notes[:40],
        "remark": _REMARK,
    }
    return _hand_over(desk, "child", "個票", data, purpose, [child_id])


@page(Permission.PRINT_FORMS, "GET", "POST")
def print_plan(request: HttpRequest, pk: int) -> HttpResponse:
    """サポートプラン: the newest revision."""
    desk: Desk = request.desk
    case = open_case(desk, pk)
    desk.reach(Permission.PRINT_FORMS, case.child_id)
    desk.reach(Permission.FIELD_NOTES, case.child_id)
    plan = case.plans.order_by("-number").first()
    if plan is None:
        raise WrongStepError("there is no plan to print", expected="a plan", action="write one first")
    child = desk.child(case.child_id)
    if request.method != "POST":
        return _ask(request, desk, child["name"] or case.child_id, [case.child_id])
    purpose = _purpose(desk, request)
    parts = (
        ("本人・保護者の意向", plan.wishes),
        ("状況", plan.situation),
        ("目標", plan.goals),
        ("支援の内容", plan.measures),
    )
    approved = f"{plan.approved_by_name}　{day(plan.approved_at)}" if plan.approved_at else "未承認"
    data = {
        "facts": _facts(desk, child),
        "parts": [{"label": label, "text": text} for label, text in parts if text],
        "signatures": [
            {"label": "作成", "value": f"{plan.by_name}　{day(plan.at)}"},
            {"label": "承認", "value": approved},
            {"label": "本人・保護者の署名", "value": ""},
        ],
        "remark": f"第{plan.number}版。見直しの日：{day(plan.review_on)}",
    }
    return _hand_over(desk, "plan", "サポートプラン", data, purpose, [case.child_id])


@page(Permission.PRINT_FORMS, "GET", "POST")
def print_register(request: HttpRequest) -> HttpResponse:
    """台帳: the list as it is filtered, at most two thousand lines."""
    desk: Desk = request.desk
    asked = request.POST if request.method == "POST" else request.GET
    filters, in_force = filters_of(desk, asked)
    rows = desk.register.listed(desk.actor, filters, hide_records=desk.hide_records, size=_MOST_ROWS)
    if rows.total > _MOST_ROWS:
        raise WrongStepError(
            "too many children for one form", expected=f"at most {_MOST_ROWS}", action="narrow the list first"
        )
    if request.method != "POST":
        return _ask(request, desk, f"台帳 {rows.total}人", [row["child_id"] for row in rows.rows], hidden=in_force)
    purpose = _purpose(desk, request)
    lines = []
    for number, row in enumerate(rows.rows, start=1):
        view = assessed(desk, row, filters.theme)
        address = row["address"] or {"protected": "（支援措置）", "unknown_protection": "（確認できません）"}.get(
            row["contact_state"], ""
        )
        lines.append(
            [
                str(number),
                f"{row['name'] or row['child_id']}\n{kana(row['name_kana'])}",
                era(row["birth_date"]),
                f"{school_name(desk.actor.municipality, row['school_code'])} {grade(row['grade'])} {row['class'] or ''}",
                f"{view.mark} {view.words}".strip() if view else "",
                "、".join(reason.text for reason in view.reasons[:3]) if view else address,
                row["last_seen_on"].isoformat() if row["last_seen_on"] else "—",
            ]
        )
    told = [f"{desk.theme_label(filters.theme)}" if filters.theme else "すべてのこども", f"{rows.total}人"]
    data = {
        "head": ["", "氏名", "生年月日", "学校・学年", "判定", "主な理由" if filters.theme else "住所", "最後に確認"],
        "rows": lines,
        "filters": "、".join(told),
        "remark": _REMARK,
    }
    return _hand_over(desk, "register", "台帳", data, purpose, [row["child_id"] for row in rows.rows])


def _facts(desk: Desk, child: dict[str, Any]) -> list[list[str]]:
    rows = [
        ["氏名", f"{child['name'] or '（表示しません）'}　{kana(child['name_kana'])}"],
        ["生年月日・性別", f"{era(child['birth_date'])}　{sex(child['sex'])}"],
        [
            "学校",
            f"{school_name(desk.actor.municipality, child['school_code'])} {grade(child['grade'])} {child['class'] or ''}".strip(),
        ],
    ]
    if child["contact_state"] == "shown":
        rows += [
            ["住所", child["address"] or "—"],
            ["保護者・電話", f"{child['guardian_name'] or '—'}　{child['guardian_phone'] or ''}"],
        ]
    rows.append(["最後に確認された日", day(child["last_seen_on"]) or "どの資料にも姿がありません"])
    rows.append(["データの基準日", day(desk.register.as_of)])
    return rows


def _protected(child: dict[str, Any]) -> str:
    if not child["protected"]:
        return ""
    return (
        "支援措置の対象です。住所・連絡先の取扱いに注意してください。"
        if child["contact_state"] == "shown"
        else "支援措置の対象のため、住所・連絡先は印字しません。"
    )


def _purpose(desk: Desk, request: HttpRequest) -> str:
    return clean(request.POST.get("purpose", ""), what=desk.t("目的", "purpose"), most=100)


def _ask(
    request: HttpRequest, desk: Desk, title: str, ids: list[str], hidden: dict[str, str] | None = None
) -> HttpResponse:
    desk.look(looks.PAGE, purpose=desk.t("印刷の準備", "before printing"), children=ids)
    return render_page(request, "portal/print.html", {"title": title, "hidden": hidden or {}})


def _hand_over(desk: Desk, kind: str, title: str, data: dict[str, Any], purpose: str, ids: list[str]) -> HttpResponse:
    now = timezone.localtime().replace(microsecond=0)
    town = desk.town.name_ja if desk.town is not None else desk.actor.municipality
    stamp = {
        "title": title,
        "town": town,
        "secret": "取扱注意（個人情報）",
        "watermark": f"{desk.person.display_name}　{now:%Y-%m-%d %H:%M}",
        "line": f"出力：{desk.person.display_name}　{now:%Y-%m-%d %H:%M}　目的：{purpose}",
    }
    for _ in range(5):
        serial = (Form.objects.filter(municipality=desk.actor.municipality).aggregate(n=Max("serial"))["n"] or 0) + 1
        content = room.render(
            kind, data | {"stamp": stamp | {"serial": f"{desk.actor.municipality}-{serial:06d}"}}, at=now
        )
        try:
            with transaction.atomic():
                Form.objects.create(
                    municipality=desk.actor.municipality,
                    serial=serial,
                    kind=kind,
                    child_id=ids[0] if len(ids) == 1 else "",
                    by=desk.actor.login,
                    purpose=purpose,
                    sha256=room.sha256(content),
                )
                desk.look(looks.PRINT, purpose=purpose, children=ids, detail=f"{kind} {serial}")
        except IntegrityError:
            continue  # somebody printed in this moment: the next number
        response = HttpResponse(content, content_type="application/pdf")
        response["Content-Disposition"] = f'attachment; filename="{kind}-{desk.actor.municipality}-{serial:06d}.pdf"'
        return response
    raise OperationsError("no serial number could be had for the form", action="print again")
