"""Which requests come in: this machine's own names, and no other site's."""

from __future__ import annotations

import pytest

from kodomo_platform.installation.front import LOCAL_HOSTS, host_name, refusal

HOSTS = frozenset(LOCAL_HOSTS)
MUTATION = "query=mutation%7Bdelete%7D"


def asked(method: str = "GET", path: str = "/", query: str = "", websocket: bool = False, **headers: str) -> int:
    given = {"host": "127.0.0.1:3000"} | {name.replace("_", "-"): value for name, value in headers.items()}
    found = refusal(
        method, path, query, [(n.encode(), v.encode()) for n, v in given.items()], HOSTS, websocket=websocket
    )
    return found[0] if found else 200


@pytest.mark.parametrize("host", ["127.0.0.1:3000", "localhost", "LOCALHOST:80", "[::1]:3000"])
def test_this_machines_names_come_in(host: str) -> None:
    assert asked(host=host) == 200


@pytest.mark.parametrize(
    "host",
    ["evil.example", "127.0.0.1.evil.example", "evil.example:3000", "", "localhost.", "[::1].evil", "127.0.0.1@evil"],
)
def test_any_other_name_is_refused(host: str) -> None:
    assert asked(host=host) == 421


def test_a_request_without_a_host_or_with_two_is_refused() -> None:
    assert refusal("GET", "/", "", [], HOSTS) is not None
    assert refusal("GET", "/", "", [(b"host", b"localhost"), (b"host", b"localhost")], HOSTS) is not None


@pytest.mark.parametrize("origin", ["http://evil.example", "null", "http://127.0.0.1:5000", "file://"])
def test_another_origin_changes_nothing(origin: str) -> None:
    assert asked("POST", "/graphql", origin=origin) == 403
    assert asked("GET", "/graphql", websocket=True, origin=origin) == 403
    assert asked("GET", "/graphql", origin=origin) == 403
    assert asked("DELETE", "/api/2.0/mlflow/runs/delete", origin=origin) == 403


def test_the_pages_own_requests_and_programs_come_in() -> None:
    assert asked("POST", "/graphql", origin="http://127.0.0.1:3000", sec_fetch_site="same-origin") == 200
    assert asked("GET", "/graphql", websocket=True, origin="http://127.0.0.1:3000") == 200
    assert asked("POST", "/api/2.0/mlflow/runs/create") == 200


def test_nothing_is_changed_by_get() -> None:
    assert asked("GET", "/graphql", MUTATION) == 405
    assert asked("GET", "/graphql/", MUTATION) == 405
    assert asked("GET", "/graphql") == 200, "the page where queries are written"


def test_a_link_from_another_site_opens_a_page_and_an_image_of_it_does_not() -> None:
    assert asked(sec_fetch_site="cross-site", sec_fetch_mode="navigate") == 200
    assert asked(path="/runs", sec_fetch_site="cross-site", sec_fetch_mode="no-cors") == 403
    assert asked("POST", sec_fetch_site="cross-site", sec_fetch_mode="navigate") == 403


def test_the_name_in_a_host() -> None:
    assert [host_name(one) for one in ("A:1", "a", "[::1]:5", "[::1]")] == ["a", "a", "[::1]", "[::1]"]
