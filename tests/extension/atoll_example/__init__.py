"""A third party's package: one algorithm for Atoll, joined through the entry-point group `atoll.algorithms`."""
