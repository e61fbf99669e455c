"""What a client remembers from call to call: whether another attempt is worth it, and whether a call may go out at all.

An outage must cost the API hardly more requests than there are calls, and a page no more time than its deadline. Four
rules see to that. They take the time and the random numbers as arguments, so that tests give them values; all calls
of a client share them, from every thread and task, under locks that are held for a few lines.

**Retry.** An error that may pass is tried again, `max_retries` times at most, after a pause of

    min(BACKOFF_CAP, BACKOFF * 2 ** (attempt - 1)) * random(1/2, 1)

"Equal jitter" (https://aws.amazon.com/blogs/architecture/exponential-backoff-and-jitter/) and not the full one, from 0,
because a retry that follows at once meets the same restart. A pause that would leave less than MIN_ATTEMPT_TIME of the
call's deadline is not made: the error is raised at once. What a closed keep-alive connection costs is no retry: the
call goes out once more on a fresh one, at once and without being counted (RFC 9110, 9.2.2; RFC 9112, 9.3.1).

**Quota.** Retries are paid from a purse of QUOTA tokens that is shared by all calls of a client: RETRY_COST each, less
after a 429, and SUCCESS_REFUND back for each call that succeeds. In an outage the purse is soon empty, and then a call
is one request. So do the AWS SDKs (https://docs.aws.amazon.com/sdkref/latest/guide/feature-retry-behavior.html).

**Rate limit.** A 429 that says when to come back holds for the workspace, so it holds for every call of the client. One
that got it and one that only knows of it do the same: wait, if that fits into the deadline, else raise RateLimited at
once and send nothing. So MoEngage advises on its page "Rate Limits": stop until the reset, then back off exponentially.
The longest wait is THROTTLE_CAP, whatever was asked.

**Circuit.** See https://learn.microsoft.com/azure/architecture/patterns/circuit-breaker for the pattern.

    state      a call                     becomes
    closed     goes out                   open, by a row of calls that failed for good (see CircuitBreaker)
    open       raises CircuitOpen         half-open, when the pause is over
    half-open  one goes out as a probe,   closed, when any call succeeds; open for a longer pause, when the probe fails
               the others as when open    or is never heard of again

What counts is a call that failed for good, with its retries: what a retry has mended was no outage. The row must last
for MIN_SPAN, because a server that restarts fails a whole burst of calls within milliseconds. A circuit that opens
keeps new calls from going out, and leaves those under way their retries: these are paid from the quota.

An instant that is remembered is believed only within the cap of its wait. A clock that is moved back, by a test that
freezes time or by a virtual machine, would else keep calls back for years.

**Fork.** A lock that another thread holds while a process forks is held for ever in the child. What has one registers
with `register_after_fork`, and is given a new one before the child does anything else.
"""

from ._circuit import CircuitBreaker, CircuitState
from ._fork import register_after_fork
from ._retry import RetryPolicy

__all__ = ["CircuitBreaker", "CircuitState", "RetryPolicy", "register_after_fork"]
