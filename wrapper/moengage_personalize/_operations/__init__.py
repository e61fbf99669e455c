"""The operations beside fetch: what the workspace has, connections before the first page, events reported back,
and a fetch for each of many customers.

A client of each kind inherits them: `Operations` blocks, `AsyncOperations` is awaited, and what they mean stands once,
in the base that both share.
"""

from ._metadata import STATUSES, ExperienceMetadata
from ._operations import AsyncOperations, Operations, deliver

__all__ = ["STATUSES", "AsyncOperations", "ExperienceMetadata", "Operations", "deliver"]
