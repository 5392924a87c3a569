"""Terms: how names are read, and what the command says."""

from __future__ import annotations

import csv
import json
import zipfile
from pathlib import Path

import pytest

from atoll.cli.main import atoll
from atoll.errors import DataError
from atoll.ingest.terminology import Matcher, Name
from atoll.ingest.terms.chinese import translate
from atoll.ingest.terms.concepts import parse, read_concepts, starter_candidates
from atoll.ingest.terms.features import unit_kind
from atoll.ingest.terms.files import fill_list
from atoll.ingest.terms.names import ConceptNames
from atoll.ingest.terms.text import read
from atoll.ingest.terms.vocabulary import read_vocabulary

CONCEPTS = """concept_id,concept_name
1,Glucose [Mass/volume] in Serum or Plasma
2,Glucose [Mass/volume] in Urine by Test strip
3,Alanine aminotransferase [Enzymatic activity/volume] in Serum or Plasma
4,Leukocytes [#/volume] in Blood by Automated count
5,Lymphocytes/100 leukocytes in Blood
6,Lymphocytes [#/volume] in Blood
7,Protein/Creatinine [Mass Ratio] in Urine
8,metformin
"""


@pytest.fixture
def concepts(tmp_path: Path) -> Path:
    path = tmp_path / "concepts.csv"
    path.write_text(CONCEPTS)
    return path


def best(concepts: Path, **name: str) -> int:
    return Matcher(read_concepts(concepts)).suggest([Name(**name)])[0].concept_id


@pytest.mark.parametrize(
    ("name", "right"),
    [
        ({"name": "SGPT"}, 3),
        ({"name": "Alanin Aminotransf."}, 3),
        ({"name": "WBC", "unit": "K/uL"}, 4),
        ({"name": "Glucose, Urine"}, 2),
        ({"name": "GLU", "fluid": "Blood", "unit": "mg/dL"}, 1),
        ({"name": "Lymphs", "unit": "%"}, 5),
        ({"name": "Lymphs #"}, 6),
        ({"name": "Prot/Creat Ratio", "fluid": "Urine"}, 7),
        ({"name": "谷丙转氨酶"}, 3),
        ({"name": "淋巴细胞绝对值"}, 6),
        ({"name": "淋巴细胞百分比"}, 5),
        ({"name": "葡萄糖", "fluid": "尿"}, 2),
        ({"name": "盐酸二甲双胍缓释片 0.5g"}, 8),
    ],
)
def test_a_name_finds_its_concept(concepts: Path, name: dict[str, str], right: int) -> None:
    assert best(concepts, **name) == right


def test_an_earlier_decision_wins_and_says_so(concepts: Path) -> None:
    found = Matcher(read_concepts(concepts), {"Zucker": 1}).suggest([Name("zucker")])
    assert found[0].concept_id == 1
    assert found[0].probability > 0.9
    assert "decided so before" in found[0].reason


def test_what_means_nothing_has_a_small_probability(concepts: Path) -> None:
    found = Matcher(read_concepts(concepts)).suggest([Name("qwertz gluzzz")])
    assert all(suggestion.probability < 0.5 for suggestion in found)


def test_probabilities_of_a_name_sum_to_at_most_one(concepts: Path) -> None:
    found = Matcher(read_concepts(concepts)).suggest([Name("Lymphocytes"), Name("Glucose")], top=8)
    for at in (0, 1):
        chances = [s.probability for s in found if s.at == at]
        assert sum(chances) <= 1 + 1e-9
        assert chances == sorted(chances, reverse=True)


def test_a_long_name_is_read_into_its_parts() -> None:
    concept = parse(1, "Creatine kinase.MB/Creatine kinase.total [Ratio] in Serum or Plasma by Electrophoresis")
    assert (concept.words, concept.property, concept.system, concept.method) == (
        ("creatine", "kinase", "mb"), "fraction", "serum", "electrophoresis",
    )  # fmt: skip
    assert parse(2, "Amylase/Creatinine renal clearance [Ratio] in Urine").below == ("creatinine", "renal", "clearance")


def test_a_specimen_in_the_name_is_no_word_of_the_analyte() -> None:
    assert read("Albumin, Ascites").system == "peritoneal"
    assert read("Albumin, Ascites").words == ("albumin",)
    assert read("Blood").words == ("blood",)


def test_chinese_is_read_longest_first() -> None:
    assert translate("血肌酐").english == "creatinine"
    assert translate("血肌酐").system == "serum"
    assert translate("尿素氮").english == "urea nitrogen"  # not urine
    assert translate("注射用头孢曲松钠").domain == "Drug"
    assert translate("2型糖尿病").domain == "Condition"
    assert "unread" in translate("犇骉测定").english


