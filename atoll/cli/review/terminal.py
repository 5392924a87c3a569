"""Review in the terminal: one name at a time, one key a decision."""

from __future__ import annotations

import sys

import click

from atoll.cli.output import Output
from atoll.errors import DataError
from atoll.ingest.terms.review import NOTHING, Item, Review

KEYS = "1–9 this concept · 0 nothing fits · t type a concept id · s later · u undo · q quit"


def review_here(out: Output, review: Review, who: str) -> None:
    """Ask for every open name until all are decided, or the reviewer quits."""
    ask = _one_key if sys.stdin.isatty() else _one_line
    later: set[str] = set()
    back = ""  # the name that was just undone comes next
    out.note(KEYS)
    while True:
        waiting = [item for item in review.open_for(who) if item.key not in later]
        if not waiting:
            break
        item = next((one for one in waiting if one.key == back), waiting[0])
        _show(out, item, len(waiting))
        answer = ask().strip().lower()
        if answer in ("q", "\x03", "\x04"):
            break
        if answer == "s":
            later.add(item.key)
        elif answer == "u":
            undone = review.undo(who)
            out.say(f"Undone: {undone.name}" if undone else "There is nothing to undo.")
            back = undone.key if undone else ""
            later.discard(back)
        elif answer == "0":
            review.decide(who, item.key, NOTHING)
        elif answer == "t":
            _typed(out, review, who, item)
        elif answer.isdigit() and 1 <= int(answer) <= len(item.candidates):
            review.decide(who, item.key, item.candidates[int(answer) - 1].concept_id)
        else:
            out.note(f"No such key. {KEYS}")
            if not sys.stdin.isatty() and not answer:
                break  # the answers have ended


def _show(out: Output, item: Item, waiting: int) -> None:
    about = ", ".join(f"{key} {value}" for key, value in item.context.items() if value)
    out.say(f"\n{item.name}{f'  ({about})' if about else ''}   [{waiting} left]")
    for at, candidate in enumerate(item.candidates[:9], 1):
        shown = candidate.concept_name or str(candidate.concept_id)
        out.say(f"  {at}  {candidate.probability:6.1%}  {shown}  ·  {candidate.reason}")
    if not item.candidates:
        out.say("  no candidate")


def _typed(out: Output, review: Review, who: str, item: Item) -> None:
    text = _one_line("concept id: ").strip()
    if not text.isdigit() or int(text) == 0:
        out.note("That is not a concept id.")
        return
    try:
        review.decide(who, item.key, int(text))
    except DataError as error:
        out.note(str(error))


def _one_key() -> str:
    return click.getchar()


def _one_line(prompt: str = "") -> str:
    if prompt and sys.stdin.isatty():
        click.echo(prompt, nl=False, err=True)
    return sys.stdin.readline()
