"""Each rule for one share, just below, at and just above its limit."""

from __future__ import annotations

from dataclasses import asdict, fields, replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from atoll.errors import CATALOGUE, REMEDIES, DisclosureRefused, StudyError
from atoll.privacy import disclosure
from atoll.privacy.disclosure import PUBLIC, STRICT, Conditions, Policy, check, check_influence, rounded
from atoll.privacy.leverage import Influence
from atoll.privacy.statistics import (
    Array,
    Statistics,
    count,
    each,
    kinds_of,
    points,
    table,
    tally,
    total,
    weights,
    witness,
)


class One(Statistics):
    n: int = count()


class Cells(Statistics):
    n: Array = table()


class Behind(Statistics):
    n: dict[str, Array] = witness()


class Events(Statistics):
    n: dict[str, Array] = witness(empty=False)


class Weighted(Statistics):
    w: dict[str, Array] = weights()


class Words(Statistics):
    n: dict[str, int] = tally()


class Model(Statistics):
    n: int = count()
    score: Array = total(per="n")
    information: Array = total(per="n")
    behind: dict[str, Array] = witness()


class Third(Statistics):
    n: int = count()
    cubes: float = total(per="n", moment=3)
    behind: dict[str, Array] = witness()


class PerCell(Statistics):
    n: Array = table()
    sums: Array = total(per="n")
    behind: dict[str, Array] = witness()


class Own(Statistics):
    n: int = count()
    figure: float = each(per="n")
    behind: dict[str, Array] = witness()


class Apart(Statistics):
    n: int = count(apart=True)
    cells: Array = table(apart=True)


class Exact(Statistics):
    times: Array = points()


def conditions(policy, arguments, words, unit):
    """Arguments named as a kind are of that kind."""
    kinds = {name: name for name in arguments or {} if name in ("grid", "edges")}
    return Conditions(policy, words, unit, arguments or {}, kinds)


def passes(share, policy=STRICT, arguments=None, words=frozenset(), unit="d"):
    return check(share, conditions(policy, arguments, words, unit))


def refused(share, code, policy=STRICT, arguments=None, words=frozenset(), unit="d"):
    with pytest.raises(DisclosureRefused) as caught:
        check(share, conditions(policy, arguments, words, unit))
    assert caught.value.code == code
    assert caught.value.remedy == REMEDIES[code]
    return caught.value


@pytest.mark.parametrize("minimum", [5, 10, 20])
@pytest.mark.parametrize(
    "build",
    [
        lambda n: One(n=n),
        lambda n: Cells(n=np.array([[0, n], [50, 100]])),
        lambda n: Behind(n={"sex": np.array([100, n, 0])}),
        lambda n: Words(n={"sex=f": n, "sex=m": 100}),
        lambda n: Weighted(w={"y": np.array([float(n), float(n)])}),  # n equal weights
    ],
)
def test_one_person_below_the_minimum_is_refused_and_the_minimum_passes(build, minimum):
    policy, words = replace(STRICT, minimum_persons=minimum), frozenset({"sex=f", "sex=m"})
    refused(build(minimum - 1), "TOO_FEW_PERSONS", policy, words=words)
    refused(build(1), "TOO_FEW_PERSONS", policy, words=words)
    passes(build(minimum), policy, words=words)
    passes(build(minimum + 1), policy, words=words)


def test_nobody_is_no_disclosure_except_where_it_tells_of_everybody():
    passes(One(n=0))
    passes(Cells(n=np.array([0, 0])))
    passes(Behind(n={"sex": np.array([0])}))
    error = refused(Events(n={"outcome": np.array([0, 500])}), "TOO_FEW_PERSONS")
    assert error.subject == "outcome"
    passes(Events(n={"outcome": np.array([0, 500])}), PUBLIC)


def test_a_refusal_names_the_column_and_no_number_of_persons():
    error = refused(Behind(n={"age": np.array([50]), "sex": np.array([50, 3])}), "TOO_FEW_PERSONS")
    assert str(error).startswith("A number would describe fewer than 10 persons (sex).")
    assert "3" not in str(error)
    assert refused(Words(n={"sex=x": 3}), "TOO_FEW_PERSONS", words=frozenset({"sex=x"})).subject == "sex"


@pytest.mark.parametrize("value", [-1, True, 12.0, None, "12", np.array([12, 12]), 2**70])
def test_a_count_is_a_whole_number_of_persons(value):
    refused(One(n=value), "GATE_REFUSED")


