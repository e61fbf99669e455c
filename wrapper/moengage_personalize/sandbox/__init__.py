"""The local stand-in for the API: answers as documented, from a file or a dict of experiences.

    from moengage_personalize import PersonalizeClient, sandbox

    application = sandbox.app({"homepage-banner": {"Title": "Hello"}})
    with sandbox.serve(application) as base_url:
        client = PersonalizeClient(sandbox.WORKSPACE_ID, sandbox.API_KEY, base_url=base_url)
        ...
    assert application.requests[0].body["experience_key"] == ["homepage-banner"]

It shares no code with the client, so that a mistake of one is not repeated by the other: it knows the published
document, and what the API is known to do otherwise. As a process: moengage-personalize sandbox.
"""

try:
    from ._app import API_KEY, RATE_LIMIT, WORKSPACE_ID, Sandbox, app
    from ._serve import base_url, listen, no_proxy, run, serve
    from ._state import ReceivedRequest
except ModuleNotFoundError as error:
    missing = (error.name or "").partition(".")[0]
    if missing == "moengage_personalize":
        raise
    needed = 'pip install "moengage-personalize[sandbox]"'
    raise ImportError(f"expected the extra of the sandbox ({needed}), got no {missing}", name=missing) from error

__all__ = [  # noqa: RUF022 -- as sorted() has it, like every door
    "API_KEY",
    "RATE_LIMIT",
    "ReceivedRequest",
    "Sandbox",
    "WORKSPACE_ID",
    "app",
    "base_url",
    "listen",
    "no_proxy",
    "run",
    "serve",
]
