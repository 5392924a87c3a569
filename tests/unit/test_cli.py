"""The command line's manners: sentences, exit codes, one JSON document, no traceback."""

import json
import sqlite3
import stat
import subprocess
import sys
from contextlib import closing
from datetime import date, timedelta
from pathlib import Path

import click
import duckdb
import pytest
import sqlalchemy as sa
from click.testing import CliRunner

from atoll.cli import output
from atoll.cli.main import COMMANDS, atoll
from atoll.cli.output import AtollGroup, Output, with_output
from atoll.cli.study import study
from atoll.errors import DataError
from atoll.governance.signatures import SignedStudy, make_key
from atoll.settings import read

KEYS = [f"SHA256:{letter * 4}-BBBB-CCCC-DDDD-EEEE-FFFF-GGGG-HHHH" for letter in "AB"]


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    """A folder of its own for keys and logs, and the working folder beside it."""
    found = read({"ATOLL_HOME": str(tmp_path / "home")})
    for module in ("atoll.cli.output", "atoll.cli.study"):
        monkeypatch.setattr(f"{module}.settings", lambda: found)
    (tmp_path / "work").mkdir()
    monkeypatch.chdir(tmp_path / "work")
    return tmp_path / "home"


def typed(*words, group=study):
    return CliRunner().invoke(group, list(words))


NUMBER = 4000 + 711  # of a patient; lines of this file, which a traceback shows, do not hold it


@click.group(cls=AtollGroup, table={"gone": ("atoll.cli.gone:gone", "Not there.")})
def manners():
    """Every way a command can end."""


@manners.command()
@click.argument("how")
@with_output
def end(out: Output, how: str) -> None:
    if how == "data":
        raise DataError("The column is empty.", "Fill it.")
    if how == "fault":
        raise KeyError(f"patient {NUMBER}")
    if how == "interrupt":
        raise KeyboardInterrupt
    if how == "full":
        raise OSError(28, "No space left on device")
    if how.startswith("SQLITE"):
        error = sqlite3.OperationalError(f"disk I/O error: patient {NUMBER}")
        error.sqlite_errorname = how
        raise error
    if how == "hub":
        with closing(sqlite3.connect("hub.sqlite")) as store:
            store.execute("CREATE TABLE runs (name TEXT)")
        engine = sa.create_engine("sqlite:///hub.sqlite")
        with engine.begin() as connection:
            connection.exec_driver_sql("PRAGMA max_page_count=2")
            connection.exec_driver_sql("INSERT INTO runs VALUES (hex(randomblob(10000)))")
    with out.progress("rounds", total=2) as step:
        step("one")
        step("two")
    out.table(["site", "persons"], [["北方", 20], ["river", 1000]])
    out.result({"n": 1, "名": "北"}, "done")


def test_a_result_for_people():
    result = typed("end", "well", group=manners)
    assert result.exit_code == 0
    assert result.stdout == "site   persons\n北方   20\nriver  1000\ndone\n"
    assert result.stderr == "rounds: one\nrounds: two\n"


def test_a_result_for_programs_is_one_json_document():
    result = typed("end", "well", "--json", group=manners)
    assert json.loads(result.stdout) == {"n": 1, "名": "北"}
    assert result.stderr == ""


def test_an_error_is_a_sentence_and_its_exit_code():
    result = typed("end", "data", group=manners)
    assert (result.exit_code, result.stdout, result.stderr) == (11, "", "The column is empty. Fill it.\n")
    result = typed("end", "data", "--json", group=manners)
    assert json.loads(result.stdout)["error"] == {
        "code": "DATA_INVALID",
        "who": "steward",
        "what": "The column is empty.",
        "remedy": "Fill it.",
    }
    assert (result.exit_code, result.stderr) == (11, "The column is empty. Fill it.\n")


@pytest.mark.parametrize("flags", [[], ["--json"]])
def test_a_fault_tells_where_its_details_are_and_nothing_of_them(home, flags):
    result = typed("end", "fault", *flags, group=manners)
    assert result.exit_code == 70
    [path] = (home / "faults").iterdir()
    assert result.stderr == (
        f"This is a fault of Atoll, not of what you typed. Please report it; the details are in {path}.\n"
    )
    assert "4711" not in result.output
    kept = path.read_text()
    assert "builtins.KeyError: (its words are left out" in kept and "4711" not in kept
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    if flags:
        assert json.loads(result.stdout)["error"]["code"] == "FAULT"


