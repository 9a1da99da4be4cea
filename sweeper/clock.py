"""Durations as a person reads them."""


def clock(seconds: float | None) -> str:
    """Write a duration as h:mm:ss, or `?`."""
    if seconds is None:
        return "?"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}"
