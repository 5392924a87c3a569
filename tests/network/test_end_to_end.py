"""A study from its signature to its result, over TLS, between programs of their own."""

from __future__ import annotations


def test_a_study_runs_once_every_site_has_approved(world):
    world.start_sites()
    study, runs = world.submit(world.signed({"first": {"rounds": 6}, "second": {"rounds": 2}}))
    assert world.study(study)["waits_for"] == "Waits for the decision of north, river, south."
    world.decide("north", study, "approve")
    world.decide("river", study, "approve")
    world.decide("south", study, "approve")
    for run in runs:
        assert world.wait_for(run, "finished", "failed")["state"] == "finished"
    result = world.result(runs[0])
    assert result["rounds"] == 6 and result["n"] == 30
    document = world.run(runs[0])
    assert {site["state"] for site in document["sites"].values()} == {"sent"}
    assert all(site["shares"] == 6 and site["bytes"] > 0 for site in document["sites"].values())
