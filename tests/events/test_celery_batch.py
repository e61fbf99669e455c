"""The task of the guide about many customers, in a real worker, with a real Redis and a limit that is used up."""

from __future__ import annotations

import os
import re
import shutil
import socket
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Generator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest
from celery import Celery
from helpers import ROOT
from shell import settings

from moengage_personalize import sandbox

CANARY = "canary-8821"
CUSTOMERS = 40
RATE = 25  # a second, which are the 1,500 a minute of the guide
REDIS = shutil.which("redis-server")


@contextmanager
def process(command: list[str], log: Path, **options: Any) -> Generator[None]:
    with log.open("w") as file, subprocess.Popen(command, stdout=file, stderr=file, **options) as started:
        try:
            yield
        finally:
            started.terminate()


@pytest.mark.skipif(REDIS is None, reason="redis-server is not installed, and could not be")
def test_the_task_of_the_guide_keeps_its_rate_and_waits_for_the_reset(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    guide = (ROOT / "wrapper" / "guides" / "batch.md").read_text("utf-8")
    blocks = re.findall(r"^```python\n(.*?)^```", guide, re.MULTILINE | re.DOTALL)
    (task,) = [block for block in blocks if "Celery" in block]
    head = "from typing import Any\n\nfrom moengage_personalize import PersonalizeClient\n"
    (tmp_path / "shop.py").write_text(head + task.partition("app.conf.task_always_eager")[0], "utf-8")
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    broker = f"redis://127.0.0.1:{port}/0"
    monkeypatch.setattr("moengage_personalize.sandbox._state.MINUTE", 6)
    api = sandbox.app({"promo-strip": {"Text": "Hello"}}, rate_limit=25)
    with ExitStack() as stack:
        url = stack.enter_context(sandbox.serve(api))
        redis = [str(REDIS), *f"--port {port} --bind 127.0.0.1 --save  --appendonly no --dir {tmp_path}".split(" ")]
        stack.enter_context(process(redis, tmp_path / "redis.log"))
        options = "worker --concurrency=2 --loglevel=INFO --without-gossip --without-mingle --events"
        worker = [sys.executable, "-m", "celery", "--app=shop", *options.split()]
        environment = os.environ | settings(url) | {"CELERY_BROKER_URL": broker}
        log = tmp_path / "worker.log"
        stack.enter_context(process(worker, log, cwd=tmp_path, env=environment, start_new_session=True))
        app = stack.enter_context(Celery("page", broker=broker, set_as_current=False))
        for number in range(CUSTOMERS):
            app.send_task("personalize", (f"{CANARY}-{number}",), argsrepr="(a customer)")
        deadline = time.monotonic() + 60
        while len(served := [one for one in api.requests if one.status == 200]) < CUSTOMERS:
            assert time.monotonic() < deadline, log.read_text("utf-8")
            time.sleep(0.05)
    customers = Counter(one.body["identifiers"]["customer_id"] for one in served)
    assert customers == Counter(f"{CANARY}-{number}" for number in range(CUSTOMERS))
    assert any(one.status == 429 for one in api.requests)
    for second in range(int(served[0].at), int(served[-1].at)):
        assert len([one for one in served if second <= one.at < second + 1]) <= RATE * 1.5  # and not all at once
    assert CANARY not in log.read_text("utf-8")
