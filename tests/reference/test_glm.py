"""Every entry of the reference file: R 4.2.2 polished to the optimum, tolerance 1e-8."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest

import atoll

from .shared import reference, sites_of

ENTRIES = {name: entry for name, entry in reference("glm").items() if isinstance(entry, dict)}


def fit(entry: dict[str, Any], **more: Any) -> Any:
    """The entry's model, federated over the file's sites."""
    tables = sites_of(entry["file"])
    formula, options = entry["formula"], {}
    if offset := re.search(r" \+ offset\(log\((\w+)\)\)", formula):
        formula = formula.replace(offset[0], "")
        tables = {
            k: t.append_column("offset", pc.ln(t.column(offset[1]).cast(pa.float64()))) for k, t in tables.items()
        }
        options["offset"] = "offset"
    network = atoll.Network(tables, policy="public")
    family, link = entry["family"].lower(), entry["link"]
    return network.run("glm", formula=formula, family=family, link=link, **options, **more)


@pytest.mark.parametrize("name", ENTRIES)
def test_estimates(name: str) -> None:
    entry = ENTRIES[name]
    f = fit(entry)
    assert [t.replace("(Intercept)", "Intercept").replace("[T.", "").replace("]", "") for t in f.terms] == [
        t.replace("(Intercept)", "Intercept") for t in entry["terms"]
    ]
    np.testing.assert_allclose(f.params, entry["coef"], rtol=1e-8)
    np.testing.assert_allclose(f.bse, entry["se"], rtol=1e-8)
    np.testing.assert_allclose(f.cov, entry["vcov"], rtol=1e-8, atol=1e-8 * np.abs(entry["vcov"]).max())
    np.testing.assert_allclose(f.deviance, entry["deviance"], rtol=1e-8)
    np.testing.assert_allclose(f.dispersion, entry["dispersion_pearson"], rtol=1e-8)
    assert f.n == entry["n"]
    if entry["family"] != "Gamma":  # conventions differ between programs
        np.testing.assert_allclose(f.loglik, entry["loglik_R"], rtol=1e-8)


@pytest.mark.parametrize("name", ENTRIES)
@pytest.mark.parametrize(("robust", "key"), [("HC0", "hc0_se"), ("site", "cluster_site_cr0_se")])
def test_robust_standard_errors(name: str, robust: str, key: str) -> None:
    wanted = ENTRIES[name].get(key)
    if wanted is None:
        pytest.skip("the reference gives none")
    np.testing.assert_allclose(fit(ENTRIES[name], robust=robust).bse, wanted, rtol=1e-6 if robust == "site" else 1e-8)
