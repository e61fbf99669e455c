"""The network: one Request in, one Response or TransportError out, within its time. It knows nothing of retries.

**States.** A connection is new, then in turn exchanging and idle, then closed. It goes back to idle only by the reuse
rule, and only HTTP11Connection (_parser) decides that; SyncConnection and AsyncConnection move its bytes.

**Framing** (RFC 9112, section 6). httptools reads, with no lenient flag set: what is folded, doubled or ended by half a
line end is refused, and the reason is said. Heads are held until they are whole, because httptools would take RTSP/1.0
for HTTP. Heads, trailers, bodies and what gzip makes of them have limits, so that a response costs memory, not more.

**Reuse rule** (sections 6.3 and 9.3). A connection serves again only after a status that the API documents, with a
body framed by exactly one of Content-Length and chunked, read to its end, with nothing behind it, on HTTP/1.1. Without
it, a server that sends a body behind a 204 answers each visitor with what was meant for the one before. For the same
reason a new connection is looked at before the first request, and an idle one before each: bytes that came unasked
end it. An idle connection also ends after 55 s, and any after 5 minutes, so that a host that has moved is followed.

**Stale** (section 9.3.1). A server may close an idle connection while a request is on its way. Then not a byte of the
response came, or a 408, and the outcome says "stale": the caller may send again at once. All others that lay idle are
given up with it (PoolGeneration), because a server that restarts closes them all.

**Deadline.** No socket blocks: what has to be waited for, poll waits for. Each step gets what is left of the request's
time, not a timeout of its own, which a server that drips a byte a second would outlive. What has come by the deadline
is still taken. Look-ups run in threads, since nothing ends one; but no thread is started while the interpreter ends,
because it would never run, and who started it waits for it.

**Refusals** (RFC 9110, section 15). Status and headers decide, and the body of a refusal only supplies words: it may be
cut, too large or coded in any way, and a 429 is a 429 still. Only a 200 is lost to its body.

**Exceptions.** What I/O raises is wrapped where it is raised, as ExchangeError, and becomes a TransportError in
`perform`. Whatever else there is (an interrupt, a cancellation, what a signal handler raises) goes through at once, and
ends the connection it meets: half a response would be the next visitor's. No variable of a frame shows what is sent.

**Fork, loop, gevent.** Connections belong to a process and to an event loop: two that read from one would share out
the answers. So they are kept in a state of the process, asked for at each request because uWSGI forks without a word
to Python, or of the loop. A loop that was closed leaves sockets, which are closed when the next one begins. gevent may
patch the standard library after a client was made; then that client begins again, with sockets and queues that yield.
"""

from __future__ import annotations

from collections.abc import Callable
from inspect import iscoroutinefunction
from typing import Any

import httpx

from .._errors import ConfigurationError
from .._messages import AsyncTransport, Transport
from ._async import AsyncPooledTransport
from ._exchange import ExchangeError, words
from ._httpx import AsyncHttpxTransport, HttpxAdapter, HttpxTransport
from ._origin import Origin, Proxy, own_certificates, proxy_for, split_url, ssl_context
from ._sync import PooledTransport, blocking_proxy

__all__ = [
    "AsyncHttpxTransport",
    "AsyncPooledTransport",
    "HttpxAdapter",
    "HttpxTransport",
    "PooledTransport",
    "make_async_transport",
    "make_transport",
]


def make_transport(http_client: object | None, url: str | None = None) -> Transport:
    """Connections of our own, or those of an httpx client that the service brings.

    Args:
        http_client: an httpx.Client or httpx2.Client; None for connections of our own.
        url: where requests will lead; certificates and proxies that can never work for it are refused at once.

    Raises:
        ConfigurationError: http_client is no such client, or the environment cannot work.
    """
    if http_client is not None:
        return HttpxTransport(_check_client(http_client, "Client", "close"))
    _check_environment(url, blocking_proxy)
    return PooledTransport()


def make_async_transport(http_client: object | None, url: str | None = None) -> AsyncTransport:
    """As make_transport, for an httpx.AsyncClient or httpx2.AsyncClient."""
    if http_client is not None:
        return AsyncHttpxTransport(_check_client(http_client, "AsyncClient", "aclose"))
    _check_environment(url, proxy_for)
    return AsyncPooledTransport()


def _check_client(client: Any, name: str, close: str) -> Any:
    """The client, if it has what is used of one."""
    try:
        used = [getattr(client, method) for method in ("build_request", "send", close)]
        fits = all(map(callable, used)) and iscoroutinefunction(used[1]) == (close == "aclose")
    except Exception:  # noqa: BLE001 -- the code of a caller's object may raise anything
        fits = False
    if not fits or issubclass(type(client), type):
        raise ConfigurationError(f"expected http_client to be an httpx.{name}, got {type(client).__name__}")
    return client


def _check_environment(url: str | None, proxy_of: Callable[[Origin], Proxy | None]) -> None:
    """Refuse a host, a proxy or certificates that can never work, before anything is sent."""
    if url is None:
        return
    try:
        origin, _ = split_url(url)
        proxy = proxy_of(origin)
    except (httpx.InvalidURL, ValueError, KeyError):
        raise ConfigurationError("expected a URL with a host that can be looked up, got another") from None
    except ExchangeError as error:
        raise ConfigurationError(str(error)) from None
    if own_certificates() and (origin.tls or (proxy is not None and proxy.origin.tls)):
        try:
            ssl_context()
        except OSError as error:
            raise ConfigurationError(
                f"expected certificates where SSL_CERT_FILE or SSL_CERT_DIR says, got {words(error)}"
            ) from None
