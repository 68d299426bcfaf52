"""Old skills lost: general rows are mixed in before anything else is touched."""

from __future__ import annotations

from tunewright.prescribe.case import Case
from tunewright.prescribe.guide.ladders import REPLAY_SHARE, replay_moves, replay_share
from tunewright.prescribe.rule import Move, Rule, Rung
from tunewright.prescribe.sources import CONTINUAL
from tunewright.prescribe.values import is_number, show

MORE_SHARE = 0.4


def _forgetting(case: Case) -> tuple[Rung, ...]:
    finding = case.first("forgetting")
    if finding is None:
        return ()
    # the chosen checkpoint's rise when it is known, else the end's
    known = (finding.evidence.get(name) for name in ("nats_per_token", "rise_at_best", "rise_at_end"))
    rise = next((value for value in known if is_number(value)), None)
    figure = f"the loss on general text rose by {show(float(rise))} nats per token" if is_number(rise) else finding.why
    share = replay_share(case)
    shares = [wanted for wanted in (REPLAY_SHARE, MORE_SHARE) if share < wanted]
    return (
        *(
            Rung(f"replay {show(wanted)}", f"old skills are lost: {figure}", replay_moves(case, wanted))
            for wanted in shares
        ),
        Rung("LR / 2", f"old skills are lost even with general rows: {figure}", (Move("learning_rate", 0.5),)),
    )


FORGETTING = Rule(
    name="evidence.forgetting",
    family="forgetting",
    source=CONTINUAL,
    says="rehearsal of general rows keeps old skills at little cost to the new one",
    generalises=(
        f"a share of {show(REPLAY_SHARE)} of the base's own answers (it kept 96 % of a skill that was lost without on "
        f"the bundled model), then {show(MORE_SHARE)}, then LR / 2"
    ),
    ask=_forgetting,
    before={"replay": {"data": "general", "share": 0.25}},
    after={"replay": {"data": "general", "share": 0.4}},
)
