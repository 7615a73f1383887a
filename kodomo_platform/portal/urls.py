"""Which address leads to which page. The tests of rights are made from this list: nothing is reachable beside it."""

from __future__ import annotations

from typing import Any

from allauth.account import views as account
from django.conf import settings
from django.http import Http404, HttpRequest, HttpResponse
from django.urls import include, path

from kodomo_platform.portal.views import (
    algorithm,
    cases,
    children,
    dashboard,
    entries,
    exports,
    faults,
    flags,
    forms,
    links,
    oversight,
    quality,
    requests,
    signing,
    today,
)


def _nowhere(request: HttpRequest, **_: Any) -> HttpResponse:
    """Names that allauth looks for and this house does not offer: nobody signs up or resets a password by mail."""
    raise Http404


urlpatterns = [
    path("", today.home, name="home"),
    path("alive/", signing.alive, name="alive"),
    path("language/", signing.language, name="language"),
    # sign-in
    path("sign-in/", account.login, name="account_login"),
    path("sign-out/", account.logout, name="account_logout"),
    path("confirm/", account.reauthenticate, name="account_reauthenticate"),
    path("password/", account.password_change, name="account_change_password"),
    path("second-factor/", include("allauth.mfa.urls")),
    *(
        path(f"nowhere/{name}/", _nowhere, name=name)
        for name in (
            "account_signup", "account_email", "account_reset_password", "account_set_password", "account_inactive",
            "account_email_verification_sent", "account_reset_password_done", "socialaccount_signup", "account_confirm_login_code",
        )
    ),
    # the desk
    path("today/", today.today, name="today"),
    path("children/", children.children, name="children"),
    path("children/saved/", children.save_view, name="save_view"),
    path("children.json", children.children_json, name="children_json"),
    path("children/<slug:child_id>/", children.child, name="child"),
    path("children/<slug:child_id>.json", children.child_json, name="child_json"),
    path("search/", children.search, name="search"),
    # the four phases
    path("children/<slug:child_id>/<slug:theme>/decide/", cases.decide, name="decide"),
    path("children/<slug:child_id>/notes/", cases.note, name="note"),
    path("children/<slug:child_id>/tasks/", cases.task, name="task"),
    path("cases/<int:pk>/plan/", cases.plan, name="plan"),
    path("cases/<int:pk>/approve/", cases.approve, name="approve"),
    path("cases/<int:pk>/assign/", cases.assign, name="assign"),
    path("cases/<int:pk>/end/", cases.end, name="end"),
    path("cases/<int:pk>/refer/", cases.refer, name="refer"),
    path("referrals/<int:pk>/", cases.referral, name="referral"),
    path("tasks/<int:pk>/done/", cases.task_done, name="task_done"),
    path("children/<slug:child_id>/emergency/", oversight.emergency, name="emergency"),
    # forms
    path("children/<slug:child_id>/form/", forms.print_child, name="print_child"),
    path("cases/<int:pk>/form/", forms.print_plan, name="print_plan"),
    path("forms/register/", forms.print_register, name="print_register"),
    # what comes in
    path("flags/", flags.flags, name="flags"),
    path("flags/new/", flags.enter, name="flag_enter"),
    path("flags/<int:pk>/", flags.flag, name="flag"),
    path("entries/", entries.entries, name="entries"),
    path("links/", links.links, name="links"),
    path("links/<slug:pair_id>/", links.pair, name="link"),
    path("quality/", quality.quality, name="quality"),
    path("quality/upload/", quality.upload, name="upload"),
    # numbers
    path("dashboard/", dashboard.dashboard, name="dashboard"),
    path("analysis/", dashboard.analysis, name="analysis"),
    path("algorithm/<slug:theme>/", algorithm.algorithm, name="algorithm"),
    # what goes out
    path("exports/", exports.exports, name="exports"),
    path("exports/<int:pk>/", exports.decide, name="export_decide"),
    path("exports/<int:pk>/file/", exports.fetch, name="export_file"),
    path("requests/", requests.requests, name="requests"),
    path("requests/<int:pk>/", requests.request_page, name="request"),
    # oversight
    path("oversight/", oversight.oversight, name="oversight"),
    path("oversight/emergency/<int:pk>/", oversight.emergency_reviewed, name="emergency_reviewed"),
    path("rights/", oversight.rights, name="matrix"),
    path("people/", oversight.people, name="people"),
    path("people/<int:pk>/", oversight.person, name="person"),
]  # fmt: skip
if settings.SOCIALACCOUNT_PROVIDERS["openid_connect"]["APPS"]:
    urlpatterns += [
        path("own-provider/", include("allauth.socialaccount.providers.openid_connect.urls")),
        path("own-provider/", include("allauth.socialaccount.urls")),
    ]

handler400 = faults.bad
handler403 = faults.forbidden
handler404 = faults.not_found
handler500 = faults.wrong