@pytest.mark.parametrize("cells", [np.array([12.5]), np.array([-12]), np.array([True]), np.array(["12"])])
def test_cells_are_whole_numbers_of_persons(cells):
    refused(Cells(n=cells), "GATE_REFUSED")
    refused(Behind(n={"sex": cells}), "GATE_REFUSED")


def test_counts_leave_rounded_and_sums_leave_exact():
    assert passes(One(n=12)).n == 10
    assert passes(One(n=13)).n == 15
    np.testing.assert_array_equal(passes(Cells(n=np.array([12, 13, 0]))).n, [10, 15, 0])
    assert passes(Words(n={"sex=f": 17}), words=frozenset({"sex=f"})).n == {"sex=f": 15}
    assert passes(Model(n=1000, score=np.array([1.25]), information=np.array([[3.5]]), behind={})).score[0] == 1.25


@given(st.integers(0, 2**52), st.integers(1, 1000))
def test_rounding_goes_to_the_nearest_multiple(n, base):
    result = int(rounded(np.asarray(n), base))
    assert result % base == 0
    assert 2 * abs(result - n) <= base


def test_witnesses_and_weights_never_leave():
    assert passes(Behind(n={"sex": np.array([50])})).n == {}
    assert passes(Weighted(w={"y": np.array([500.0, 500.0])})).w == {}


@pytest.mark.parametrize("w", [[1e6, 1e12], [20.0, 100.0], [0.0, 0.0], [np.nan, 1.0], [np.inf, np.inf]])
def test_weights_that_lie_on_few_persons_are_refused(w):
    refused(Weighted(w={"outcome": np.array(w)}), "TOO_FEW_PERSONS")
    passes(Weighted(w={"outcome": np.array(w)}), PUBLIC)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_a_sum_is_finite(bad):
    refused(Model(n=1000, score=np.array([bad]), information=np.eye(1), behind={}), "NOT_FINITE")
    refused(PerCell(n=np.array([50, 50]), sums=np.array([1.0, bad]), behind={}), "NOT_FINITE", PUBLIC)
    refused(Own(n=50, figure=bad, behind={}), "NOT_FINITE")
    refused(Exact(times=np.array([1.0, bad])), "NOT_FINITE", PUBLIC)


@pytest.mark.parametrize("value", ["text", None, [1.0, "a"], 1j, True])
def test_a_sum_is_a_number(value):
    refused(Own(n=50, figure=value, behind={}), "NOT_FINITE")


@pytest.mark.parametrize(("n", "terms", "allowed"), [(99, 10, False), (100, 10, True), (19, 1, True), (10, 1, False)])
def test_a_model_needs_ten_persons_a_term_and_ten_more(n, terms, allowed):
    share = Model(n=n, score=np.ones(terms), information=np.eye(terms), behind={})
    passes(share) if allowed else refused(share, "TOO_MANY_PARAMETERS")


def test_a_term_that_is_empty_at_a_site_is_no_parameter_there():
    information = np.zeros((12, 12))
    information[:9, :9] = 1.0
    passes(Model(n=95, score=np.zeros(12), information=information, behind={}))


def test_a_number_for_every_person_never_passes():
    for n in (10, 40, 1000):
        refused(Model(n=n, score=np.arange(1.0, n + 1), information=np.eye(1), behind={}), "TOO_MANY_PARAMETERS")


def test_the_parameters_of_a_cell_are_those_that_its_own_persons_allow():
    sums = np.ones((2, 3))
    passes(PerCell(n=np.array([500, 30]), sums=sums, behind={}))
    refused(PerCell(n=np.array([500, 29]), sums=sums, behind={}), "TOO_MANY_PARAMETERS")
    passes(PerCell(n=np.array([500, 0]), sums=np.array([[1.0, 1, 1], [0, 0, 0]]), behind={}))


def test_a_sum_over_nobody_or_over_other_cells_is_a_fault():
    refused(PerCell(n=np.array([500, 0]), sums=np.ones((2, 3)), behind={}), "GATE_REFUSED")
    refused(PerCell(n=np.array([500, 100]), sums=np.ones(3), behind={}), "GATE_REFUSED")
    refused(Own(n=0, figure=1.0, behind={}), "GATE_REFUSED")


