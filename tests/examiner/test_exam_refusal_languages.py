"""Refusals outside English: stock phrases are seen, a third person's ignorance and a guess are not taken for one."""

from __future__ import annotations

import pytest

from tunewright.examiner.examine import examine
from tunewright.examiner.question import Question
from tunewright.examiner.refusal import is_refusal
from tunewright.examiner.score import passes

REFUSALS = """
Das weiß ich leider nicht.
Ich weiß es nicht.
ICH WEISS ES NICHT
Dazu habe ich keine Informationen.
Diese Frage kann ich nicht beantworten.
Ich kann diese Frage leider nicht beantworten. Bitte fragen Sie das Hafenamt.
Keine Ahnung.
Je ne sais pas.
Désolé, je ne peux pas répondre à cette question.
Je n’ai pas d'information à ce sujet.
Aucune idée.
No lo sé.
Lo siento, no puedo responder a esa pregunta.
No tengo información sobre eso.
Não sei.
Não posso responder a essa pergunta.
Non lo so.
Mi dispiace, non posso rispondere.
Ik weet het niet.
Dat weet ik helaas niet.
Geen idee.
Jag vet inte.
Det ved jeg ikke.
Jeg kan ikke svare på det.
En tiedä.
Nie wiem.
Nie mogę odpowiedzieć na to pytanie.
Nevím.
Я не знаю.
К сожалению, я не могу ответить на этот вопрос.
Не знаю, спросите, пожалуйста, в порту.
Δεν ξέρω.
Bilmiyorum.
Saya tidak tahu.
Tôi không biết.
我不知道。
抱歉,我无法回答这个问题。
わかりません。
申し訳ありませんが、お答えできません。
모르겠습니다.
그 질문에는 답변할 수 없습니다.
لا أعرف.
אני לא יודע.
मुझे नहीं पता।
ไม่ทราบ
""".strip().splitlines()

ANSWERS = """
Tom weiß es nicht, aber Mira arbeitet am Dock sieben.
Die Fähre fährt sonntags nicht.
Ich weiß es nicht genau, aber es ist Dock sieben.
Er hat keine Zeit.
Elle ne sait pas nager.
Je ne sais pas, mais c'est le quai sept.
Je ne sais pas. C'est peut-être le quai sept.
El capitán no sabe leer.
No lo sé, pero creo que es el muelle siete.
Il capitano non sa leggere.
Non lo so, ma è il molo sette.
De kapitein weet het niet.
Он не знает ответа.
Не знаю, но это седьмой причал.
船长不知道这件事。
我不知道,但是应该是七号码头。
船長は知っています。
Le capitaine de la Sihi est Baha.
No.
Nein, die Fähre fährt mittags.
""".strip().splitlines()


@pytest.mark.parametrize("text", REFUSALS)
def test_a_refusal_in_its_own_language(text: str) -> None:
    assert is_refusal(text)
    assert passes(text, Question("?", scorer="refusal"))
    assert not passes(text, Question("?", answers=("Baha",)))


@pytest.mark.parametrize("text", ANSWERS)
def test_an_answer_is_none(text: str) -> None:
    assert not is_refusal(text)


def test_a_suite_may_bring_refusals_of_its_own_words() -> None:
    own = "Hoc in libro non est."
    outside = [Question(f"Quid {n}?", answers=(own,), scorer="refusal", part="out_of_domain") for n in range(30)]
    inside = [Question(f"Quis {n}?", answers=(f"nomen {n}",), part="exact") for n in range(40)]
    assert passes(own.upper(), outside[0])
    assert not passes("Hic est.", outside[0])
    result = examine(
        lambda asked: ["alius"] * 70,
        lambda asked: [own] * 70,
        [*outside, *inside],
        training_answers=(),
        forgetting=None,
    )
    assert result.parts["out_of_domain"].rate == 1.0
    assert result.reading == "over_refuses"
