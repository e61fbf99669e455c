"""The local stand-in for the API: answers as documented, from a YAML file of experiences.

    from moengage_personalize import PersonalizeClient, sandbox

    with sandbox.serve() as base_url:
        client = PersonalizeClient(sandbox.WORKSPACE_ID, sandbox.API_KEY, base_url=base_url)

Needs the extra: pip install "moengage-personalize[sandbox]". As a process: python -m moengage_personalize sandbox.
"""

from ._app import API_KEY, RATE_LIMIT, WORKSPACE_ID, app, base_url, listen, run, serve

__all__ = ["API_KEY", "RATE_LIMIT", "WORKSPACE_ID", "app", "base_url", "listen", "run", "serve"]
