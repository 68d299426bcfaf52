"""What to run next, when to stop, which run to keep: from a plan to the sweet spot for a small part of a grid's tokens.

The order of events, and what each answers::

    bracket.py   three learning rates a factor 2 apart around the planned one, short, side by side; further ones while
                 the best lies at the edge of what was tried. Then a race of the best and its neighbours, for longer:
                 the lower one always, because short runs favour high rates
    trunk.py     the winner goes on, to one length after another, while the last one gained more than noise; a trunk
                 that over-fits ends early, and its looks say where the loss turned; one that still gained when the
                 budget ends it goes on to its end with a rate that falls to zero
    scout.py     both, and what follows from them: the last run, with the planned schedule, at the rate and the length
                 found
    tuning.py    the series: the last run, then whatever the reading of the best run asks for, one change at a time,
                 until nothing would help beyond noise or the budget ends
    choice.py    which of all runs is kept
    blend.py     the weights of the good runs averaged, where their mean is better than the best of them

Four decisions carry it.

*Only settled losses compare.* While the rate is high the weights wander, the more the higher it is, so a high rate
looks worse than it is until it decays. The mean of the weights along the way is settled at every step, and costs none:
short runs hold their rate, and what is measured and kept of them is that mean (engine/averaging.py). They are compared
by their last evaluation, row by row on the same validation rows (rungs.py): the difference of two runs is known far
better than either loss. All short runs see the same batches from the same start.

*Every run stands by itself.* A longer run at the same rate is the same run up to where the shorter one ended, so it
begins from that checkpoint, and nothing is trained twice (order.py). The trunk has no folder of its own: it is the
chain of those beginnings, and each run's recipe.yaml makes that very run again.

*Rounds.* The tuner orders some runs, they are made together in one pack, and when all have ended it looks at what
came and orders the next. What it decides is a function of finished runs alone: no clock, no order of arrival. So a
tuning that was killed anywhere goes through the same story again, with finished runs answered from their folders and
unfinished ones going on from their checkpoints, to the same decisions and the same adapter (app/tuning_runs.py makes
the runs). Within a run only the doctor may end it, by two readings in a row of that run's own curve.

*Nothing is spent twice.* A budget is tokens, seconds or runs (budget.py, prices.py, cut.py). Where old skills count,
what the planned run would take is set aside before anything is tried, and scouting spends the rest, at most. When
three probes do not fit, or the method cannot share a base, the plan is run as it is and the series corrects it. From
the first round on there is always a run whose adapter can be used, and the best of all of them is kept, or a mean that
is better: runs of one base on the same rows lie in one valley, and their mean costs a few evaluations.

Goal ``balanced`` also keeps old skills: the forgetting probe runs at every evaluation, and when the best short run
exceeds its threshold, general rows are mixed into everything that follows.
"""
