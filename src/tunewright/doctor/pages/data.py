"""TW4xx: the data. Found by probes of the rows, but for rows_masked never from a curve."""

from __future__ import annotations

from tunewright.doctor.pages import STUDY, Page
from tunewright.schema.sources import G0

_UNSEEN = "The loss curve looks normal: this is found by looking at the rows."

PAGES = {
    "template_mismatch": Page(
        what="The rows are rendered with another chat template than the model was made with or will be served with.",
        how="Rendered text against the tokenizer's own template. With the model (check DATA --probe, before a run): "
        "what it answers under its own template is 0.1 nats per token less likely under the one in use, or rows are "
        "0.3 less likely than in another published form whose marks are all tokens of this model (3 standard errors). "
        "Of a finished run: next RUN --probe.",
        lookalikes=f"{_UNSEEN} A model that never saw a chat finds other forms likelier by chance: not tried.",
        do="Use the tokenizer's template (leave template out) and check again.",
        sources=(STUDY,),
    ),
    "labels_unrelated": Page(
        what="Answers do not belong to their prompts.",
        how="Conditional gain: loss of answers behind other prompts minus behind their own, on the base (check DATA "
        "--probe, before a run, next RUN --probe) and on the validation rows after it. Said when it is within 3 "
        "standard errors of 0 and below 0.4 nats per token, prompts share no more words with their own answers than "
        "with others, and the model's own answers, to these prompts or to bundled ones, do depend on them. An error "
        "where a fifth of the answers name what another row asks about, else a warning.",
        lookalikes=f"{_UNSEEN} Facts that can only be learnt by heart (names and code words asked for once) look the "
        "same but name nothing of other rows: hence the warning. Few different answers (classes) and bases that read "
        "no prompt are left open.",
        do="Check the column mapping and whether a column was shuffled.",
        sources=(STUDY,),
    ),
    "leak": Page(
        what="Validation prompts are in the training data, so the validation loss says nothing.",
        how="Normalised prompts (case, punctuation and white space removed) that occur on both sides. Of a finished "
        "run (next RUN --probe) also rows that are nearly the same, and the loss of these beside that of the others.",
        lookalikes="Another wording of the same fact is no leak. Validation below training loss is normal and no sign.",
        do="tunewright check DATA --val VAL --fix OUT removes the training copies.",
        sources=(STUDY,),
    ),
    "rows_masked": Page(
        what="Some batches hold no supervised token.",
        how="Two or more isolated losses of exactly 0 (2-90 % of the points) among normal ones, without a gradient.",
        lookalikes="Zeros that never end are a NaN (non_finite); zeros after tiny losses are rounding.",
        do="tunewright check DATA: longer max_length, or remove rows without an answer.",
        sources=("Signatures measured with transformers 5.23.0", STUDY),
        thresholds=("FEWEST_ZEROS", "ISOLATED_ZEROS", "ROUNDED_ZERO"),
    ),
    "truncated": Page(
        what="Rows are cut off by max_length.",
        how="Token counts against max_length.",
        lookalikes=_UNSEEN,
        do="Raise max_length, or shorten or split those rows.",
        sources=(STUDY,),
    ),
    "noisy_labels": Page(
        what="Many training answers are wrong or random.",
        how="Over the last half of the run validation / training is below 0.8 (6 standard errors) and a quarter lower "
        "than it was at step 0: both began alike, and the training loss stayed behind. With the model, after a run: 3 "
        "% of the training rows asked lie above their median loss by six robust spreads and above that of validation "
        "rows by three; or 3 % of the validation rows are as likely behind other prompts as behind their own, where "
        "right and wrong answers lie 1.2 standard deviations off the limit between them. next RUN --probe names "
        "training rows by two short trainings, each on half of them, that judge the other half.",
        lookalikes="Validation up to a tenth below training is normal. Heavy dropout raises the training loss (then "
        "there is no verdict), and so do training rows that are simply harder. A constant ratio is scale_mismatch. "
        "Where answers cannot be predicted from prompts (free text, unclear classes) nothing is said of rows.",
        do="Read the rows with the highest loss and clean them.",
        sources=(f"{G0}: clean, accurate data beats fancy hyperparameters", STUDY),
        thresholds=(
            "NOISY_EVALS",
            "FEWEST_LEVELS",
            "NOISY_RATIO",
            "SHIFT_Z",
            "NOISY_AWAY",
            "WORSE_Z",
            "HEAVY_DROPOUT",
        ),
    ),
    "duplicates": Page(
        what="Rows occur several times.",
        how="Equal prompt and answer, also after normalising, or very similar text.",
        lookalikes="Different wordings of one fact are wanted, not duplicates.",
        do="tunewright check DATA --fix OUT.",
        sources=(STUDY,),
    ),
    "val_shift": Page(
        what="Validation rows are of another kind than the training rows.",
        how="Within the first epoch, before any row is repeated, the training loss falls 10 % or more and validation "
        "by less than a quarter of that; or validation is above 1.5 times the training loss there. With the model, "
        "before training: the losses of both are 8 % apart (4 standard errors).",
        lookalikes="The same few rows many times in the training data look alike: check DATA tells. A rise of "
        "validation is overfit, not this.",
        do="Hold out validation rows from the same source (val_size).",
        sources=(STUDY,),
        thresholds=(
            "BLOWN_UP",
            "EPOCH_SLACK",
            "START_STEPS",
            "FEWEST_LOSSES",
            "SHIFT_TRAIN_FALL",
            "SHIFT_Z",
            "OVERFIT_RISE",
            "SHIFT_SHARE",
            "SHIFT_RATIO",
        ),
    ),
    "no_stop_token": Page(
        what="The end of the answer is never trained on, so generation does not stop.",
        how="Share of rows whose end-of-turn token is supervised.",
        lookalikes=_UNSEEN,
        do="Use a template that ends the turn inside the trained part.",
        sources=(STUDY,),
    ),
}
