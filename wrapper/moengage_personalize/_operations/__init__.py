"""The operations beside fetch: what the workspace has, connections before the first page, and events reported back.

A client of each kind inherits them: `Operations` blocks, `AsyncOperations` is awaited, and what they mean stands once,
in the functions that both call.
"""

from ._metadata import ExperienceMetadata
from ._operations import AsyncOperations, Operations, deliver

__all__ = ["AsyncOperations", "ExperienceMetadata", "Operations", "deliver"]
