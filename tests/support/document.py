"""The vendored document, as a YAML 1.2 reader has it."""

from __future__ import annotations

from typing import Any

from helpers import ROOT
from ruamel.yaml import YAML

DOCUMENT: Any = YAML(typ="safe", pure=True).load(ROOT / "spec" / "personalize-experience.yaml")
OPERATION = DOCUMENT["paths"]["/experiences/fetch"]["post"]
