"""Text without secrets: what is logged or stored may be read by more people than may log in."""

import os
import re
from collections.abc import Mapping

MASK = "***"
SHORTEST = 6  # characters of a value that is masked; a shorter one is as likely a plain word

_SECRET_NAME = re.compile(
    r"(^|_)(TOKEN|PASSWORD|PASSWD|PASSPHRASE|SECRET|SECRETS|API_?KEY|ACCESS_?KEY(_ID)?|"
    r"(SECRET|PRIVATE|STORAGE|ACCOUNT|SIGNING|ENCRYPTION)_?KEY|SAS|CONNECTION_STRING)$",
    re.IGNORECASE,
)
# `//user:password@host`. The password may hold an @, the host may not.
_USERINFO = re.compile(r"(?<=://)[^\s/?#'\"]+@")
_QUERY = re.compile(
    r"(?<=[?&])([\w.-]*(?:signature|token|secret|password|credential|api_?key|sig)=)[^&\s'\"]+",
    re.IGNORECASE,
)
_AUTHORIZATION = re.compile(r"\b(Bearer|Basic)\s+[\w.~+/=-]{6,}")


def is_secret(variable: str) -> bool:
    """Say whether an environment variable is called like what holds a credential.

    >>> is_secret("HF_TOKEN"), is_secret("TOKENIZERS_PARALLELISM")
    (True, False)
    """
    return _SECRET_NAME.search(variable) is not None


def mask(text: str, environment: Mapping[str, str] | None = None) -> str:
    """Give a text with stars for what opens doors.

    These are the values of the variables of the `environment` (by default this process's) that
    are called like credentials, e.g. `AWS_SECRET_ACCESS_KEY`, `HF_TOKEN` or `DB_PASSWORD`, and
    what stands before the @ of a URL, in its signed query, and after `Bearer`.

    >>> mask("s3://key:secret@bucket refuses correct-horse", {"A_TOKEN": "correct-horse"})
    's3://***@bucket refuses ***'
    """
    variables = os.environ if environment is None else environment
    values = {
        line
        for name, value in variables.items()
        if is_secret(name)
        for line in (value, value.strip(), *value.splitlines())  # a key file has several lines
        if len(line) >= SHORTEST
    }
    for value in sorted(values, key=len, reverse=True):  # one may be a part of another
        text = text.replace(value, MASK)
    text = _USERINFO.sub(f"{MASK}@", text)
    text = _QUERY.sub(rf"\1{MASK}", text)
    return _AUTHORIZATION.sub(rf"\1 {MASK}", text)
