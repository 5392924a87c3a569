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

    def to_document(self) -> dict[str, str]:
        """What `--json` shows of it."""
        return {"code": self.code, "who": self.actor, "what": self.what, "remedy": self.remedy}


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
    wait: float = 0.0  # seconds that the other side asked to wait before the next attempt


class TooMany(Unreachable):
    """Too many requests, or failed attempts, in a short time; `wait` is in how many seconds one may ask again."""

    code = "TOO_MANY"

    def __init__(self, what: str, remedy: str = "", *, wait: float, code: str | None = None, subject: str = ""):
        super().__init__(what, remedy, code=code, subject=subject)
        self.wait = wait


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
    "OUTCOME_UNFIT": ("investigator", "The outcome holds values that this kind of model cannot have."),
    "OPTION_INVALID": ("investigator", "An option of the analysis cannot be used as it is written."),
    "MODEL_INVALID": ("investigator", "The model that the study gives cannot be used."),
    "FORMULA_EMPTY": ("investigator", "The formula has no terms."),
    "COLUMN_UNFIT": (
        "investigator",
        "A column cannot stand here: its type does not fit, or it is known only afterwards.",
    ),
    "LEVELS_TOO_FEW": ("investigator", "A category has fewer than two levels."),
    "LEVEL_MISSING": ("investigator", "The study names a level that the category does not have."),
    "SPLINE_UNFIT": ("investigator", "The ends or knots of a spline are not known, or do not rise."),
    "TERM_CONSTANT": ("investigator", "A term of the model does not vary between the patients."),
    "TERMS_ALIKE": ("investigator", "A term of the model is given by others: their effects cannot be told apart."),
    "SEPARATED": ("investigator", "A term predicts the outcome without error, so its coefficient has no finite value."),
    "NOT_SETTLED": ("investigator", "The fit did not settle; this term moved last."),
    "NO_FREEDOM": ("investigator", "The model has as many terms as there are patients."),
    "ONE_OUTCOME": ("investigator", "All patients have the same outcome."),
    "NO_EVENT": ("investigator", "Nobody had the event."),
    "GRID_NEEDED": ("investigator", "Under this policy the analysis needs a time grid."),
    "NOT_FINITE": ("steward", "A column holds an infinite value, or a sum is not finite."),
    "DATA_INVALID": ("steward", "The dataset cannot be read as its dictionary says."),
    "DATA_CHANGED": ("steward", "The dataset's source changed since it was registered."),
    "TOO_FEW_PERSONS": ("investigator", "A number would describe too few persons."),
    "ONE_PERSON": ("investigator", "One person would weigh too much in the model."),
    "TOLD_APART": ("investigator", "Sums of the model would tell one person apart from all others."),
    "CODE_AS_NUMBER": ("investigator", "A column that is called a number holds two values only."),
    "TERM_INTRICATE": (
        "investigator",
        "A term of the formula computes more than is allowed where patients are protected.",
    ),
    "TERM_UNBOUNDED": (
        "investigator",
        "A term of the formula is not finite for every value that the data dictionary allows.",
    ),
    "TOO_MANY_PARAMETERS": ("investigator", "The model has too many terms for this site's persons."),
    "GRID_TOO_FINE": ("investigator", "The time grid is finer than this site allows."),
    "TOO_MANY_MOMENTS": ("investigator", "More moments of a column were asked than this site allows."),
    "EXACT_VALUES": ("investigator", "The question asks for values of single persons."),
    "TOO_MANY_ROUNDS": ("investigator", "The analysis asks for more rounds than this site allows."),
    "TOO_MANY_RUNS": ("investigator", "The analysis was run as often as this site allows."),
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

