"""What the tests of a service use: the real client, with a stand-in for the API where it has the network.

    def test_home(personalize):  # a fixture of pytest; without it: personalize = FakePersonalize()
        personalize.serve("homepage-banner", {"Title": "Hi"}, customer_id="u1", variation="2")
        assert render_home(personalize.client, "u1") == "<h1>Hi</h1>"
        assert [(event.action, event.customer_id) for event in personalize.events] == [("shown", "u1")]

Each request ends in `_fake`, which reads the bytes that would have been sent and answers with bytes. So arguments are
checked, requests split, answers parsed and failures tried again by the code that runs in production, without a socket,
a thread or a port; only the pauses before retries are left out. SandboxPersonalize is the same over a real socket and
the sandbox, which holds requests against the published document, too.
"""

from ._clients import FakeAsyncPersonalize, FakePersonalize
from ._fake import Fake, ReceivedEvent, ReceivedFetch
from ._sandbox import SandboxPersonalize

__all__ = ["Fake", "FakeAsyncPersonalize", "FakePersonalize", "ReceivedEvent", "ReceivedFetch", "SandboxPersonalize"]
