"""Every refusal and failure a person can meet, as a sentence: what was found, and what to do next.

Classes are named by who must act. A command line shows the sentence without a traceback and ends
with the class's exit code, so that someone outside the secure room learns the cause without a log.

`CATALOGUE` holds the only words that a hospital may send upward about a failure: a code, and who
must act. A code never carries data; the details stay in the hospital's own log.
"""

from __future__ import annotations

from typing import ClassVar, Literal

Actor = Literal["investigator", "steward", "operator", "nobody"]


class AtollError(Exception):
    """A failure with a remedy. `what` says what was found, `remedy` what to do next."""

    exit_code: ClassVar[int] = 1
    actor: ClassVar[Actor] = "operator"
    code: str = "FAILED"

    def __init__(self, what: str, remedy: str = "", *, code: str | None = None, subject: str = ""):
        super().__init__(f"{what} {remedy}".strip())
        self.what, self.remedy, self.subject = what, remedy, subject
        if code is not None:
            self.code = code


class StudyError(AtollError):
    """The investigator must act: the study, its formula or its options cannot be run as written."""

    exit_code, actor, code = 10, "investigator", "STUDY_INVALID"


class DataError(AtollError):
    """The steward must act: a table or its data dictionary does not hold what was expected."""

    exit_code, actor, code = 11, "steward", "DATA_INVALID"


class DisclosureRefused(AtollError):
    """The gate kept a share back. Names the rule, never a value."""

    exit_code, actor, code = 12, "investigator", "GATE_REFUSED"


class NotPermitted(AtollError):
    """A signature, key, code, hash or approval is missing or wrong."""

    exit_code, actor, code = 13, "steward", "NOT_PERMITTED"


class OperatorError(AtollError):
    """The operator must act: a port, certificate, clock, disk or configuration."""

    exit_code, actor, code = 14, "operator", "OPERATOR"


class Unreachable(OperatorError):
    """The other side does not answer; Atoll goes on trying where it safely can."""

    exit_code, code = 15, "UNREACHABLE"


# code -> (who must act, what it says). Tests hold that every code a site sends stands here.
CATALOGUE: dict[str, tuple[Actor, str]] = {
    "STUDY_INVALID": ("investigator", "The study cannot be run as written."),
    "STUDY_EXPIRED": ("investigator", "The study is outside its dates."),
    "UNKNOWN_ALGORITHM": ("operator", "The algorithm is not installed at this site."),
    "UNKNOWN_DATASET": ("steward", "The dataset is not registered at this site."),
    "MISSING_COLUMN": ("steward", "A column that the study names is not in the dataset."),
    "WRONG_TYPE": ("steward", "A column has another type than the study expects."),
    "UNKNOWN_LEVEL": ("investigator", "A category holds a level that the study does not list."),
    "EMPTY": ("investigator", "No complete rows remain for this question."),
    "NOT_FINITE": ("steward", "A column holds an infinite value, or a sum is not finite."),
    "DATA_INVALID": ("steward", "The dataset cannot be read as its dictionary says."),
    "DATA_CHANGED": ("steward", "The dataset's source changed since it was registered."),
    "TOO_FEW_PERSONS": ("investigator", "A number would describe too few persons."),
    "TOO_MANY_PARAMETERS": ("investigator", "The model has too many terms for this site's persons."),
    "GRID_TOO_FINE": ("investigator", "The time grid is finer than this site allows."),
    "TOO_MANY_MOMENTS": ("investigator", "More moments of a column were asked than this site allows."),
    "EXACT_VALUES": ("investigator", "The question asks for values of single persons."),
    "TOO_MANY_ROUNDS": ("investigator", "The analysis asks for more rounds than this site allows."),
    "TOO_LARGE": ("investigator", "The answer is larger than this site lets out."),
    "TOO_MANY_BINS": ("investigator", "A histogram is finer than this site allows."),
    "WORD_NOT_LISTED": ("steward", "A word would leave that is not in the data dictionary."),
    "GATE_REFUSED": ("investigator", "The gate refused the answer."),
    "NOT_PUBLIC": ("steward", "The study asks for a public dataset; this one is not registered as public."),
    "NOT_APPROVED": ("steward", "The study is not approved at this site."),
    "HASH_MISMATCH": ("investigator", "The study differs from the one that was approved."),
    "NOT_PERMITTED": ("steward", "The request is not permitted at this site."),
    "PAUSED": ("steward", "The study is paused at this site."),
    "STOPPED": ("steward", "The study was stopped at this site."),
    "DISK_FULL": ("operator", "The site cannot write its ledger, so it gives no answer."),
    "SITE_FAILED": ("operator", "The site failed; its own log says why."),
}
