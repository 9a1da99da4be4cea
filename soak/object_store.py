"""An S3 server on loopback that fails when it is told to."""

import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from random import Random
from typing import Any

from moto.server import DomainDispatcherApplication, create_backend_app
from werkzeug.serving import WSGIRequestHandler, make_server

BUCKET = "results"


class _Quiet(WSGIRequestHandler):
    def log(self, type: str, message: str, *args: Any) -> None:  # noqa: A002
        """Say nothing of every request."""


class ObjectStore:
    """moto's S3 below `address`, with a bucket `results`.

    It answers that share of requests with 503 which `fail_rate` says, and all of them while
    `is_down`. `requests` counts them, `failed` those that were answered so.
    """

    def __init__(self) -> None:
        self.fail_rate = 0.0
        self.is_down = False
        self.requests = self.failed = 0
        self._lock, self._random = threading.Lock(), Random(0)
        self._app = DomainDispatcherApplication(create_backend_app)
        self._server = make_server(
            "127.0.0.1", 0, self._answer, threaded=True, request_handler=_Quiet
        )
        self.address = f"http://127.0.0.1:{self._server.port}"

    @property
    def environment(self) -> dict[str, str]:
        """What clients are to find in their environment."""
        return {
            "AWS_ENDPOINT_URL": self.address,
            "AWS_ACCESS_KEY_ID": "who",
            "AWS_SECRET_ACCESS_KEY": "a secret of nobody",
            "AWS_REGION": "us-east-1",
            "AWS_EC2_METADATA_DISABLED": "true",
        }

    def _answer(self, environ: dict[str, Any], start: Callable[..., Any]) -> Iterable[bytes]:
        with self._lock:
            self.requests += 1
            fails = self._random.random() < self.fail_rate or self.is_down
            self.failed += fails
        if fails:
            start("503 Service Unavailable", [("Content-Length", "0"), ("Connection", "close")])
            return [b""]
        answer: Iterable[bytes] = self._app(environ, start)
        return answer

    def serve(self) -> None:
        """Answer until `stop`."""
        self._server.serve_forever()

    def stop(self) -> None:
        """Let `serve` end."""
        self._server.shutdown()


@contextmanager
def object_store() -> Iterator[ObjectStore]:
    """Run an S3 server with an empty bucket while the body lasts."""
    import boto3

    store = ObjectStore()
    thread = threading.Thread(target=store.serve, daemon=True)
    thread.start()
    try:
        client = boto3.client(
            "s3",
            endpoint_url=store.address,
            aws_access_key_id="who",
            aws_secret_access_key="a secret of nobody",
            region_name="us-east-1",
        )
        for bucket in client.list_buckets()["Buckets"]:  # moto's buckets outlive its servers
            for item in client.list_objects_v2(Bucket=bucket["Name"]).get("Contents", []):
                client.delete_object(Bucket=bucket["Name"], Key=item["Key"])
            client.delete_bucket(Bucket=bucket["Name"])
        client.create_bucket(Bucket=BUCKET)
        yield store
    finally:
        store.stop()
        thread.join()