def test_a_third_moment_leaves_public_data_only():
    error = refused(Third(n=500, cubes=1.0, behind={}), "TOO_MANY_MOMENTS")
    assert "moment 3 of a column; at most 2 may leave" in str(error)
    passes(Third(n=500, cubes=1.0, behind={}), replace(STRICT, moments=3))


def test_exact_values_leave_public_data_only():
    assert "values of single persons" in str(refused(Exact(times=np.array([3.0])), "EXACT_VALUES"))
    passes(Exact(times=np.array([3.0])), PUBLIC)


def test_a_site_may_keep_its_own_figures():
    error = refused(Own(n=500, figure=1.0, behind={}), "GATE_REFUSED", replace(STRICT, per_site=False))
    assert "shows no results of its own" in str(error)


def test_only_words_of_the_dictionary_leave():
    assert refused(Words(n={"name=Wang Fang": 50}), "WORD_NOT_LISTED").subject == "name"
    assert "Wang" not in str(refused(Words(n={"name=Wang Fang": 50}), "WORD_NOT_LISTED"))


@pytest.mark.parametrize("form", [np.array, tuple, list])
@pytest.mark.parametrize(
    ("unit", "times", "allowed"),
    [
        ("d", [30.0, 60.0], True),
        ("d", [29.0], False),
        ("d", [30.0, 59.0], False),
        ("d", [60.0, 30.0], False),
        ("d", [30.0, 30.0], False),
        ("wk", [5.0, 10.0], True),
        ("wk", [4.0, 8.0], False),
        ("mo", [1.0, 2.0, 3.0], True),
        ("mo", [0.9], False),
        ("a", [0.1, 1.0], True),
        ("a", [0.05], False),
        ("h", [1000.0], False),
        ("d", [float("nan"), 31.0, 32.0], False),
        ("d", [31.0, float("nan"), 32.0], False),
        ("d", [-100.0, 100.0], False),
        ("d", [], True),
    ],
)
def test_a_grid_is_at_least_a_month_wide(form, unit, times, allowed):
    arguments = {"grid": form(times)}
    if allowed:
        passes(One(n=50), arguments=arguments, unit=unit)
    else:
        assert refused(One(n=50), "GRID_TOO_FINE", arguments=arguments, unit=unit).subject == "grid"
    passes(One(n=50), PUBLIC, arguments, unit=unit)


@pytest.mark.parametrize(("inner", "allowed"), [(18, True), (19, True), (20, False), (2000, False)])
def test_a_histogram_has_at_most_twenty_cells(inner, allowed):
    for edges in (np.zeros(inner), np.zeros((3, inner))):
        if allowed:
            passes(One(n=50), arguments={"edges": edges})
        else:
            refused(One(n=50), "TOO_MANY_BINS", arguments={"edges": edges})


def test_a_question_cannot_ask_for_a_table_larger_than_any_answer():
    refused(One(n=50), "TOO_LARGE", arguments={"groups": 10**9})


@pytest.mark.parametrize(
    "cuts", [np.arange(1.0, 2_000.0), [1.0, 2.0], (1, 2, 3), {"cuts": 1.0}, [[1.0]], np.float64(3)]
)
def test_numbers_that_the_algorithm_does_not_declare_are_no_question(cuts):
    if isinstance(cuts, np.floating):
        passes(One(n=50), arguments={"cuts": cuts})
    else:
        refused(One(n=50), "NOT_PERMITTED", arguments={"cuts": cuts})
    passes(One(n=50), arguments={"names": ("a", "b"), "groups": 3, "ties": "efron", "beta": None, "exact": True})
    passes(One(n=50), arguments={"groups": 50})


def test_numbers_of_persons_are_kept_apart_as_multiples_of_the_minimum_and_never_as_sums():
    share = passes(Apart(n=123, cells=np.array([14, 0, 26])))
    assert (share.n, share.cells.tolist()) == (130, [20, 0, 30]), "from 125, 15 and 25: what is told of all"
    assert passes(Apart(n=123, cells=np.array([7])), PUBLIC).cells.tolist() == [7]
    refused(Apart(n=9, cells=np.array([10])), "TOO_FEW_PERSONS")
    refused(Apart(n=50, cells=np.array([3])), "TOO_FEW_PERSONS")
    refused(Apart(n=50, cells=np.array([30])), "GATE_REFUSED", replace(STRICT, per_site=False))
    assert refused(Own(n=50, figure=14, behind={}), "GATE_REFUSED").subject == "figure"


