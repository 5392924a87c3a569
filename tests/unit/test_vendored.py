"""What was not written here is exactly what its record says, with its licence beside it."""

import hashlib
import re
from pathlib import Path

TOP = Path(__file__).parents[2]
STATIC = TOP / "atoll" / "ui" / "static"


def test_htmx_is_the_file_that_was_chosen():
    record = (TOP / "docs" / "adr" / "0020-htmx-4-vendored.md").read_text("utf-8")
    (stated,) = re.findall(r"\b[0-9a-f]{64}\b", record)
    assert hashlib.sha256((STATIC / "htmx.min.js").read_bytes()).hexdigest() == stated
    assert "Zero-Clause BSD" in (STATIC / "htmx.LICENSE.txt").read_text("utf-8")


ALONE = ("scan.html", "quality.html", "diagnosis.html")  # opened as files: their style stands in them


def test_nothing_is_loaded_from_elsewhere():
    own = [path for path in STATIC.iterdir() if path.name in ("atoll.css", "atoll.js", "logo.svg")]
    own += [path for folder in ("ui", "hub") for path in (TOP / "atoll" / folder / "templates").glob("*.html")]
    for path in own:
        text = path.read_text("utf-8").replace("http://www.w3.org/2000/svg", "")
        assert "//" not in re.sub(r"(?m)^\s*// .*$", "", text), path
        if path.name not in ALONE:
            assert not re.search(r"\sstyle=|\son\w+=|<script>|<style>", text), path
