"""Flask: one client for the application, a page for a request, also in its templates, impressions after the response.

    personalize = Personalize(app, customer_id=lambda: session.get("customer_id"))

    @app.get("/")
    def home() -> str:
        personalize.page.prefetch(["homepage-banner", "promo-strip"])
        return render_template("home.html")  # <h1>{{ personalize.string("homepage-banner", "Title", "Welcome") }}</h1>

The client is made with the application, so that a wrong setting is seen when the server starts; it works in workers
that are forked later (gunicorn --preload), and in those of gevent. It is closed at the end of the process.

Needs the extra: pip install "moengage-personalize[flask]". https://flask.palletsprojects.com/en/stable/extensiondev/
"""

from __future__ import annotations

import atexit
from collections.abc import Callable, Iterable
from functools import partial
from typing import Any
from uuid import UUID

try:
    from flask import Flask, Response, current_app, request
    from werkzeug.local import LocalProxy
except ModuleNotFoundError as missing:
    needed = 'pip install "moengage-personalize[flask]"'
    raise ImportError(f"expected the extra of Flask ({needed}), got no {missing.name}") from missing

from .. import ConfigurationError, InSession, Page, PersonalizeClient, Reporter
from ._visits import Visit, check_options, reporter_of

__all__ = ["Personalize"]

NAME = "personalize"  # of the extension, and in templates
VISIT = "moengage_personalize.visit"  # in the environ: an application context may be that of several requests


class Personalize:
    """The client of an application, and the page of each of its requests; made once, for one application or more.

    Args:
        app: the application; without it, `init_app` comes later.
        customer_id: called in a request, gives the visitor's customer id, or None: from the session, never from what
            the request says of itself. Without it only what is meant for all users is served, and nothing is reported.
        query: patterns of the query parameters that become attributes; as for `InSession.from_wsgi`.
        timeout: seconds for each request of a page, instead of the client's.
        impressions: report what a page has loaded as shown, where the response has a status of 2xx.
        make_client: called for each application; `PersonalizeClient.from_env` by default.
        make_reporter: called with the client then, such as `lambda client: client.reporter(spool="events.spool")`.

    Raises:
        ConfigurationError: no client can be made, or an option cannot work.
    """

    def __init__(
        self,
        app: Flask | None = None,
        *,
        customer_id: Callable[[], str | int | UUID | None] = lambda: None,
        query: str | Iterable[str] = ("utm_*",),
        timeout: float | None = None,
        impressions: bool = True,
        make_client: Callable[[], PersonalizeClient] = PersonalizeClient.from_env,
        make_reporter: Callable[[PersonalizeClient], Reporter] = reporter_of,
    ) -> None:
        self.make_client, self.make_reporter = make_client, make_reporter
        self._customer_id, self._timeout, self._impressions = customer_id, timeout, impressions
        self._query = check_options(customer_id, query, timeout)
        if app is not None:
            self.init_app(app)

    def init_app(self, app: Flask) -> None:
        """Make the client and the reporter of an application, which are closed at the end of the process.

        Raises:
            ConfigurationError: no client can be made.
        """
        client = self.make_client()
        reporter = self.make_reporter(client)
        if NAME not in app.extensions:  # a test may give the same application another client
            app.add_template_global(LocalProxy(lambda: self.page), NAME)
            if self._impressions:
                app.after_request(self._report_shown)
        app.extensions[NAME] = client, reporter
        atexit.register(_close, client, reporter)

    @property
    def client(self) -> PersonalizeClient:
        """The client of the current application."""
        return self._made()[0]

    @property
    def reporter(self) -> Reporter:
        """The reporter of the current application."""
        return self._made()[1]

    @property
    def page(self) -> Page:
        """The page of the current request; in templates, too, as `personalize`."""
        environ: dict[str, Any] = request.environ
        if VISIT not in environ:
            environ[VISIT] = self._make_visit(self._customer_id())
        visit: Visit[Page] = environ[VISIT]
        return visit.page

    def _make_visit(self, customer_id: str | int | UUID | None) -> Visit[Page]:
        session = InSession.from_wsgi(request.environ, query=self._query)
        page = self.client.page(customer_id=customer_id, in_session=session, timeout=self._timeout)
        return Visit(page, customer_id)

    def _made(self) -> tuple[PersonalizeClient, Reporter]:
        made: tuple[PersonalizeClient, Reporter] | None = current_app.extensions.get(NAME)
        if made is None:
            raise ConfigurationError("expected Personalize(app), or init_app(app) of one, got an app without it")
        return made

    def _report_shown(self, response: Response) -> Response:
        if 200 <= response.status_code < 300:
            report = partial(_report_shown, request.environ, self.reporter)
            if response.is_streamed:  # its template may be rendered while it is sent
                response.call_on_close(report)
            else:
                report()
        return response


def _report_shown(environ: dict[str, Any], reporter: Reporter) -> None:
    if VISIT in environ:
        environ[VISIT].report_shown(reporter)


def _close(client: PersonalizeClient, reporter: Reporter) -> None:
    reporter.close()
    client.close()
