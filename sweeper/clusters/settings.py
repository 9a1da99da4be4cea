"""What a batch job asks of its cluster: a small file, checked as experiments are, and flags."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator, Field, NonNegativeInt, ValidationError

from sweeper.fields import faults, note
from sweeper.layers import merge, prune
from sweeper.located import Node, Place, Problems
from sweeper.sections import Amount, CustomName
from sweeper.sizes import parse_size
from sweeper.source import read
from trainables.config import Config, Count
from trainables.masking import is_secret

_OPTIONS = Place("the command line")


def _is_word(text: str) -> str:
    # Words go into scripts and manifests: nothing in them may mean more than itself.
    if not re.fullmatch(r"[A-Za-z0-9_][A-Za-z0-9_.,:@/+-]*", text):
        raise ValueError(f"has letters, digits and _ . , : @ / + -, and no spaces; got {text!r}")
    return text


def _is_label(text: str) -> str:
    if not re.fullmatch(r"[a-z0-9]([a-z0-9.-]{0,61}[a-z0-9])?", text):
        raise ValueError(f"has small letters, digits, '-' and '.', as Kubernetes; got {text!r}")
    return text


def _is_time(value: object) -> object:
    if isinstance(value, int):  # minutes or seconds?
        raise ValueError('is a text, such as "90" for minutes, or 12:00:00')
    if isinstance(value, str) and not re.fullmatch(r"(\d+-\d\d|\d{1,3}):\d\d:\d\d|\d+", value):
        raise ValueError(f"is MINUTES, HOURS:MM:SS or DAYS-HH:MM:SS; got {value!r}")
    return value


def _is_variable(name: str) -> str:
    if not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", name):
        raise ValueError(f"an environment variable has letters, digits and '_'; got {name!r}")
    if is_secret(name):
        raise ValueError(
            f"{name} looks like a secret, which has no place in a file; name a Kubernetes secret "
            "under secrets, or let the job find it where such things are kept"
        )
    return name


def _is_one_line(text: str) -> str:
    if "\n" in text or "\0" in text:
        raise ValueError("is one line; write several as several entries")
    return text


Word = Annotated[str, AfterValidator(_is_word)]
Label = Annotated[str, AfterValidator(_is_label)]
Line = Annotated[str, AfterValidator(_is_one_line)]
Variable = Annotated[str, AfterValidator(_is_variable)]


class Settings(Config):
    """What a job asks for; amounts are for each node, and each engine takes some of the fields.

    Slurm: `partition`, `account`, `grace` seconds between the signal and the end of the time,
    `setup` lines of shell that every node runs first. Ray: `address` of the cluster's dashboard.
    KubeRay: `image` with sweeper in it, `namespace`, the volume `claim` to mount at `mount`,
    `secrets` whose entries become environment variables, `service_account`.
    """

    nodes: Count = 1
    cpus: Count | None = None
    gpus: NonNegativeInt = 0
    memory: Annotated[NonNegativeInt, BeforeValidator(parse_size)] = 0
    custom: dict[CustomName, Amount] = Field(default_factory=dict)
    time: Annotated[str | None, BeforeValidator(_is_time)] = None
    retries: NonNegativeInt | None = None
    environment: dict[Variable, Line] = Field(default_factory=dict)

    partition: Word | None = None
    account: Word | None = None
    grace: Annotated[int, Field(ge=10, le=65535)] = 120
    setup: list[Line] = Field(default_factory=list)

    address: Word | None = None

    image: Word | None = None
    namespace: Label | None = None
    claim: Label | None = None
    mount: Annotated[Word, Field(pattern=r"^/")] = "/sweeper"
    secrets: list[Label] = Field(default_factory=list)
    service_account: Label | None = None

    @property
    def seconds(self) -> int:
        """The time limit in seconds, 0 without one."""
        days, _, rest = (self.time or "0").rpartition("-")
        parts = [int(part) for part in rest.split(":")]
        if len(parts) < 3 and not days:
            parts = [0, *parts]  # MINUTES
        hours, minutes, seconds = (*parts, 0, 0)[:3]
        return ((int(days or 0) * 24 + hours) * 60 + minutes) * 60 + seconds


def load(
    path: Path | None, flags: Mapping[str, Any], engine: str, known: frozenset[str]
) -> Settings:
    """Read a cluster file, if there is one, under what flags say; `known` is what `engine` takes.

    Raises `SweeperError` with everything that is wrong, each with its place and field.
    """
    problems = Problems(str(path or "the command line"), f"cluster for {engine}")
    document = Node({}, _OPTIONS)
    if path is not None:
        document = prune(read(path, problems))
    given = {
        name: Node.of(value, Place(f"--{name}"))
        for name, value in flags.items()
        if value is not None
    }
    document = merge(document, Node(given, _OPTIONS))
    plain = document.plain()
    settings = Settings()
    try:
        settings = Settings.model_validate(plain)
    except ValidationError as error:
        for fault in faults(error, Settings, plain):
            note(document, (), fault, problems)
    for name in document.children.keys() & Settings.model_fields.keys() - known:
        takes = ", ".join(sorted(known))
        problems.add(
            document.children[name].place, name, f"is nothing that {engine} takes; it has {takes}"
        )
    if problems:
        raise problems.error()
    return settings