def test_suggest_writes_the_file(concepts: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    names, out = tmp_path / "names.csv", tmp_path / "out.csv"
    names.write_text("name,unit\nALT,U/L\n谷丙转氨酶,\n", encoding="gb18030")
    with pytest.raises(SystemExit) as ended:
        atoll.main(["terms", "suggest", str(names), "--concepts", str(concepts), "--out", str(out), "--json"])
    assert ended.value.code == 0
    assert json.loads(capsys.readouterr().out)["names"] == 2
    rows = list(csv.DictReader(out.open(encoding="utf-8")))
    assert list(rows[0]) == ["name", "rank", "concept_id", "probability", "reason"]
    assert {row["name"] for row in rows} == {"ALT", "谷丙转氨酶"}
    assert rows[0]["rank"] == "1"
    assert rows[0]["concept_id"] == "3"


@pytest.mark.parametrize(
    ("text", "says"),
    [("term\nALT\n", "has no column `name`; it has: term"), ("name\n", "holds no names"), ("", "it has: nothing")],
)
def test_a_file_of_names_that_cannot_be_used(text: str, says: str, concepts: Path, tmp_path: Path) -> None:
    from atoll.ingest.terms.files import read_names

    path = tmp_path / "names.csv"
    path.write_text(text)
    with pytest.raises(DataError, match=says):
        read_names(path)


def test_concepts_that_cannot_be_used(tmp_path: Path) -> None:
    path = tmp_path / "concepts.csv"
    path.write_text("concept_id,concept_name\nx,Glucose\n")
    with pytest.raises(DataError, match="line 2: a concept needs a number"):
        read_concepts(path)


HEAD = "concept_id\tconcept_name\tdomain_id\tvocabulary_id\tstandard_concept\tinvalid_reason\n"


@pytest.fixture
def download(tmp_path: Path) -> Path:
    """An Athena download: tests, one of them in words that no name has, diagnoses, and what is not standard."""
    folder = tmp_path / "athena"
    folder.mkdir()
    (folder / "CONCEPT.csv").write_text(
        HEAD + "1\tGlucose [Mass/volume] in Serum or Plasma\tMeasurement\tLOINC\tS\t\n"
        "2\tSodium [Moles/volume] in Serum or Plasma\tMeasurement\tLOINC\tS\t\n"
        "3\tGlucose (old)\tMeasurement\tLOINC\tS\tD\n4\tGlucose local\tMeasurement\tLocal\t\t\n"
        "5\tPneumonia\tCondition\tSNOMED\tS\t\n6\tType 2 diabetes mellitus\tCondition\tSNOMED\tS\t\n"
        "7\tWhite blood cells [#/volume] in Blood\tMeasurement\tLOINC\tS\t\n8\tMALE\tGender\tGender\tS\t\n"
    )
    (folder / "CONCEPT_SYNONYM.csv").write_text("concept_id\tconcept_synonym_name\tlanguage\n1\tGluc SerPl\t4180186\n")
    return folder


def test_a_whole_vocabulary_is_read_by_what_is_near(download: Path, tmp_path: Path) -> None:
    asked = {whole: read_vocabulary(download, [Name("glucose")], whole=whole) for whole in (0, 99)}
    assert [(concept.concept_id, concept.variant) for concept in asked[0] if concept.concept_id != 7] == [
        (1, 0), (1, 1),
    ]  # fmt: skip  # 7 speaks of blood, as blood sugar does
    assert {concept.concept_id for concept in asked[99]} == {1, 2, 5, 6, 7, 8}
    kept = read_vocabulary(download, [Name("glucose")], [6, 999], whole=0)
    assert [concept.concept_id for concept in kept] == [1, 6, 7, 1], "an earlier decision stays"
    (tmp_path / "empty").mkdir()
    for place, says in (("empty", "is not a table of an Athena download"), ("nowhere", "There is no file")):
        with pytest.raises(DataError, match=says):
            read_vocabulary(tmp_path / place, [Name("glucose")])
    with pytest.raises(DataError, match="No standard Drug in athena is like the names"):
        read_vocabulary(download, [Name("glucose", domain="Drug")])


@pytest.mark.parametrize(
    ("name", "right"), [("肺炎", 5), ("2型糖尿病", 6), ("WBC", 7), ("白细胞计数", 7), ("血钠", 2), ("GlucoseSerum", 1)]
)
def test_a_name_finds_its_concept_in_a_vocabulary_by_any_reading(name: str, right: int, download: Path) -> None:
    """Also beside other names: what they hold decided what was looked at."""
    asked = [Name("2型糖尿病"), Name(name)]
    found = Matcher(read_vocabulary(download, asked, whole=0)).suggest(asked, 1)
    assert [one.concept_id for one in found] == [6, right]


def test_a_name_of_a_known_domain_has_candidates_of_no_other(download: Path) -> None:
    asked = [Name("2", domain="Gender"), Name("glucose", domain="Condition"), Name("glucose")]
    found = Matcher(read_vocabulary(download, asked)).suggest(asked)
    assert {one.at for one in found if one.concept_id in (5, 6)} <= {1, 2}
    assert [one.concept_id for one in found if one.at == 0] in ([], [8])
    assert next(one.concept_id for one in found if one.at == 2) == 1


def test_review_is_told_of_the_same_vocabulary(
    download: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "names.csv").write_text("name\n肺炎\n", "utf-8")
    words = ["terms", "suggest", str(tmp_path / "names.csv"), "--vocabulary", str(download)]
    atoll([*words, "--out", str(tmp_path / "s.csv")], standalone_mode=False)
    assert f"--vocabulary {download}" in capsys.readouterr().err
    assert ConceptNames((), download).known(5)
    assert ConceptNames((), download).known(999999999) is False


def suggested(path: Path) -> dict[str, list[str]]:
    """Name → concept, probability, reason of the first candidate."""
    with path.open(encoding="utf-8", newline="") as file:
        return {row["name"]: [row["concept_id"], row["probability"], row["reason"]] for row in csv.DictReader(file)
                if row["rank"] in "01"}  # fmt: skip


def test_a_drafted_list_is_asked_of_the_packages_concepts(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    listed = tmp_path / "test.csv"
    listed.write_text(
        "code,name,concept_id,unit,analyte,rows\nJY1,葡萄糖,,mmol/L,glucose,90\nJY2,,,mg/dl,,5\nJY3,肌酐,3016723,,,9\n"
        "JY4,身高,,cm,,3\n", "utf-8"
    )  # fmt: skip
    atoll(["terms", "suggest", str(listed), "--out", str(tmp_path / "s.csv")], standalone_mode=False)
    assert "Atoll has names for" in capsys.readouterr().err
    found = suggested(tmp_path / "s.csv")
    assert list(found) == ["葡萄糖", "JY2", "身高"], "a code without a name stands for itself"
    assert [found[name][0] for name in ("葡萄糖", "身高")] == ["3004501", "3036277"]


def test_concepts_go_into_the_list_by_name_and_the_rest_stays(tmp_path: Path) -> None:
    listed = tmp_path / "test.csv"
    listed.write_text("code,name,concept_id,unit,rows\nA,葡萄糖,,mmol/L,9\nB,肌酐,7,,8\nC,谜,,,1\n", "utf-8")
    assert fill_list(listed, {"葡萄糖": 3004501, "肌酐": 3016723}) == (1, 1, [])
    assert listed.read_text("utf-8") == (
        "code,name,concept_id,unit,rows\nA,葡萄糖,3004501,mmol/L,9\nB,肌酐,7,,8\nC,谜,,,1\n"
    )
    with pytest.raises(DataError, match="no columns `code` and `concept_id`"):
        (tmp_path / "x.csv").write_text("name\na\n")
        fill_list(tmp_path / "x.csv", {})


@pytest.mark.parametrize("as_zip", [True, False])
def test_the_vocabulary_that_loads_use_has_the_candidates(as_zip: bool, tmp_path: Path) -> None:
    from atoll.cdm.vocabulary import load_athena
    from tests.ingest.test_vocabularies import athena

    folder, names, vocabulary = athena(tmp_path / "athena"), tmp_path / "names.csv", tmp_path / "athena.zip"
    names.write_text("name\nstandard\n", "utf-8")
    with zipfile.ZipFile(vocabulary, "w") as archive:
        for path in folder.iterdir():
            archive.write(path, path.name)
    if not as_zip:
        load_athena(vocabulary, tmp_path / "v.duckdb")
        vocabulary = tmp_path / "v.duckdb"
    atoll(["terms", "suggest", str(names), "--vocabulary", str(vocabulary), "--out", str(tmp_path / "s.csv")],
          standalone_mode=False)  # fmt: skip
    assert suggested(tmp_path / "s.csv")["standard"][0] == "3"


def test_a_known_word_is_no_other_word_misspelt() -> None:
    matcher = Matcher([parse(3013762, "Body weight Measured"), parse(1, "Body temperature")])
    (first, *_) = matcher.suggest([Name("身高")])
    assert first.reason == "shared words: body"
    assert first.probability < 0.7  # a word in common; read as a misspelling it would be nearly sure


def test_what_is_read_as_another_word_says_so() -> None:
    matcher = Matcher([parse(1, "Creatinine"), parse(2, "Glucose")])
    assert matcher.suggest([Name("creatinin")])[0].reason.startswith("creatinin read as creatinine")


def test_milligrams_are_no_cells() -> None:
    assert [unit_kind(unit) for unit in ("mg/dl", "mIU/L", "K/uL", "M/uL", "10^9/L", "#/L")] == [
        "mass", "unit", "cells", "cells", "cells", "cells",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("name", "right"),
    [("慢阻肺急性加重", 255573), ("慢性阻塞性肺疾病", 255573), ("盐酸二甲双胍片", 1503297), ("2型糖尿病", 201826)],
)
def test_names_in_chinese_find_what_the_package_has_in_its_own_words(name, right):
    (first, *_) = Matcher(starter_candidates()).suggest([Name(name)])
    assert first.concept_id == right
