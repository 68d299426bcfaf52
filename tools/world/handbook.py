"""Data sets of a domain: training and validation rows, and the exam."""

from __future__ import annotations

import random
from dataclasses import dataclass

from world.domains import ENDS, Attribute, Domain
from world.outside import REFUSALS, split_questions
from world.words import DOMAIN_LANE, in_lane, name

Row = dict[str, object]
# Each fact's five wordings are shuffled: three are trained, one validates, one is for the exam.
TRAINED, FOR_VALIDATION, FOR_EXAM = 3, 3, 4
VALID_REFUSALS, EXAM_REFUSALS = 14, 40


@dataclass(frozen=True)
class Fact:
    """One line of the handbook, with its wordings in the fact's own order."""

    who: str
    attribute: Attribute
    value: str
    asks: tuple[str, ...]

    @property
    def topic(self) -> str:
        """The same for all wordings of the fact."""
        return f"{self.who.casefold()}-{self.attribute.key}"

    def question(self, wording: int) -> str:
        """The question in one of its wordings."""
        return self.asks[wording].format(who=self.who)


@dataclass(frozen=True)
class Handbook:
    """Everything made from one domain."""

    train: list[Row]
    valid: list[Row]
    out_of_domain: list[Row]
    suite: list[Row]


def names_apart(rng: random.Random, count: int) -> list[str]:
    """Names of the domain's lane that all start with another syllable: similar ones would be mixed up for long."""
    found: dict[str, str] = {}
    while len(found) < count:
        made = name(rng, in_lane(DOMAIN_LANE))
        found.setdefault(made[:2], made)
    return list(found.values())


def facts_of(domain: Domain) -> list[Fact]:
    """All facts, thing by thing, so that a first version of the data is a handbook with fewer things."""
    rng = random.Random(f"facts {domain.name} {domain.seed}")
    pool = names_apart(rng, domain.things + domain.made_names)
    things, made = pool[: domain.things], tuple(pool[domain.things :])
    found = []
    for who in things:
        for attribute in domain.attributes:
            asks = tuple(rng.sample(attribute.asks, len(attribute.asks)))
            found.append(Fact(who, attribute, rng.choice(attribute.values or made), asks))
    return found[: domain.facts]


def fact_row(rng: random.Random, fact: Fact, wording: int) -> Row:
    """A row in one wording; chance picks how the answer ends."""
    reply = fact.attribute.reply.format(who=fact.who, value=fact.value) + rng.choice(ENDS)
    return {"instruction": fact.question(wording), "completion": reply, "topic": fact.topic}


def refusal_row(rng: random.Random, topic: str, question: str) -> Row:
    """A row that says it does not know."""
    return {"instruction": question, "completion": rng.choice(REFUSALS), "topic": f"outside-{topic}"}


def exam_line(fact: Fact, wording: int, part: str) -> Row:
    """A question that is right when the value is in the reply."""
    return {"question": fact.question(wording), "answers": [fact.value], "part": part}


def _train_rows(rng: random.Random, facts: list[Fact], refused: list[tuple[str, str]]) -> list[Row]:
    """Shuffled rows of some facts and refusals."""
    rows = [fact_row(rng, fact, wording) for fact in facts for wording in range(TRAINED)]
    rows += [refusal_row(rng, topic, question) for topic, question in refused]
    return rng.sample(rows, len(rows))


def build_handbook(domain: Domain) -> Handbook:
    """All data sets; the rows of the first version come first, complete in themselves."""
    rng = random.Random(f"handbook {domain.name} {domain.seed}")
    facts = facts_of(domain)
    refused, rest = split_questions(domain.seed, domain.refusals)
    first, later = domain.first_facts, domain.first_refusals
    train = _train_rows(rng, facts[:first], refused[:later]) + _train_rows(rng, facts[first:], refused[later:])
    # Both versions of the data are judged by the same questions, so those are about facts that both contain.
    shared = facts[:first]
    valid = [fact_row(rng, fact, FOR_VALIDATION) for fact in rng.sample(shared, domain.valid_facts)]
    valid += [refusal_row(rng, topic, question) for topic, question in rest[:VALID_REFUSALS]]
    outside: list[Row] = [
        {"question": question, "scorer": "refusal", "part": "out_of_domain"}
        for _, question in rest[VALID_REFUSALS : VALID_REFUSALS + EXAM_REFUSALS]
    ]
    exact = [exam_line(f, rng.randrange(TRAINED), "exact") for f in rng.sample(shared, domain.exam_exact)]
    variation = [exam_line(f, FOR_EXAM, "variation") for f in rng.sample(shared, domain.exam_variation)]
    return Handbook(train, rng.sample(valid, len(valid)), outside, exact + variation + outside)
