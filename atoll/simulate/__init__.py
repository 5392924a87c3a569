"""Simulated hospitals with a known truth. To be read in this order: facts, life, visits, values (what happens to
people); records and omop (what each hospital knows); neutral, faults and shapes (how it exports it); world, the whole;
score, what of it arrived.

A new shape of export is `shapes/NAME.py` with a class `Shape(Export)`: `put` writes a block, `unknown` says which code
stands for a planted unknown one, `impossible` which faults it cannot hold; and a line in `hospitals.SHAPES`. Who names
it with `atoll simulate --shapes NAME` gets it from a hospital; give it one of `HOSPITALS` for good, and a mapping in
`examples/exports/NAME`, and the demo and the scoring of planted truth take it in too.
"""
