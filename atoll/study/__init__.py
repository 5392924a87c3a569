"""What people write and sign, as documents: nothing here reads data, and hub, sites and pages all read this.

The study       protocol (the document), dataset (what an analysis reads), diagnosis (what a phenotype is
                diagnosed by; its sentences, diagnosis_sentences), dictionary (columns); explain and sentences,
                what a steward reads of it
A formula       formula, calls (parsed, never run), coding (from formula and facts to a design), design, basis
                (splines); view, what a site sees of it
Features        features, score, units; feature_words, in words; sparse, sets of every concept of a domain;
                horizon, what knows the future
Reading         nodes (YAML and JSON with their lines), form (every finding is one sentence)

A cohort        circe, the folder: ATLAS's JSON as a tree of small records, as YAML, in words, and what is wrong with it
"""
