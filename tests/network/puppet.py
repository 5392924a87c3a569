"""A site whose every message a test writes itself."""

from __future__ import annotations

from typing import Any

from atoll.network import messages
from atoll.network.codec import decode_question, encode
from atoll.network.http import SignedLine
from atoll.network.messages import Decision, Handover, Poll, PollAnswer, Receipt, Recorded, Share, Task
from tests.network import toy
from tests.network.world import World


class Puppet:
    """Speaks for a joined site; the site's own program is not running."""

    def __init__(self, world: World, site: str):
        self.site, self.home = site, world.homes[site]
        store = self.home.store()
        self.line: SignedLine = self.home.line(store)
        store.close()
        self.instance, self.number, self.after = 1, 0, 0

    def close(self) -> None:
        self.line.connection.close()

    def poll(self, wait: float = 0.0, holding: tuple[int, ...] = (), shares: tuple[Handover, ...] = ()) -> PollAnswer:
        answer = self.line.ask(
            "/site/poll", Poll(self.instance, self.after, holding, shares, wait), PollAnswer, wait=wait
        )
        self.after = max([self.after, *(proposal.number for proposal in answer.proposals)])
        return answer

    def task(self) -> Task:
        """The open question; there must be one."""
        answer = self.poll(wait=10)
        while not answer.tasks:
            answer = self.poll(wait=10)
        return answer.tasks[0]

    def decide(self, study: str, action: Any) -> Recorded:
        self.number += 1
        return self.line.ask("/site/decision", Decision(study, action, self.number, "0" * 64), Recorded)

    def share(self, task: Task, **changes: Any) -> bytes:
        """The bytes of a share for a question."""
        statistics = toy.step.on(float(sum(self.site.encode())), **decode_question(task.question).arguments)
        self.number += 1
        facts: dict[str, Any] = {
            "place": task.place,
            "outcome": "share",
            "payload": encode(statistics),
            "code": "",
            "subject": "",
            "form": "plain",
            "ledger_number": self.number,
            "ledger_head": f"{self.number:064x}",
            "elapsed": 1,
        }
        return messages.encode(Share(**{**facts, **changes}))

    def answer(self, **changes: Any) -> Receipt:
        """Answer the open question."""
        task = self.task()
        return self.hand_over(task.lease, self.share(task, **changes))

    def hand_over(self, lease: int, content: bytes) -> Receipt:
        return self.line.ask("/site/share", Handover(lease, content), Receipt)
