"""Sign-in: password and second factor, one session per person, lock-out, and the municipality's own provider.

Everything is done by allauth and axes; here they are told what this house wants.
"""

from __future__ import annotations

from typing import Any

from allauth.account.adapter import DefaultAccountAdapter
from allauth.mfa.adapter import DefaultMFAAdapter
from allauth.socialaccount.adapter import DefaultSocialAccountAdapter
from django.contrib.auth.signals import user_logged_in, user_logged_out, user_login_failed
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render

from kodomo_platform.portal.sealing_key import seal, unseal


class AccountAdapter(DefaultAccountAdapter):  # type: ignore[misc]
    """Accounts are made by an administrator, never by whoever finds the page."""

    def is_open_for_signup(self, request: HttpRequest) -> bool:
        """Nobody signs up."""
        return False


class SecondFactorAdapter(DefaultMFAAdapter):  # type: ignore[misc]
    """Secrets of second factors lie sealed in the database."""

    def encrypt(self, text: str) -> str:
        """Seal a secret."""
        return seal(text)

    def decrypt(self, encrypted_text: str) -> str:
        """Open a secret."""
        return unseal(encrypted_text)


class OwnProviderAdapter(DefaultSocialAccountAdapter):  # type: ignore[misc]
    """The municipality's identity provider says who somebody is; whether they may enter is said here."""

    def is_open_for_signup(self, request: HttpRequest, sociallogin: Any) -> bool:
        """Only people an administrator has entered."""
        return False

    def pre_social_login(self, request: HttpRequest, sociallogin: Any) -> None:
        """Tie the provider's name to the account of the same login, made beforehand by an administrator."""
        if sociallogin.is_existing:
            return
        from django.contrib.auth.models import User

        name = str(sociallogin.account.extra_data.get("preferred_username") or "")
        claims = sociallogin.account.extra_data.get("userinfo") or sociallogin.account.extra_data
        name = name or str(claims.get("preferred_username") or "")
        user = User.objects.filter(username=name, is_active=True, person__isnull=False).first() if name else None
        if user is not None:
            sociallogin.connect(request, user)


def name_tried(request: HttpRequest | None, credentials: dict[str, Any] | None = None) -> str | None:
    """Which name somebody tried to enter with: allauth's form calls it ``login``, Django's backends ``username``."""
    named = credentials or {}
    tried = named.get("username") or named.get("login") or (request.POST.get("login") if request is not None else None)
    return str(tried).casefold() if tried else None


def locked_out(request: HttpRequest, response: Any = None, credentials: Any = None, *_: Any, **__: Any) -> HttpResponse:
    """The answer while a name is locked: the same for names that exist and names that do not."""
    return render(request, "portal/locked_out.html", status=429)


def _signed_in(sender: Any, request: HttpRequest, user: Any, **_: Any) -> None:
    from kodomo_platform.portal.looks import written
    from kodomo_platform.portal.models import Person

    if not request.session.session_key:
        request.session.save()
    person = Person.objects.filter(user=user).first()
    if person is not None:
        # one session: the newest sign-in ends the others
        Person.objects.filter(pk=person.pk).update(session_key=request.session.session_key or "")
        written(user.username, "portal sign-in", user.username, "sign-in", person.municipality)


def _signed_out(sender: Any, request: HttpRequest, user: Any, **_: Any) -> None:
    from kodomo_platform.portal.looks import written
    from kodomo_platform.portal.models import Person

    person = Person.objects.filter(user=user).first() if user is not None else None
    if person is not None:
        Person.objects.filter(pk=person.pk).update(session_key="")
        written(user.username, "portal sign-out", user.username, "sign-out", person.municipality)


def _refused(sender: Any, credentials: dict[str, Any], request: Any = None, **_: Any) -> None:
    from kodomo_platform.portal.looks import written

    # what was typed into the name may be a password: only names that exist are written down
    from kodomo_platform.portal.models import Person

    name = str(credentials.get("username") or credentials.get("login") or "")
    person = Person.objects.filter(user__username=name).first()
    written(
        "unknown",
        "portal sign-in refused",
        name if person else "no such login",
        "sign-in",
        person.municipality if person else "",
    )


def bind() -> None:
    """Connect the signals, once."""
    user_logged_in.connect(_signed_in, dispatch_uid="portal_signed_in")
    user_logged_out.connect(_signed_out, dispatch_uid="portal_signed_out")
    user_login_failed.connect(_refused, dispatch_uid="portal_refused")
