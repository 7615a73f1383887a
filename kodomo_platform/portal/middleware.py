"""What happens around every page: headers, the desk, one session, the second factor, and faults in plain words."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from django.conf import settings
from django.contrib.auth import logout
from django.db import DatabaseError
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import Resolver404, resolve
from django.utils import translation

from kodomo_platform.errors import ConflictError, KodomoError, NoSnapshotError, OperationsError, ReadOnlyError
from kodomo_platform.portal import looks
from kodomo_platform.portal.desk import Desk
from kodomo_platform.portal.models import Person
from kodomo_platform.portal.people import actor_of
from kodomo_platform.portal.rights import DeniedError

Answer = Callable[[HttpRequest], HttpResponse]
_TOUCH_SECONDS = 60
#: pages that a person without a second factor may still open
_OPEN = {"account_login", "account_logout", "mfa_activate_totp", "mfa_authenticate", "account_reauthenticate", "language",
         "mfa_view_recovery_codes", "mfa_generate_recovery_codes", "mfa_reauthenticate", "alive"}  # fmt: skip


def plain_faults(get_response: Answer) -> Answer:
    """The outermost: a database that is away becomes a page that says so; nothing was written."""

    def middleware(request: HttpRequest) -> HttpResponse:
        try:
            return get_response(request)
        except (DatabaseError, OperationsError):
            from kodomo_platform.portal.views.faults import unavailable

            return unavailable(request)

    return middleware


def chosen_language(get_response: Answer) -> Answer:
    """Japanese unless the reader has switched: what a browser says of itself does not count."""

    def middleware(request: HttpRequest) -> HttpResponse:
        chosen = "en" if request.COOKIES.get(settings.LANGUAGE_COOKIE_NAME) == "en" else "ja"
        with translation.override(chosen):
            response = get_response(request)
        response.setdefault("Content-Language", chosen)
        return response

    return middleware


def careful_headers(get_response: Answer) -> Answer:
    """No page about people stays in a cache, on a shared machine's disk or in a search engine."""

    def middleware(request: HttpRequest) -> HttpResponse:
        response = get_response(request)
        response.setdefault("Cache-Control", "no-store, private")
        response.setdefault("X-Robots-Tag", "noindex, nofollow")
        return response

    return middleware


class at_the_desk:  # noqa: N801 - named as the functions beside it
    """Who is at the desk; nobody gets here with one factor alone, or with a session that was followed by another."""

    def __init__(self, get_response: Answer) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        """Answer, or lead to sign-in and second factor."""
        request.desk = None
        if request.user.is_authenticated:
            answer = self._entered(request)
            if answer is not None:
                return answer
        return self.get_response(request)

    def _entered(self, request: HttpRequest) -> HttpResponse | None:
        person = Person.objects.filter(user=request.user).select_related("user").first()
        actor = actor_of(request.user)
        if person is None or actor is None:
            logout(request)
            return redirect("account_login")
        if person.session_key != (request.session.session_key or ""):
            logout_this_only(request)
            return redirect("account_login")
        now = int(time.time())
        if now - int(request.session.get("touched", 0)) > _TOUCH_SECONDS:
            request.session["touched"] = now  # idle time runs anew, at most one write a minute
        request.desk = Desk(request, actor, person)
        from allauth.mfa.utils import is_mfa_enabled

        if _name(request) not in _OPEN and not is_mfa_enabled(request.user):
            return redirect("mfa_activate_totp")
        return None

    def process_exception(self, request: HttpRequest, error: Exception) -> HttpResponse | None:
        """Refusals and faults in plain words, in the reader's language."""
        desk: Desk | None = getattr(request, "desk", None)
        if isinstance(error, DatabaseError | OperationsError):
            from kodomo_platform.portal.views.faults import unavailable

            return unavailable(request)
        if desk is None or not isinstance(error, KodomoError):
            return None
        if isinstance(error, DeniedError):
            looks.record(
                desk.actor,
                looks.PAGE,
                path=request.path,
                purpose=error.permission.value,
                refused=True,
                address=str(request.META.get("REMOTE_ADDR", ""))[:45],
            )
            return render(request, "portal/denied.html", {"permission": error.permission}, status=403)
        if isinstance(error, NoSnapshotError):
            return render(request, "portal/no_snapshot.html", {"error": _words(desk, error)}, status=503)
        status = 409 if isinstance(error, ReadOnlyError | ConflictError) else 400
        return render(request, "portal/fault.html", {"error": _words(desk, error)}, status=status)


def logout_this_only(request: HttpRequest) -> None:
    """End this session without ending the one that followed it."""
    request.session.flush()


def _words(desk: Desk, error: KodomoError) -> dict[str, Any]:
    from kodomo_platform.messages import error_text

    say = (lambda text: text) if desk.language == "en" else error_text
    return {
        "what": say(error.what),
        "expected": say(error.expected) if error.expected else "",
        "action": say(error.action) if error.action else "",
    }


def _name(request: HttpRequest) -> str:
    try:
        return str(resolve(request.path_info).url_name or "")
    except Resolver404:
        return ""
