"""What every page has at hand: the person, their municipality, its snapshot, the language; and the look that it leaves."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import date
from functools import cached_property, wraps
from typing import Any, Literal

from django.contrib.auth.decorators import login_required
from django.http import Http404, HttpRequest, HttpResponse
from django.utils import timezone
from django.utils.translation import get_language
from django.views.decorators.http import require_http_methods

from kodomo_platform.errors import KodomoError, NoSnapshotError, ReadOnlyError
from kodomo_platform.portal import looks
from kodomo_platform.portal.models import Person
from kodomo_platform.portal.reading import Register, register_of
from kodomo_platform.portal.rights import Actor, Permission

#: from this age of a snapshot on, a banner says that the data are old; from the second on, nothing is decided on them
STALE_DAYS = 35
TOO_OLD_DAYS = 120

View = Callable[..., HttpResponse]


@dataclass
class Desk:
    """One request's desk."""

    request: HttpRequest
    actor: Actor
    person: Person
    #: set by a page before it answers: how many looks were written
    looks_written: int = field(default=0)

    @property
    def language(self) -> Literal["ja", "en"]:
        """``ja`` or ``en``."""
        return "en" if get_language() == "en" else "ja"

    def t(self, ja: str, en: str) -> str:
        """The text of the reader's language."""
        return en if self.language == "en" else ja

    @cached_property
    def town(self) -> Any:
        """The municipality's configuration, None where it has none."""
        from kodomo_platform.municipalities import load_municipality

        try:
            return load_municipality(self.actor.municipality)
        except KodomoError:
            return None

    @cached_property
    def register(self) -> Register:
        """The snapshot in use. Raises NoSnapshotError."""
        return register_of(self.actor.municipality)

    @cached_property
    def trouble(self) -> NoSnapshotError | None:
        """Why there is no snapshot; None if there is one."""
        try:
            _ = self.register
        except NoSnapshotError as error:
            return error
        return None

    @cached_property
    def by_consent(self) -> bool:
        """Whether this municipality links data because of consent."""
        return self.town is not None and str(self.town.consent.rule) != "none"

    @cached_property
    def hide_records(self) -> bool:
        """Whether the municipality hides even the existence of a protected child."""
        from kodomo_platform.portal.choices import choices

        return choices(self.actor.municipality).hide_protected_records

    @cached_property
    def age_days(self) -> int:
        """Age of the snapshot's data in days."""
        return (timezone.localdate() - self.register.as_of).days

    @property
    def stale(self) -> bool:
        """Whether a banner is due."""
        return self.trouble is None and self.age_days > STALE_DAYS

    @property
    def too_old(self) -> bool:
        """Whether nothing may be decided on these data any more."""
        return self.trouble is None and self.age_days > TOO_OLD_DAYS

    def require_fresh(self) -> None:
        """Raise ReadOnlyError while nothing may be decided."""
        if self.trouble is not None or self.too_old:
            raise ReadOnlyError(
                "the data are missing or too old to decide on",
                where=f"municipality {self.actor.municipality}",
                expected=f"a snapshot of the last {TOO_OLD_DAYS} days",
                action="ask those who run the platform for a run; what was written before stays as it is",
            )

    @cached_property
    def modes(self) -> dict[str, str]:
        """How much of each theme the municipality shows: alert, ox or score."""
        return {} if self.town is None else {str(theme.key): theme.display_mode for theme in self.town.themes}

    def mode(self, theme: str) -> Any:
        """The mode of a theme; of one without a decision the least."""
        return self.modes.get(theme, "alert")

    def theme_label(self, theme: str) -> str:
        """A theme's name for people."""
        from kodomo_platform.scoring import load_themes

        known = load_themes().get(theme)
        return theme if known is None else (known.label_en if self.language == "en" else known.label_ja)

    # --- children -------------------------------------------------------------------------------------------------

    def child(self, child_id: str) -> dict[str, Any]:
        """One child this person may open. Raises Http404 (written down as a refused look) for all others alike."""
        child = self.register.child(self.actor, child_id, hide_records=self.hide_records)
        if child is None:
            self.look(looks.PAGE, purpose=self.t("こどもの画面", "child page"), detail=child_id[:40], refused=True)
            raise Http404
        return child

    def reach(self, permission: Permission, child_id: str) -> None:
        """Raise unless ``permission`` reaches this very child."""
        self.actor.require(permission, self.request.path)
        if not self.register.reached(self.actor, permission, child_id, hide_records=self.hide_records):
            self.look(looks.PAGE, purpose=permission.value, detail=child_id[:40], refused=True)
            raise Http404

    def look(
        self, kind: str, *, purpose: str, children: Iterable[str] = (), detail: str = "", refused: bool = False
    ) -> None:
        """Leave a trace before the page leaves."""
        looks.record(
            self.actor,
            kind,
            path=self.request.path,
            purpose=purpose,
            children=children,
            detail=detail,
            refused=refused,
            address=str(self.request.META.get("REMOTE_ADDR", ""))[:45],
            snapshot="" if self.trouble is not None else self.register.version,
        )
        self.looks_written += 1

    @property
    def today(self) -> date:
        """Today where the municipality is."""
        return timezone.localdate()


def page(permission: Permission, *methods: str) -> Callable[[View], View]:
    """A page that needs ``permission``. The person must be signed in with both factors; ``methods``: GET unless given."""

    def wrap(view: View) -> View:
        @wraps(view)
        def inner(request: HttpRequest, *args: Any, **named: Any) -> HttpResponse:
            desk: Desk = request.desk
            desk.actor.require(permission, request.path)
            return view(request, *args, **named)

        guarded = login_required(require_http_methods(list(methods or ("GET", "HEAD")))(inner))
        guarded.permission = permission
        return guarded

    return wrap
