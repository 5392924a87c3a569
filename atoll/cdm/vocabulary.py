from __future__ import annotations
from pathlib import Path
from atoll.cdm.workbench import Workbench


def version_of(path: Path | None) -> str:
    return "starter"


def starter(bench: Workbench) -> None:
    bench.run(
        "insert into concept select concept_id, concept_name, domain_id, vocabulary_id, concept_class_id, case when standard='S' then 'S' end, concept_code, date '1970-01-01', date '2099-12-31', null from read_csv('/work/shared/data/vocabulary/concepts.csv', all_varchar=true)"
    )
