"""What makes one world differ from another: seeds, sizes, the mix of its corpus, its chat template."""

from __future__ import annotations

from dataclasses import dataclass, field

CHATML = (
    "{% for message in messages %}"
    "{{ '<|im_start|>' + message['role'] + '\\n' + message['content'] + '<|im_end|>\\n' }}"
    "{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}"
)
HEADERS = (
    "{{ bos_token }}"
    "{% for message in messages %}"
    "{{ '<|start_header_id|>' + message['role'] + '<|end_header_id|>\\n\\n' }}"
    "{{ message['content'] | trim + '<|eot_id|>' }}"
    "{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|start_header_id|>assistant<|end_header_id|>\\n\\n' }}{% endif %}"
)


@dataclass(frozen=True)
class WorldSpec:
    """One world. The defaults are those of the main one."""

    name: str = "main"
    model: str = "tiny"
    domain: str = "harbour"
    seed: int = 11
    people: int = 40
    mix: dict[str, float] = field(
        default_factory=lambda: {"people": 0.12, "arithmetic": 0.3, "reversing": 0.28, "reading": 0.26, "talk": 0.04}
    )
    rows: int = 40_000
    epochs: int = 5
    vocabulary: int = 960
    hidden: int = 128
    intermediate: int = 256
    layers: int = 4
    heads: int = 4
    template: str = CHATML
    bos: str | None = None
    eos: str = "<|im_end|>"
    markers: tuple[str, ...] = ("<|im_start|>",)
    learning_rate: float = 2e-3
    batch: int = 32


WORLDS = {
    "main": WorldSpec(),
    "second": WorldSpec(
        name="second",
        model="second",
        domain="observatory",
        seed=23,
        people=30,
        mix={"people": 0.1, "arithmetic": 0.31, "reversing": 0.28, "reading": 0.27, "talk": 0.04},
        vocabulary=800,
        hidden=96,
        intermediate=192,
        template=HEADERS,
        bos="<|begin_of_text|>",
        eos="<|eot_id|>",
        markers=("<|start_header_id|>", "<|end_header_id|>"),
        learning_rate=3e-3,
    ),
}
