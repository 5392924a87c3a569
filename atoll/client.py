"""The researcher's Python: a hub far away.

hub = atoll.Hub("https://hub.example:8443", token=…, authority="hub-ca.pem")
study = hub.submit("study.signed.json")
study.wait(progress=True)
study.result("risk").summary()
"""

from __future__ import annotations

import json
import math
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from datetime import date
from difflib import get_close_matches
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

from atoll.errors import AtollError, OperatorError, StudyError, Unreachable, error_for
from atoll.governance.signatures import PrivateKey, SignedStudy, read_or_make_key, sign_study
from atoll.governance.states import ENDED
from atoll.network.http import Connection, too_many
from atoll.settings import settings
from atoll.study import protocol
from atoll.study.dataset import files_beside
from atoll.ui.results import Result

LONG_POLL = 20  # seconds that the hub may hold a request
WHOLE, FEWEST = 64, 6  # digits of a study's hash, and how many of them are enough to name it


class Hub:
    """A hub, with an investigator's token.

    Parameters
    ----------
    url
        Address of the hub, https://…
    token
        As `atoll hub token NAME` printed it once.
    authority
        Path of the hub's certificate authority (PEM), where it made its own; public ones are known.

    Raises
    ------
    OperatorError
        When address or authority cannot be used.
    """

    def __init__(self, url: str, *, token: str, authority: str | Path | None = None):
        pem = _pem(authority or settings().ca_file)
        proxy = settings().proxy(urlsplit(url).hostname or "")
        self.url = url
        self.token = token
        self._connection = Connection(url, authority=pem, proxy=proxy)

    def submit(self, study: str | Path) -> Study:
        """Hand in a study: a signed file, or a YAML file, which is signed with your own key first.

        Raises
        ------
        StudyError, NotPermitted
            When the study or its signature is refused, with the hub's sentence.
        """
        return self._submitted(_signed(Path(study)))

    def feasibility(
        self, study: str | Path, seconds: float = 20.0, keep: bool = False
    ) -> dict[str, dict[str, Any] | str]:
        """How many patients each hospital has for a planned study, before it is signed.

        One question for each hospital, signed with your own key; a hospital whose steward gave a standing permission
        answers at once. What nobody answered in so many seconds is withdrawn; with `keep` it waits for the steward, and
        asking again on the same day gives the answer. Asked twice on a day it is one question.

        Returns
        -------
        dict
            By hospital: the results by analysis, or the sentence that says why there are none.
        """
        planned = _read(Path(study))
        asked = {site: self._question(planned, site) for site in planned.sites}
        until = time.monotonic() + seconds
        return {site: one.answers(until, withdraw=not keep) for site, one in asked.items()}

    def _question(self, planned: protocol.Study, site: str) -> Study:
        """The question to one hospital as a study: today's, unless that was withdrawn; then another."""
        from atoll.algorithms.planned import as_questions

        number = 1
        while True:
            question = as_questions(planned, site, date.today(), number)
            found = self._submitted(sign_study(question, _key()))
            if not _withdrawn(found.status()):
                return found
            number += 1

    def _submitted(self, signed: SignedStudy) -> Study:
        return Study(self, self._ask("POST", "/api/studies", content=signed.to_bytes())["study"])

    def study(self, study: str) -> Study:
        """A study that was submitted before, by its hash or the first digits of it, six or more.

        Raises
        ------
        StudyError
            When the digits are too few, or begin the hash of none or of several of your studies.
        """
        wanted = study.strip().lower()
        return Study(self, wanted if len(wanted) == WHOLE else self._beginning(wanted))

    def _beginning(self, digits: str) -> str:
        """The whole hash that begins so."""
        if len(digits) < FEWEST:
            raise StudyError(
                f"{digits!r} is too short for the hash of a study.", f"Give {FEWEST} or more of its digits."
            )
        mine = list(dict.fromkeys(run["study"] for run in self.runs()))
        found = [name for name in mine if name.startswith(digits)]
        if len(found) == 1:
            return str(found[0])
        if found:
            raise StudyError(
                f"The hashes of {len(found)} of your studies begin with {digits!r}.",
                f"Give more digits: {', '.join(name[: len(digits) + 8] for name in found)}.",
            )
        newest = ", ".join(name[:12] for name in mine[:5])
        raise StudyError(
            f"There is no study of yours whose hash begins with {digits!r}.",
            f"Your newest at this hub: {newest}." if mine else "You have none at this hub.",
        )

    def runs(self) -> list[dict[str, Any]]:
        """All your runs, newest first."""
        found: list[dict[str, Any]] = self._ask("GET", "/api/runs")
        return found

    def sites(self) -> list[dict[str, Any]]:
        """The hospitals that have joined: name, key fingerprint, whether they are heard."""
        found: list[dict[str, Any]] = self._ask("GET", "/api/sites")
        return found

    def _ask(self, method: str, path: str, *, content: bytes = b"", wait: float = 0.0) -> Any:
        headers = {"authorization": f"Bearer {self.token}"}
        answer = self._connection.request(method, path, content=content, headers=headers, wait=wait)
        try:
            document = json.loads(answer.body)
        except ValueError as error:
            raise OperatorError(
                f"{self.url} is no Atoll hub.", "Check address and port; a proxy's own page can also be the cause."
            ) from error
        if answer.status >= 400:
            refused = _refused(document.get("error", {}))
            raise too_many(answer, refused.what, refused.remedy) or refused
        return document


