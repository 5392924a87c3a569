"""From a hospital's own data to the OMOP common data model. To be read in this order:

The export      sources, which opens one; copies, of a database server's tables; files, which of them make which table;
                readers, of their formats (a new one goes there; CSV by way of `cdm.delimited`), with excel; formats,
                those of messages (a new one goes there): fhir, fhir_choices, hl7v2
Looking at it   scan; meanings, what a column's name says; and from these a draft of a mapping: the folder `drafts`
The mapping     mapping, the document; expressions (text to tree), kinds, functions, compiler (tree to query);
                values, results as laboratories write them; lookups, code lists and units; lists, their files;
                explain, in words; checking, against the export; doubts, its lists against a vocabulary
Loading         load, the whole way; persons and matching, who is who; rule_source, rules and judged, a rule as one
                query; repeats, one key on several rows; derive, periods and eras; reuse, what has not changed; emptied
                and losses, what keeps a release from being in force; release, in force as a whole; report and
                unit_gaps, what is told of it
The way back    trace, from a row of the model to the export's

What a name means is a subject of its own, which the loader does not need: terminology, the matcher, and the folder
`terms` behind it.

A single table that the steward registers without OMOP is read by `atoll.features.imports`.
"""
