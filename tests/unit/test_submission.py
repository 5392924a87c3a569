"""`atoll study status|results` and `atoll.Hub` against a hub whose every answer the test writes."""

from __future__ import annotations

import json

import pytest
from click.testing import CliRunner

from atoll.cli.study import study as group
from atoll.client import Hub
from atoll.errors import StudyError
from atoll.settings import read

HASH, TWIN = "38aac1b84b6e" + "0" * 52, "38aac1b84b6e" + "1" * 52
OTHER = "ffff0000" + "2" * 56
EMPTY = "north did not answer round 1 of “flat”: No complete rows remain for this question."


def run(number: int, analysis: str, state: str, sentence: str = "", code: str = "", exit_code: int = 0):
    reason = {"code": code, "sentence": sentence, "exit_code": exit_code, "subject": "", "site": ""}
    return {"run": f"{HASH[:12]}-{number}", "study": HASH, "analysis": analysis, "state": state, **reason}


FINISHED = run(1, "people", "finished")
FAILED = run(2, "flat", "failed", EMPTY, "EMPTY", 10)
REFUSED = run(3, "risk", "failed", "north refused: too few persons.", "TOO_FEW_PERSONS", 12)
STOPPED = run(4, "late", "stopped", "north stopped the study.", "STOPPED", 13)


class Answers:
    """What the hub knows: the investigator's runs, and what was asked of it."""

    def __init__(self, monkeypatch, tmp_path):
        self.runs, self.asked, self.studies, self.waits_for = [FINISHED], [], [HASH], ""
        monkeypatch.setattr(Hub, "_ask", lambda hub, method, path, **_: self(path))
        found = read({"ATOLL_HOME": str(tmp_path / "home")})
        for module in ("atoll.cli.submission", "atoll.client", "atoll.cli.output"):
            monkeypatch.setattr(f"{module}.settings", lambda: found)
        (tmp_path / "token").write_text("atoll_t")
        self.words = ["--hub", "https://hub.example:8443", "--token-file", str(tmp_path / "token")]

    def __call__(self, path):
        self.asked.append(path)
        if path == "/api/runs":
            return [{**entry, "study": name} for name in self.studies for entry in self.runs]
        if path.endswith("/result"):
            return {"algorithm": "toy", "sites": ["north"], "n": 40}
        site = {"decision": "approve", "online": True}
        document = {"title": "Toy", "state": "failed", "study": path.rpartition("/")[2], "sites": {"north": site}}
        return {**document, "runs": self.runs, "waits_for": self.waits_for}

    def typed(self, *words):
        return CliRunner().invoke(group, [*words, *self.words])


@pytest.fixture
def hub(monkeypatch, tmp_path):
    return Answers(monkeypatch, tmp_path)


def test_each_analysis_without_a_result_says_why_and_the_command_fails(hub):
    hub.runs = [FINISHED, FAILED, STOPPED, REFUSED]
    done = hub.typed("results", HASH)
    assert done.exit_code == 12, "as `atoll run` has it: the code of the last one"
    assert done.stdout.startswith("people: toy · 1 site · n 40\n")
    assert done.stderr.splitlines() == [
        f"flat: failed. {EMPTY}",
        "late: stopped. north stopped the study.",
        "risk: failed. north refused: too few persons.",
    ]


def test_the_same_for_programs_is_one_document(hub):
    hub.runs = [FINISHED, FAILED]
    done = hub.typed("results", HASH, "--json")
    document = json.loads(done.stdout)
    assert done.exit_code == 10 and document["people"]["n"] == 40
    assert document["flat"] == {
        "error": {"code": "EMPTY", "who": "investigator", "what": f"failed. {EMPTY}", "remedy": ""}
    }


@pytest.mark.parametrize("words", [[], ["--analysis", "flat"]])
def test_no_result_at_all_is_told_by_analysis(hub, words):
    hub.runs = [FAILED] if not words else [FINISHED, FAILED]
    done = hub.typed("results", HASH, *words)
    assert (done.exit_code, done.stdout, done.stderr) == (10, "", f"flat: failed. {EMPTY}\n")


def test_what_still_runs_is_no_result(hub):
    hub.runs, hub.waits_for = [FINISHED, run(2, "risk", "waiting")], "Waits for the decision of river."
    done = hub.typed("results", HASH)
    assert done.exit_code == 10
    assert done.stderr == "risk: waiting; there is no result yet. Waits for the decision of river.\n"
    hub.runs = [FINISHED]
    assert hub.typed("results", HASH).exit_code == 0


@pytest.mark.parametrize("command", ["status", "results"])
def test_the_first_digits_of_a_hash_are_enough(hub, command):
    hub.studies = [OTHER, HASH]
    for digits in (HASH[:12], HASH[:6].upper(), HASH):
        hub.asked.clear()
        assert hub.typed(command, digits).exit_code == 0
        assert f"/api/studies/{HASH}" in hub.asked


@pytest.mark.parametrize(
    ("digits", "sentence"),
    [
        (HASH[:5], f"'{HASH[:5]}' is too short for the hash of a study. Give 6 or more of its digits."),
        (HASH[:12], f"The hashes of 2 of your studies begin with '{HASH[:12]}'. Give more digits: {HASH[:20]}, "),
        ("abcdabcd", "There is no study of yours whose hash begins with 'abcdabcd'. Your newest at this hub: 38aac1b8"),
    ],
)  # fmt: skip
def test_digits_that_name_no_study_or_several(hub, digits, sentence):
    hub.studies = [HASH, TWIN, OTHER]
    done = hub.typed("status", digits)
    assert done.exit_code == 10 and done.stderr.startswith(sentence)


def test_in_python_a_beginning_names_a_study_too_and_a_failed_run_says_why(hub):
    centre = Hub("https://hub.example:8443", token="t")
    assert centre.study(HASH[:8]).hash == HASH
    hub.runs = [FAILED]
    with pytest.raises(StudyError, match=r"failed\. north did not answer round 1 of “flat”") as told:
        centre.study(HASH).result("flat")
    assert told.value.code == "EMPTY"
    with pytest.raises(StudyError, match=r"The study has no analysis 'steep'\. It has flat"):
        centre.study(HASH).run("steep")
