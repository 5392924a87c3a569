"""Pages as HTML: templates, the few ways in which values are written, and the static files.

Everything is rendered on the server, escaped by default; a name that a template does not know is an
error. Static files are read once and addressed by their hash, so that a browser may keep them for ever.
"""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup, escape

from atoll.settings import Language
from atoll.ui import drawing
from atoll.ui.words import LANGUAGES, TAGS, Say

HERE = Path(__file__).parent
TYPES = {".css": "text/css; charset=utf-8", ".js": "text/javascript; charset=utf-8", ".svg": "image/svg+xml"}


@functools.cache
def assets() -> Mapping[str, bytes]:
    """The static files that pages load, by name."""
    return {path.name: path.read_bytes() for path in sorted((HERE / "static").iterdir()) if path.suffix in TYPES}


@functools.cache
def asset(name: str) -> str:
    """The address of a static file; it changes with the content."""
    return f"/static/{name}?v={hashlib.sha256(assets()[name]).hexdigest()[:12]}"


@functools.cache
def environment(folder: Path) -> Environment:
    """Templates of one program, over the shared ones."""
    made = Environment(
        loader=FileSystemLoader([folder, HERE / "templates"]),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters |= {"moment": moment, "number": number, "size": size, "clock": clock, "short": short}
    made.filters |= {"whole": whole, "percent": percent, "p": p_value, "day": day, "fixed": fixed, "plain": plain}
    made.globals |= {"asset": asset}
    return made


def render(folder: Path, name: str, language: Language, **values: Any) -> str:
    """A page or a part of one, in one language."""
    other: Language = "zh" if language == "en" else "en"
    names = {"tag": TAGS[language], "other": other, "other_tag": TAGS[other], "other_name": LANGUAGES[other]}
    say = Say(language)
    return (
        environment(folder)
        .get_template(name)
        .render(say=say, names=lambda items: listed(items, language), **names, **values)
    )


def listed(items: Any, language: Language) -> Markup:
    """Names that people gave, in a row, marked as not to be translated."""
    between = "、" if language == "zh" else ", "
    return escape(between).join(Markup('<span translate="no">{}</span>').format(item) for item in items)


def moment(value: str | None) -> Markup | str:
    """2026-11-24T21:31:00Z as 2026-11-24 21:31 UTC."""
    if not value:
        return "–"
    return Markup('<time datetime="{}">{} UTC</time>').format(value, value[:16].replace("T", " "))


def day(value: str | None) -> Markup | str:
    """2026-11-24T21:31:00Z as 2026-11-24."""
    return Markup('<time datetime="{}">{}</time>').format(value, value[:10]) if value else "–"


def number(value: float | None, digits: int = 3) -> str:
    """A number to this many digits."""
    return "–" if value is None else drawing.number(float(value), digits)


def fixed(value: float | None, places: int = 3) -> str:
    """A number with this many places."""
    return "–" if value is None or value != value else f"{value:.{places}f}".replace("-", "−")


def plain(value: float) -> str:
    """A time or another number that is nearly whole, without needless zeros."""
    return drawing.tick_label(round(value, 2))


def whole(value: float | None) -> str:
    """A count: 1,200."""
    return "–" if value is None or value != value else f"{value:,.0f}"


def percent(value: float | None) -> str:
    """A share as 24.3 %."""
    return "–" if value is None or value != value else f"{value * 100:.1f} %"


def p_value(value: float | None) -> str:
    """A p-value: 0.031, < 0.001."""
    if value is None or value != value:
        return "–"
    return "< 0.001" if value < 0.001 else f"{value:.3f}"


def size(value: float) -> str:
    """Bytes: 812 B, 4.1 kB, 3.0 MB."""
    for unit, factor in (("MB", 1e6), ("kB", 1e3)):
        if value >= factor:
            return f"{value / factor:,.1f} {unit}"
    return f"{value:,.0f} B"


def clock(seconds: float | None) -> str:
    """A duration: 0.42 s, 12.3 s, 3:05, 1:02:45."""
    if seconds is None:
        return "–"
    if seconds < 60:
        return f"{seconds:.2f} s" if seconds < 10 else f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def short(value: str | None, letters: int = 12) -> Markup | str:
    """The beginning of a hash; the pointer tells the whole."""
    if not value:
        return "–"
    return Markup('<code title="{}">{}</code>').format(value, value[:letters])


def figure(wide: str, narrow: str, caption: str = "") -> Markup:
    """One chart drawn twice, for wide and for narrow screens; only one of them is shown, and heard."""
    told = f"<figcaption>{escape(caption)}</figcaption>" if caption else ""
    return Markup(  # noqa: S704 - drawings are our own and escape what they hold
        f'<figure><div class="wide-only">{wide}</div><div class="small-only">{narrow}</div>{told}</figure>'
    )