# code -> what to do next, for whoever meets the code; tests hold that every code has one.
REMEDIES: dict[str, str] = {
    "STUDY_INVALID": "Correct the study, and submit it again.",
    "STUDY_EXPIRED": "Wait for its first day, or sign a study with later dates.",
    "UNKNOWN_ALGORITHM": "Install the same version of Atoll, and of its extensions, at hub and sites.",
    "UNKNOWN_DATASET": "Register it with `atoll site dataset add`, or correct the study.",
    "MISSING_COLUMN": "Add the column to the dataset and its dictionary, or leave it out of the study.",
    "WRONG_TYPE": "Correct the column or its type in the data dictionary, or write C(…) where it holds words.",
    "UNKNOWN_LEVEL": "Add the level to the study, or merge or correct it in the data.",
    "EMPTY": "Leave out a column that is missing for every row, or leave this site out of the sites that the study "
    "names.",
    "OUTCOME_UNFIT": "Choose another family or link, or correct the column: 0 and 1 for a risk, more than 0 for a log.",
    "OPTION_INVALID": "Correct this option in the study, and submit it again.",
    "MODEL_INVALID": "Take the `model` of a fitted result as it is, or correct its terms, coefficients or link.",
    "FORMULA_EMPTY": "Name at least one column.",
    "COLUMN_UNFIT": "Leave it out, or name another column.",
    "LEVELS_TOO_FEW": "Leave it out, or list its levels in the data dictionary.",
    "LEVEL_MISSING": "Correct the level in the study, or list it in the data dictionary.",
    "SPLINE_UNFIT": "Give `lower_bound`, `upper_bound` and `knots` that rise between them, or a smaller `df`.",
    "TERM_CONSTANT": "Leave it out, or merge the level with another.",
    "TERMS_ALIKE": "Leave one of them out.",
    "SEPARATED": "Merge the level with another, leave the term out, or study more patients.",
    "NOT_SETTLED": "Look at this term: it may be on an extreme scale, nearly given by others, or predict the outcome.",
    "NO_FREEDOM": "Leave terms out, or study more patients.",
    "ONE_OUTCOME": "Look at the outcome: there must be patients with and without it.",
    "NO_EVENT": "Look at the event column: 1 must mean the event.",
    "GRID_NEEDED": "Give `grid`, or `times` of a curve, or stratify a Cox model by site (`strata: [site]`).",
    "NOT_FINITE": "Look for infinite or extreme values; a logarithm or root needs positive ones.",
    "DATA_INVALID": "Correct the data or their dictionary, and register them again.",
    "DATA_CHANGED": "Register the dataset again.",
    "TOO_FEW_PERSONS": "Merge rare levels, use broader groups or a longer time grid, take one column in the place of "
    "two that say nearly the same, or leave this site out of the sites that the study names.",
    "ONE_PERSON": "Use fewer or broader terms, merge rare levels, clip a spline, take the logarithm of a skewed column "
    "(of an outcome: let the hospitals make that column), or leave this site out of the sites that the study names.",
    "TOLD_APART": "Merge rare levels, leave out a column in which hardly anybody differs from what others say, use "
    "fewer terms, or leave this site out of the sites that the study names.",
    "CODE_AS_NUMBER": "Write C(…) round it, or let the stewards list it as a flag or a category: then its levels are "
    "counted.",
    "TERM_INTRICATE": "Use sums, products, powers up to 3, log, sqrt or abs of one column, or a spline; or let the "
    "hospitals make the column.",
    "TERM_UNBOUNDED": "Give its columns an allowed range in the dictionary for which the term is finite.",
    "TOO_MANY_PARAMETERS": "Leave terms out, or leave this site out of the sites that the study names.",
    "GRID_TOO_FINE": "Ask for times that lie further apart, and give the time column's unit: d, wk, mo or a.",
    "TOO_MANY_MOMENTS": "Leave skewness out; it leaves public data only.",
    "EXACT_VALUES": "Give a time grid (`times` or `grid`) instead of exact times.",
    "TOO_MANY_ROUNDS": "Simplify the model, or ask the steward to allow more rounds.",
    "TOO_MANY_RUNS": "Have a new study approved: every run asks the same patients anew.",
    "TOO_LARGE": "Ask for fewer terms or a coarser grid.",
    "TOO_MANY_BINS": "Ask for fewer bins.",
    "WORD_NOT_LISTED": "The steward lists the level in the dictionary, or cleans the column.",
    "GATE_REFUSED": "The algorithm does not keep to its own form: report it to who wrote it.",
    "NOT_PUBLIC": "Run it under the strict policy, or the steward registers the dataset as public, with a reason.",
    "NOT_APPROVED": "The steward approves it with `atoll site approve`.",
    "HASH_MISMATCH": "Submit the study that was approved, or have this one approved.",
    "NOT_PERMITTED": "Compare the study with what was approved, and the versions of Atoll.",
    "PAUSED": "Wait, or ask the steward.",
    "STOPPED": "Ask the steward; a new study needs a new approval.",
    "DISK_FULL": "Make space on the site's disk; it goes on by itself.",
    "SITE_FAILED": "The site's operator looks into its log.",
}

