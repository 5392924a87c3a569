"""What a column may mean, by its name: patterns of names in `meanings.csv`, which are our own.

In the patterns `{day}` stands for the words that end the name of a day or a time, `{no}` for those of a number.
"""

from __future__ import annotations

import csv
import functools
import re
from collections.abc import Mapping
from importlib.resources import files

_SHORT = {
    "{day}": r"_?(date_?time|date|time|dttm|dtm|dt|ts|timestamp|day|at|on)",
    "{no}": r"[ _]?(id|no|nbr|nr|num|number|nummer|key|编号|标识|号)?",
}
_NAMES_OF_CODES = ("description", "display", "text", "libelle")  # what stands beside a code: in CSV, in FHIR, in HL7 v2
_LABORATORY = {"jg": "value", "cyrq": "measured", "cysj": "measured", "sjrq": "measured", "sjsj": "measured"}
_OF_TABLE: tuple[tuple[str, str, str, Mapping[str, str]], ...] = (
    # what `id` and `code` mean in a table of this name, and what other words mean in such a table alone
    (r"_?(types?|kinds?|class(es)?|status|dict(ionary)?|字典)$", "", "", {}),
    (r"diagnos|(^|_)(conditions?|problems?|dx)(_|$)|诊断", "", "diagnosis", {}),
    (r"^(medication|drug|prescription|pharmacy|处方|用药)|_(medications?|drugs?|pharmacy)(_|$)", "", "drug",
     {"item_code": "drug", "item_name": "drug_name"}),
    (r"^(observations?|results?|lab|lis_|检验)|_(lis|labs?|laboratory)(_|$)|_jyjg|_jyxx", "", "test", _LABORATORY),
    (r"^procedures?|(_|^)procedures?$|手术", "", "procedure", {}),
    (r"^(encounters?|visits?|admissions?|stays?|就诊)|_(encounters?|visits?|admissions?|stays?)$", "visit", "", {}),
    (r"^(patients?|persons?|病人|患者)|_(patients?|persons?)$", "person", "", {}),
)  # fmt: skip


@functools.cache
def meanings() -> tuple[Mapping[str, str], ...]:
    """What columns may mean, by the patterns of their names."""
    text = files("atoll.ingest").joinpath("meanings.csv").read_text("utf-8")
    rows = []
    for row in csv.DictReader(text.splitlines()):
        for short, pattern in _SHORT.items():
            row["pattern"] = row["pattern"].replace(short, pattern)
        rows.append(row)
    return tuple(rows)


@functools.cache
def meaning_of(name: str, table: str = "") -> str:
    """The meaning that a column's name suggests, in a table of this name; or empty."""
    for form, own, code, words in _OF_TABLE:
        if re.search(form, table, re.IGNORECASE):
            beside = f"{code}_name" if code in ("drug", "diagnosis", "test") else ""
            found: dict[str, str] = {"id": own, "code": code, **dict.fromkeys(_NAMES_OF_CODES, beside), **words}
            if found.get(name.casefold()):
                return found[name.casefold()]
            break
    plain = re.sub(r"(?<=[a-z])(?=[A-Z])", "_", name).strip().lower().replace(" ", "_").replace("-", "_")
    for row in meanings():
        if re.search(row["pattern"], name, re.IGNORECASE) or re.search(row["pattern"], plain, re.IGNORECASE):
            return row["meaning"]
    return ""
