"""How "I do not know" and "I cannot answer that" are said outside English: stock phrases of the speaker's own person.

Only first-person and impersonal forms are here ("ich weiß", not "er weiß"), for a third person's ignorance is an
answer. Texts are compared in NFKC, casefolded, with one kind of apostrophe.
"""

from __future__ import annotations

import re
import unicodedata

_CUES = {
    "German": (
        r"\bich weiß (?:das |es |darüber |dazu |die antwort |leider )*(?:\w+ )?nicht",
        r"\b(?:das|es|darüber|dazu) weiß ich (?:leider )?(?:nicht|nichts)",
        r"\bkeine ahnung\b|\bweiß (?:das |es )?(?:ich )?nicht\b[^\w]*$",
        r"\bkann ich (?:leider )?(?:\w+ ){0,3}nicht (?:beantworten|sagen|weiterhelfen|helfen)\b",
        r"\bich (?:kann|darf|möchte) (?:\w+ ){0,5}(?:nicht|keine) (?:\w+ ){0,2}"
        r"(?:beantworten|antworten|sagen|helfen|geben)\b",
        r"\b(?:ich habe|mir liegen|habe ich) (?:\w+ ){0,3}keine (?:\w+ )?(?:informationen?|angaben|daten|kenntnis)",
        r"\b(?:ist|sind) mir (?:leider )?(?:nicht bekannt|unbekannt)\b",
    ),
    "French": (
        r"\bje (?:ne |n')?(?:le |en )?(?:sais|connais) (?:malheureusement )?(?:pas|rien|guère)\b|\bje l'ignore\b",
        r"\bje ne (?:\w+ )?(?:peux|puis|saurais) pas (?:\w+ )*?(?:répondre|dire|aider|vous aider)\b|\bje l'ignore\b",
        r"\bje ne suis pas (?:en mesure|capable|autorisé)|\baucune idée\b",
        r"\bje n'ai (?:pas|aucune) (?:\w+ )?(?:d'|de )?(?:information|réponse|idée|donnée)",
    ),
    "Spanish": (
        r"\b(?:yo )?no (?:lo |la )?sé\b|\blo desconozco\b|\bdesconozco\b|\bni idea\b|\bno tengo (?:ni )?idea\b",
        r"\bno (?:puedo|podría) (?:\w+ ){0,3}(?:responder|contestar|decir|ayudar)\w*|\bno (?:puedo|sabría) decirlo\b",
        r"\bno (?:tengo|dispongo de|cuento con) (?:\w+ ){0,2}(?:información|datos|respuesta)\b",
    ),
    "Portuguese": (
        r"\bnão (?:o )?sei\b|\bdesconheço\b|\bnão faço ideia\b|\bnão tenho ideia\b",
        r"\bnão (?:posso|consigo) (?:\w+ ){0,3}(?:responder|dizer|ajudar)\w*",
        r"\bnão (?:tenho|disponho de) (?:\w+ ){0,2}(?:informaç\w+|dados|resposta)\b",
    ),
    "Italian": (
        r"\bnon (?:lo )?so\b|\bnon ne ho idea\b|\bnon saprei\b|\bnessuna idea\b",
        r"\bnon (?:posso|sono in grado di) (?:\w+ ){0,3}(?:risponder\w*|dir\w*|aiutar\w*)",
        r"\bnon (?:ho|dispongo di) (?:\w+ ){0,2}(?:informazioni|dati|risposta|risposte)\b",
    ),
    "Dutch": (
        r"\bik weet (?:het |dat |daar |hier )?(?:helaas )?(?:niet|niets)\b|\b(?:dat|het) weet ik (?:helaas )?niet\b",
        r"\bgeen idee\b|\bik heb (?:daar |hier )?geen (?:informatie|antwoord|gegevens)",
        r"\b(?:kan|mag) ik (?:\w+ ){0,4}niet (?:beantwoorden|zeggen|helpen)\b",
        r"\bik kan (?:\w+ ){0,5}niet (?:beantwoorden|zeggen|helpen)\b",
    ),
    "Swedish, Danish, Norwegian": (
        r"\b(?:jag|jeg) (?:vet|ved) (?:det )?(?:tyvärr |desværre |dessverre )?(?:inte|ikke)\b",
        r"\bdet (?:vet|ved) (?:jag|jeg) (?:inte|ikke)\b",
        r"\bingen (?:aning|anelse|idé)\b",
        r"\b(?:jag|jeg) kan (?:inte|ikke) (?:svara|svare|besvare|hjälpa|hjelpe|hjælpe)\b",
    ),
    "Finnish": (r"\ben (?:valitettavasti )?tiedä\b|\ben (?:osaa|voi) (?:vastata|sanoa|auttaa)\b",),
    "Polish": (
        r"\bnie wiem\b|\bnie mam pojęcia\b|\bnie mam (?:\w+ ){0,2}informacji\b",
        r"\bnie (?:mogę|potrafię|umiem) (?:\w+ ){0,3}(?:odpowiedzieć|powiedzieć|pomóc)\b",
    ),
    "Czech, Slovak": (
        r"\b(?:to )?neví?m\b|\bneviem\b|\bnemohu (?:\w+ ){0,3}(?:odpovědět|říci|pomoci)\b",
        r"\bnemám tušení\b",
    ),
    "Russian, Ukrainian": (
        r"\bне знаю\b|\bне имею понятия\b|\bпонятия не имею\b|\bмне (?:это )?(?:не известно|неизвестно)\b",
        r"\bне маю уявлення\b",
        r"\bне (?:могу|можу|смогу) (?:\w+ ){0,4}(?:ответить|отвечать|сказать|помочь|відповісти|сказати|допомогти)\b",
        r"\bу (?:меня|мене) (?:нет|немає) (?:\w+ ){0,2}(?:информации|інформації|данных|сведений)\b",
    ),
    "Greek": (r"\bδεν (?:το )?(?:ξέρω|γνωρίζω)\b|\bδεν μπορώ να (?:απαντήσω|πω|βοηθήσω)\b",),
    "Turkish": (
        r"\bbilmiyorum\b|\b(?:bilgim|fikrim) yok\b",
        r"\b(?:yanıtlayamam|cevaplayamam|yanıtlayamıyorum|cevap veremem|yanıt veremem)\b",
    ),
    "Indonesian, Malay": (r"\b(?:saya )?(?:tidak|tak) tahu\b|\bsaya tidak (?:dapat|bisa) (?:menjawab|membantu)\b",),
    "Vietnamese": (r"\b(?:tôi|mình) không (?:biết|rõ)\b|\btôi không thể (?:trả lời|giúp)\b",),
    "Chinese": (
        r"我(?:也|并|真的?)?不(?:知道|清楚|了解|懂)|^(?:抱歉|对不起|對不起)?[,、 ]*(?:我)?不(?:知道|清楚)",
        r"(?:无法|無法|不能|没法|沒法)(?:为您|为你)?(?:回答|答复|提供|确定|確定|帮助)|我没有(?:\w{0,6})?(?:信息|资料|答案)|我沒有(?:\w{0,6})?(?:資訊|資料|答案)",
    ),
    "Japanese": (
        r"(?:わかりません|分かりません|知りません|存じません|わからない|分からない)",
        r"(?:お?答え|回答|お?手伝い)(?:する(?:こと)?|は|が)?(?:でき(?:ません|ない)|いたしかねます)|情報(?:が|は)(?:あり|ござい)ません",
    ),
    "Korean": (
        r"(?:모르겠|모릅니|몰라요|모르겠어요|잘 모르)|알 수 없(?:습니다|어요)",
        r"(?:답변|대답|답)(?:을|은)?(?:할|드릴|해 드릴)? ?수 ?없|정보가 없(?:습니다|어요)",
    ),
    "Arabic": (
        r"لا (?:أعرف|أعلم|أدري)|لا (?:أستطيع|يمكنني) (?:الإجابة|الرد|المساعدة)|ليس(?:ت)? لدي (?:أي )?(?:معلومات|فكرة)",
    ),
    "Hebrew": (r"(?:אני|איני|אינני) ?(?:לא )?יודע(?:ת)?|אין לי (?:מושג|מידע|תשובה)|איני יכול(?:ה)? לענות",),
    "Hindi": (
        r"(?:मुझे|मुझको) (?:यह |इसका |इसकी |इस बारे में )*(?:नहीं पता|नहीं मालूम|पता नहीं|मालूम नहीं|जानकारी नहीं)",
        r"मैं (?:यह )?नहीं जानत[ाी]",
    ),
    "Thai": (r"(?:ฉัน|ผม|ดิฉัน)?ไม่(?:ทราบ|รู้)|ไม่สามารถตอบ",),
}
_BUTS = {
    "German": r"\b(?:aber|jedoch|doch)\b",
    "French": r"\b(?:mais|cependant)\b",
    "Spanish": r"\b(?:pero|sino|aunque)\b",
    "Portuguese": r"\b(?:mas|porém)\b",
    "Italian": r"\b(?:ma|però)\b",
    "Dutch": r"\b(?:maar|echter)\b",
    "Swedish, Danish, Norwegian": r"\bmen\b",
    "Finnish": r"\bmutta\b",
    "Polish": r"\b(?:ale|jednak)\b",
    "Czech, Slovak": r"\b(?:ale|avšak)\b",
    "Russian, Ukrainian": r"\b(?:но|однако|але|проте)\b",
    "Greek": r"\b(?:αλλά|όμως)\b",
    "Turkish": r"\b(?:ama|fakat)\b",
    "Indonesian, Malay": r"\b(?:tetapi|tapi)\b",
    "Vietnamese": r"\bnhưng\b",
    "Chinese": r"但是?|不过|不過",
    "Japanese": r"ですが|しかし|でも|けど",
    "Korean": r"하지만|그러나|지만",
    "Arabic": r"لكن",
    "Hebrew": r"אבל",
    "Hindi": r"लेकिन",
    "Thai": r"แต่",
}
_GUESS = (
    r"\b(?:vielleicht|vermutlich|wahrscheinlich|ich glaube|ich denke|peut-être|probablement|je pense|je crois|quizás?|"
    r"tal vez|probablemente|creo que|talvez|provavelmente|acho que|forse|probabilmente|credo|misschien|waarschijnlijk|"
    r"kanske|måske|kanskje|ehkä|może|chyba|možná|может быть|наверное|возможно|думаю|belki|galiba|mungkin|có lẽ)\b|"
    r"也许|可能是|大概|たぶん|おそらく|아마|ربما|אולי|शायद|อาจจะ"
)
_ELSEWHERE = (
    r"\b(?:fragen? sie|bitte|gerne?|demandez|s'il vous plaît|volontiers|pregunt\w+|por favor|pergunt\w+|chied\w+|"
    r"per favore|vraag\w*|alstublieft|proszę|пожалуйста|спросите|lütfen|silakan)\b|请|請|ください|주세요|من فضلك|कृपया"
)


