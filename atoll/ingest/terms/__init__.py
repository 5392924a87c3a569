"""What a name means: the parts of the matcher in `atoll.ingest.terminology`.

A name read     text, chinese
Candidates      concepts (common tests in our own words among them), index
                of a whole vocabulary: vocabulary, near
What speaks for them    features, with its weights; units, whether a test's unit and its concept count the same
Files           files; usagi, that tool's
People          review, what they decide; names, what they are shown
"""
