"""Days and moments as people read them."""

from __future__ import annotations

from datetime import UTC, date, datetime

from kodomo_platform.moments import shown_day, shown_moment


def test_moments_are_local_and_written_as_people_write_them() -> None:
    assert shown_moment("2026-11-29T20:34:28+00:00") == "2026年11月30日 5時34分"
    assert shown_moment(datetime(2026, 11, 29, 20, 34, tzinfo=UTC), "en") == "2026-11-30 05:34"
    assert shown_moment("2026-11-29T20:34:28") == "2026年11月30日 5時34分"
    assert shown_day(date(2026, 10, 1)) == "2026年10月1日"
    assert shown_day("2026-10-01", "en") == "2026-10-01"
    assert shown_day("—") == "—" == shown_moment("—")
