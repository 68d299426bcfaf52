"""The data files of a world as texts: what is committed is compared with these byte for byte."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping

from world.domains import DOMAINS
from world.general import TEXT, prompt_lines, skill_lines
from world.handbook import build_handbook
from world.skills import SKILLS
from world.spec import WorldSpec

Files = dict[str, str]

DEMO_README = """\
# Demo: a harbour handbook

Made by `python tools/build_world.py`; everything in it is invented. {train} training rows (the first {first} are a
complete first version with fewer ferries), each fact in three wordings, about a tenth of the rows say "I do not know"
to questions that no handbook answers. `valid.jsonl` asks for trained facts in wordings that are not in `train.jsonl`,
and some unseen questions to refuse. `suite.jsonl` is the exam: trained questions, further unseen wordings and refusals
(the latter also alone in `out_of_domain.jsonl`). Validation and exam ask only for facts of the first version, so that
both versions are judged alike. `topic` names the fact a row is about. `demo.json` names the parts.
"""


def jsonl(rows: Iterable[Mapping[str, object]]) -> str:
    """One JSON object per line."""
    return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)


def domain_files(spec: WorldSpec) -> Files:
    """Training rows, validation rows and exam of the world's domain."""
    book = build_handbook(DOMAINS[spec.domain])
    return {
        "train.jsonl": jsonl(book.train),
        "valid.jsonl": jsonl(book.valid),
        "suite.jsonl": jsonl(book.suite),
    }


def demo_files(spec: WorldSpec) -> Files:
    """The bundled demo: the domain's files, and what binds them to a base model."""
    domain = DOMAINS[spec.domain]
    book = build_handbook(domain)
    demo = {"model": spec.model, "train": "train.jsonl", "validation": "valid.jsonl", "suite": "suite.jsonl"}
    first = domain.first_facts * 3 + domain.first_refusals
    return domain_files(spec) | {
        "out_of_domain.jsonl": jsonl(book.out_of_domain),
        "demo.json": json.dumps(demo, indent=2) + "\n",
        "README.md": DEMO_README.format(train=len(book.train), first=first),
    }


def general_files() -> Files:
    """The material for any base model."""
    skills = {f"skills/{kind}.jsonl": jsonl(skill_lines(kind)) for kind in SKILLS}
    return {"prompts.jsonl": jsonl(prompt_lines()), "text.txt": TEXT, **skills}
