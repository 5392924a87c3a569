"""What people write and sign, as documents: nothing here reads data, and hub, sites and pages all read this.

The study       protocol (the document), dataset (what an analysis reads), diagnosis (what a phenotype is
                diagnosed by; its sentences, diagnosis_sentences), dictionary (columns); explain and sentences,
                what a steward reads of it
A formula       formula, calls (parsed, never run), coding (from formula and facts to a design), design, basis
                (splines); view, what a site sees of it
Features        features, score, units; feature_words, in words; sparse, sets of every concept of a domain;
                horizon, what knows the future
Reading         nodes (YAML and JSON with their lines), form (every finding is one sentence)

A cohort        ATLAS's JSON is a tree of small records. `circe` is the face of them, the others stand behind it:
    the tree          circe_node (records without loss), circe_parts, circe_criteria
    as YAML           circe_yaml and circe_yaml_write, the two halves; circe_fields and circe_values, their words
    in words          circe_text, circe_sentences
    what is wrong     circe_check, circe_places (where), circe_faults (in both languages), circe_review (as sentences)
    a first one       circe_draft
"""
