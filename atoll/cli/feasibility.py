"""`atoll feasibility`: how many patients each hospital has for a planned study, and how precise it would be."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from atoll.cli.output import Output, with_output
from atoll.cli.study import read_study
from atoll.cli.submission import at_hub, hub_of
from atoll.errors import AtollError, DisclosureRefused, Unreachable

if TYPE_CHECKING:
    from atoll.algorithms.planned import Plan
    from atoll.privacy.disclosure import Policy
    from atoll.study.protocol import Study

Answers = Mapping[str, dict[str, Any] | str]
Bounds = tuple[int, int]


@click.command(epilog="Example: atoll feasibility study.yaml")
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False))
@at_hub
@click.option("--seconds", type=click.FloatRange(1, 3600), default=20.0, show_default=True, help="How long to wait.")
@click.option("--keep", is_flag=True, help="Leave what is not answered by then to the stewards, and ask again later.")
@click.option("--table", "tables", multiple=True, metavar="SITE=FILE", help="Instead of a hub: a site's own table.")
@click.option("--cdm", "cdms", multiple=True, metavar="SITE=URL", help="Instead of a hub: a site's own OMOP data.")
@with_output
def feasibility(
    out: Output,
    file: Path,
    url: str | None,
    token_file: Path | None,
    authority: Path | None,
    seconds: float,
    keep: bool,
    tables: Sequence[str],
    cdms: Sequence[str],
) -> int:
    """How many patients and events a study would have at each hospital, and its precision, before it is signed.

    Each hospital is asked alone; one with a standing permission (`atoll site feasibility`) answers at once. A question
    that nobody answered in time is withdrawn. A hospital that would refuse the analysis is named, with the reason.
    """
    from atoll.algorithms.planned import plans

    _, study = read_study(file)
    planned = plans(study)
    if tables or cdms:
        answers: Answers = _here(out, study, tables, cdms)
    else:
        with out.progress("Asking", 1) as step:
            answers = hub_of(url, token_file, authority).feasibility(file, seconds, keep)
            step("")
    policy = _policy(study, here=bool(tables or cdms))
    found = {name: _of(plan, name, answers, policy) for name, plan in planned.items()}
    silent = {site: answer for site, answer in answers.items() if isinstance(answer, str)}
    out.result({"analyses": found, "no answer": silent} if out.as_json else None)
    for name, entry in found.items():
        _show(out, name, entry, planned[name])
    for site, why in silent.items():
        out.note(f"{site}: {why}")
    if silent and not (tables or cdms):
        left = "wait for their stewards: ask again" if keep else "were withdrawn; --keep leaves them to the stewards"
        out.note(f"Questions without an answer {left}. A steward can let such be answered: atoll site feasibility.")
    return 0 if len(silent) < len(answers) else (DisclosureRefused if tables or cdms else Unreachable).exit_code


def _show(out: Output, name: str, entry: Mapping[str, Any], plan: Plan) -> None:
    """One analysis: a row a hospital, what the numbers are enough for, and who would refuse."""
    out.say(f"{name} ({plan.algorithm})")
    headings = {"patients": "patients", "known": "all columns known", "events": "with the event"}
    shown = {key: words for key, words in headings.items() if key != "events" or plan.happened}
    rows = [(site, *(_between(numbers[key]) for key in shown)) for site, numbers in entry["sites"].items()]
    out.table(("hospital", *shown.values()), rows)
    out.say("\n".join((_in_words(entry), *_refusals(name, entry))) + "\n")


def _here(out: Output, study: Study, tables: Sequence[str], cdms: Sequence[str]) -> Answers:
    """The answers of tables on this machine, each behind a gate."""
    from atoll.cli.run import open_sites
    from atoll.client import questions
    from atoll.local import run_study

    opened, made = open_sites(out, study, tables, cdms)
    answers: dict[str, dict[str, Any] | str] = {}
    for site, question in questions(study):
        own = {site: opened[site]} if site in opened else {}
        results = dict(run_study(question, own, made=made))
        refused = next((result for result in results.values() if isinstance(result, AtollError)), None)
        shown = {name: result.document for name, result in results.items() if not isinstance(result, AtollError)}
        answers[site] = str(refused) if refused else shown
    return answers


def _policy(study: Study, here: bool) -> Policy:
    """Under which the numbers were told: a standing permission counts in steps of the minimum."""
    from atoll.privacy.disclosure import PUBLIC, STRICT

    if study.privacy.public:
        return PUBLIC
    return STRICT.tightened(study.privacy.limits() if here else {"rounding": STRICT.minimum_persons})


def _of(plan: Plan, name: str, answers: Answers, policy: Policy) -> dict[str, Any]:
    """One analysis: its numbers, which hospitals would refuse it and why, and its numbers without those."""
    from atoll.algorithms.planned import too_few

    sites = {site: _numbers(answer[name], plan) for site, answer in answers.items() if not isinstance(answer, str)}
    why = {site: too_few(plan, n["known"], n.get("events"), policy) for site, n in sites.items()}
    refused = {site: reason for site, reason in why.items() if reason}
    others = {site: numbers for site, numbers in sites.items() if site not in refused}
    without = _summed(plan, others) if refused and others else None
    return _summed(plan, sites) | {"refused": refused, "without_them": without}


def _summed(plan: Plan, sites: dict[str, dict[str, Bounds]]) -> dict[str, Any]:
    """Each hospital's numbers as bounds, their sum, and the precision at the lower ends."""
    from atoll.algorithms.planned import precision

    together = {key: _sum([numbers[key] for numbers in sites.values()]) for key in next(iter(sites.values()), {})}
    persons, events = together.get("known", (0, 0))[0], together.get("events", (None, None))[0]
    expected = precision(plan, persons, events)
    each = round(events / plan.parameters, 1) if events is not None and plan.parameters else None
    return {
        "sites": sites | ({"together": together} if len(sites) > 1 else {}),
        "parameters": plan.parameters,
        "events_per_parameter": each,
        "precision": asdict(expected) if expected else None,
    }