class Study:
    """A submitted study: its runs, one an analysis."""

    def __init__(self, hub: Hub, hash: str):
        self.hub, self.hash = hub, hash

    def status(self) -> dict[str, Any]:
        """The study now: approvals, runs with their states, and what it waits for."""
        found: dict[str, Any] = self.hub._ask("GET", f"/api/studies/{quote(self.hash)}")
        return found

    def follow(self, until: float = math.inf) -> Iterator[dict[str, Any]]:
        """The study's status, again whenever it changes, until it has ended. Outlives restarts of the hub.

        `until` is a moment of `time.monotonic()` at which it ends all the same.
        """
        document = self.status()
        yield document
        while not _ended(document) and (left := until - time.monotonic()) > 0:
            seconds = max(1, round(min(left, LONG_POLL)))
            path = f"/api/studies/{quote(self.hash)}?version={document['version']}&wait={seconds}"
            try:
                newer = self.hub._ask("GET", path, wait=seconds)
            except Unreachable as error:
                newer = self._again(error, until)
            if newer != document:
                document = newer
                yield document

    def _again(self, error: Unreachable, until: float) -> dict[str, Any]:
        """The status once the hub answers again, when it wants to be asked; gives up after ten minutes of silence."""
        for pause in (1, 2, 5, 10, *[20] * 30):
            if time.monotonic() + max(pause, error.wait) > until:
                raise error
            time.sleep(max(pause, error.wait))
            try:
                return self.status()
            except Unreachable as silent:
                error = silent
        return self.status()

    def wait(self, progress: bool | Callable[[dict[str, Any]], None] = False) -> Study:
        """Until every run has ended; `progress` prints a line at each change, or is called with the status.

        Raises
        ------
        AtollError
            When a run failed or was stopped, with the hub's sentence; the class is that of the same refusal in process.
        """
        last = ""
        for document in self.follow():
            if callable(progress):
                progress(document)
            elif progress and (line := in_a_line(document)) != last:
                last = line
                print(line, file=sys.stderr, flush=True)
        failed = [run for run in document["runs"] if run["state"] in ("failed", "stopped")]
        if failed:
            others = "The other runs keep their results." if len(failed) < len(document["runs"]) else ""
            raise refusal_of(failed[0], others)
        return self

    def answers(self, until: float, withdraw: bool = False) -> dict[str, Any] | str:
        """Results by analysis once all is there; a sentence when something is not by then.

        With `withdraw` the study is stopped then, and no steward finds it in a list any more.
        """
        *_, document = self.follow(until)
        if not _ended(document):
            if withdraw:
                self.stop()
            return str(document["waits_for"]) or "No answer yet."
        failed = next((run for run in document["runs"] if run["state"] != "finished"), None)
        if failed:
            return str(failed["sentence"] or failed["state"])
        runs = {run["analysis"]: run["run"] for run in document["runs"]}
        return {name: self.hub._ask("GET", f"/api/runs/{quote(run)}/result") for name, run in runs.items()}

    def result(self, analysis: str) -> Result:
        """The result of one analysis.

        Raises
        ------
        AtollError
            When there is no such analysis, or it has no result: not yet, or because its run failed or was stopped.
        """
        run = run_of(analysis, self.status()["runs"])
        if run["state"] != "finished":
            raise why_none(run)
        return Result(self.hub._ask("GET", f"/api/runs/{quote(run['run'])}/result"))

    def run(self, analysis: str) -> dict[str, Any]:
        """One run in detail: rounds, and what each hospital is doing and has sent.

        Raises
        ------
        StudyError
            When there is no such analysis, or it has no run yet.
        """
        name = run_of(analysis, self.status()["runs"])["run"]
        found: dict[str, Any] = self.hub._ask("GET", f"/api/runs/{quote(name)}")
        return found

    def stop(self) -> None:
        """Stop the study everywhere."""
        self.hub._ask("POST", f"/api/studies/{quote(self.hash)}/stop")

    def __repr__(self) -> str:
        return f"<study {self.hash[:12]} at {self.hub.url}>"


