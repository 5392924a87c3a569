"""The tables that a steward has registered: imported once, described by a data dictionary, signed.

A registration says where the rows came from, what each column may hold, and whether the data are public,
with the reason. The site's key signs it, so that nobody but the steward's installation can lift a threshold.
"""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import rfc8785

from atoll import durable
from atoll.cdm.database import without_password
from atoll.errors import DataError, NotPermitted
from atoll.governance import signatures
from atoll.privacy.disclosure import FLOOR, STRICT, Policy
from atoll.site.arrivals import arriving, clean
from atoll.site.home import Home
from atoll.site.store import SiteStore, utc_now
from atoll.study.dictionary import Column, Dictionary
from atoll.study.protocol import Study

log = logging.getLogger("atoll.site")
MADE = "study-"  # how the names of tables begin that were made for a study
NAME = re.compile(r"[A-Za-z][A-Za-z0-9_-]{0,63}")


@dataclass(frozen=True)
class Registration:
    """What the steward registered. `size` and `changed` are those of the imported file."""

    name: str
    source: str
    rows: int
    columns: Dictionary
    public: str
    registered: str
    size: int
    changed: int
    notes: tuple[str, ...] = ()

    def to_document(self) -> dict[str, Any]:
        """Plain JSON types. `public` is the reason why the data are public, or empty."""
        return {
            "name": self.name,
            "source": self.source,
            "rows": self.rows,
            "columns": {name: column.to_document() for name, column in self.columns.items()},
            "public": self.public,
            "registered": self.registered,
            "file": [str(self.size), str(self.changed)],
            "notes": list(self.notes),
        }

    @classmethod
    def from_document(cls, document: Mapping[str, Any]) -> Registration:
        """The inverse of `to_document`."""
        return cls(
            document["name"],
            document["source"],
            document["rows"],
            {name: Column.from_document(column) for name, column in document["columns"].items()},
            document["public"],
            document["registered"],
            int(document["file"][0]),
            int(document["file"][1]),
            tuple(document["notes"]),
        )


class Registry:
    """The site's registered datasets. Opening it removes what a killed import has left."""

    def __init__(self, home: Home, store: SiteStore):
        self._home, self._store = home, store
        if left := clean(home.datasets):
            log.warning("%d unfinished imports of processes that were killed were removed", left)

    def names(self) -> tuple[str, ...]:
        """Names of all registered datasets."""
        return tuple(self._store.datasets())

    def get(self, name: str) -> Registration:
        """A registration whose signature holds.

        Raises
        ------
        DataError
            When there is none, with code UNKNOWN_DATASET.
        NotPermitted
            When it was changed by something else than this site.
        """
        signed = self._store.datasets().get(name)
        if signed is None:
            raise DataError(
                f"No dataset {name!r} is registered at this site.",
                f"Register it with `atoll site dataset add {name} --from FILE`.",
                code="UNKNOWN_DATASET",
                subject=name,
            )
        public_key = signatures.public_bytes(self._home.key())
        document = signed["registration"]
        signatures.verify(public_key, "dataset", rfc8785.dumps(document), bytes.fromhex(signed["signature"]))
        return Registration.from_document(document)

    def path(self, name: str) -> Path:
        """The imported file."""
        return self._home.datasets / f"{name}.parquet"

    def add(
        self,
        name: str,
        source: str,
        *,
        columns: Dictionary | None = None,
        public: str = "",
        encoding: str | None = None,
        minimum: int = STRICT.minimum_persons,
        replace: bool = False,
        progress: Callable[[int], None] | None = None,
    ) -> Registration:
        """Import a source and register it under a dictionary, proposed from the data unless one is given.

        Raises
        ------
        DataError
            When the source cannot be read or does not keep to the given dictionary; nothing is registered then.
        """
        from atoll.features.imports import import_source
        from atoll.features.proposal import check, propose
        from atoll.features.table import ParquetTable

        if not NAME.fullmatch(name):
            raise DataError(f"{name!r} is no name for a dataset.", "Use letters, digits, - and _.", subject="name")
        if name in self.names() and not replace:
            raise DataError(
                f"A dataset {name!r} is registered already.",
                "Give --replace to put this one in its place.",
                subject=name,
            )
        with arriving(self._home.datasets, name) as path:
            notes: list[str] = []
            rows = import_source(source, path, encoding=encoding, progress=progress, notes=notes)
            table = ParquetTable(path)
            if columns is None:
                proposal = propose(table, minimum)
                columns, notes = proposal.columns, [*notes, *proposal.notes]
            else:
                check(table, columns)
            shown = without_password(source)
            return self._register(Registration(name, shown, rows, columns, public, utc_now(), 0, 0, tuple(notes)), path)

    def make(self, study: Study, dataset: str, cdm: str, *, threads: int | None = None) -> Registration:
        """Make the table of a study's recipe from this hospital's OMOP data, and register it under the study's hash.

        Raises
        ------
        AtollError
            When the cohort or its features cannot be found, or a formula of the study reads the future; what was made
            before stays.
        """
        import pyarrow.parquet as pq

        from atoll.features.proposal import check
        from atoll.features.recipe import table_at, with_words
        from atoll.features.table import ParquetTable
        from atoll.study.horizon import refuse

        refuse(study)
        made = table_at(cdm, study.recipes[dataset], threads=threads)
        name, columns = made_name(study, dataset), with_words(made, study.recipes[dataset], study.datasets[dataset])
        with arriving(self._home.datasets, name) as path:
            with durable.private_file(path) as file:
                pq.write_table(made, file, compression="zstd")
            check(ParquetTable(path), columns)
            source = f"{dataset} of study {study.hash[:12]}, from {without_password(cdm)}"
            return self._register(Registration(name, source, made.num_rows, columns, "", utc_now(), 0, 0, ()), path)

    def remove(self, name: str) -> None:
        """Forget a dataset and remove its file; without one there is nothing to do."""
        self._store.remove_dataset(name)
        self.path(name).unlink(missing_ok=True)

    def describe(self, name: str, columns: Dictionary) -> Registration:
        """Replace the dictionary of a registered dataset, after its rows were checked against the new one."""
        from atoll.features.proposal import check
        from atoll.features.table import ParquetTable

        known = self.get(name)
        check(ParquetTable(self.path(name)), columns)
        return self._register(Registration(name, known.source, known.rows, columns, known.public, utc_now(), 0, 0, ()))

    def _register(self, registration: Registration, arrived: Path | None = None) -> Registration:
        """Sign and store it; a file that `arrived` takes its place afterwards: a rename needs no space, this does."""
        size, changed = _state_of(arrived or self.path(registration.name))
        document = {**registration.to_document(), "file": [str(size), str(changed)]}
        signature = signatures.sign(self._home.key(), "dataset", rfc8785.dumps(document))
        self._store.set_dataset(registration.name, {"registration": document, "signature": signature.hex()})
        if arrived is not None:
            durable.move(arrived, self.path(registration.name))
        return Registration.from_document(document)

    def open(self, name: str) -> Any:
        """The dataset for the runner.

        Raises
        ------
        DataError
            When it is not registered, or its file changed since.
        """
        from atoll.features.table import ParquetTable
        from atoll.site.runner import Dataset

        registration = self.get(name)
        if _state_of(self.path(name)) != (registration.size, registration.changed):
            raise DataError(
                f"The file of dataset {name!r} changed since it was registered.",
                f"Register it anew with `atoll site dataset add {name} --from FILE`.",
                code="DATA_CHANGED",
                subject=name,
            )
        try:
            table = ParquetTable(self.path(name))
        except OSError as error:  # and not a full disk, which is what an OSError means further up
            raise DataError(
                f"The file of dataset {name!r} cannot be read.",
                "Look at its permissions and the disk.",
                code="DATA_INVALID",
                subject=name,
            ) from error
        return Dataset(table, registration.columns, bool(registration.public))


