"""A call with a clock that the test moves: no sleeping and no network."""

from __future__ import annotations

from attrs import define, field

from moengage_personalize import PersonalizeError
from moengage_personalize._call import Record, Sleep, retrying_call
from moengage_personalize._messages import Request, Response, TransportError
from moengage_personalize._policy import RetryPolicy

REQUEST = Request("POST", "http://host/v1", {}, b"{}")
GOOD = Response(200, {}, b"good")
REFUSED = TransportError("connection", ConnectionRefusedError(111, "Connection refused"))
START = 1_000.0  # not 0, which would hide a time that was never set


@define
class World:
    """A clock that moves by what each request takes, and outcomes in turn; the last one for good."""

    outcomes: list[Response | TransportError | PersonalizeError]
    takes: float = 0.01
    time: float = START
    jitter: float = 1.0
    frozen: bool = False
    oversleeps: float = 0.0
    sent: list[float] = field(factory=list)
    slept: list[float] = field(factory=list)

    def read(self, answer: Response) -> str:
        refused = self.outcomes[min(len(self.sent), len(self.outcomes)) - 1]
        if isinstance(refused, PersonalizeError):
            raise refused
        return answer.body.decode()

    def pass_time(self, seconds: float) -> None:
        if not self.frozen:
            self.time += seconds

    def run(
        self,
        *,
        max_retries: int = 2,
        timeout: float = 1.0,
        policy: RetryPolicy | None = None,
        record: Record | None = None,
    ) -> str:
        call = retrying_call(
            policy or RetryPolicy(max_retries, None),
            timeout,
            deadline=self.time + timeout,
            now=lambda: self.time,
            jitter=lambda: self.jitter,
            request=REQUEST,
            read=self.read,
            record=record,
        )
        try:
            step = next(call)
            while True:
                assert len(self.sent) + len(self.slept) < 50_000, "a call goes on for ever"
                if isinstance(step, Sleep):
                    self.slept.append(step.seconds)
                    self.pass_time(step.seconds + self.oversleeps)
                    step = call.send(None)
                else:
                    self.sent.append(step.timeout)
                    outcome = self.outcomes[min(len(self.sent), len(self.outcomes)) - 1]
                    self.pass_time(self.takes)
                    step = call.send(GOOD if isinstance(outcome, PersonalizeError) else outcome)
        except StopIteration as stop:
            value: str = stop.value
            return value
