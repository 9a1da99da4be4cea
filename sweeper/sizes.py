"""Amounts of memory as people write them, and as machines count them."""

import re

UNITS = {
    "": 1,
    "B": 1,
    **{f"{prefix}B": 1000**power for power, prefix in enumerate("kMGT", 1)},
    **{f"{prefix}iB": 1024**power for power, prefix in enumerate("KMGT", 1)},
}


def parse_size(value: object) -> object:
    """Give the bytes that a text like `4GiB` or `500 MB` means; anything else as it is.

    Raises `ValueError` for a text that is no amount of memory.

    >>> parse_size("4GiB"), parse_size("1.5 kB"), parse_size(4096)
    (4294967296, 1500, 4096)
    """
    if not isinstance(value, str):
        return value
    found = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([A-Za-z]*)\s*", value)
    units = {unit.lower(): factor for unit, factor in UNITS.items()}
    if not found or found[2].lower() not in units:
        raise ValueError(
            f"an amount of memory is a number of bytes or a text such as 4GiB or 500MB; "
            f"got {value!r}"
        )
    return int(float(found[1]) * units[found[2].lower()])


def size(n_bytes: int) -> str:
    """Write a number of bytes with the largest unit that keeps it short.

    >>> size(4 * 1024**3), size(1536 * 1024**2), size(1000)
    ('4 GiB', '1.5 GiB', '1000 B')
    """
    for unit in ("TiB", "GiB", "MiB", "KiB"):
        if n_bytes >= UNITS[unit]:
            return f"{n_bytes / UNITS[unit]:.4g} {unit}"
    return f"{n_bytes} B"
