"""A world of which everything is known, written down as hospitals do. To be read in this order:

The world      facts, its tables of numbers; life, from birth to death; visits and values, what hospitals see
Writing down   hospitals, who they are; records, what one of them holds; faults, what goes wrong; neutral, plain
               tables, which the folder `shapes` turns into exports; omop, the tables that loading ought to make;
               world, all of it
Scoring        score, what has arrived of it; phenotypes, definitions held against the truth
Beside it      checkup, a small world of its own with one outcome, for examples
"""