def _numbers(document: Mapping[str, Any], plan: Plan) -> dict[str, Bounds]:
    bounds = [(step["low"], step["high"]) for step in document["steps"]]
    numbers = {"patients": (document["entered"],) * 2, "known": bounds[-2] if plan.happened else bounds[-1]}
    return numbers | ({"events": bounds[-1]} if plan.happened else {})


def _sum(numbers: Sequence[Bounds]) -> Bounds:
    return sum(low for low, _ in numbers), sum(high for _, high in numbers)


def _between(bounds: Bounds) -> str:
    low, high = bounds
    return f"{low:,}" if low == high else f"{low:,}–{high:,}"


def _in_words(entry: Mapping[str, Any]) -> str:
    """What the numbers are enough for."""
    if not entry["sites"]:
        return "Nobody has answered yet."
    parts = []
    if entry["parameters"]:
        parts.append(f"{entry['parameters']} parameters")
    if entry["events_per_parameter"] is not None:
        parts.append(f"{entry['events_per_parameter']:g} events for each")
    expected = entry["precision"]
    if expected and expected["found"] is not None:
        unit = " standard deviations of the outcome" if expected["measure"] == "difference" else ""
        size = f"{_a(expected['measure'])} of {expected['found']:.3g}{unit}"
        parts.append(f"{size} for one standard deviation of a term would be found with 80 % power")
    elif expected:
        parts.append(f"{_a(expected['measure'])} would be known to ± {expected['half_width']:.2g} (95 % interval)")
    return ("; ".join(parts) or "Its precision is not told for this kind of analysis") + "."


def _refusals(name: str, entry: Mapping[str, Any]) -> Iterator[str]:
    """Which hospitals would refuse the analysis, why, what to write, and what it then is enough for."""
    refused: Mapping[str, str] = entry["refused"]
    if not refused:
        return
    each = [
        ", ".join(site for site in refused if refused[site] == why) + f": {why}"
        for why in dict.fromkeys(refused.values())
    ]
    yield f"{name} would be refused at {'; at '.join(each)}. Every hospital of `sites` must answer,"
    yield "else it has no result: take them out of the study's `sites`, or ask for more persons (a wider cohort)."
    if entry["without_them"]:
        yield f"Without them: {_in_words(entry['without_them'])}"


def _a(measure: str) -> str:
    if measure == "survival":
        return "survival"
    return f"{'an' if measure[0] in 'oA' else 'a'} {measure}"
