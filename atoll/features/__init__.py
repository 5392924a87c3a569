"""Two things: a table as the rows that an algorithm sees, and OMOP data as the features of persons.

A table as rows, from the file to the sums:
    imports, texts                 a hospital's file (CSV as `cdm.delimited` looks at it) into Parquet; a new format for
                                   `dataset add` goes into `imports`
    table, columns                 columns by name, in batches, as arrays
    places                         where a column of numbers holds something else
    proposal                       a first data dictionary
    chunks, complete, rows         complete rows, chunk by chunk, by their roles
    terms                          the terms of a design
    persons                        whose rows these are
    witness, witnessed             who stands behind a sum, for the gate
    products, crossed              what a design adds up, and which cells two of its terms tell apart together
    intervals, codes               whether a term is finite, and whether its numbers are codes

OMOP data as features:
    recipe       from a study's recipe to a table
    extract      a cohort and a document of features, read where the data are
    looks        windows and what is said of the records in them
    scores       scores of diseases
    sparse       every concept or group of concepts as a column, and the cells that are not nought

A whole export on its way to OMOP is no matter of this folder: see `atoll.ingest`.
"""