def test_the_words_of_an_engine_stay_out_of_the_log(home, monkeypatch):
    """A database quotes the row that it could not read; so does what is raised because of it, or in a group."""

    def fails(*_):
        try:
            duckdb.sql(f"SELECT CAST('patient {NUMBER}' AS INTEGER)").fetchall()
        except duckdb.Error as error:
            try:
                raise ValueError(str(error)) from error
            except ValueError as again:
                raise ExceptionGroup(f"of {NUMBER}", [again, AttributeError("no attribute 'rows'")]) from None

    monkeypatch.setattr(output.Output, "say", fails)
    assert typed("end", "well", group=manners).exit_code == 70
    [path] = (home / "faults").iterdir()
    kept = path.read_text()
    assert "4711" not in kept
    named = ("ConversionException: (its", "ValueError: (its", "ExceptionGroup: (its", "no attribute 'rows'", "in fails")
    assert [one for one in named if one not in kept] == []


def test_a_fault_whose_details_cannot_be_written_is_still_a_sentence(home):
    home.write_text("a file where a folder belongs")
    result = typed("end", "fault", group=manners)
    assert (result.exit_code, result.stderr) == (
        70,
        "This is a fault of Atoll, not of what you typed. Its details could not be written.\n",
    )


def test_ctrl_c_a_full_disk_and_a_missing_part():
    assert (typed("end", "interrupt", group=manners).exit_code, output.INTERRUPTED) == (130, 130)
    full = typed("end", "full", group=manners)
    assert (full.exit_code, full.stderr) == (14, "The disk is full. Free some space, and type the command again.\n")
    gone = typed("gone", group=manners)
    assert (gone.exit_code, gone.stderr) == (
        14,
        "`manners gone` is not part of this installation. Install the whole of Atoll.\n",
    )


@pytest.mark.parametrize(
    ("how", "sentence"),
    [
        ("SQLITE_FULL", "The disk is full. Free some space, and type the command again."),
        ("hub", "The disk is full. Free some space, and type the command again."),
        ("SQLITE_IOERR_SHMSIZE", "The disk is full, or it cannot be read and written. Free some space, and type"),
        ("SQLITE_CANTOPEN", "The store in this folder cannot be written. Look at the rights of the folder that"),
    ],
)
def test_a_store_on_a_full_disk_is_the_operators_and_no_fault(home, how, sentence):
    full = typed("end", how, group=manners)
    assert full.exit_code == 14 and full.stderr.startswith(sentence)
    assert not (home / "faults").exists() and "4711" not in full.output


def test_a_mistyped_command_names_the_nearest():
    result = typed("stduy", group=atoll)
    assert result.exit_code == 2
    assert "There is no command `stduy`. Did you mean `study`?" in result.stderr
    assert "There are: study, run, " in typed("frobnicate", group=atoll).stderr
    assert json.loads(typed("end", "--json", group=manners).stdout)["error"]["code"] == "USAGE"


def test_help_imports_no_subcommand_and_nothing_heavy():
    code = (
        "import sys, atexit; from atoll.cli.main import main; sys.argv = ['atoll', '--help']; "
        "heavy = {'numpy', 'scipy', 'pyarrow', 'yaml', 'rich', 'cryptography', 'atoll.cli.study'}; "
        "atexit.register(lambda: print('heavy:', sorted(heavy & set(sys.modules)))); main()"
    )
    top = Path(output.__file__).parents[2]
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=top)
    assert result.stdout.endswith("heavy: []\n")
    for name, (_, help_) in COMMANDS.items():
        assert f"  {name}" in result.stdout and help_[:40] in result.stdout


def new_study(name="study.yaml", pinned=True):
    assert typed("new", name).exit_code == 0
    path = Path(name)
    text = path.read_text("utf-8")
    if pinned:
        for site, key in zip(("north", "river"), KEYS, strict=True):
            text = text.replace(f"{site}: {{}}", f'{site}: {{key: "{key}"}}')
    path.write_text(text, "utf-8")
    return text


def test_from_a_template_to_a_signed_study(home, tmp_path):
    new_study()
    checked = typed("check", "study.yaml")
    assert checked.exit_code == 0, checked.output
    assert checked.stdout.startswith("ok: Risk of type 2 diabetes after a check-up\n  hospitals  north, river\n")
    assert "Not signed yet: atoll study sign study.yaml." in checked.stderr
    signed = typed("sign", "study.yaml")
    assert signed.exit_code == 0, signed.output
    assert f"Made your key in {home / 'investigator' / 'key.pem'}. Keep a copy" in signed.stderr
    content = SignedStudy.from_bytes((tmp_path / "work" / "study.signed.json").read_bytes())
    assert content.hash in signed.stdout and content.fingerprint in signed.stdout
    again = json.loads(typed("sign", "study.yaml", "--json").stdout)
    assert again == {
        "file": "study.signed.json",
        "hash": content.hash,
        "fingerprint": content.fingerprint,
        "key_made": False,
    }
    of_signed = json.loads(typed("check", "study.signed.json", "--json").stdout)
    assert (of_signed["hash"], of_signed["signed_by"]) == (content.hash, content.fingerprint)
    told = typed("explain", "study.signed.json", "--site", "north", "--language", "zh")
    assert told.stdout.startswith("本研究将如何使用“north”的数据\n") and content.hash in told.stdout


