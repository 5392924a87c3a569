"""`atoll study …`: the investigator's document, from a template to a signed file."""

from __future__ import annotations

from datetime import date, timedelta
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from atoll.cli.output import AtollGroup, Output, with_output
from atoll.cli.targets import Target, replace_asked, replaces
from atoll.errors import OperatorError, StudyError
from atoll.settings import settings

if TYPE_CHECKING:
    from atoll.governance.signatures import SignedStudy
    from atoll.study.protocol import Study

FILE = click.Path(path_type=Path, dir_okay=False)
SIGNED = ".signed.json"


AT_A_HUB = {
    "submit": ("atoll.cli.submission:submit", "Hand in a signed study."),
    "status": ("atoll.cli.submission:status", "What a study is doing, and what it waits for."),
    "results": ("atoll.cli.submission:results", "The results of a study."),
}


@click.group(cls=AtollGroup, table=AT_A_HUB)
def study() -> None:
    """Write, check, explain, sign and submit a study."""


@study.command()
@click.argument("file", type=FILE, default="study.yaml")
@with_output
def new(out: Output, file: Path) -> None:
    """Write a commented study to begin from."""
    today = date.today()
    text = files("atoll.study").joinpath("template.yaml").read_text("utf-8")
    text = text.replace("FIRST_DAY", str(today)).replace("LAST_DAY", str(today + timedelta(days=365)))
    try:
        with file.open("x", encoding="utf-8") as target:
            target.write(text)
    except FileExistsError as error:
        raise OperatorError(f"{file} exists already.", "Choose another name; nothing was changed.") from error
    except OSError as error:
        raise _unwritable(file, error) from error
    out.result({"file": str(file)}, f"Wrote {file}. Edit it, then: atoll study check {file}")


@study.command()
@click.argument("file", type=FILE)
@with_output
def check(out: Output, file: Path) -> None:
    """Say everything that is wrong with a study, or that nothing is."""
    from atoll.study.horizon import refuse, warnings

    signed, found = read_study(file, today=date.today())
    refuse(found)  # of a written study its options were looked at; a signed one is read by whom it was sent to
    ahead = warnings(found)
    unpinned = sorted(name for name, site in found.sites.items() if not site.key)
    out.result(
        {
            "ok": True,
            "title": found.title,
            "hash": found.hash,
            "signed_by": signed.fingerprint if signed else None,
            "sites": sorted(found.sites),
            "sites_without_key": unpinned,
            "warnings": ahead,
            "analyses": {name: analysis.algorithm for name, analysis in found.analyses.items()},
            "valid": [str(found.valid_from), str(found.valid_until)],
        }
    )
    out.say(f"ok: {found.title}")
    out.say(f"  hospitals  {', '.join(sorted(found.sites))}")
    analyses = ", ".join(f"{name} ({analysis.algorithm})" for name, analysis in sorted(found.analyses.items()))
    out.say(f"  analyses   {analyses}")
    out.say(f"  valid      {found.valid_from} until {found.valid_until}")
    if signed:
        out.say(f"  signed by  {signed.fingerprint}")
    out.say(f"  hash       {found.hash}")
    for warning in ahead:
        out.note(f"Warning: {warning}")
    if unpinned:
        out.note(f"Before it can be signed: the key of {', '.join(unpinned)} (sites.NAME.key).")
    elif not signed:
        out.note(f"Not signed yet: atoll study sign {file}. The signed study has the hash that signing prints.")


@study.command()
@click.argument("file", type=FILE)
@click.option("--site", help="For this hospital; for all when left out.")
@click.option("--language", type=click.Choice(["en", "zh"]), help="From your settings when left out.")
@click.option("--whole", is_flag=True, help="Name every concept, also of long concept sets.")
@with_output
def explain(out: Output, file: Path, site: str | None, language: str | None, whole: bool) -> None:
    """Say in plain words what a study would do with a hospital's data."""
    from atoll.study.explain import explain as in_words

    _, found = read_study(file)
    chosen: Any = language or settings().language
    text = in_words(found, site, chosen, whole=whole)
    out.result({"hash": found.hash, "site": site, "language": chosen, "text": text}, text.rstrip("\n"))


@study.command()
@click.argument("file", type=FILE)
@click.option("--key", type=FILE, help="Your private key; made in your Atoll folder when left out and missing.")
@click.option("--output", type=Target("signed"), help="The signed file; FILE with .signed.json when left out.")
@replaces
@with_output
def sign(out: Output, file: Path, key: Path | None, output: Path | None) -> None:
    """Sign a study; the signed file is what hub and hospitals receive."""
    from atoll.governance.signatures import fingerprint, public_bytes, read_key, read_or_make_key, sign_study

    before, found = read_study(file, today=date.today())
    if before:
        raise StudyError(f"{file} is signed already.", "Sign the document that you wrote (YAML).")
    standard = settings().home / "investigator" / "key.pem"
    private, made = (read_key(key), False) if key else read_or_make_key(standard)
    if made:
        out.note(f"Made your key in {standard}. Keep a copy: whoever holds it signs in your name.")
    signed = sign_study(found, private)
    target = output or file.with_suffix(SIGNED)
    _write(target, signed.to_bytes(), replace_asked())
    mine = fingerprint(public_bytes(private))
    out.result({"file": str(target), "hash": signed.hash, "fingerprint": mine, "key_made": made})
    out.say(f"Wrote {target}")
    out.say(f"  hash       {signed.hash}")
    out.say(f"  your key   {mine}")


def read_study(file: Path, today: date | None = None) -> tuple[SignedStudy | None, Study]:
    """A study as written (YAML), or as signed, when the file's name ends in `.signed.json`."""
    from atoll.algorithms.registry import check as check_options
    from atoll.governance.signatures import SignedStudy
    from atoll.study.dataset import files_beside
    from atoll.study.protocol import read

    try:
        content = file.read_bytes()
    except OSError as error:
        raise StudyError(f"{file} cannot be read: {error.strerror}.", "`atoll study new` writes one.") from error
    if file.name.endswith(SIGNED):
        signed = SignedStudy.from_bytes(content)
        return signed, signed.study()
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise StudyError(f"{file} is not in UTF-8 (line {line}).", "Save it as UTF-8 in your editor.") from error
    return None, read(text, check=check_options, today=today, files=files_beside(file))


def _write(target: Path, content: bytes, replace: bool) -> None:
    """The whole file or nothing; another content is replaced only when asked."""
    unfinished = target.with_name(f".{target.name}.new")
    try:
        if target.exists() and target.read_bytes() != content and not replace:
            raise OperatorError(f"{target} holds an earlier version.", "Give --replace, or another --output.")
        unfinished.write_bytes(content)
        unfinished.replace(target)
    except OSError as error:
        raise _unwritable(target, error) from error


def _unwritable(path: Path, error: OSError) -> OperatorError:
    return OperatorError(f"{path} cannot be written: {error.strerror}.", "Choose a folder that you may write to.")
