"""The HTTP library, named here and nowhere else in the wrapper: httpx, and the httpcore under it.

Law of this module: to move to httpx2 is to change these two lines (`import httpcore2 as httpcore`, `import httpx2 as
httpx`) and to regenerate with `scripts/regenerate --http httpx2`.
"""

import httpcore as httpcore
import httpx as httpx