def test_an_earlier_signed_version_is_not_lost():
    text = new_study()
    assert typed("sign", "study.yaml").exit_code == 0
    Path("study.yaml").write_text(text.replace("Your name", "Wang Fang"), "utf-8")
    refused = typed("sign", "study.yaml")
    assert (refused.exit_code, refused.stderr) == (
        14,
        "study.signed.json holds an earlier version. Give --replace, or another --output.\n",
    )
    assert typed("sign", "study.yaml", "--replace").exit_code == 0
    assert sorted(path.name for path in Path().iterdir()) == ["study.signed.json", "study.yaml"]


def test_one_changed_byte_of_the_signed_file_is_told():
    new_study()
    typed("sign", "study.yaml")
    content = Path("study.signed.json").read_text()
    Path("study.signed.json").write_text(content.replace("study 1", "study 2"))
    result = typed("explain", "study.signed.json")
    assert result.exit_code == 13
    assert "This is not a signed study" in result.stderr
    result = typed("sign", "study.signed.json")
    assert result.exit_code == 13


def test_a_study_that_is_not_ready_says_so():
    new_study(pinned=False)
    checked = typed("check", "study.yaml")
    assert checked.exit_code == 0
    assert checked.stderr == "Before it can be signed: the key of north, river (sites.NAME.key).\n"
    signed = typed("sign", "study.yaml")
    assert (signed.exit_code, [path.name for path in Path().iterdir()]) == (10, ["study.yaml"])
    assert "The study gives no key for north, river." in signed.stderr


def test_findings_come_with_their_lines_for_people_and_programs():
    text = new_study()
    yesterday = str(date.today() - timedelta(days=1))
    lines = text.replace("title:", "titel:").replace(
        f"until: {date.today() + timedelta(days=365)}", f"until: {yesterday}"
    )
    Path("study.yaml").write_text(lines, "utf-8")
    result = typed("check", "study.yaml")
    assert (result.exit_code, result.stdout) == (10, "")
    assert "Line 5, titel: there is no such key. Did you mean `title`?" in result.stderr
    assert f"valid.until: {yesterday}" in result.stderr
    assert len(json.loads(typed("check", "study.yaml", "--json").stdout)["error"]["problems"]) == 3


@pytest.mark.parametrize(
    ("content", "code", "sentence"),
    [
        (None, 10, "study.yaml cannot be read: No such file or directory. `atoll study new` writes one."),
        ("标题".encode("gb18030"), 10, "study.yaml is not in UTF-8 (line 1). Save it as UTF-8 in your editor."),
        (b"", 10, "the document is empty."),
    ],
)
def test_a_file_that_is_no_study(content, code, sentence):
    if content is not None:
        Path("study.yaml").write_bytes(content)
    for command in ("check", "explain", "sign"):
        result = typed(command, "study.yaml")
        assert (result.exit_code, result.stdout) == (code, "")
        assert sentence in result.stderr


def test_a_byte_order_mark_does_no_harm():
    new_study()
    content = Path("study.yaml").read_bytes()
    Path("study.yaml").write_bytes(b"\xef\xbb\xbf" + content)
    assert typed("check", "study.yaml").exit_code == 0


def test_nothing_is_overwritten_by_new():
    new_study()
    result = typed("new")
    assert (result.exit_code, result.stderr) == (
        14,
        "study.yaml exists already. Choose another name; nothing was changed.\n",
    )


def test_a_key_that_others_can_read_does_not_sign(tmp_path):
    new_study()
    make_key(tmp_path / "key.pem")
    (tmp_path / "key.pem").chmod(0o644)
    result = typed("sign", "study.yaml", "--key", str(tmp_path / "key.pem"))
    assert result.exit_code == 13
    assert "can be read by other users of this machine" in result.stderr
    missing = typed("sign", "study.yaml", "--key", str(tmp_path / "other.pem"))
    assert (missing.exit_code, (tmp_path / "other.pem").exists()) == (13, False)
