"""Kinds of results: every one whole, and given only to what says so or is ours."""

import pytest

from atoll.algorithms import registry
from atoll.ui import kinds, layout, report
from atoll.ui.words import LANGUAGES, Say
from tests.unit.test_attrition import RESULT as ATTRITION
from tests.unit.test_charts import CASES
from tests.unit.test_comparability import compared, sugar_in_other_units
from tests.unit.test_phenotype_diagnostics import RESULTS as PHENOTYPE

OF = {"coefficients": "ratios", "survival": "few times", "description": "describe", "performance": "performance"}
KIND_OF = {"incidence": "incidence", "breakdown": "words", "overlap": "overlap", "durations": "durations"}
SHOWN = {kind: CASES[name] for kind, name in OF.items()} | {
    "attrition": ATTRITION,
    "comparability": compared(sugar_in_other_units),
    **{KIND_OF[name]: result for name, result in PHENOTYPE.items()},
    "values": {"algorithm": "toy", "answer": 42},
}


def page(document, language="en"):
    shown = report.report({"sites": ["a"], **document}, {}, Say(language))
    return shown, layout.render(layout.HERE / "templates", "result.html", language, shown=shown)


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("kind", kinds.KINDS)
def test_every_kind_has_its_table_and_its_template(kind, language):
    shown, text = page(SHOWN[kind], language)
    assert shown["kind"] == kind and text.count("<section") == text.count("</section>") == 1
    assert kinds.rows(SHOWN[kind]) and shown["charted"] == (kind != "values")
    assert shown["apart"] == (kind in ("performance", "attrition", "comparability", *KIND_OF.values()))


def test_every_algorithm_of_the_house_has_a_kind():
    listed = [name for kind in kinds.KINDS.values() for name in kind.algorithms]
    plain = {"survey"}  # no analysis of its own
    assert sorted(listed) == sorted(set(registry.names()) - plain)


def test_what_another_result_happens_to_call_alike_is_not_taken_for_a_kind():
    stairs = {"algorithm": "stairs", "entered": 9, "steps": [1, 2], "sites_apart": {}}
    assert page(stairs)[0]["kind"] == "values" and "entered" in page(stairs)[1]
    with pytest.raises(ValueError, match="a result of stairs has no chart"):
        kinds.chart(stairs)


def test_another_result_says_its_kind_itself():
    theirs = SHOWN["coefficients"] | {"algorithm": "lasso", "kind": "coefficients"}
    assert page(theirs)[0]["kind"] == "coefficients" and "odds ratio" in kinds.chart(theirs).svg
    del theirs["bse"]
    assert kinds.kind_of(theirs) == kinds.kind_of({"algorithm": "lasso", "kind": "novel"}) == "values"
