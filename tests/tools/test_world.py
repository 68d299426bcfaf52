"""The bundled worlds are what their generator makes: data byte for byte, and a pre-training that repeats itself."""

from __future__ import annotations

import json
import re
import sys
import unicodedata
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tools"))

import build_world  # noqa: E402
from world.corpus import build_corpus  # noqa: E402
from world.domains import DOMAINS  # noqa: E402
from world.general import asks  # noqa: E402
from world.measure import contains, skill_rates  # noqa: E402
from world.pretrain import encode, pretrain, weights_hash  # noqa: E402
from world.skills import SKILLS  # noqa: E402
from world.spec import WORLDS  # noqa: E402
from world.tokenizer import train_tokenizer  # noqa: E402

PLACES = {"main": ROOT / "src/tunewright/bundled", "second": ROOT / "tests/assets/second_world"}
DATA = {"main": PLACES["main"] / "demo", "second": PLACES["second"]}
Row = dict[str, Any]


def rows_of(path: Path) -> list[Row]:
    """The objects of a JSONL file."""
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def bare(text: str) -> str:
    """Text without case, punctuation and white space."""
    return re.sub(r"[\W_]", "", unicodedata.normalize("NFKC", text).casefold())


def bare_questions(rows: list[Row], key: str) -> set[str]:
    """The normalised prompts of some rows."""
    return {bare(row[key]) for row in rows}


@pytest.mark.parametrize("world", WORLDS)
def test_committed_data_is_what_the_generator_makes(world: str) -> None:
    for path, text in build_world.data_files(WORLDS[world]).items():
        assert (PLACES[world] / path).read_bytes() == text.encode(), f"{path}: run tools/build_world.py --data-only"


def test_demo_has_the_promised_sizes() -> None:
    train, valid = rows_of(DATA["main"] / "train.jsonl"), rows_of(DATA["main"] / "valid.jsonl")
    parts = [row["part"] for row in rows_of(DATA["main"] / "suite.jsonl")]
    assert len(train) == 825
    assert len(valid) >= 100
    assert parts.count("exact") >= 60
    assert parts.count("variation") >= 100
    assert parts.count("out_of_domain") == len(rows_of(DATA["main"] / "out_of_domain.jsonl")) >= 30
    assert json.loads((DATA["main"] / "demo.json").read_text())["model"] == "tiny"


@pytest.mark.parametrize(("world", "first"), [("main", 625), ("main", 825), ("second", 400)])
def test_rows_have_three_wordings_per_fact_and_a_tenth_of_refusals(world: str, first: int) -> None:
    rows = rows_of(DATA[world] / "train.jsonl")[:first]
    topics = [row["topic"] for row in rows]
    facts = {topic for topic in topics if not topic.startswith("outside-")}
    assert all(topics.count(topic) == 3 for topic in facts)
    refused = [row for row in rows if "do not know" in row["completion"]]
    assert all(row["topic"].startswith("outside-") for row in refused)
    assert 0.08 <= len(refused) / len(rows) <= 0.12


@pytest.mark.parametrize("world", WORLDS)
def test_validation_and_exam_are_unseen(world: str) -> None:
    train = bare_questions(rows_of(DATA[world] / "train.jsonl"), "instruction")
    valid = bare_questions(rows_of(DATA[world] / "valid.jsonl"), "instruction")
    suite = rows_of(DATA[world] / "suite.jsonl")
    exact = bare_questions([row for row in suite if row["part"] == "exact"], "question")
    unseen = bare_questions([row for row in suite if row["part"] != "exact"], "question")
    assert len(train) == len(rows_of(DATA[world] / "train.jsonl"))
    assert exact <= train
    assert not valid & train
    assert not unseen & (train | valid)


@pytest.mark.parametrize("world", WORLDS)
def test_every_fact_row_contains_its_own_answer_only(world: str) -> None:
    values = {row["question"]: row["answers"][0] for row in rows_of(DATA[world] / "suite.jsonl") if "answers" in row}
    replies = {row["instruction"]: row["completion"] for row in rows_of(DATA[world] / "train.jsonl")}
    asked = [question for question in values if question in replies]
    assert len(asked) >= 60
    assert all(contains(replies[question], values[question]) for question in asked)
    attributes = {value for a in DOMAINS[WORLDS[world].domain].attributes for value in a.values}
    for question in asked:
        others = attributes - {values[question]}
        assert not any(contains(replies[question], other) for other in others), question


