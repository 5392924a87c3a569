"""A world of which everything is known, written down as hospitals do. To be read in this order:

The world      facts, its tables of numbers; life, from birth to death; visits and values, what hospitals see
Writing down   hospitals, who they are; records, what one of them holds; faults, what goes wrong; neutral, plain
               tables, which the folder `shapes` turns into exports; omop, the tables that loading ought to make;
               world, all of it
Scoring        score, what has arrived of it; phenotypes, definitions held against the truth
Beside it      checkup, a small world of its own with one outcome, for examples

A new shape of export is `shapes/NAME.py` with a class `Shape(Export)`: `put` writes a block, `unknown` says which code
stands for a planted unknown one, `impossible` which faults it cannot hold; and a line in `hospitals.SHAPES`. Who names
it with `atoll simulate --shapes NAME` gets it from a hospital; give it one of `HOSPITALS` for good, and a mapping in
`examples/exports/NAME`, and the demo and the scoring of planted truth take it in too.
"""
