"""What a refused load leaves behind: no rows of patients. And it takes nothing away that a killed one needs."""

from __future__ import annotations

import pytest

from atoll.errors import DataError
from atoll.ingest.release import Build
from atoll.study.nodes import Problems
from tests.ingest.exports import MAPPING, PATIENTS, RESULTS, loaded

WRONG = {
    "no such column": (MAPPING.replace("number(value)", "number(vlaue)"), {}),
    "no row can stay": (MAPPING.replace("date(day)", 'date(day, "MM/dd/yyyy")'), {}),
    "an open quote": (MAPPING, {"results": RESULTS + 'd,1,v1,2020-01-11,"2345-7,1,x\n' * 3}),
}


def left(folder):
    return sorted(path.name for path in folder.iterdir() if path.name.startswith("cdm") and path.suffix != ".lock")


@pytest.mark.parametrize("what", WRONG)
@pytest.mark.parametrize("before", [False, True])
def test_a_refusal_leaves_nothing(tmp_path, what, before):
    if before:
        loaded(tmp_path)
    text, tables = WRONG[what]
    with pytest.raises((Problems, DataError)):
        loaded(tmp_path, text, **tables)
    assert left(tmp_path) == (["cdm.duckdb"] if before else [])
    assert loaded(tmp_path, results=RESULTS + "d,1,v1,2020-01-11,2345-7,1,mg/dL\n").tables["measurement"] == 4


def test_a_release_that_waits_for_a_word_stays(tmp_path):
    many = PATIENTS + "".join(f"{n},F,1960-01-01,\n" for n in range(10, 200))
    loaded(tmp_path, patients=many)
    with pytest.raises(DataError, match="would lose much"):
        loaded(tmp_path)
    assert "cdm.duckdb.next" in left(tmp_path)
    assert loaded(tmp_path, anyway=True).tables["person"] == 3
    assert left(tmp_path) == ["cdm.duckdb"]


def test_what_a_killed_load_needs_stays_when_another_is_refused(tmp_path, monkeypatch):
    def killed(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(Build, "seal", killed)
        with pytest.raises(KeyboardInterrupt):
            loaded(tmp_path)
    assert "cdm.duckdb.next" in left(tmp_path)
    with pytest.raises(DataError):
        loaded(tmp_path, MAPPING.replace("mapping: 1", "mapping: 1\nvocabulary: v9.9 01-JAN-99"))
    assert "cdm.duckdb.next" in left(tmp_path)
    assert loaded(tmp_path).resumed
    assert left(tmp_path) == ["cdm.duckdb"]
