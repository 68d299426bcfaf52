"""The bundled demo is what the documentation promises of it, under every bundled model."""

from __future__ import annotations

from tunewright.data.check import check_rows
from tunewright.data.dataset import load_dataset
from tunewright.data.encode import encode_rows
from tunewright.data.model_folder import bundled_models, load_tokenizer, model_facts
from tunewright.data.sources import demo_files
from tunewright.data.tokens import default_max_length, stop_token_ids


def test_the_demo_is_healthy_under_every_bundled_model() -> None:
    parts = demo_files()
    data = load_dataset({"data": "demo", "val": str(parts["validation"])})
    assert len(data.train) == 825
    assert len(data.val) >= 100
    assert parts["model"].name in bundled_models()
    for name in bundled_models():
        tokenizer, facts = load_tokenizer(name), model_facts(name)
        length = default_max_length(facts.context)
        train, val = (encode_rows(rows, tokenizer, max_length=length) for rows in (data.train, data.val))
        report = check_rows(data, train, val)
        assert report.faults == ()
        assert report.variations["per_topic_median"] == 3
        assert report.refusals > 50
        assert (len(train.rows), len(val.rows)) == (825, len(data.val))
        assert {int(row.ids[row.supervised][-1]) for row in train.rows} <= set(stop_token_ids(tokenizer))
        assert facts.parameters < 1_000_000
