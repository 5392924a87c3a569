"""Entries of the Cox reference (R 4.2.2 `survival`) that this algorithm covers, tolerance 1e-8."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pytest

import atoll

from .shared import reference, sites_of

ENTRIES = {name: e for name, e in reference("cox").items() if isinstance(e, dict) and "vcov" in e}


@pytest.mark.parametrize("name", ENTRIES)
def test_estimates(name: str) -> None:
    entry: dict[str, Any] = ENTRIES[name]
    time, event, terms = re.fullmatch(r"Surv\((\w+), (\w+)\) ~ (.*)", entry["formula"]).groups()  # type: ignore[union-attr]
    stratified = " + strata(site)" in terms
    f = atoll.Network(sites_of(entry["file"]), policy="public").run(
        "cox",
        formula=terms.replace(" + strata(site)", ""),
        time=time,
        event=event,
        ties=entry["ties"],
        strata=["site"] if stratified else [],
    )
    assert list(f.terms) == list(entry["coef"])
    np.testing.assert_allclose(f.params, list(entry["coef"].values()), rtol=1e-8)
    np.testing.assert_allclose(f.bse, entry["se"], rtol=1e-8)
    np.testing.assert_allclose(f.cov, entry["vcov"], rtol=1e-8, atol=1e-8 * np.abs(entry["vcov"]).max())
    np.testing.assert_allclose(f.loglik, entry["loglik"], rtol=1e-8)
    np.testing.assert_allclose(f.loglik_null, entry["loglik_null"], rtol=1e-8)
    np.testing.assert_allclose(f.tests["likelihood_ratio"]["chisq"], entry["lr"], rtol=1e-8)
    np.testing.assert_allclose(f.tests["score"]["chisq"], entry["score"], rtol=1e-8)
    np.testing.assert_allclose(f.tests["wald"]["chisq"], entry["wald"], atol=0.006)  # R prints two digits
    assert (f.n, f.events) == (entry["n"], entry["nevent"])