# code -> (class, what it says): what the hub itself, or the way to it, may answer. Codes above may come from it too.
HUB_CODES: dict[str, tuple[type[AtollError], str]] = {
    "NO_ANSWER": (OperatorError, "A site did not answer in time."),
    "SHARE_UNUSABLE": (NotPermitted, "A share cannot be used."),
    "VERSION_CHANGED": (OperatorError, "The algorithm was changed in the middle of a run."),
    "HUB_FAILED": (OperatorError, "The run could not be finished at the hub."),
    "OPERATOR": (OperatorError, "The operator must act."),
    "UNREACHABLE": (Unreachable, "The hub does not answer."),
    "TOO_MANY": (Unreachable, "Too many requests, or failed logins, in a short time."),
    "UNAUTHORISED": (NotPermitted, "The hub does not know this token."),
    "UNKNOWN": (NotPermitted, "There is nothing of yours by this name."),
    "UNKNOWN_SITE": (NotPermitted, "No site with this key has joined."),
    "REPLACED": (NotPermitted, "A newer process of this site is running."),
    "REPLAYED": (NotPermitted, "A message was heard before."),
    "MESSAGE_UNREADABLE": (NotPermitted, "A message cannot be read."),
    "JOINED_ALREADY": (NotPermitted, "This key has joined already."),
    "CODE_UNKNOWN": (NotPermitted, "The hub does not know this join code."),
    "CODE_UNREADABLE": (NotPermitted, "A join code was not copied whole."),
    "CODE_USED": (NotPermitted, "This join code was used already."),
    "CODE_EXPIRED": (NotPermitted, "This join code has expired."),
    "CLOCK": (OperatorError, "Two clocks differ too much."),
    "CERTIFICATE": (OperatorError, "A certificate is not valid now, or for another name."),
    "WRONG_AUTHORITY": (OperatorError, "A certificate is of another authority."),
    "NOT_A_HUB": (OperatorError, "Another program answers at the hub's address."),
    "PORT_IN_USE": (OperatorError, "The hub's port is in use."),
    "PROXY_REFUSED": (Unreachable, "The proxy refused the way to the hub."),
}

# What a program, at hub or site, finds in a study as it runs; the error beside it says more than the code.
OF_STUDIES = (
    "OPTION_INVALID",
    "MODEL_INVALID",
    "FORMULA_EMPTY",
    "COLUMN_UNFIT",
    "LEVELS_TOO_FEW",
    "LEVEL_MISSING",
    "SPLINE_UNFIT",
    "TERM_CONSTANT",
    "TERMS_ALIKE",
    "SEPARATED",
    "NOT_SETTLED",
    "NO_FREEDOM",
    "ONE_OUTCOME",
    "NO_EVENT",
    "GRID_NEEDED",
)

# Where the one who must act does not settle the class.
_CLASSES: dict[str, type[AtollError]] = {
    **dict.fromkeys(("STUDY_INVALID", "STUDY_EXPIRED", "UNKNOWN_LEVEL", "EMPTY", "OUTCOME_UNFIT"), StudyError),
    **dict.fromkeys(OF_STUDIES, StudyError),
    **dict.fromkeys(
        ("NOT_PUBLIC", "NOT_APPROVED", "HASH_MISMATCH", "NOT_PERMITTED", "PAUSED", "STOPPED"), NotPermitted
    ),
    **{code: kind for code, (kind, _) in HUB_CODES.items()},
}
_BY_ACTOR: dict[str, type[AtollError]] = {"steward": DataError, "investigator": DisclosureRefused}
_KINDS = (StudyError, DataError, DisclosureRefused, NotPermitted, OperatorError, Unreachable)
_BY_EXIT: dict[int, type[AtollError]] = {kind.exit_code: kind for kind in _KINDS}


def error_for(code: str, what: str = "", remedy: str = "", *, subject: str = "", exit_code: int = 0) -> AtollError:
    """The error that a code stands for, in process as over a hub; `exit_code` where the other side told the class."""
    kind = _BY_EXIT.get(exit_code) or _CLASSES.get(code) or _BY_ACTOR.get(actor_of(code), OperatorError)
    return kind(what or sentence_of(code), remedy, code=code, subject=subject)


def actor_of(code: str) -> Actor:
    """Who must act."""
    if code in CATALOGUE:
        return CATALOGUE[code][0]
    return HUB_CODES[code][0].actor if code in HUB_CODES else "operator"


def sentence_of(code: str) -> str:
    """What a code says; one that is not known here is the hub's failure."""
    if code in CATALOGUE:
        return CATALOGUE[code][1]
    return HUB_CODES[code if code in HUB_CODES else "HUB_FAILED"][1]
