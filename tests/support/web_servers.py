"""Web servers with forked workers, which serve web_pages, as processes."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

import httpx

from moengage_personalize import sandbox

SERVERS = {
    "gunicorn, preloaded": "gunicorn --preload --workers=4 --threads=4 --bind=127.0.0.1:{port} web_pages:wsgi",
    "uvicorn": "uvicorn --workers=2 --port={port} web_pages:asgi",
}


@contextmanager
def serving(command: str, sandbox_url: str) -> Generator[str]:
    """Run a server until the end of the block and give its address."""
    environment = os.environ | {
        "MOENGAGE_WORKSPACE_ID": sandbox.WORKSPACE_ID,
        "MOENGAGE_PERSONALIZE_API_KEY": sandbox.API_KEY,
        "MOENGAGE_BASE_URL": sandbox_url,
    }
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    started = [sys.executable, "-m", *command.format(port=port).split()]
    with tempfile.TemporaryFile("w+") as log:
        process = subprocess.Popen(started, cwd=Path(__file__).parent, env=environment, stdout=log, stderr=log)
        try:
            deadline = time.monotonic() + 20
            while not answers(f"http://127.0.0.1:{port}/?user_0007"):
                log.seek(0)
                assert process.poll() is None, log.read()
                assert time.monotonic() < deadline, log.read()
                time.sleep(0.05)
            yield f"http://127.0.0.1:{port}"
        finally:
            process.terminate()
            process.wait(20)


def answers(address: str) -> bool:
    """Whether a page comes with status 200."""
    try:
        return httpx.get(address, timeout=5).status_code == 200
    except httpx.HTTPError:
        return False
