import threading
from collections.abc import Iterator

import pytest

from tests.trainables.data.server import Server, Waits


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    with Server() as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.fixture
def waits() -> Waits:
    """The pauses that a download took; pass `waits.append` for `time.sleep`."""
    return []
