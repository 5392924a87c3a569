"""The researcher's Python over a hub that only answers: what is asked, how long, and what a wrong name says."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from atoll import client
from atoll.client import Hub, Study
from atoll.errors import StudyError, Unreachable
from tests.unit.studies import STUDY as TEXT

RESULT = {"algorithm": "glm", "sites": ["north"], "rounds": 4, "n": 1200}


class Answers:
    """Stands for the line to a hub: answers of a study in turn, the last one again and again."""

    def __init__(self, *documents):
        self.documents, self.asked = list(documents), []

    def __call__(self, method, path, *, content=b"", wait=0.0):
        self.asked.append((path.partition("?")[0], wait))
        if method == "POST":
            return {"study": "f" * 64}
        if path.startswith("/api/runs/"):
            return RESULT if path.endswith("/result") else {"run": path.rpartition("/")[2]}
        document = self.documents.pop(0) if len(self.documents) > 1 else self.documents[0]
        if isinstance(document, Exception):
            raise document
        return document


def status(state: str, version: int = 1):
    run = {"analysis": "risk", "run": "f-1", "state": state, "sentence": "", "code": ""}
    return {"state": state, "runs": [run], "version": version, "waits_for": "Waits for north."}


def hub_that_says(monkeypatch, *documents) -> tuple[Hub, Answers]:
    hub, answers = Hub("https://hub.example:8443", token="t"), Answers(*documents)
    monkeypatch.setattr(hub, "_ask", answers)
    return hub, answers


@pytest.fixture(autouse=True)
def pauses(monkeypatch):
    """Time passes when the client sleeps, and only then: other threads of the process have the real clock."""
    now, slept = [1000.0], []

    def sleep(seconds):
        slept.append(seconds)
        now[0] += seconds

    monkeypatch.setattr(client, "time", SimpleNamespace(monotonic=lambda: now[0], sleep=sleep))
    return slept


def test_a_study_is_submitted_waited_for_and_read(monkeypatch, tmp_path, capsys):
    """As a researcher writes it, whatever name the study is given."""
    monkeypatch.setenv("ATOLL_HOME", str(tmp_path / "home"))
    key = "{key: SHA256:AAAA-BBBB-CCCC-DDDD-EEEE-FFFF-GGGG-%s}"
    pinned = TEXT.replace("north:", f"north: {key % 'HHHH'}").replace("river: {}", f"river: {key % '2222'}")
    (tmp_path / "study.yaml").write_text(pinned, "utf-8")
    hub, _ = hub_that_says(monkeypatch, status("running"), status("finished", 2))
    run = hub.submit(tmp_path / "study.yaml")
    run.wait(progress=True)
    assert run.result("risk").document == RESULT
    assert "risk finished" in capsys.readouterr().err


@pytest.mark.parametrize("ask", [Study.result, Study.run])
def test_an_analysis_that_is_not_there_is_a_sentence_with_the_nearest_name(monkeypatch, ask):
    hub, _ = hub_that_says(monkeypatch, status("finished"))
    with pytest.raises(StudyError, match=r"The study has no analysis 'rsk'\. Did you mean 'risk'\?"):
        ask(hub.study("f" * 64), "rsk")
    with pytest.raises(StudyError, match=r"The study has no analysis 'xyz'\. It has risk\."):
        ask(hub.study("f" * 64), "xyz")
    assert hub.study("f" * 64).run("risk") == {"run": "f-1"}


def test_a_hub_that_is_away_is_asked_again_while_there_is_time(monkeypatch, pauses):
    away = Unreachable("The hub does not answer.", "Wait.")
    hub, _ = hub_that_says(monkeypatch, status("running"), away, away, status("finished", 2))
    assert hub.study("f" * 64).answers(until=1030.0) == {"risk": RESULT}
    assert pauses == [1, 2], "after one second it is still away"


def test_a_hub_that_is_away_is_not_asked_beyond_the_time(monkeypatch, pauses):
    away = Unreachable("The hub does not answer.", "Wait.")
    hub, _ = hub_that_says(monkeypatch, status("running"), away)
    with pytest.raises(Unreachable):
        hub.study("f" * 64).answers(until=1010.0)
    assert sum(pauses) <= 10


def test_an_answer_that_has_not_come_by_then_is_a_sentence(monkeypatch, pauses):
    hub, answers = hub_that_says(monkeypatch, status("waiting"))
    ask = answers.__call__

    def slowly(method, path, *, content=b"", wait=0.0):
        client.time.sleep(wait)
        return ask(method, path, content=content, wait=wait)

    monkeypatch.setattr(hub, "_ask", slowly)
    assert hub.study("f" * 64).answers(until=1025.0) == "Waits for north."
    assert [wait for _, wait in answers.asked] == [0.0, 20, 5]
