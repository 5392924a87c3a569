"""Which concepts of a large vocabulary share the most words with a name, whatever the matcher may read the name as.

A name's words are those of all its readings: Chinese in English words, abbreviations and synonyms written out, and the
other way round every form that the tables know for what it means, since a concept may be written in any of them. Words
are told apart by their first letters, which a plural, an ending or a word cut short leave as they are.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy import sparse

from atoll.ingest.terms.chinese import UNREAD, is_chinese, translate
from atoll.ingest.terms.text import EMPTY, abbreviated, canonical, meanings, read, split, table, unfold

if TYPE_CHECKING:
    from atoll.ingest.terminology import Name

BEGINNING = 4  # letters of a word by which it is found
_SHORT = {"ab": ("antibody", "autoantibody"), "ag": ("antigen",)}  # what `text.canonical` makes of these


def words_of(name: Name) -> frozenset[str]:
    """Every word that a concept for this name might hold."""
    found: set[str] = set()
    for text in _texts(name):
        reading = read(text)
        found.update(split(text), reading.words, reading.below)
    found -= EMPTY | {UNREAD}
    known = {word for first in found for written, means in _written().get(first, ()) if means <= found
             for word in written}  # fmt: skip
    return frozenset(found | known | {word for short in found for word in _SHORT.get(short, ())})


def _texts(name: Name) -> Iterator[str]:
    """A name as it may be read: in English, with words that run together parted, and parted ones joined."""
    if is_chinese(name.name):
        yield translate(name.name, name.domain).english
        return
    yield name.name
    yield abbreviated(name.name)
    yield unfold(name.name)
    yield " ".join(a + b for a, b in pairwise(split(name.name)) if len(a) > 2 and len(b) > 2)


@cache
def _written() -> Mapping[str, tuple[tuple[tuple[str, ...], frozenset[str]], ...]]:
    """The first word of what is meant → written forms with all words of what they mean."""
    found: dict[str, list[tuple[tuple[str, ...], frozenset[str]]]] = {}
    for written in meanings():
        means = canonical(" ".join(written))[0]
        if means:
            found.setdefault(means[0], []).append((written, frozenset(means)))
    for organ, parts in table("anatomy.csv").items():
        found.setdefault(split(parts)[0], []).append((organ, frozenset(split(parts))))
    return {word: tuple(forms) for word, forms in found.items()}


class Near:
    """Chooses, batch by batch, the concepts that are most like each of some names.

    counts   beginning of a word → how many concepts' names hold it
    share    concepts that are kept for one name

    Likeness is the cosine of the beginnings, weighted by how rare they are.
    """

    def __init__(self, names: Sequence[Name], counts: Mapping[str, int], share: int):
        import pyarrow as pa

        self.share = share
        at = {word: place for place, word in enumerate(counts)}
        self.known = pa.array(list(counts), pa.string())
        total = max(counts.values(), default=0)
        self.weight = np.log(1 + (total + 1) / (np.fromiter(counts.values(), float, len(counts)) + 0.5))
        asked = [sorted({at[word[:BEGINNING]] for word in words_of(name) if word[:BEGINNING] in at}) for name in names]
        ends = np.cumsum([0, *map(len, asked)])
        places = np.array([place for row in asked for place in row], np.int64)
        self.names = sparse.csc_matrix((self.weight[places] ** 2, places, ends), (len(counts), len(names)))
        self.best = [(np.empty(0), np.empty(0, np.int64)) for _ in names]  # likeness and concept

    def look(self, ids: Any, words: Any) -> None:
        """Look at a batch: concepts, and the beginnings of the words of each (a list array of Arrow)."""
        import pyarrow.compute as pc

        places = pc.index_in(words.flatten(), self.known).to_numpy(zero_copy_only=False).astype(np.int64)
        ends = np.concatenate([[0], np.cumsum(pc.list_value_length(words).to_numpy(zero_copy_only=False))])
        held = sparse.csr_matrix((np.ones(len(places)), places, ends), (len(ids), len(self.weight)))
        length = np.sqrt(held @ self.weight**2)
        like = (sparse.diags(1 / np.maximum(length, 1e-9)) @ (held @ self.names)).tocsc()
        for name in range(like.shape[1]):
            here = slice(like.indptr[name], like.indptr[name + 1])
            if here.stop > here.start:
                self._keep(name, like.data[here], ids[like.indices[here]])

    def _keep(self, name: int, score: Any, ids: Any) -> None:
        """The best of what was kept for a name and of what is new; of equals the concept with the smaller number."""
        score, ids = np.concatenate([self.best[name][0], score]), np.concatenate([self.best[name][1], ids])
        order = np.lexsort((-score, ids))
        first = order[np.concatenate([[True], np.diff(ids[order]) != 0])]  # of a concept's names the likest
        first = first[np.lexsort((ids[first], -score[first]))][: self.share]
        self.best[name] = score[first], ids[first]

    def found(self) -> set[int]:
        """All concepts that were kept."""
        return {int(number) for _, ids in self.best for number in ids}
