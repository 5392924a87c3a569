"""The algorithms, and what all of them stand on. docs/algorithms.md says how to add one.

Algorithms, one file each, which do not know each other:
    describe, comparability, glm, cox, kaplan_meier, performance, attrition, feasibility;
    incidence, breakdown, overlap, durations: a phenotype is diagnosed by them;
    survey is the first round of any formula that needs one

Arithmetic that they share:
    newton        score and information to coefficients, by rounds
    families      distributions and links
    risk_sets     sums over those at risk
    modelled      who stands behind the sums of a model
    bins          histograms of which every cell holds enough persons
    cells         neighbouring cells joined until each group is enough, and bounds of each cell
    nested        numbers of persons of which each is part of the one before
    arithmetic    one order of all sums

Machinery:
    core          the grammar: what a site's function sees, what a round is
    options       what an option may be, and the names that mean the same everywhere
    registry      which algorithms there are, and whether options fit
    program       from an analysis as written to its rounds
    planned       what an analysis would need, before it is signed
"""
