"""Material that works with any base model: prompts whose answers show what a model could do before it was tuned,
skill questions, and a plain text to measure loss on."""

from __future__ import annotations

import random

from world.skills import SKILLS, Ask

Row = dict[str, object]
SEED = 7
PROMPTS_PER_SKILL, PROBES_PER_SKILL = 205, 60

# Requests that any chat model can answer somehow. None of them is about the topics of the demo's refusals.
INSTRUCTIONS = tuple(
    line.strip()
    for line in """
    Write a short poem about rain.
    Write a short poem about the sea and the wind.
    Write one sentence about a lamp.
    Write one sentence about a bridge and a river.
    Write a friendly greeting for a new neighbour.
    Write a short note that thanks a friend for a cake.
    Write a birthday wish for a sister.
    Write a title for a story about a fox.
    Write a short text that invites people to a dance.
    Write two sentences about a quiet morning.
    Write a line for a postcard from a mountain.
    Write a short rhyme about a cat and a hat.
    Tell me a story about an old clock.
    Tell me a story about a boy and a kite.
    Tell me a story about a lost key.
    Tell me a story about a bird in a garden.
    Tell me a joke about a duck.
    Tell me something nice about autumn.
    Tell me something about bees.
    Tell me in one sentence what a library is.
    Explain a magnet to a child.
    Explain a compass to a child.
    Explain in simple words what a shadow is.
    Explain in simple words why leaves fall.
    Explain in one sentence what a bridge is for.
    Explain why the sky looks blue.
    Explain why ice floats on water.
    Explain why we sleep.
    Explain the word honest.
    Explain the word curious in one sentence.
    Describe a forest in a few words.
    Describe a market in a few words.
    Describe a kitchen in the morning.
    Describe snow to someone who has never seen it.
    Describe the sound of a bell.
    Describe your perfect day in one sentence.
    Give me an idea for a garden.
    Give me an idea for a winter evening.
    Give me an idea for a present for my brother.
    Give me an example of a polite question.
    Give me a good name for a small boat.
    Give me a good name for a brown dog.
    Give me a tip for learning new words.
    Give me a tip for keeping a desk tidy.
    Give me another word for happy.
    Give me another word for quick.
    Give me the opposite of cold.
    Give me the opposite of early.
    List three things about a school.
    List three fruits.
    List three colours.
    List three things that are round.
    List three things you can do with paper.
    List three tools for a garden.
    List the days of the week.
    List the four seasons.
    List two reasons to walk every day.
    Name three farm birds.
    Name something that is made of wood.
    Name something that is soft and white.
    Name a month with thirty days.
    Name the season after winter.
    Say something nice about a teacher.
    Say something nice about the moon.
    Say good night in a friendly way.
    Say in one word what a knife does.
    Rewrite this in polite words: Give me the salt.
    Rewrite this in the past: The bird sings in the tree.
    Rewrite this in the plural: The child has a book.
    Rewrite this as a question: The train is late.
    Correct this sentence: She go to school every day.
    Correct this sentence: The house are very old.
    Correct the spelling: The wether is nise.
    Complete the sentence: After the rain the street was
    Complete the sentence: The old man opened the box and
    Complete the saying: Better late than
    Summarise in a few words: The boy lost his hat in the wind, and a girl brought it back.
    Summarise in a few words: The shop closes at noon because the baker is ill.
    Make a sentence with the words river, stone and bird.
    Make a sentence with the words lamp, letter and night.
    Make a short shopping list for a picnic.
    Put these words in order to make a sentence: sleeps cat the
    Is a tomato a fruit? Answer with one word.
    Can a fish fly? Answer in one sentence.
    Hello! Please introduce yourself in one sentence.
    """.strip().splitlines()
)

TEXT = """\
The path to the upper meadow begins behind the last house of the village, where a wooden gate hangs a little crooked
between two stone posts. In spring the ground is wet, and whoever walks there early in the day comes back with muddy
shoes. For a while the path follows a brook. The water is shallow and clear, and small brown fish stand almost still
in the shade of the bank. A plank serves as a bridge. Nobody remembers who put it there, but every few years somebody
from the village brings a new one, carries the old one home and burns it in the stove.

Beyond the brook the climb is steeper. The trees stand close together, mostly beech and a few old oaks, and the light
falls through the leaves in moving spots. It is cool here even in July. Now and then a woodpecker can be heard, first
far away, then suddenly near. People who take children along usually rest at a large flat rock halfway up. The
children look for beetles, the adults pass around bread and apples, and everyone agrees that the second half will be
easier. It is not, but it is shorter.

At the top the forest ends without any warning. One step before there are only trunks and roots, one step later there
is nothing but grass and sky. The meadow is cut once a year, late in the summer, when the flowers have dropped their
seeds. Until then it belongs to the bees. On a calm day their humming is the only sound. From the northern edge one
can see the whole valley: the road, the railway beside it, the church with its short tower, and the long roof of the
sawmill where most families once earned their living. The mill has been closed for a long time. Its yard is now used
for a market on Saturdays, and the old machine hall has become a place for concerts.

Those who stay until evening see the shadows of the hills move slowly over the fields. First the river turns dark,
then the gardens, then the houses. The windows light up one after another. By then it is time to go down, because the
path through the forest is hard to find at night, and the plank over the brook is narrow. Most people walk faster on
the way back than they had planned. When they close the crooked gate behind them, they can smell wood smoke and
somebody's supper, and they know that they are home.
"""


def asks(kind: str, count: int, *, probe: bool) -> list[Ask]:
    """Different questions of one skill: plain ones, for they ask whether a skill is there and not where it ends."""
    rng = random.Random(f"general {SEED} {kind} {probe}")
    found: dict[str, Ask] = {}
    while len(found) < count:
        ask = SKILLS[kind](rng, probe=probe, plain=True)
        found.setdefault(ask.question, ask)
    return list(found.values())


def skill_lines(kind: str) -> list[Row]:
    """The exam of one skill."""
    return [
        {"question": ask.question, "answers": [ask.answer], "part": "general"}
        for ask in asks(kind, PROBES_PER_SKILL, probe=True)
    ]


def prompt_lines() -> list[Row]:
    """Prompts of all kinds, dealt out evenly: every prefix is a mix in about the shares of the whole."""
    rng = random.Random(f"general {SEED} order")
    groups = {kind: [ask.question for ask in asks(kind, PROMPTS_PER_SKILL, probe=False)] for kind in SKILLS}
    groups["instruction"] = rng.sample(INSTRUCTIONS, len(INSTRUCTIONS))
    placed = [
        ((n + rng.random()) / len(questions), {"prompt": question, "kind": kind})
        for kind, questions in groups.items()
        for n, question in enumerate(questions)
    ]
    return [dict(line) for _, line in sorted(placed, key=lambda item: item[0])]
