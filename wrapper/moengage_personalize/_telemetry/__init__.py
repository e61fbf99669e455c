"""What a service may see of its calls: one `Call` for each operation, counts for a health endpoint, lines in the log.

An operation is what a service asks for: one fetch, also of a page; metadata, warm, one report of events, also a
reporter's. It is made of requests (one for each 25 keys, or 100 users), and each request of attempts, which are its
retries. The transport and the retries know nothing of all this: `retrying_call` hands each attempt to a `Recorder`, if
there is one, and the Recorder notifies the `Observer` of the client when the operation has ended, in the thread or task
of the caller.

A fetch has a Recorder only if the client has an `observe`, or if the log is at the level DEBUG: a page that nobody
observes pays for one comparison.

**No personal data.** A Call holds experience keys, variations, names of variables, addresses of the API, times, and an
error whose text is ours; never a customer, an attribute of a visit, a value that was served, or the words of a refusal.

**Fields of the log.** `extra=` of each record begins with `personalize_`, so that none is an attribute that LogRecord
has. The guide "telemetry" lists them.
"""

from ._recorder import Observe, Observer, Recorder, fields, is_debugged
from ._values import Attempt, Call, ClientStats, Operation

__all__ = ["Attempt", "Call", "ClientStats", "Observe", "Observer", "Operation", "Recorder", "fields", "is_debugged"]
