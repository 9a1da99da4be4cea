"""The Optuna journal of a run: opened, mended or set aside, and completed from the stored rows.

What the journal knows that the rows do not is which trials are under way; all else can be made
again from them.
"""

import json
import os
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend
from optuna.trial import FrozenTrial, TrialState, create_trial

from search_spaces.distributions import Categorical, Distribution, Float, Int, Value
from search_spaces.spaces import Space
from sweeper.parts import set_aside

IDENTITY = "config_hash"  # where the journal keeps what a configuration was proposed as
ADOPTED = "adopted"  # what the journal says of a configuration that it has from the rows


def open_journal(journal: Path, notices: list[str]) -> JournalStorage:
    """Open a journal, without what a driver that was killed while it wrote left behind.

    A torn last line is cut off. A journal that is damaged elsewhere is set aside, and an empty one
    takes its place. `notices` gets a line for either. The caller holds the run's lock.

    Raises `SweeperError` where a damaged one cannot be moved, and `OSError` where it cannot be
    used.
    """
    journal.with_name(f"{journal.name}.lock").unlink(missing_ok=True)
    if journal.exists():
        content = journal.read_bytes()
        whole = content.rfind(b"\n") + 1
        if whole < len(content):
            os.truncate(journal, whole)
            notices.append(
                f"{journal}: its last line was torn ({len(content) - whole} bytes) and is cut off"
            )
        if reason := _damage(journal):
            aside = set_aside(journal)
            notices.append(
                f"{journal} is damaged ({reason}) and lies in {aside} now; a new one is made from "
                "the stored rows"
            )
    return JournalStorage(JournalFileBackend(str(journal)))


def adopted(config_hash: str, row: Mapping[str, Any], space: Space) -> FrozenTrial:
    """Make a trial under way of a configuration that has stored rows, of which `row` is one.

    It is what the study would hold, had it proposed the configuration in this process.
    """
    params = stored_params(row, space)
    return create_trial(
        state=TrialState.RUNNING,
        params=params,
        distributions={path: distribution(space[path]) for path in params},
        user_attrs={IDENTITY: config_hash, ADOPTED: True},
    )


def stored_params(row: Mapping[str, Any], space: Space) -> dict[str, Value]:
    """Give the values that a stored row has for the parameters of a space."""
    return {
        path: value
        for path, parameter in space.items()
        if (value := _chosen(parameter, row.get(path))) is not None
    }


def distribution(parameter: Float | Int | Categorical) -> BaseDistribution:
    """Give what Optuna calls a parameter's distribution."""
    match parameter:
        case Float():
            return FloatDistribution(parameter.low, parameter.high, log=parameter.log)
        case Int():
            return IntDistribution(
                parameter.low, parameter.high, log=parameter.log, step=parameter.step
            )
        case Categorical():
            return CategoricalDistribution(parameter.choices)


def _damage(journal: Path) -> str | None:
    """Say what is wrong with a journal, if anything is."""
    try:
        for line in journal.read_bytes().splitlines():
            json.loads(line)  # Optuna would read a damaged line only when it asks
        JournalStorage(JournalFileBackend(str(journal)))
    except (ValueError, LookupError, TypeError, AttributeError, AssertionError) as error:
        return " ".join(f"{type(error).__name__}: {error}".split())
    return None


def _chosen(parameter: Distribution, stored: Any) -> Value | None:
    """Give a stored knob as a value of its parameter; none where it is none.

    Beside floats, a store has whole numbers as floats, and beside text everything as JSON.
    """
    candidates = [stored]
    if isinstance(stored, float) and stored.is_integer():
        candidates.append(int(stored))
    if isinstance(stored, str):
        with suppress(ValueError):
            candidates.append(json.loads(stored))
    return next((value for value in candidates if parameter.contains(value)), None)
