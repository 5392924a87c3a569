"""Kaplan–Meier and log-rank entries of the reference (R 4.2.2 `survival`), tolerance 1e-10."""

from __future__ import annotations

import numpy as np
import pytest

import atoll

from .shared import reference, sites_of

ENTRIES = reference("survival")


@pytest.mark.parametrize(("name", "by"), [("km_rott_gbsg_hormon", "hormon"), ("km_lung_sex", "female")])
def test_curves(name: str, by: str) -> None:
    entry = ENTRIES[name]
    times = sorted(set(entry["times"]))
    f = atoll.Network(sites_of(entry["file"]), policy="public").run(
        "kaplan_meier", time="time", event="status", by=by, times=times
    )
    for g, (level, curve) in enumerate(sorted(f.groups.items())):
        rows = [i for i, stratum in enumerate(entry["strata"]) if stratum == f"{by}={level}"]
        assert len(rows) == len(times)
        for key, ours in (("surv", "survival"), ("se", "se"), ("nrisk", "at_risk")):
            np.testing.assert_allclose(curve[ours], np.array(entry[key])[rows], rtol=1e-10, err_msg=key)
        np.testing.assert_allclose(curve["median"], np.array(entry["median_ci"][g], float), rtol=1e-10)


@pytest.mark.parametrize(("name", "strata"), [("logrank_lung", []), ("logrank_lung_strat", ["site"])])
def test_logrank(name: str, strata: list[str]) -> None:
    entry = ENTRIES[name]
    f = atoll.Network(sites_of(entry["file"]), policy="public").run(
        "kaplan_meier", time="time", event="status", by="female", strata=strata
    )
    np.testing.assert_allclose(f.logrank["observed"], entry["obs"], rtol=1e-10)
    np.testing.assert_allclose(f.logrank["expected"], entry["exp"], rtol=1e-10)
    np.testing.assert_allclose(f.logrank["chisq"], entry["chisq"], rtol=1e-10)
