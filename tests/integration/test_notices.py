"""Somebody is told: by mail, by webhook and in a file, once for each cause, without a personal value."""

from __future__ import annotations

import datetime as dt
import json
import socketserver
import threading
from collections.abc import Iterator
from email import message_from_bytes, policy
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import dagster as dg
import pytest

from kodomo_platform.errors import ConfigurationError, ExtractError
from kodomo_platform.installation.notices import Notice, all_well, route, tell
from kodomo_platform.orchestration.notifications import notice_of
from kodomo_platform.orchestration.retrying import retried
from kodomo_platform.settings import use_home

CODE = "343021"
NOTICE = Notice(
    CODE, "abc", "【こどもデータ連携】府中町: 処理が失敗しました", ("理由:", "ファイルが空です"), ("住民課",)
)
NOW = dt.datetime(2026, 10, 6, tzinfo=dt.UTC)


class _Smtp(socketserver.StreamRequestHandler):
    """As much of RFC 5321 as a client needs to leave a message."""

    def handle(self) -> None:
        self.wfile.write(b"220 test\r\n")
        recipients: list[str] = []
        while line := self.rfile.readline():
            verb = line[:4].upper()
            if verb == b"RCPT":
                recipients.append(line.decode().partition("<")[2].partition(">")[0])
            if verb == b"DATA":
                self.wfile.write(b"354 go on\r\n")
                body = b""
                while (part := self.rfile.readline()) != b".\r\n":
                    body += part
                self.server.received.append((recipients, body))  # type: ignore[attr-defined]
            self.wfile.write(b"221 bye\r\n" if verb == b"QUIT" else b"250 ok\r\n")
            if verb == b"QUIT":
                return


class _Hook(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        self.server.received.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))  # type: ignore[attr-defined]
        self.send_response(200)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        return


def _serving(server: socketserver.BaseServer) -> Iterator[socketserver.BaseServer]:
    server.received = []  # type: ignore[attr-defined]
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield server
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture
def mail(home: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[socketserver.BaseServer]:
    for server in _serving(socketserver.TCPServer(("127.0.0.1", 0), _Smtp)):
        monkeypatch.setenv("KODOMO_SMTP_PORT", str(server.server_address[1]))
        use_home(None)
        yield server


@pytest.fixture
def hook() -> Iterator[socketserver.BaseServer]:
    yield from _serving(HTTPServer(("127.0.0.1", 0), _Hook))


def written(home: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in (home / "notices" / "notices.jsonl").read_text(encoding="utf-8").splitlines()]


def test_mail_and_webhook_reach_the_office_that_must_act_once_for_each_cause(
    home: Path, mail: socketserver.BaseServer, hook: socketserver.BaseServer
) -> None:
    (home / "notifications.yaml").write_text(
        f"'{CODE}':\n  mail: desk@town.example\n  webhook: http://127.0.0.1:{hook.server_address[1]}/x\n"
        "  offices: {住民課: [jumin@town.example]}\n",
        encoding="utf-8",
    )
    assert tell(NOTICE, now=NOW) == ["file", "mail", "webhook"]
    for _ in range(50):
        assert tell(NOTICE, now=NOW) == [], "one for each cause"
    ((recipients, body),) = mail.received  # type: ignore[attr-defined]
    message = message_from_bytes(body, policy=policy.default)
    assert recipients == ["jumin@town.example"]
    assert message["Subject"] == NOTICE.subject
    assert "ファイルが空です" in message.get_content()
    assert [one["text"].splitlines()[0] for one in hook.received] == [NOTICE.subject]  # type: ignore[attr-defined]
    all_well(CODE)
    assert tell(NOTICE, now=NOW) != [], "it had gone, and is back"
    assert tell(NOTICE, now=NOW + dt.timedelta(days=8)) != [], "a week later it still stands"
    assert len(written(home)) == 3


def test_a_closed_network_has_the_file(home: Path) -> None:
    assert tell(NOTICE, now=NOW) == ["file"]
    (line,) = written(home)
    assert (line["municipality"], line["failed"]) == (CODE, [])
    assert line["subject"] == NOTICE.subject


def test_a_way_that_fails_is_named_and_tried_again(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KODOMO_SMTP_PORT", "9")
    use_home(None)
    (home / "notifications.yaml").write_text("default: {mail: desk@town.example}", encoding="utf-8")
    assert tell(NOTICE, now=NOW) == ["file"]
    assert tell(NOTICE, now=NOW) == ["file"]
    assert [line["failed"] for line in written(home)] == [["mail: ConnectionRefusedError"]] * 2


@pytest.mark.parametrize("text", ["[", "x", "default: {mial: a}", "default: [a]", "default: {offices: a}"])
def test_a_file_that_cannot_be_used_stops_no_notice(home: Path, text: str) -> None:
    (home / "notifications.yaml").write_text(text, encoding="utf-8")
    with pytest.raises(ConfigurationError, match="who is told"):
        route(NOTICE)
    assert tell(NOTICE, now=NOW) == ["file"]
    assert "who is told" in str(written(home)[0]["failed"])


def test_the_notice_of_a_failed_run_says_who_must_act_and_quotes_nothing(home: Path) -> None:
    @dg.asset(key="raw_resident__register", partitions_def=dg.StaticPartitionsDefinition([CODE]))
    @retried
    def own() -> None:
        raise ExtractError("the file is empty", where="2026-10-08/a.csv", expected="records under a header")

    @dg.asset(key="raw_education__attendance", partitions_def=dg.StaticPartitionsDefinition([CODE]))
    def foreign() -> None:
        raise ValueError("could not convert 山田太郎 to float")

    with dg.DagsterInstance.local_temp(str(home)) as instance:
        result = dg.materialize([own, foreign], instance=instance, partition_key=CODE, raise_on_error=False)
        run = instance.get_run_by_id(result.run_id)
        assert run is not None
        notice = notice_of(instance, run)
    assert notice.municipality == CODE
    assert "府中町" in notice.subject
    assert "2026-10-08/a.csv: ファイルが空です" in notice.text
    assert "住民課" in notice.offices
    assert "山田太郎" not in notice.text
    assert "ValueError" in notice.text
    assert "直前の正しいスナップショット" in notice.text


def test_a_date_before_the_first_extract_is_refused_at_once(home: Path) -> None:
    from kodomo_platform.errors import UsageError
    from kodomo_platform.orchestration.runs import execute

    (home / "landing" / CODE / "2026-10-01").mkdir(parents=True)
    with pytest.raises(UsageError, match=r"before the first extract[\s\S]*2026-10-01 or later"):
        execute(CODE, as_of=dt.date(2026, 9, 30))
