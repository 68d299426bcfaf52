"""Numbers, times and foreign strings as a reader sees them; the same in every face of a report."""

from __future__ import annotations

import math
import unicodedata
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

NOT_MEASURED = "not measured"
LONGEST = 2_000
"""Characters of one string of data that are shown; the rest is counted, not printed."""

# Invisible characters that reorder the text around them: shown by name, so that no string can pose as another.
_REORDERING = {0x061C, 0x200E, 0x200F, *range(0x202A, 0x202F), *range(0x2066, 0x206A)}
_LINE_ENDS = {0x0085, 0x2028, 0x2029}


def safe(text: object, longest: int = LONGEST) -> str:
    """``text`` with control characters made visible, at most ``longest`` characters of it.

    Text of right-to-left scripts stays as it is; only the characters that would reorder their surroundings,
    terminal escapes, NUL and halves of surrogate pairs are replaced.

    >>> safe("a\\x00b\\x1b[31m"), safe("x" * 9, longest=4)
    ('a␀b␛[31m', 'xxxx… (9 characters)')
    """
    whole = str(text)
    shown = "".join(_visible(letter) for letter in whole[:longest])
    return shown if len(whole) <= longest else f"{shown}… ({len(whole):,} characters)"


def _visible(letter: str) -> str:
    code = ord(letter)
    if letter in "\n\t" or 0x20 <= code < 0x7F:
        return letter
    if code < 0x20 or code == 0x7F:
        return chr(0x2400 + code) if code < 0x20 else "␡"
    if code in _LINE_ENDS:
        return "\n"
    if code in _REORDERING:
        return f"⟨U+{code:04X}⟩"
    unprintable = code < 0xA0 or 0xD800 <= code < 0xE000 or code & 0xFFFE == 0xFFFE
    return "\N{REPLACEMENT CHARACTER}" if unprintable else letter


def one_line(text: object, longest: int = LONGEST) -> str:
    """:func:`safe`, on one line."""
    return " ".join(safe(text, longest).split())


def sentence(text: object) -> str:
    """:func:`safe`, with a capital and a full stop where they are missing.

    >>> sentence("validation rose 40 %"), sentence("")
    ('Validation rose 40 %.', '')
    """
    shown = safe(text).strip()
    return f"{shown[:1].upper()}{shown[1:]}{'' if shown[-1:] in '.!?…)' else '.'}"


def figure(value: float | None) -> str:
    """A measured number with three significant digits; whole numbers in full. None is said, never 0.

    >>> figure(0.28314), figure(12345), figure(0.000431), figure(float("nan")), figure(None)
    ('0.283', '12,345', '0.000431', 'NaN', 'not measured')
    """
    if value is None:
        return NOT_MEASURED
    if isinstance(value, int):
        return f"{value:,}"
    if not math.isfinite(value):
        return "NaN" if math.isnan(value) else ("infinite" if value > 0 else "-infinite")
    size = abs(value)
    if size >= 1000:
        return f"{value:,.0f}" if size < 1e9 else f"{value:.2e}"
    return f"{value:.2e}" if 0 < size < 1e-4 else f"{value:#.3g}".rstrip(".")


def signed(value: float | None) -> str:
    """A difference with its sign, in hundredths; smaller ones with one digit that counts.

    >>> signed(0.0342), signed(-1.0), signed(0.0004), signed(0.0)
    ('+0.03', '-1.00', '+0.0004', '0')
    """
    if value is None or not math.isfinite(value):
        return figure(value)
    if value == 0:
        return "0"
    return f"{value:+.2f}" if abs(value) >= 0.01 else f"{value:+.1g}"


def percent(rate: float | None) -> str:
    """A share of 1 as whole per cent; shares that are nearly, but not quite, all or nothing keep a digit.

    >>> percent(0.917), percent(0.9996), percent(None)
    ('92 %', '99.9 %', 'not measured')
    """
    if rate is None or not math.isfinite(rate):
        return NOT_MEASURED
    rounded = round(100 * rate)
    if rounded in (0, 100) and rate not in (0.0, 1.0):
        return "99.9 %" if rate > 0.999 else ("0.1 %" if 0 < rate < 0.001 else f"{100 * rate:.1f} %")
    return f"{rounded} %"


def setting(value: Any) -> str:
    """The value of a recipe key, as one would type it.

    >>> setting(0.0005), setting(["q_proj", "v_proj"]), setting({"share": 0.25}), setting(None)
    ('5e-4', 'q_proj, v_proj', 'share: 0.25', 'none')
    """
    if value is None:
        return "none"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        return _short_float(value)
    if isinstance(value, Mapping):
        return ", ".join(f"{one_line(key)}: {setting(item)}" for key, item in value.items())
    if isinstance(value, (list, tuple)):
        return ", ".join(setting(item) for item in value)
    return one_line(value)


def _short_float(value: float) -> str:
    if not math.isfinite(value):
        return figure(value)
    if not 0 < abs(value) < 1e-2:
        return f"{value:.4g}"
    mantissa, _, power = f"{value:.3e}".partition("e")
    return f"{mantissa.rstrip('0').rstrip('.')}e{int(power)}"


def duration(seconds: float | None) -> str:
    """A length of time in its two largest units.

    >>> duration(7), duration(200.4), duration(7500)
    ('7.0 s', '3 min 20 s', '2 h 5 min')
    """
    if seconds is None or not math.isfinite(seconds) or seconds < 0:
        return NOT_MEASURED
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes = round(seconds) // 60
    if minutes < 60:
        return f"{minutes} min {round(seconds) % 60} s"
    return f"{minutes // 60:,} h {minutes % 60} min"


def moment(value: object) -> str:
    """Seconds since 1970 as a date and time in UTC; a text stays as it is.

    >>> moment(0)
    '1970-01-01 00:00 UTC'
    """
    if isinstance(value, str):
        return one_line(value, 60)
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 <= value < 1e11:
        return "not recorded"
    return datetime.fromtimestamp(value, UTC).strftime("%Y-%m-%d %H:%M UTC")


def steps(first: int, last: int) -> str:
    """
    >>> steps(3, 3), steps(3, 1200)
    ('step 3', 'steps 3 to 1,200')
    """
    return f"step {first:,}" if first == last else f"steps {first:,} to {last:,}"


def plural(count: int, one: str, many: str = "") -> str:
    """
    >>> plural(1, "run"), plural(3, "run")
    ('1 run', '3 runs')
    """
    return f"{count:,} {one if count == 1 else many or one + 's'}"


def columns_of(text: str) -> int:
    """How many terminal columns ``text`` takes: wide letters count two, combining marks none."""
    if text.isascii():
        return len(text)
    return sum(0 if unicodedata.combining(c) else 2 if unicodedata.east_asian_width(c) in "WF" else 1 for c in text)
