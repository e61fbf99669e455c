"""Events on disk, so that they survive the death of their process; imported only where `spool=` is given.

A spool is one SQLite file that all processes of a host may share. An event is in it from `put` until the API has it.

Owners and leases. Each event belongs to the process that put it, and only that process sends it. A process proves that
it lives by a lock on a file of its own beside the spool, its lease, which the system takes back when the process dies
and not before: process ids are used again and clocks jump, but a lock does neither. Whoever finds an owner without a
lock takes over its events, in one transaction, so that two cannot take the same ones.

The gate. To open the file for the first time, and to set it aside when it is corrupt, a process first locks a second
file, for a few milliseconds. Without it one process could rename the file that another has just made good.

Forks. A SQLite connection that is carried into a child corrupts the file, because the locks of POSIX belong to a
process and closing any descriptor drops them all. So a fork waits for every use of SQLite to end, closes every
connection, and lets both sides open their own; the child gets a lease of its own and begins with no events.
https://www.sqlite.org/howtocorrupt.html#_carrying_an_open_database_connection_across_a_fork_

What is not ours. Only a file that carries our application id, or an empty one, is opened. Anything else is refused
when the reporter is made, and left alone if it comes later; events then stay in memory.

A page may put: nothing here raises for what a disk does, and nothing waits longer than BUSY_TIMEOUT. What fails is
counted, and rests for FAILURE_COOLDOWN, so that not each page waits. The file is in WAL mode with synchronous=NORMAL:
a killed process loses nothing; a power cut may cost the last seconds, and does not corrupt the file.
https://www.sqlite.org/pragma.html#pragma_synchronous
"""

from ._spool import Row, Spool, open_spool

__all__ = ["Row", "Spool", "open_spool"]
