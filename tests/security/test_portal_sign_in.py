"""Sign-in, sessions, forms and headers: what an attacker on the municipality's network would try first."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests import portal_town
from tests.portal_town import CHILDREN, CODE, PLANTED, THEME, quick_sign_in, sign_in


def _client(**more: Any) -> Any:
    from django.test import Client

    return Client(raise_request_exception=False, **more)


def test_five_wrong_passwords_lock_a_name_that_exists_and_one_that_does_not_alike(written_town: Path) -> None:
    answers: dict[str, list[int]] = {}
    bodies: dict[str, str] = {}
    for login in ("desk", "nobody-of-this-name"):
        client = _client()
        answers[login] = [
            client.post("/sign-in/", {"login": login, "password": f"wrong {n}"}).status_code for n in range(7)
        ]
        last = client.post("/sign-in/", {"login": login, "password": portal_town.password_of("desk")[0]})
        bodies[login] = re.sub(r'value="[^"]*"', "", last.content.decode())
        assert last.status_code == 429
    assert answers["desk"] == answers["nobody-of-this-name"]
    assert bodies["desk"] == bodies["nobody-of-this-name"]
    # another name of the same office goes on
    assert sign_in("lead").get("/today/").status_code == 200


def test_the_password_alone_opens_nothing(written_town: Path) -> None:
    client = _client()
    client.post("/sign-in/", {"login": "desk", "password": portal_town.password_of("desk")[0]})
    assert client.get("/children/").status_code == 302
    assert client.post("/second-factor/authenticate/", {"code": "000000"}).status_code in (200, 429)
    assert client.get("/children/").status_code == 302


def test_a_second_sign_in_ends_the_first_session(written_town: Path) -> None:
    first = quick_sign_in("desk")
    assert first.get("/today/").status_code == 200
    second = quick_sign_in("desk")
    assert first.get("/today/").status_code == 302
    assert second.get("/today/").status_code == 200


def test_a_session_known_beforehand_is_not_taken_over(written_town: Path) -> None:
    client = _client()
    client.get("/sign-in/")
    client.cookies["sessionid"] = "a" * 32
    password, secret = portal_town.password_of("desk")
    client.post("/sign-in/", {"login": "desk", "password": password})
    from kodomo_platform.portal.digits import digits_now

    client.post("/second-factor/authenticate/", {"code": digits_now(secret)})
    assert client.cookies["sessionid"].value != "a" * 32
    assert client.get("/today/").status_code == 200


def test_an_idle_session_ends(written_town: Path) -> None:
    from django.conf import settings
    from django.contrib.sessions.models import Session
    from django.utils import timezone

    assert settings.SESSION_COOKIE_AGE == 15 * 60
    client = quick_sign_in("desk")
    client.get("/today/")
    Session.objects.all().update(expire_date=timezone.now() - timezone.timedelta(seconds=1))
    assert client.get("/today/").status_code == 302


def test_a_closed_account_is_out_at_once(written_town: Path) -> None:
    from django.contrib.auth.models import User

    client = quick_sign_in("desk")
    User.objects.filter(username="desk").update(is_active=False)
    assert client.get("/children/").status_code == 302


def test_a_form_without_its_token_writes_nothing(written_town: Path) -> None:
    from django.contrib.auth.models import User

    from kodomo_platform.portal.models import Note

    client = _client(enforce_csrf_checks=True)
    client.force_login(User.objects.get(username="desk"), backend="django.contrib.auth.backends.ModelBackend")
    answer = client.post(
        f"/children/{CHILDREN[1].child_id}/notes/", {"kind": "note", "happened_on": "2026-10-01", "text": "x"}
    )
    assert answer.status_code == 403
    assert Note.objects.count() == 0


@pytest.mark.parametrize(
    "target", ["https://evil.example/", "//evil.example", "javascript:alert(1)", "/\\evil.example"]
)
def test_nobody_is_led_away(written_town: Path, target: str) -> None:
    client = _client()
    assert client.post("/language/", {"language": "en", "next": target}).headers["Location"] == "/"
    password, secret = portal_town.password_of("desk")
    client.post("/sign-in/?next=" + target, {"login": "desk", "password": password, "next": target})
    from django.core.cache import cache

    from kodomo_platform.portal.digits import digits_now

    cache.clear()
    answer = client.post("/second-factor/authenticate/", {"code": digits_now(secret)})
    assert "evil" not in answer.headers["Location"]
    assert "javascript" not in answer.headers["Location"]


def test_every_page_carries_its_headers(town: Path) -> None:
    client = quick_sign_in("lead")
    for address in ("/today/", "/children/", f"/children/{CHILDREN[0].child_id}/", "/nowhere/", "/dashboard/"):
        answer = client.get(address)
        policy = answer.headers["Content-Security-Policy"]
        assert "unsafe" not in policy
        assert "default-src 'none'" in policy
        assert answer.headers["X-Frame-Options"] == "DENY"
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
        assert "no-store" in answer.headers["Cache-Control"]


def test_no_page_has_script_or_style_inside_it(town: Path) -> None:
    client = quick_sign_in("lead")
    for address in (
        "/today/",
        f"/children/?theme={THEME}",
        f"/children/{CHILDREN[0].child_id}/",
        "/dashboard/",
        "/flags/",
        "/links/",
    ):
        body = client.get(address).content.decode()
        assert not re.search(r"<script(?![^>]* src=)", body), address
        assert not re.search(r"<[^>]*\s(style|on\w+)=|<style", body), address
        assert "http://" not in body.replace("http://www.w3.org/2000/svg", "")


@pytest.mark.parametrize("number", [12, 13, 14, 15])
def test_what_a_source_plants_stays_text(town: Path, number: int) -> None:
    client = quick_sign_in("lead")
    child = CHILDREN[number]
    for address in (f"/children/{child.child_id}/", f"/children/?theme={THEME}", "/children/?theme="):
        body = client.get(address).content.decode()
        assert PLANTED not in body
        assert "<img src=x" not in body
    assert "&lt;script&gt;" in client.get(f"/children/{child.child_id}/").content.decode()


def test_what_people_plant_stays_text(written_town: Path) -> None:
    client = quick_sign_in("lead")
    child = CHILDREN[1]
    client.post(f"/children/{child.child_id}/notes/", {"kind": "note", "happened_on": "2026-10-01", "text": PLANTED})
    client.post(f"/children/{child.child_id}/{THEME}/decide/", {"answer": "agree", "reason": PLANTED, "revision": "0"})
    client.post("/children/saved/", {"name": PLANTED, "theme": THEME})
    for address in (f"/children/{child.child_id}/", "/children/", "/today/"):
        body = client.get(address).content.decode()
        assert "<script>alert" not in body
    assert "&lt;script&gt;" in client.get(f"/children/{child.child_id}/").content.decode()


@pytest.mark.parametrize(
    "query",
    ["theme='; drop table child; --", "school=' or 1=1 --", "sort=rank; select 1", "grade=1e9", "page=-1", "page=99999999", "band=high'--", "state=zzz", "only=%00", "theme=%F0%9F%98%80"],
)  # fmt: skip
def test_filters_are_values_and_never_sql(town: Path, query: str) -> None:
    client = quick_sign_in("desk")
    answer = client.get("/children/?" + query)
    assert answer.status_code == 200
    assert client.get("/children.json?" + query).json()["total"] <= len(CHILDREN)


def test_forms_take_no_more_than_they_ask_for(written_town: Path) -> None:
    from kodomo_platform.portal.models import Case, Person

    client = quick_sign_in("desk")
    child = CHILDREN[1].child_id
    more = {
        "owner": "1",
        "state": "ended",
        "municipality": "172065",
        "is_superuser": "1",
        "sees_protected": "1",
        "by": "x",
    }
    client.post(f"/children/{child}/{THEME}/decide/", {"answer": "agree", "reason": "見守る", "revision": "0", **more})
    case = Case.objects.get(child_id=child)
    assert (case.state, case.owner, case.municipality) == ("agreed", None, CODE)
    assert not Person.objects.get(user__username="desk").sees_protected


def test_the_sign_in_says_nothing_about_who_exists(town: Path) -> None:
    bodies = []
    for login in ("admin", "no-such-login"):
        answer = _client().post("/sign-in/", {"login": login, "password": "wrong"})
        bodies.append(re.sub(r'value="[^"]*"', "", answer.content.decode()))
    assert bodies[0] == bodies[1]


def test_django_finds_nothing_to_check_before_deployment(written_town: Path) -> None:
    code = (
        "from kodomo_platform.portal.serving import set_up; set_up();"
        "from django.core.management import call_command; call_command('check', '--deploy', fail_level='WARNING')"
    )
    import os

    done = subprocess.run(
        [sys.executable, "-c", code],
        env={
            **os.environ,
            "KODOMO_HOME": str(written_town),
            "KODOMO_PORTAL_TLS": "1",
            "KODOMO_PORTAL_HOSTS": "desk.example",
        },
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr


def test_the_portal_listens_beyond_this_machine_only_behind_tls(monkeypatch: pytest.MonkeyPatch) -> None:
    from kodomo_platform.errors import ConfigurationError
    from kodomo_platform.portal.serving import command
    from kodomo_platform.settings import use_home

    with pytest.raises(ConfigurationError):
        command("0.0.0.0", 8000)
    command("127.0.0.1", 8000)
    monkeypatch.setenv("KODOMO_PORTAL_TLS", "1")
    use_home(None)
    command("0.0.0.0", 8000)
    monkeypatch.delenv("KODOMO_PORTAL_TLS")
    use_home(None)


def test_texts_lie_sealed_in_the_database(written_town: Path) -> None:
    client = quick_sign_in("desk")
    client.post(
        f"/children/{CHILDREN[1].child_id}/notes/",
        {"kind": "visit", "happened_on": "2026-10-01", "text": "鍵のかかる文章"},
    )
    assert "鍵のかかる文章" in client.get(f"/children/{CHILDREN[1].child_id}/").content.decode()
    for file in written_town.glob("operations.sqlite3*"):
        content = file.read_bytes()
        assert "鍵のかかる文章".encode() not in content
        for child in CHILDREN:
            assert child.address.encode() not in content
            assert child.phone.encode() not in content
