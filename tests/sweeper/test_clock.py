import pytest

from sweeper.clock import clock


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(None, "?"), (0, "0:00:00"), (59.6, "0:01:00"), (3661, "1:01:01"), (360000, "100:00:00")],
)
def test_durations_are_hours_minutes_and_seconds(seconds: float | None, text: str) -> None:
    assert clock(seconds) == text
