"""Times keep their moment in text."""

from datetime import UTC, datetime, timedelta, timezone

import pytest

from chengshu.kernel.clock import from_iso, iso, system_clock


def test_a_time_survives_text_form() -> None:
    moment = system_clock()
    assert from_iso(iso(moment)) == moment


def test_a_local_time_is_written_in_utc() -> None:
    beijing = timezone(timedelta(hours=8))
    assert iso(datetime(2026, 1, 1, 7, 30, tzinfo=beijing)) == "2025-12-31T23:30:00.000Z"
    assert from_iso("2026-01-01T07:30:00+08:00") == datetime(2025, 12, 31, 23, 30, tzinfo=UTC)


def test_a_time_without_an_offset_is_refused() -> None:
    with pytest.raises(ValueError, match="offset"):
        from_iso("2026-01-01T00:00:00")