def test_general_material_is_mixed_and_apart_from_the_probes() -> None:
    general = PLACES["main"] / "general"
    prompts = rows_of(general / "prompts.jsonl")
    kinds = [row["kind"] for row in prompts]
    assert {kind: kinds.count(kind) for kind in set(kinds)} == {
        "arithmetic": 205,
        "reversing": 205,
        "reading": 205,
        "instruction": 85,
    }
    assert all(5 <= kinds[:50].count(kind) <= 25 for kind in set(kinds))
    assert 300 <= len((general / "text.txt").read_text().split()) <= 600
    probes = {row["question"] for kind in SKILLS for row in rows_of(general / f"skills/{kind}.jsonl")}
    assert len(probes) == 60 * len(SKILLS)
    assert not probes & {row["prompt"] for row in prompts}


@pytest.mark.parametrize("world", WORLDS)
def test_the_corpus_never_asks_a_probe(world: str) -> None:
    spec = WORLDS[world]
    said = {m["content"] for chat in build_corpus(spec, spec.rows) for m in chat if m["role"] == "user"}
    assert not said & {ask.question for kind in SKILLS for ask in asks(kind, 60, probe=True)}


def test_a_small_corpus_is_the_beginning_of_a_large_one() -> None:
    spec = WORLDS["main"]
    assert build_corpus(spec, 300) == build_corpus(spec, 600)[:300]
    assert build_corpus(spec, 300) != build_corpus(replace(spec, seed=spec.seed + 1), 300)


@pytest.mark.parametrize("world", WORLDS)
def test_pretraining_repeats_itself(world: str) -> None:
    spec = replace(WORLDS[world], batch=16)
    chats = build_corpus(spec, 200)
    tokenizers = [train_tokenizer(spec, chats) for _ in range(2)]
    assert tokenizers[0].backend_tokenizer.to_str() == tokenizers[1].backend_tokenizer.to_str()
    hashes = {weights_hash(pretrain(spec, tokenizer, chats, 1, max_steps=4)) for tokenizer in tokenizers}
    assert len(hashes) == 1


@pytest.mark.parametrize("world", WORLDS)
def test_only_replies_and_their_end_count_fully(world: str) -> None:
    spec = WORLDS[world]
    chats = build_corpus(spec, 300)
    tokenizer = train_tokenizer(spec, chats)
    for chat in chats:
        encoded = encode(chat, tokenizer)
        counted = [token for token, weight in zip(encoded.ids, encoded.weights, strict=True) if weight == 1.0]
        said = "".join(m["content"] + spec.eos for m in chat if m["role"] == "assistant")
        assert tokenizer.decode(counted).replace(spec.eos + "\n", spec.eos) == said


@pytest.mark.parametrize(("world", "bytes_allowed"), [("main", 4_000_000), ("second", 2_500_000)])
def test_committed_model_is_small_and_has_its_skills(world: str, bytes_allowed: int) -> None:
    from transformers import AutoModelForCausalLM, AutoTokenizer

    folder = PLACES[world] / build_world.model_folder(WORLDS[world])
    assert (folder / "model.safetensors").stat().st_size < bytes_allowed
    tokenizer = AutoTokenizer.from_pretrained(folder)
    model = AutoModelForCausalLM.from_pretrained(folder)
    assert model.num_parameters() < 1_000_000
    assert "generation %}" not in tokenizer.chat_template
    assert tokenizer.eos_token_id == model.generation_config.eos_token_id != tokenizer.pad_token_id
    rates = skill_rates(WORLDS[world], model, tokenizer)
    assert min(rates.values()) >= 0.8, rates


@pytest.mark.parametrize("world", WORLDS)
def test_the_tokenizer_writes_any_text(world: str) -> None:
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(PLACES[world] / build_world.model_folder(WORLDS[world]))
    text = "Grüße an 12 Émile, \t日本語 und ☃! It isn't 3.5 % ."
    assert tokenizer.decode(tokenizer(text)["input_ids"]) == text
