"""Pages for what goes wrong. They need neither database nor session."""

from __future__ import annotations

import sys
from typing import Any

from django.db import DatabaseError
from django.http import HttpRequest, HttpResponse
from django.template.loader import render_to_string

from kodomo_platform.errors import OperationsError


def _plain(name: str, status: int, **values: Any) -> HttpResponse:
    return HttpResponse(render_to_string(f"portal/{name}.html", values), status=status)


def unavailable(request: HttpRequest) -> HttpResponse:
    """The database does not answer: nothing was written, try again."""
    response = _plain("unavailable", 503, again=request.get_full_path() if request.method == "GET" else "")
    response["Retry-After"] = "10"
    return response


def not_found(request: HttpRequest, exception: Exception | None = None) -> HttpResponse:
    """Not there, or not to be seen: the same answer."""
    return _plain("not_found", 404)


def wrong(request: HttpRequest) -> HttpResponse:
    """A defect of ours: no detail leaves; the log has it."""
    error = sys.exc_info()[1]
    if isinstance(error, DatabaseError | OperationsError):
        return unavailable(request)
    return _plain("wrong", 500)


def bad(request: HttpRequest, exception: Exception | None = None) -> HttpResponse:
    """A request that no page of ours sends."""
    return _plain("bad", 400)


def forbidden(request: HttpRequest, exception: Exception | None = None) -> HttpResponse:
    """Refused before a desk was there."""
    return _plain("forbidden", 403)


def csrf(request: HttpRequest, reason: str = "") -> HttpResponse:
    """A form that was not sent from its own page, or after its session had ended."""
    return _plain("forbidden", 403, form=True)
