"""What tests of the sandbox need: how it is asked, and what the published document says."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import httpx
from helpers import ROOT
from ruamel.yaml import YAML

from moengage_personalize import sandbox

HEADERS = {"MOE-APPKEY": sandbox.WORKSPACE_ID}
AUTH = (sandbox.WORKSPACE_ID, sandbox.API_KEY)

DOCUMENT: Any = YAML(typ="safe", pure=True).load((ROOT / "spec" / "personalize-experience.yaml").read_text("utf-8"))
OPERATION = DOCUMENT["paths"]["/experiences/fetch"]["post"]
EXAMPLES = OPERATION["requestBody"]["content"]["application/json"]["examples"]
MATCHED = OPERATION["responses"]["200"]["content"]["application/json"]["examples"]["Matched Experience"]["value"]

OWN = """
experiences:
  - key: own
    name: My own
    audiences:
      - id: A
        name: Nights
        when: {hour: ["22-03", 5], attributes: {plan: [gold, null], beta: true}}
        variations:
          - {id: '1', weight: 1, payload: {N: {value: 1}}}
"""


def write(folder: Path, text: str = OWN) -> Path:
    """A file of experiences."""
    path = folder / "experiences.yaml"
    path.write_text(text, "utf-8")
    return path


def root(base_url: str) -> str:
    """The address of the sandbox itself, without the path of the API."""
    return base_url.removesuffix("/v1")


def ask_app(app: Any, bodies: list[Any], path: str = "/v1/experiences/fetch") -> list[httpx.Response]:
    """Ask an application inside the test, without a socket."""

    async def all_of_them() -> list[httpx.Response]:
        transport = httpx.ASGITransport(app)
        async with httpx.AsyncClient(
            transport=transport, base_url="http://sandbox", headers=HEADERS, auth=AUTH
        ) as http:
            return [await http.post(path, json=body) for body in bodies]

    return asyncio.run(all_of_them())
