"""Events on disk, so that they survive the death of their process; imported only where a spool is asked for."""

from ._spool import Row, Spool, check_spool

__all__ = ["Row", "Spool", "check_spool"]
