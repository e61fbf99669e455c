"""The HTTP library, named here and nowhere else in the wrapper: httpx, and the httpcore under it.

Law of this module: `scripts/regenerate --http httpx2` moves these two lines and the generated client to httpx2, which
continues httpx, and `--http httpx` moves them back.
"""

import httpcore as httpcore
import httpx as httpx

__all__ = ["httpcore", "httpx"]
