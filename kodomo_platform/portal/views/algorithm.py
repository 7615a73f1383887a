"""The record of how a theme is judged, one click from any result: as it runs, never written beside."""

from __future__ import annotations

from typing import Any

from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render

from kodomo_platform.portal.desk import Desk, page
from kodomo_platform.portal.rights import Permission


@page(Permission.VIEW_ALGORITHM)
def algorithm(request: HttpRequest, theme: str) -> HttpResponse:
    """Question, people asked about, inputs, criteria with evidence, model and version in use, limits, how to object."""
    from kodomo_platform import operations
    from kodomo_platform.scoring.themes import load_features, load_themes

    desk: Desk = request.desk
    known = load_themes().get(theme)
    if known is None or (desk.modes and theme not in desk.modes):
        raise Http404
    features = load_features()
    used: dict[str, Any] = {}
    if desk.trouble is None:
        rows = desk.register.ask(
            "select score_version, model_name, model_version, criteria_hash, feature_hash, count(*) as children "
            "from score where theme = $theme group by all order by children desc limit 1",
            {"theme": theme},
        )
        used = rows[0] if rows else {}
    content = {
        "theme": known,
        "label": desk.theme_label(theme),
        "mode": desk.mode(theme),
        "inputs": [features[name] for name in known.features if name in features],
        "used": used,
        "same": bool(used) and used["criteria_hash"] == known.criteria_hash,
        "approval": operations.approved_model(desk.actor.municipality, theme),
    }
    return render(request, "portal/algorithm.html", content)