def _folded(text: str) -> str:
    """NFKC, casefolded (so "ß" is "ss"), one kind of apostrophe; expressions are folded like the texts they meet."""
    return re.sub("[\u2018\u2019\u02bc]", "'", unicodedata.normalize("NFKC", text).casefold())


_LANGUAGES = {
    name: (re.compile("|".join(map(_folded, cues))), re.compile(_folded(_BUTS[name]))) for name, cues in _CUES.items()
}
_HEDGE, _SENDS = re.compile(_folded(_GUESS)), re.compile(_folded(_ELSEWHERE))
_SENTENCE = re.compile(r"[.!?\u3002\u061f\u0964\n]+")
LONGEST_TEXT = 4_000
"""Characters that are searched: a refusal comes at the start, and a model that repeats itself must not stall."""


def refuses(text: str) -> bool:
    """Whether a sentence of ``text`` holds a stock phrase of refusal of any of the languages.

    >>> refuses("Das weiß ich leider nicht."), refuses("Tom weiß es nicht, ich schon."), refuses("我不知道。")
    (True, False, True)
    """
    return _language(_sentences(text)) is not None


def answers_after_all(text: str) -> bool:
    """Whether something beside the refusal answers: a "but" with no refusal behind it, or a guess.

    >>> answers_after_all("Je ne sais pas, mais c'est le quai sept."), answers_after_all("Je ne sais pas.")
    (True, False)
    """
    sentences = _sentences(text)
    found = _language(sentences)
    if found is None:
        return False
    cue, but = found
    return any(
        bool(clause)
        and not cue.search(clause)
        and not _SENDS.search(clause)
        and (place > 0 or bool(_HEDGE.search(clause)))
        for sentence in sentences
        for place, clause in enumerate(part.strip(" ,;:\u3001") for part in but.split(sentence))
    )


def _language(sentences: list[str]) -> tuple[re.Pattern[str], re.Pattern[str]] | None:
    """The (refusals, "but"s) of the first language that refuses in one of the sentences."""
    return next((pair for pair in _LANGUAGES.values() if any(pair[0].search(one) for one in sentences)), None)


def _sentences(text: str) -> list[str]:
    return [part.strip() for part in _SENTENCE.split(_folded(text[:LONGEST_TEXT])) if part.strip()]
