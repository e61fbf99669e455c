"""FastAPI: one client for the process, a page for a request as a dependency, impressions after the response.

    personalize = Personalize(current_user_id)  # a dependency: who the visitor is
    app = FastAPI(lifespan=personalize.lifespan)

    @app.get("/", response_class=HTMLResponse)
    async def home(page: Annotated[AsyncPage, Depends(personalize.page("homepage-banner"))]) -> str:
        return f"<h1>{page.string('homepage-banner', 'Title', 'Welcome')}</h1>"

The lifespan makes client and reporter, and closes them when the server stops: uvicorn ends its workers by a signal,
after which no other Python code runs. All dependencies of a request share its page, so that each key is asked for once.

Needs the extra: pip install "moengage-personalize[fastapi]". https://fastapi.tiangolo.com/advanced/events/
"""

# Not `from __future__ import annotations`: FastAPI reads the annotations, and these hold what only __init__ knows.
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterable
from contextlib import asynccontextmanager
from typing import Annotated, Any

try:
    from fastapi import Depends
    from fastapi.requests import HTTPConnection  # a request, or a WebSocket
except ModuleNotFoundError as missing:
    needed = 'pip install "moengage-personalize[fastapi]"'
    raise ImportError(f"expected the extra of FastAPI ({needed}), got no {missing.name}") from missing

from .. import AsyncPage, AsyncPersonalizeClient, AsyncReporter, ConfigurationError, InSession
from ._visits import Visit, check_options, reporter_of

__all__ = ["Personalize"]


async def _nobody() -> None:
    """The customer id where no dependency says who the visitor is."""


class Personalize:
    """The client of an application, and what its path operations depend on; made once, beside the application.

    Args:
        customer_id: a dependency that gives the visitor's customer id, or None: from the session, never from what the
            request says of itself. Without it only what is meant for all users is served, and nothing is reported.
        query: patterns of the query parameters that become attributes; as for `InSession.from_asgi`.
        timeout: seconds for each request of a page, instead of the client's.
        impressions: report what a page has loaded as shown, once the path operation has succeeded.
        make_client: called when the application starts; `AsyncPersonalizeClient.from_env` by default.
        make_reporter: called with the client then, such as `lambda client: client.reporter(spool="events.spool")`.

    Raises:
        ConfigurationError: an option that cannot work.
    """

    def __init__(
        self,
        customer_id: Callable[..., Any] = _nobody,
        *,
        query: str | Iterable[str] = ("utm_*",),
        timeout: float | None = None,
        impressions: bool = True,
        make_client: Callable[[], AsyncPersonalizeClient] = AsyncPersonalizeClient.from_env,
        make_reporter: Callable[[AsyncPersonalizeClient], AsyncReporter] = reporter_of,
    ) -> None:
        self.make_client, self.make_reporter = make_client, make_reporter
        self._made: tuple[AsyncPersonalizeClient, AsyncReporter] | None = None
        patterns = check_options(customer_id, query, timeout)

        async def page_of_request(
            connection: HTTPConnection, customer: Annotated[Any, Depends(customer_id)]
        ) -> AsyncGenerator[AsyncPage]:
            session = InSession.from_asgi(connection.scope, query=patterns)
            page = self.client.page(customer_id=customer, in_session=session, timeout=timeout)
            visit = Visit(page, customer)
            del customer, session  # an error of the path operation is raised at the yield, and shows what is here
            yield page
            if impressions:
                visit.report_shown(self.reporter)

        self._page_of_request = page_of_request

    @asynccontextmanager
    async def lifespan(self, app: object = None) -> AsyncGenerator[None]:
        """For FastAPI(lifespan=...), or within a lifespan of your own: `async with personalize.lifespan(app): yield`.

        Raises:
            ConfigurationError: no client can be made; the server does not start.
        """
        async with self.make_client() as client, self.make_reporter(client) as reporter:
            self._made = client, reporter
            try:
                yield
            finally:
                self._made = None

    @property
    def client(self) -> AsyncPersonalizeClient:
        """The client, while the application runs."""
        return self._running()[0]

    @property
    def reporter(self) -> AsyncReporter:
        """The reporter, while the application runs."""
        return self._running()[1]

    def page(self, *keys: str) -> Callable[..., Awaitable[AsyncPage]]:
        """Make a dependency: the page of the request, on which these keys are loaded; also for `def` operations.

        Args:
            keys: what the path operation reads; more can be loaded there, with `await page.load([...])`.
        """

        async def loaded(page: Annotated[AsyncPage, Depends(self._page_of_request)]) -> AsyncPage:
            if keys:
                await page.load(keys)
            return page

        return loaded

    def _running(self) -> tuple[AsyncPersonalizeClient, AsyncReporter]:
        if self._made is None:
            raise ConfigurationError("expected FastAPI(lifespan=personalize.lifespan) to have begun, got no lifespan")
        return self._made
