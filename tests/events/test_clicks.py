"""Click tokens: what was signed comes back as one event, and nothing else does."""

from __future__ import annotations

import secrets
import string
import subprocess
import sys
import time
import traceback
from typing import Any

import pytest
from hypothesis import given, strategies as st
from itsdangerous import URLSafeTimedSerializer
from odd import ODD, Hostile, Lazy, tried

from moengage_personalize import ConfigurationError, ExperienceContext, ExperienceEvent, InvalidRequestError
from moengage_personalize.integrations import clicks
from moengage_personalize.integrations.clicks import ClickSigner
from moengage_personalize.testing import FakePersonalize

KEY, OTHER = "canary-" + secrets.token_hex(32), secrets.token_bytes(32)
CUSTOMER = "canary-customer"
FIELDS: dict[str, Any] = {
    "cid": "65eae5738ea5032b0ef60138_F_T_WP_AB_2_P_0_AU_42D",
    "experience": "Homepage Banner — ₹",
    "moe_locale_id": "0",
    "moe_variation_id": "2",
    "audience_name": "High Intent Users",
    "audience_id": "42D",
    "type": "Web Personalization",
}
CONTEXT = ExperienceContext(FIELDS)
SIGNER = ClickSigner([KEY])
TEXT = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=30).filter(str.strip)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | TEXT, lambda inner: st.lists(inner), max_leaves=5
)


def sign(**changed: Any) -> str:
    return SIGNER.sign(changed.pop("context", CONTEXT), **{"customer_id": CUSTOMER, **changed})


def refusal(token: Any, signer: ClickSigner = SIGNER) -> str:
    with pytest.raises(InvalidRequestError) as caught:
        signer.event(token)
    return str(caught.value)


@given(
    added=st.dictionaries(TEXT.filter(lambda name: name not in FIELDS), JSON, max_size=4),
    customer_id=TEXT,
    element=st.none() | TEXT,
    platform=st.sampled_from(["web", "android", "ios", "tv"]),
)
def test_what_was_signed_comes_back_as_a_click(
    added: dict[str, Any], customer_id: str, element: str | None, platform: Any
) -> None:
    token = SIGNER.sign(FIELDS | added, customer_id=customer_id, element=element, platform=platform)
    event = SIGNER.event(token)
    assert event.action == "MOE_PERSONALIZATION_MESSAGE_CLICKED"
    assert (event.customer_id, event.element, event.platform) == (customer_id, element, platform)
    assert dict(event.context) == FIELDS | added
    assert abs(event.at - time.time()) < 60
    assert {*token} <= {*string.ascii_letters, *string.digits, *"-_."}


def test_a_token_that_comes_back_again_counts_once_and_another_token_does_not() -> None:
    token = sign()
    events = [SIGNER.event(token), SIGNER.event(token), SIGNER.event(sign())]
    assert events[0].uuid == events[1].uuid != events[2].uuid
    fake = FakePersonalize()
    for event in events:
        fake.client.report_events([event])
    assert [event.uuid for event in fake.events] == [events[0].uuid, events[2].uuid]


