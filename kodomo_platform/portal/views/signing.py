"""What needs no desk: whether the portal is alive, and in which language it speaks."""

from __future__ import annotations

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.utils.http import url_has_allowed_host_and_scheme
from django.views.decorators.http import require_POST


def alive(request: HttpRequest) -> HttpResponse:
    """For a proxy's check: the process answers."""
    return HttpResponse("ok\n", content_type="text/plain")


@require_POST
def language(request: HttpRequest) -> HttpResponse:
    """Switch between Japanese and English, and go back to the page one came from."""
    chosen = request.POST.get("language", "ja")
    back = request.POST.get("next", "/")
    # never to another site, whatever the form was made to say
    if not url_has_allowed_host_and_scheme(back, allowed_hosts={request.get_host()}, require_https=request.is_secure()):
        back = "/"
    response = redirect(back)
    response.set_cookie(
        settings.LANGUAGE_COOKIE_NAME,
        "en" if chosen == "en" else "ja",
        max_age=365 * 86400,
        secure=settings.SESSION_COOKIE_SECURE,
        httponly=True,
        samesite="Lax",
    )
    return response
