"""The command as a shell has it: a process, and the settings of a sandbox."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import Any

from moengage_personalize import sandbox

PROGRAM = [sys.executable, "-m", "moengage_personalize"]


def settings(base_url: str) -> dict[str, str]:
    """The environment with which the command asks a sandbox."""
    return {
        "MOENGAGE_WORKSPACE_ID": sandbox.WORKSPACE_ID,
        "MOENGAGE_PERSONALIZE_API_KEY": sandbox.API_KEY,
        "MOENGAGE_BASE_URL": base_url,
    }


def start(*arguments: str, **environment: str) -> subprocess.Popen[str]:
    """Start the command as a process."""
    pipes: Any = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    return subprocess.Popen([*PROGRAM, *arguments], env=os.environ | environment, **pipes)
