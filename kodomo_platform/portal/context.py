"""What every template knows."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest

from kodomo_platform.portal.rights import Permission, matrix

#: the navigation, in its order: view name, right, Japanese, English
_NAVIGATION = (
    ("today", Permission.TODAY, "今日", "Today"),
    ("children", Permission.LIST_CHILDREN, "台帳", "Register"),
    ("search", Permission.SEARCH_CHILDREN, "さがす", "Search"),
    ("entries", Permission.RECORD_CONTACT, "記録の入力", "Entry"),
    ("flag_enter", Permission.ENTER_FLAG, "気づきの登録", "Enter a flag"),
    ("flags", Permission.RECEIVE_FLAGS, "医療の気づき", "Hospital flags"),
    ("links", Permission.REVIEW_LINKS, "名寄せの確認", "Review links"),
    ("dashboard", Permission.VIEW_DASHBOARD, "状況", "Dashboard"),
    ("analysis", Permission.VIEW_ANALYSIS, "要因の分析", "Analysis"),
    ("quality", Permission.VIEW_QUALITY, "データ品質", "Data quality"),
    ("exports", Permission.ASK_EXPORT, "持出し", "Exports"),
    ("exports", Permission.APPROVE_EXPORT, "持出しの承認", "Approve exports"),
    ("requests", Permission.KEEP_REQUESTS, "開示等の請求", "Requests"),
    ("oversight", Permission.VIEW_LOOKS, "閲覧記録", "Looks"),
    ("matrix", Permission.VIEW_MATRIX, "権限表", "Rights"),
    ("people", Permission.MANAGE_PEOPLE, "利用者", "People"),
)


def desk(request: HttpRequest) -> dict[str, Any]:
    """The desk, its navigation and its roles; little for those who are not signed in."""
    at = getattr(request, "desk", None)
    if at is None:
        return {"desk": None, "navigation": [], "language": _language()}
    english = at.language == "en"
    seen: set[str] = set()
    navigation = []
    for name, permission, ja, en in _NAVIGATION:
        if at.actor.may(permission) and name not in seen:
            seen.add(name)
            navigation.append({"name": name, "label": en if english else ja})
    roles = [matrix().roles[grant.role.key] for grant in at.actor.grants]
    return {
        "desk": at,
        "navigation": navigation,
        "roles": [role.en if english else role.ja for role in roles],
        "language": at.language,
        "may": {permission.value: at.actor.may(permission) for permission in Permission},
    }


def _language() -> str:
    from django.utils.translation import get_language

    return "en" if get_language() == "en" else "ja"
