"""What all tests share."""

import signal
import threading
from collections.abc import Iterator

import hypothesis
import pytest
import torch

from soak.object_store import ObjectStore, object_store
from trainables import storage

# Assertions of what tests share say as much as those of tests.
pytest.register_assert_rewrite("tests.sweeper.edits", "soak.machine")

# A trial has one core, and so has each process that runs tests.
torch.set_num_threads(1)

# A job in the background ignores Ctrl-C, and so would the commands that it starts.
if threading.current_thread() is threading.main_thread():
    signal.signal(signal.SIGINT, signal.default_int_handler)

# How long an example takes says more of the machine's load than of the code.
hypothesis.settings.register_profile("untimed", deadline=None)
hypothesis.settings.load_profile("untimed")


def pytest_make_parametrize_id(val: object, argname: str) -> str | None:
    """Keep bytes out of the names of tests: what is compressed may hold the time of day."""
    return argname if isinstance(val, bytes) else None


@pytest.fixture(scope="module")
def server() -> Iterator[ObjectStore]:
    """An S3 server that the environment names."""
    with object_store() as store, pytest.MonkeyPatch.context() as patch:
        for name, value in store.environment.items():
            patch.setenv(name, value)
        storage._filesystem.cache_clear()
        yield store
        storage._filesystem.cache_clear()
