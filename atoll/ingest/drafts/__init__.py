"""A draft of a mapping, from a scan: what a data manager then corrects. To be read in this order:

The whole       proposal
Whose it is     roles, whose number a column is; keys, where two columns are one; joining, what keys lead to
What it is      fitting, which table of the model a table fills, and lacking, why none; coded, the codes' vocabulary
Results         results, one a row; wide, tests that have a column each; pressures, two in one cell
Written down    drafting, the document; code_lists and listing, the lists beside it

What a column's name says is told by `ingest.meanings`, what its values are by `ingest.scan`.
"""