def test_the_time_of_the_event_is_that_of_the_click(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("time.time", lambda: 1_000.0)
    token = sign()
    monkeypatch.undo()
    event = ClickSigner([KEY], max_age=30 * 86_400).event(sign())
    assert abs(event.at - time.time()) < 60
    assert "at most 86,400 s" in refusal(token)


@pytest.mark.parametrize(("age", "accepted"), [(0, True), (100, True), (101, False), (-60, True), (-61, False)])
def test_a_token_is_accepted_for_its_time_and_while_clocks_differ(
    age: int, accepted: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    signer, now = ClickSigner([KEY], max_age=100), time.time()
    monkeypatch.setattr("time.time", lambda: now - age)
    token = signer.sign(CONTEXT, customer_id=CUSTOMER)
    monkeypatch.setattr("time.time", lambda: now)
    if accepted:
        assert signer.event(token).customer_id == CUSTOMER
    else:
        came = "one of 101 s" if age > 0 else "one of the future"
        assert refusal(token, signer) == f"expected a token of at most 100 s, got {came}"


def test_a_token_of_a_second_may_be_too_old(monkeypatch: pytest.MonkeyPatch) -> None:
    signer = ClickSigner([KEY], max_age=0.5)
    monkeypatch.setattr("time.time", lambda: 1_000.0)
    token = signer.sign(CONTEXT, customer_id=CUSTOMER)
    monkeypatch.setattr("time.time", lambda: 1_001.0)
    assert refusal(token, signer).endswith("got one of 1 s")


@given(place=st.integers(0, 10_000), with_what=st.sampled_from(string.ascii_letters + string.digits + "-_.ä\0\n"))
def test_a_token_with_one_character_changed_is_refused(place: int, with_what: str) -> None:
    token = sign()
    place %= len(token)
    changed = token[:place] + with_what + token[place + 1 :]
    event = tried(lambda: SIGNER.event(changed))
    # The last characters of base64 hold bits that mean nothing, so that some spell the same signature.
    if isinstance(event, ExperienceEvent):
        assert place == len(token) - 1 or changed == token
        assert event.uuid == SIGNER.event(token).uuid
    else:
        assert isinstance(event, InvalidRequestError)


@given(length=st.integers(0, 10_000))
def test_a_token_that_was_cut_is_refused(length: int) -> None:
    token = sign()
    assert "expected a token that one of the keys has signed" in refusal(token[: length % len(token)])


def test_what_is_no_text_is_refused_by_its_type() -> None:
    for token in (5, None, b"token", Hostile()):
        assert refusal(token) == f"expected a token as str, got {type(token).__name__}"


@given(st.text(max_size=300) | st.text("ab.-_=", max_size=50))
def test_no_other_text_is_a_token(text: str) -> None:
    assert "expected a token that one of the keys has signed, got another text" in refusal(text)


def test_what_another_key_or_the_same_key_for_another_purpose_has_signed_is_refused() -> None:
    content = [SIGNER.event(sign()).uuid, "web", CUSTOMER, None, FIELDS]
    for foreign in (
        ClickSigner([OTHER]).sign(CONTEXT, customer_id=CUSTOMER),
        URLSafeTimedSerializer(KEY).dumps(content),
        URLSafeTimedSerializer(KEY, "cookie-session", signer_kwargs={"key_derivation": "hmac"}).dumps(content),
    ):
        assert "expected a token that one of the keys has signed" in refusal(foreign)


@pytest.mark.parametrize("content", [5, {}, [], ["a"], [1, 2, 3, 4, 5], [*"abcde", 6], "abcde"], ids=repr)
def test_what_was_signed_in_another_form_is_refused(content: Any) -> None:
    with pytest.raises(InvalidRequestError):
        SIGNER.event(SIGNER._serializer.dumps(content))


def test_a_token_that_is_too_long_is_refused_unread_and_never_made() -> None:
    assert refusal("a" * 8_193) == "expected a token of at most 8,192 characters, got 8,193"
    assert "expected a token that one of the keys" in refusal("a" * 8_192)
    with pytest.raises(InvalidRequestError, match=r"at most 8,192 characters, got 1\d,\d\d\d"):
        sign(context=FIELDS | {"added": secrets.token_hex(10_000)})


def test_keys_rotate() -> None:
    old, both, new = ClickSigner([OTHER]), ClickSigner([KEY, OTHER]), ClickSigner([KEY])
    of_old = old.sign(CONTEXT, customer_id=CUSTOMER)
    of_both = both.sign(CONTEXT, customer_id=CUSTOMER)
    assert both.event(of_old).customer_id == both.event(of_both).customer_id == CUSTOMER
    assert new.event(of_both).customer_id == CUSTOMER
    assert "expected a token" in refusal(of_old, new)
    assert "expected a token" in refusal(of_both, old)


@pytest.mark.parametrize(
    ("keys", "came"),
    [
        ([], "expected a list of at least one key, the newest first, got list"),
        (KEY, "expected a list of at least one key, the newest first, got str"),
        (None, "got NoneType"),
        (Hostile(), "got Hostile"),
        ({KEY: 1}, "got dict"),
        ([""], "got a shorter or simpler one"),
        (["canary"], "got a shorter or simpler one"),
        (["canary" * 6], "got a shorter or simpler one"),
        (["canary-canary-canary-canary-canary-"], "got a shorter or simpler one"),
        (["0" * 64], "got a shorter or simpler one"),
        ([b"\0" * 64], "got a shorter or simpler one"),
        ([secrets.token_hex(32)[:31]], "got a shorter or simpler one"),
        ([KEY, "weak"], "got a shorter or simpler one"),
        (["\ud800" * 40], "got a shorter or simpler one"),
        ([None], "got NoneType"),
        ([5], "got int"),
        ([[KEY]], "got list"),
        ([Hostile()], "got Hostile"),
    ],
    ids=[str(number) for number in range(18)],
)
def test_keys_that_are_none_or_weak_are_refused_when_the_signer_is_made(keys: Any, came: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        ClickSigner(keys)
    assert came in str(caught.value)
    assert "canary" not in str(caught.value)


@pytest.mark.parametrize(
    "key",
    [secrets.token_hex(16), secrets.token_bytes(32), Lazy(secrets.token_urlsafe(32))],
    ids=["hex", "bytes", "lazy"],
)
def test_keys_that_are_made_by_chance_are_taken(key: Any) -> None:
    signer = ClickSigner((key,))
    assert signer.event(signer.sign(CONTEXT, customer_id=7)).customer_id == "7"


def test_a_key_has_six_different_bytes_and_is_no_text_repeated() -> None:
    ClickSigner(["abcdef" * 5 + "ba"])
    said = r"^expected a key of 32 bytes or more .*, got a shorter or simpler one$"
    for weak in ("abcde" * 6 + "ba", "abcdefgh" * 4, b"ab" + b"a" * 40):
        with pytest.raises(ConfigurationError, match=said):
            ClickSigner([weak])


@pytest.mark.parametrize("max_age", [0, -1, float("nan"), "1", None, 31 * 86_400])
def test_an_age_that_cannot_be_is_refused(max_age: Any) -> None:
    with pytest.raises(ConfigurationError, match="expected max_age to be a number of seconds"):
        ClickSigner([KEY], max_age=max_age)


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"customer_id": ""}, "expected customer_id"),
        ({"context": {"cid": "x"}}, "expected 'experience' in the context"),
        ({"platform": "fridge"}, "expected platform"),
        ({"element": ""}, "expected element"),
    ],
)
def test_what_no_event_can_be_made_of_is_not_signed(changed: dict[str, Any], message: str) -> None:
    with pytest.raises(InvalidRequestError, match=message):
        sign(**changed)