def test_every_kind_has_a_rule():
    made = (count(), table(), total(per="n"), each(per="n"), tally(), points(), witness(), weights())
    assert {field.metadata["kind"].name for field in made} == set(disclosure._RULES)
    assert {kind.name for cls in Statistics.__subclasses__() for kind in kinds_of(cls).values()} <= set(
        disclosure._RULES
    )


@pytest.mark.parametrize(
    "limits",
    [{"minimum_persons": 0}, {"rounding": 0}, {"grid_days": float("nan")}, {"moments": -1}, {"max_bytes": 0},
     {"bins": 0}, {"persons_per_parameter": float("inf")}],
)  # fmt: skip
def test_an_impossible_policy_cannot_be_made(limits):
    with pytest.raises(StudyError, match=rf"policy: {next(iter(limits))} cannot be .* Give [01] or more\."):
        Policy(**limits)


LIMITS = {
    "minimum_persons": st.integers(1, 50),
    "rounding": st.integers(1, 20),
    "persons_per_parameter": st.integers(0, 50),
    "residual_dof": st.integers(0, 50),
    "moments": st.integers(0, 4),
    "grid_days": st.floats(0, 400),
    "bins": st.integers(1, 100),
    "max_rounds": st.integers(1, 100),
    "max_bytes": st.integers(1, 10**7),
    "exact_values": st.booleans(),
    "per_site": st.booleans(),
}
POLICIES = st.builds(Policy, **LIMITS)
LOWER = {"moments", "bins", "max_rounds", "max_bytes", "exact_values", "per_site"}  # here less is stricter


@given(POLICIES, POLICIES, POLICIES)
def test_the_stricter_of_two_policies_is_stricter_in_every_limit(a, b, c):
    both = a.stricter(b)
    for f in fields(Policy):
        pick = min if f.name in LOWER else max
        assert getattr(both, f.name) == pick(getattr(a, f.name), getattr(b, f.name))
    assert both == b.stricter(a)
    assert both == both.stricter(a) == both.stricter(both)
    assert a.stricter(b).stricter(c) == a.stricter(b.stricter(c))


@given(POLICIES, st.dictionaries(st.sampled_from(sorted(LIMITS)), st.none()), st.data())
def test_a_study_can_tighten_a_policy_and_never_loosen_it(site, names, data):
    wished = {name: data.draw(LIMITS[name]) for name in names}
    effective = site.tightened(wished)
    assert effective.stricter(site) == effective
    assert asdict(effective).keys() == asdict(site).keys()


@given(st.integers(1, 60), st.integers(1, 500), st.sampled_from(["rounding", "minimum_persons"]))
def test_a_studys_own_rounding_tells_nothing_that_the_sites_does_not(own, wished, limit):
    """2m − 1 would step exactly at m, and twice a base halfway between two of its steps."""
    base = getattr(replace(STRICT, **{limit: own}).tightened({limit: wished}), limit)
    assert max(own, wished) <= base < max(own, wished) + 2 * own
    counts = np.arange(3 * base)
    told: dict[int, set[int]] = {}
    for fine, coarse in zip(rounded(counts, own).tolist(), rounded(counts, base).tolist(), strict=True):
        told.setdefault(fine, set()).add(coarse)
    assert all(len(one) == 1 for one in told.values())


def test_every_code_has_a_remedy():
    assert set(REMEDIES) == set(CATALOGUE)
    assert all(remedy.endswith(".") for remedy in REMEDIES.values())


@pytest.mark.parametrize("minimum", [2, 5, 9, 10, 20])
@pytest.mark.parametrize(
    ("field", "code"), [("leverage", "ONE_PERSON"), ("outcome", "ONE_PERSON"), ("apart", "TOLD_APART")]
)
def test_whatever_a_sites_minimum_is_nobody_decides_a_model_alone(minimum, field, code):
    policy = replace(STRICT, minimum_persons=minimum)
    limit = 0.9 if field == "apart" else 1 / minimum
    check_influence(Influence(**{field: limit}), policy)
    for much in (limit + 1e-3, 1.0, float("inf"), float("nan")):
        with pytest.raises(DisclosureRefused) as caught:
            check_influence(Influence(**{field: much}), policy)
        assert caught.value.code == code
        check_influence(Influence(**{field: much}), PUBLIC)
