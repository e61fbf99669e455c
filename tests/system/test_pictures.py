"""The pictures of the README are there, small, and show what there is."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest
from helpers import ROOT

SOURCES = re.findall(r'(?:src|srcset)="([^"]+)"', (ROOT / "README.md").read_text("utf-8"))


@pytest.mark.parametrize("source", SOURCES)
def test_a_picture_is_there_and_small(source: str) -> None:
    assert 0 < (ROOT / source).stat().st_size < 60_000


def test_the_picture_of_the_command_is_what_the_command_shows(tmp_path: Path) -> None:
    """And it loads nothing from elsewhere."""
    drawn = tmp_path / "terminal.svg"
    subprocess.run([sys.executable, ROOT / "scripts" / "terminal_picture.py", drawn], check=True)
    (source,) = [source for source in SOURCES if source.endswith(".svg")]
    assert drawn.read_text("utf-8") == (ROOT / source).read_text("utf-8")
    assert not re.search(r"url\(['\"]?https?:|href=|@import|@font-face", drawn.read_text("utf-8"))