@pytest.mark.parametrize("name", ODD)
def test_an_odd_object_raises_only_the_tree(name: str) -> None:
    odd = ODD[name]
    tried(lambda: SIGNER.event(odd))
    tried(lambda: ClickSigner(odd))
    tried(lambda: ClickSigner([odd]))
    tried(lambda: ClickSigner([KEY], max_age=odd))
    tried(lambda: sign(context=odd))
    tried(lambda: sign(customer_id=odd))
    tried(lambda: sign(element=odd))
    tried(lambda: sign(platform=odd))


def test_nothing_shows_a_key_or_a_visitor(monkeypatch: pytest.MonkeyPatch) -> None:
    expired, signer, now = sign(), ClickSigner([KEY], max_age=60), time.time()
    monkeypatch.setattr("time.time", lambda: now + 100)
    assert repr(signer) == "ClickSigner(max_age=60)"
    for call in (
        lambda: signer.event(expired),
        lambda: signer.event(expired[:-3]),
        lambda: sign(platform="fridge"),
        lambda: sign(context={"cid": "canary"}),
        lambda: ClickSigner([KEY, "canary"]),
    ):
        with pytest.raises((InvalidRequestError, ConfigurationError)) as caught:
            call()
        report = traceback.TracebackException.from_exception(caught.value, capture_locals=True)
        frames = [repr(frame.locals) for frame in report.stack if "tests" not in frame.filename]
        assert "canary" not in "".join([*frames, *report.format_exception_only()])
        assert expired[:40] not in "".join(frames)
        assert caught.value.__context__ is None  # an error of itsdangerous would hold what was signed


def test_without_the_extra_the_import_says_which() -> None:
    code = """if True:
        import sys
        sys.modules["itsdangerous"] = None
        try:
            import moengage_personalize.integrations.clicks
        except ImportError as error:
            print(error)
    """
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    said = 'expected the extra of click tokens (pip install "moengage-personalize[clicks]"), got no itsdangerous\n'
    assert done.stdout == said


def test_the_door_of_the_module_is_the_signer() -> None:
    assert clicks.__all__ == ["ClickSigner"]
