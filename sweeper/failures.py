"""The failure log of each trial, `failures/<trial id>.log`: what went wrong, each time in full.

It says more than a row's reason can. Needs neither torch nor Ray.
"""

from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

from trainables.failures import shortened
from trainables.masking import mask

LOG_CHARACTERS = 256 * 1024  # of one trial's log; the newest failures stay


def log_path(directory: Path, trial_id: str) -> Path:
    """Say where the failures of a trial are logged."""
    return directory / f"{trial_id}.log"


def write_log(directory: Path, trial_id: str, headline: str, text: str) -> Path | None:
    """Add a failure to a trial's log, without secrets; a reader sees all of it or none.

    Returns the log; none where it cannot be written, as on a full disk, since the row with the
    reason is worth more.
    """
    path = log_path(directory, trial_id)
    now = datetime.now(UTC).isoformat(timespec="seconds")
    entry = f"== {now} {mask(headline)}\n{mask(text).rstrip()}\n"
    before = ""
    with suppress(OSError):
        before = path.read_text("utf-8", errors="replace")
    partial = path.with_name(f"{path.name}.partial")
    try:
        directory.mkdir(parents=True, exist_ok=True)
        try:
            whole = before + shortened(entry, LOG_CHARACTERS)
            partial.write_text(whole[-LOG_CHARACTERS:], encoding="utf-8")
            partial.replace(path)
        finally:
            partial.unlink(missing_ok=True)
    except OSError:
        return None
    return path


def last_line(path: Path) -> str | None:
    """Give the last line of a trial's log, which names the error; none where there is none."""
    try:
        lines = path.read_text("utf-8", errors="replace").split("\n")
    except OSError:
        return None
    return next((line.strip() for line in reversed(lines) if line.strip()), None)