def in_a_line(document: dict[str, Any]) -> str:
    """A study's status in one line, for a log."""
    runs = " · ".join(f"{run['analysis']} {run['state']}" for run in document["runs"])
    return " · ".join(filter(None, [runs or document["state"], document["waits_for"]]))


def _ended(document: dict[str, Any]) -> bool:
    return bool(document["runs"]) and all(run["state"] in ENDED for run in document["runs"])


def _withdrawn(document: dict[str, Any]) -> bool:
    """Whether its investigator stopped the study; a hospital that did is named."""
    return any(run["state"] == "stopped" and not run["site"] for run in document["runs"])


def _pem(path: str | Path | None) -> bytes | None:
    if path is None:
        return None
    try:
        return Path(path).read_bytes()
    except OSError as error:
        raise OperatorError(
            f"{path} cannot be read: {error.strerror}.", "Give the hub's authority as a PEM file."
        ) from error


def _signed(path: Path) -> SignedStudy:
    """The signed study in a file; a YAML file is checked and signed with the investigator's own key."""
    if path.suffix == ".json":
        return SignedStudy.from_bytes(_bytes(path))
    return sign_study(_read(path), _key())


def _read(path: Path) -> protocol.Study:
    """The study in a file, signed or not."""
    from atoll.algorithms.registry import check

    content = _bytes(path)
    if path.suffix == ".json":
        return SignedStudy.from_bytes(content).study()
    return protocol.read(content.decode("utf-8-sig"), check=check, files=files_beside(path))


def _bytes(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise StudyError(f"{path} cannot be read: {error.strerror}.", "Check the path.") from error


def _key() -> PrivateKey:
    return read_or_make_key(settings().home / "investigator" / "key.pem")[0]


def questions(study: protocol.Study) -> Iterator[tuple[str, protocol.Study]]:
    """For each hospital the study of feasibility that asks it alone."""
    from atoll.algorithms.planned import as_questions

    for site in study.sites:
        yield site, as_questions(study, site, date.today())


def run_of(analysis: str, runs: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """The run of one analysis among those of a study's status.

    Raises
    ------
    StudyError
        When there is no such analysis.
    """
    for run in runs:
        if run["analysis"] == analysis:
            return run
    known = [run["analysis"] for run in runs]
    near = get_close_matches(analysis, known, 1)
    remedy = f"Did you mean {near[0]!r}?" if near else f"It has {', '.join(known)}."
    raise StudyError(f"The study has no analysis {analysis!r}.", remedy, subject="analysis")


def refusal_of(run: dict[str, Any], remedy: str = "") -> AtollError:
    """Why a run of a study's status ended, as the exception that says who must act."""
    what = f"{run['analysis']}: {run['sentence'] or run['state']}"
    code = run["code"] or "STUDY_INVALID"
    return error_for(code, what, remedy, subject=run.get("subject", ""), exit_code=run.get("exit_code", 0))


def why_none(run: dict[str, Any], waits_for: str = "") -> AtollError:
    """Why a run of a study's status has no result: its state, and the hub's sentence."""
    if run["state"] not in ENDED:
        return StudyError(f"{run['state']}; there is no result yet.", waits_for or "See `atoll study status`.")
    what = f"{run['state']}. {run['sentence'] or ''}".strip()
    code = run["code"] or "STUDY_INVALID"
    return error_for(code, what, subject=run.get("subject", ""), exit_code=run.get("exit_code", 0))


def _refused(error: dict[str, Any]) -> AtollError:
    """The hub's refusal as the exception that says who must act."""
    code, what = str(error.get("code", "FAILED")), str(error.get("what", "The hub refused."))
    subject, exit_code = str(error.get("subject", "")), error.get("exit_code", 0)
    return error_for(code, what, str(error.get("remedy", "")), subject=subject, exit_code=exit_code)
