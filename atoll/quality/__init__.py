"""How good the data of an OMOP database are. To be read in this order:

A check        check, what is looked at and what counts as a fault; words, what each family says and advises
Families       conformance, completeness, plausibility (Kahn's frame; units.csv, sexes.csv); references, what people
               have, with references.csv; tests, single laboratory tests; second_units, two units under one name;
               possible, single results that nobody has; months, gaps and ends of tables; births, days that
               too many share
A run          run, all of them in few queries; scope, those that matter for a study; report, what was found
Beside it      rows, the rows at fault for a steward's terminal; persons, the checks as a dataset for hospitals to
               compare
"""
