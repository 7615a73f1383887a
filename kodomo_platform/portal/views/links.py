"""The queue of record pairs that a person must decide, the same as `kodomo review`: reversible, with evidence."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render

from kodomo_platform import operations
from kodomo_platform.errors import KodomoError, LinkageError, WrongStepError
from kodomo_platform.linkage import review
from kodomo_platform.portal import looks
from kodomo_platform.portal.acting import act
from kodomo_platform.portal.cases import clean
from kodomo_platform.portal.desk import Desk, page
from kodomo_platform.portal.rights import Permission
from kodomo_platform.settings import get_settings
from kodomo_platform.warehouse import warehouse

_CONTACT = {"住所", "電話", "保護者"}


@contextmanager
def _warehouse(desk: Desk) -> Iterator[Any]:
    if not get_settings().warehouse(desk.actor.municipality).exists():
        raise WrongStepError("this municipality was not linked here", action="ask those who run the platform for a run")
    with warehouse(desk.actor.municipality, read_only=True) as con:
        yield con


@page(Permission.REVIEW_LINKS)
def links(request: HttpRequest) -> HttpResponse:
    """Open pairs, those that touch most records first; what was decided stays below and can be taken back."""
    desk: Desk = request.desk
    content: dict[str, Any] = {"rows": [], "trouble": "", "kinds": review.KINDS_JA}
    try:
        with _warehouse(desk) as con:
            content["rows"] = review.queue(con, desk.actor.municipality)[:200]
    except KodomoError as error:
        from kodomo_platform.messages import error_text

        content["trouble"] = error.what if desk.language == "en" else error_text(error.what)
    content["decided"] = operations.review_decisions(desk.actor.municipality)[:50]
    desk.look(looks.LIST, purpose=desk.t("名寄せの確認", "review of links"), detail=f"{len(content['rows'])} pairs")
    return render(request, "portal/links.html", content)


@page(Permission.REVIEW_LINKS, "GET", "POST")
def pair(request: HttpRequest, pair_id: str) -> HttpResponse:
    """One pair side by side with its evidence; decide, or take a decision back."""
    desk: Desk = request.desk
    if request.method == "POST":
        reason = clean(request.POST.get("reason", ""), what=desk.t("理由", "reason"), most=500)
        answer = request.POST.get("decision", "")
        if answer == "revoke":
            operations.review_revoke(desk.actor.municipality, pair_id, act(desk, reason))
        elif answer in ("same", "different"):
            with _warehouse(desk) as con:
                found = _find(con, desk, pair_id)
            operations.review_decide(desk.actor.municipality, found.left, found.right, answer, act(desk, reason))
        else:
            raise WrongStepError("an answer is missing", expected="same or different")
        messages.success(request, desk.t("記録しました。次の実行で反映されます", "Recorded; the next run follows it"))
        return redirect("links")
    with _warehouse(desk) as con:
        found = _find(con, desk, pair_id)
        sides = review.side_by_side(con, found)
        evidence = review.words(found.evidence)
    children = _children(desk, (found.left, found.right))
    shown = desk.actor.sees_protected or (
        len(children) == 2 and all(child["contact_state"] == "shown" for child in children)
    )
    sides = [row for row in sides if shown or row[0] not in _CONTACT]
    desk.look(
        looks.PAGE, purpose=desk.t("名寄せの確認", "review of links"),
        children=[child["child_id"] for child in children], detail=pair_id,
    )  # fmt: skip
    content = {"pair": found, "sides": sides, "evidence": evidence, "hidden": not shown, "kinds": review.KINDS_JA}
    return render(request, "portal/link.html", content)


def _find(con: Any, desk: Desk, pair_id: str) -> Any:
    try:
        return review.find(con, desk.actor.municipality, pair_id)
    except LinkageError as error:
        raise Http404 from error


def _children(desk: Desk, records: tuple[tuple[str, str], tuple[str, str]]) -> list[dict[str, Any]]:
    """The children whom the two records belong to now, as far as this person may open them; one entry per record."""
    if desk.trouble is not None:
        return []
    made = []
    for source, record in records:
        rows = desk.register.ask(
            "select child_id from read_parquet($file) where source = $source and source_record_id = $record",
            {"file": desk.register.crosswalk_file, "source": source, "record": record},
        )
        ids = [row["child_id"] for row in rows]
        seen = desk.register.which_exist(desk.actor, ids, Permission.VIEW_CHILD, hide_records=desk.hide_records)
        made += list(seen.values())[:1]
    return made
