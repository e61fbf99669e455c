"""What a client remembers from call to call, so that an outage costs the API hardly more requests than there are calls.

Retries with their quota, the wait after a 429, the circuit breaker, and what a forked child makes for itself.
"""

from ._circuit import CircuitBreaker
from ._fork import register_after_fork
from ._retry import RetryPolicy

__all__ = ["CircuitBreaker", "RetryPolicy", "register_after_fork"]
