"""The words of every world, and the rule that says who may use which of them.

Names are made of syllables, so that copying a name is a skill (read the syllables, write them) and not a memory.
Who may use a name, a list or a sum is decided by its checksum (`lane`), not by the order in which the parts of a
world are built: the probes stay unseen whatever seed, size or world generates the corpus.
"""

from __future__ import annotations

import random
import zlib
from collections.abc import Callable

LANES = 16
# Lanes 3-15 belong to everybody: corpora and the general prompts.
PROBE_LANE, PEOPLE_LANE, DOMAIN_LANE = 0, 1, 2

ONSETS = "bdfghklmnprstvz"
VOWELS = "aeiou"
SYLLABLES = tuple(onset + vowel for onset in ONSETS for vowel in VOWELS)


def word_list(text: str) -> tuple[str, ...]:
    """The words of a text."""
    return tuple(text.split())


COLOURS = word_list("red blue green yellow white black brown grey violet purple pink golden silver")
NUMBERS = word_list("one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen")
DAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")

# Everyday nouns: lists to reverse and things to own are made of them, and so every word that a fine-tuning domain or
# an out-of-domain question needs is a known token with a trained embedding before the fine-tuning starts.
NOUNS = word_list(
    """
    apple anchor animal arrow autumn bag ball banana barrel basket beach bean bed bee bell bench bird boat body bone
    book boot bottle bowl box brain branch brass bread brick bridge brush bucket bus butter button cake camera
    candle capital car card cargo carpet castle cat cave century chain chair cheese chess church circle city clay
    clock cloth cloud coal coast coat coffee coin comet compass copper corn cotton country crown cup curtain dance
    desert desk dinner disease dog dome door dragon dream dress drum duck dust eagle ear earth egg engine eye
    factory farm feather fence ferry field film fire fish flag flame flour flower flute food foot forest fork fox
    fruit game garden gate glass glove goat gold grain grape grass guitar hair hammer hand harbour hat heart hill
    history honey horse hotel hour house ice iron island jacket juice key kitchen kite knife ladder lake lamp
    language law leaf leather lemon lens letter library light lion lock machine magnet mail map market mast match
    meat medicine metal milk mill mirror money month moon morning mountain mouse mouth museum music needle nest
    night north novel nut oak oar ocean office oil onion oven paper park pearl pen pepper phone piano picture pipe
    planet plate poem potato rabbit radio rain recipe rice ring river road roof room rope rose salt sand school
    science sea seed sheep shell ship shirt shoe signal silk sky snow soap soup south spice spoon spring square
    stamp star station steel stone storm street sugar summer sun table tail tea team telescope tent tiger timber tin
    tool tooth tower town train tree truck village violin wagon wall watch water wave wax wheat wheel whistle wind
    window wine winter wolf wood wool word year
    """
)
# People appear in lists only: nobody is owned or won.
ROLES = word_list(
    """
    artist baker boy brother captain child cook crew doctor father girl king mother painter president queen singer
    sister teacher writer
    """
)


def lane(text: str) -> int:
    """The stable lane of a text: the same on every machine, in every world."""
    return zlib.crc32(text.casefold().encode()) % LANES


def everyones(text: str) -> bool:
    """True when the text is kept neither for the probes nor for people and domains."""
    return lane(text) > DOMAIN_LANE


def draw(make: Callable[[], str], allowed: Callable[[str], bool]) -> str:
    """The first made text that is allowed."""
    while True:
        text = make()
        if allowed(text):
            return text


def syllable_word(rng: random.Random) -> str:
    """A word of two or, now and then, three syllables: `tomi`, `rako`, `beduna`."""
    count = 2 if rng.random() < 0.8 else 3
    return "".join(rng.choice(SYLLABLES) for _ in range(count))


def name(rng: random.Random, allowed: Callable[[str], bool] = everyones) -> str:
    """A capitalised name out of the allowed lanes."""
    return draw(lambda: syllable_word(rng).capitalize(), allowed)


def names(rng: random.Random, count: int, allowed: Callable[[str], bool] = everyones) -> list[str]:
    """Different names, in drawing order."""
    found: dict[str, None] = {}
    while len(found) < count:
        found.setdefault(name(rng, allowed))
    return list(found)


def in_lane(wanted: int) -> Callable[[str], bool]:
    """The test `this text belongs to that lane`."""
    return lambda text: lane(text) == wanted
