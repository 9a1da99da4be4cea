"""One Parquet file of the result store: written whole or not at all, and any damage noticed."""

import hashlib
import io
import itertools
from collections.abc import Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from sweeper.columns import SCHEMA, SCHEMA_VERSION, VERSION_KEY
from sweeper.errors import SweeperError
from trainables import storage

DAMAGED = "damaged"  # the directory, beside them, for files that are set aside
WITHDRAWN = "withdrawn"  # and for rows that were stored, but shall count no more

# Between the last page and the footer lie this and the SHA-256 of all other bytes. Readers of
# Parquet follow the footer's offsets, so they never see it.
_MARK = b"SWEEPER1"
_SEAL_BYTES = len(_MARK) + hashlib.sha256().digest_size
_TAIL_BYTES = 8  # the footer's length and Parquet's magic number


class NewerSchemaError(SweeperError):
    """Rows that a newer sweeper wrote: half of them, or what they hold, cannot be guessed."""


class DamagedError(SweeperError):
    """A file whose bytes are not those that were written, and in a few words why that is known."""

    def __init__(self, path: Path, reason: str) -> None:
        super().__init__(
            f"{path} cannot be read ({reason}). It is damaged; resume the run, which sets it "
            "aside and trains what it held again."
        )
        self.reason = reason


def write(table: pa.Table, path: Path) -> Path:
    """Write a table so that readers, and a power cut, see all of it or nothing.

    Raises `SweeperError` where it cannot be written; then nothing of it is left.
    """
    content = _sealed(table.replace_schema_metadata({VERSION_KEY: str(SCHEMA_VERSION)}))
    try:
        storage.write(str(path), content)
    except OSError as error:
        raise SweeperError(
            f"cannot write {path}: {error.strerror or error}. What was stored before is intact; "
            "make room or mend the permissions, then resume the run."
        ) from error
    return path


def load(path: Path, names: Sequence[str] = SCHEMA.names, knobs: bool = True) -> pa.Table:
    """Read at least those of the columns that a file has.

    Raises `FileNotFoundError` where there is none, `DamagedError` where it is not as it was
    written, and `SweeperError` where it cannot be opened, is not ours, or of a newer schema.
    """
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        raise
    except OSError as error:
        raise SweeperError(
            f"{path} cannot be read ({error.strerror or error}); mend its permissions or the disk"
        ) from error
    try:
        _check_seal(content)
        with pq.ParquetFile(pa.BufferReader(content)) as file:
            stored = file.schema_arrow
            version = (stored.metadata or {}).get(VERSION_KEY)
            if version is None:
                raise SweeperError(f"{path} was not written by sweeper; move it elsewhere.")
            if int(version) > SCHEMA_VERSION:
                raise NewerSchemaError(
                    f"{path} was written by a newer sweeper (schema {int(version)}; this one "
                    f"reads up to {SCHEMA_VERSION}); upgrade sweeper to read it."
                )
            wanted = [n for n in stored.names if n in names or (knobs and "." in n)]
            return file.read(columns=wanted)
    except (OSError, ValueError, pa.ArrowException) as error:
        raise DamagedError(path, str(error).splitlines()[0].rstrip(".")) from error


def is_whole(path: Path) -> bool:
    """Say whether a file is there and as it was written.

    Raises `SweeperError` where it cannot be opened.
    """
    try:
        load(path, ())
    except (DamagedError, FileNotFoundError):
        return False
    except NewerSchemaError:
        return True
    return True


def set_aside(path: Path, where: str = DAMAGED) -> Path:
    """Move a file into a directory beside it, to what lies there; nothing is ever deleted.

    Raises `SweeperError` where it cannot be moved.
    """
    directory = path.parent / where
    try:
        directory.mkdir(exist_ok=True)
        aside = directory / path.name
        for number in itertools.count(2):
            if not aside.exists():
                break
            aside = directory / f"{path.name}.{number}"
        path.rename(aside)
    except OSError as error:
        raise SweeperError(
            f"cannot move {path} into {directory}: {error.strerror or error}; "
            "mend the permissions, then resume the run"
        ) from error
    return aside


def _sealed(table: pa.Table) -> bytes:
    """The bytes of a Parquet file, with a checksum of all of them in front of its footer.

    Parquet's own checksums, which are there for other readers, leave out the footer, and with it
    the names and types of the columns.
    """
    buffer = io.BytesIO()
    pq.write_table(table, buffer, write_page_checksum=True)
    plain = buffer.getvalue()
    footer = _footer_start(plain)
    return plain[:footer] + _MARK + hashlib.sha256(plain).digest() + plain[footer:]


def _check_seal(content: bytes) -> None:
    """Raise `ValueError` where the checksum is not that of the content.

    Files of earlier versions have none.
    """
    footer = _footer_start(content)
    seal = content[max(0, footer - _SEAL_BYTES) : footer]
    if seal.startswith(_MARK):
        digest = hashlib.sha256(content[: footer - _SEAL_BYTES])
        digest.update(content[footer:])
        if digest.digest() != seal[len(_MARK) :]:
            raise ValueError("its checksum is wrong")


def _footer_start(content: bytes) -> int:
    length = int.from_bytes(content[-_TAIL_BYTES : 4 - _TAIL_BYTES], "little")
    return len(content) - _TAIL_BYTES - length
