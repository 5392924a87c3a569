"""The researcher's Python: a hub far away.

hub = atoll.Hub("https://hub.example:8443", token=…, authority="hub-ca.pem")
run = hub.submit("study.signed.json")
run.wait(progress=True)
run.result("risk").summary()
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

from atoll.errors import AtollError, OperatorError, StudyError, Unreachable, error_for
from atoll.governance.signatures import SignedStudy, read_or_make_key, sign_study
from atoll.governance.states import ENDED
from atoll.network.http import Connection, too_many
from atoll.settings import settings
from atoll.study.dataset import files_beside
from atoll.study.protocol import read
from atoll.ui.results import Result

LONG_POLL = 20  # seconds that the hub may hold a request


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
        document = self._ask("POST", "/api/studies", content=_signed(Path(study)).to_bytes())
        return Study(self, document["study"])

    def study(self, study: str) -> Study:
        """A study that was submitted before, by its hash."""
        return Study(self, study)

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

    def follow(self) -> Iterator[dict[str, Any]]:
        """The study's status, again whenever it changes, until it has ended. Outlives restarts of the hub."""
        document = self.status()
        yield document
        while not _ended(document):
            path = f"/api/studies/{quote(self.hash)}?version={document['version']}&wait={LONG_POLL}"
            try:
                newer = self.hub._ask("GET", path, wait=LONG_POLL)
            except Unreachable as error:
                newer = self._again(error)
            if newer != document:
                document = newer
                yield document

    def _again(self, error: Unreachable) -> dict[str, Any]:
        """The status once the hub answers again, when it wants to be asked; gives up after ten minutes of silence."""
        import time

        for pause in (1, 2, 5, 10, *[20] * 30):
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

    def result(self, analysis: str) -> Result:
        """The result of one analysis.

        Raises
        ------
        StudyError
            When there is no such analysis, or no result yet.
        """
        runs = {run["analysis"]: run["run"] for run in self.status()["runs"]}
        if analysis not in runs:
            raise StudyError(
                f"The study has no analysis {analysis!r}.", f"It has {', '.join(runs)}.", subject="analysis"
            )
        return Result(self.hub._ask("GET", f"/api/runs/{quote(runs[analysis])}/result"))

    def run(self, analysis: str) -> dict[str, Any]:
        """One run in detail: rounds, and what each hospital is doing and has sent."""
        runs = {run["analysis"]: run["run"] for run in self.status()["runs"]}
        found: dict[str, Any] = self.hub._ask("GET", f"/api/runs/{quote(runs[analysis])}")
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
    from atoll.algorithms.registry import check

    try:
        content = path.read_bytes()
    except OSError as error:
        raise StudyError(f"{path} cannot be read: {error.strerror}.", "Check the path.") from error
    if path.suffix == ".json":
        return SignedStudy.from_bytes(content)
    key, _ = read_or_make_key(settings().home / "investigator" / "key.pem")
    return sign_study(read(content.decode("utf-8-sig"), check=check, files=files_beside(path)), key)


def refusal_of(run: dict[str, Any], remedy: str = "") -> AtollError:
    """Why a run of a study's status ended, as the exception that says who must act."""
    what = f"{run['analysis']}: {run['sentence'] or run['state']}"
    code = run["code"] or "STUDY_INVALID"
    return error_for(code, what, remedy, subject=run.get("subject", ""), exit_code=run.get("exit_code", 0))


def _refused(error: dict[str, Any]) -> AtollError:
    """The hub's refusal as the exception that says who must act."""
    code, what = str(error.get("code", "FAILED")), str(error.get("what", "The hub refused."))
    subject, exit_code = str(error.get("subject", "")), error.get("exit_code", 0)
    return error_for(code, what, str(error.get("remedy", "")), subject=subject, exit_code=exit_code)