def made_name(study: Study, dataset: str) -> str:
    """Under which name a site keeps the table that it made for a study."""
    return f"{MADE}{study.hash[:16]}-{sorted(study.recipes).index(dataset)}"


def _state_of(path: Path) -> tuple[int, int]:
    try:
        found = path.stat()
    except OSError:
        return (0, 0)
    return (found.st_size, found.st_mtime_ns)


def read_policy(home: Home, store: SiteStore) -> Policy:
    """The site's own limits: the strict defaults, or what the steward signed.

    Raises
    ------
    NotPermitted
        When the stored policy was changed by something else than this site.
    """
    stored = store.fact("policy")
    if stored is None:
        return STRICT
    signed = json.loads(stored)
    public_key = signatures.public_bytes(home.key())
    signatures.verify(public_key, "policy", rfc8785.dumps(signed["policy"]), bytes.fromhex(signed["signature"]))
    return Policy(**signed["policy"]["limits"])


def write_policy(home: Home, store: SiteStore, policy: Policy, reason: str) -> None:
    """Sign a policy and put it in force.

    Raises
    ------
    NotPermitted
        When it goes below the floor, or is looser than the default without a reason.
    """
    from dataclasses import asdict

    from atoll.network.messages import digest

    if policy.minimum_persons < FLOOR:
        raise NotPermitted(
            f"minimum_persons cannot be below {FLOOR}.", "Register data that are public as public, with the reason."
        )
    if policy.exact_values:
        raise NotPermitted(
            "exact_values is for public data only.", "Register data that are public as public, with the reason."
        )
    if policy.stricter(STRICT) != policy and not reason.strip():
        raise NotPermitted("This policy is looser than the default.", "Give the reason with --reason.")
    document: dict[str, Any] = {"limits": asdict(policy), "reason": reason, "when": utc_now()}
    signature = signatures.sign(home.key(), "policy", rfc8785.dumps(document))
    stored = json.dumps({"policy": document, "signature": signature.hex()}, ensure_ascii=False)
    store.set_policy(stored, digest(repr(policy).encode()))
