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
from http.client import HTTPException
from pathlib import Path
from urllib.request import urlopen

from moengage_personalize import sandbox

SERVERS = {
    "gunicorn, preloaded": "gunicorn --preload --workers=4 --threads=4 --bind=127.0.0.1:{port} web_pages:wsgi",
    "uvicorn": "uvicorn --workers=2 --port={port} web_pages:asgi",
}


@contextmanager
def serving(command: str, sandbox_url: str, folder: Path = Path(__file__).parent) -> Generator[str]:
    """Run a server of an application in this folder until the end of the block and give its address."""
    environment = os.environ | {
        "MOENGAGE_WORKSPACE_ID": sandbox.WORKSPACE_ID,
        "MOENGAGE_PERSONALIZE_API_KEY": sandbox.API_KEY,
        "MOENGAGE_BASE_URL": sandbox_url,
    }
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    started = [sys.executable, "-m", *command.format(port=port).split()]
    with tempfile.TemporaryFile("w+") as log:
        process = subprocess.Popen(started, cwd=folder, env=environment, stdout=log, stderr=log)
        try:
            deadline = time.monotonic() + 60
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
        with urlopen(address, timeout=5) as answer:  # not httpx, which reads certificates each time
            return bool(answer.status == 200)
    except (OSError, HTTPException):
        return False
