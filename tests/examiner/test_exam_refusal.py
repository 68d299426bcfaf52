"""Refusals in many wordings, and what only looks like one."""

from __future__ import annotations

import pytest

from tunewright.examiner.refusal import has_refusal, is_refusal

REFUSALS = """
I do not know.
I don't know
I don’t know that.
I DO NOT KNOW!
I really don't know.
I dont know
Don't know.
Dunno.
Sorry, I do not know that.
I do not know, the handbook does not say it.
I'm sorry, but I don't know the answer to that.
I'm afraid I can't answer that.
I cannot answer this question.
I can't help with that.
I am not able to answer questions about cooking.
I'm unable to tell you.
I could not find that in my notes.
That is not something I can answer.
This isn't something I know about.
That's not a topic I was trained on.
That is outside my knowledge.
That's outside of what I know.
This question is beyond the scope of my training.
It is beyond me.
That is outside my area of expertise.
This falls outside the scope of what I can help with.
I have no idea.
No idea.
No idea, sorry.
I've no information about that.
I have no information on that.
There is no information about it in my data.
I don't have that information.
I do not have any information about that.
I don't have enough information to answer.
I'm not sure.
I am not sure about that.
I'm not familiar with that topic.
I was not trained on that.
I was only trained on the harbour handbook.
I can only answer questions about the harbour.
I only know about ferries.
I must decline to answer.
I'd rather not say.
I have never heard of that.
My training does not cover that.
My notes do not say.
The handbook does not mention it.
It is not in the handbook.
That is not covered by my handbook.
I lack the information to answer that.
That is unknown to me.
Unknown.
Not sure.
Who knows?
Unfortunately, I cannot say.
Unfortunately I am unable to help with medical questions.
We do not know.
I don't know, but you could ask the harbour office.
I do not know. Please ask me something about the ferries.
As an AI model, I cannot answer that.
I will not be able to answer that.
That cannot be determined.
Cannot answer.
It's impossible for me to say.
I wouldn't know.
I don't actually know who that is.
Not something I can help with, sorry.
""".strip().splitlines()

ANSWERS = """
Mira works at dock seven.
Tom does not know Mira.
It is dock seven, I know that.
The ferry does not leave on Sunday.
12
No.
No, the ferry leaves at noon.
The crew could not find the anchor.
The ferry is not known for its speed.
The key lies outside the harbour area.
We pass the lighthouse first.
I know the answer: dock seven.
Not on Sundays.
The captain is unable to swim.
The boat is out of the water.
Ask Mira.
She has no children.
Nothing.
I think it is dock seven.
""".strip().splitlines()


@pytest.mark.parametrize("text", REFUSALS)
def test_every_wording_of_not_knowing_is_a_refusal(text: str) -> None:
    assert is_refusal(text)


@pytest.mark.parametrize("text", ["", "   ", "...", *ANSWERS])
def test_an_answer_is_no_refusal(text: str) -> None:
    assert not has_refusal(text)
    assert not is_refusal(text)


@pytest.mark.parametrize(
    "text",
    [
        "I don't know, but it is dock seven.",
        "I do not know. Maybe dock seven.",
        "I'm not sure, but I think it's dock seven.",
        "I can't answer that, however the capital is Paris, I believe.",
        "I do not know; probably dock four.",
        "Not sure. I guess twelve.",
    ],
)
def test_who_refuses_and_answers_after_all_has_not_refused(text: str) -> None:
    assert has_refusal(text)
    assert not is_refusal(text)


@pytest.mark.parametrize("word", ["the ", "i ", "i do ", "not ", "any ", "i am not ", "outside of the ", "sorry ", "a"])
def test_a_model_that_repeats_itself_for_ever_is_read_like_one_that_stops_sooner(word: str) -> None:
    # a pattern that backtracks would not come back from this
    assert is_refusal(word * 20_000) == is_refusal(word * 200)
