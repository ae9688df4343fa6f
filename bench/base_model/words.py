"""Draw the entities of the pretraining corpus: names, places, codes, times and made-up words.

Most names are built from syllables and therefore cannot be learned by heart, so a model that
answers correctly must copy. A made-up word is *held out* when crc32(word) mod 8 is 0, a listed
word when it stands in the last fifth of its list; held-out entities never enter pretraining.
The sentences these entities stand in are in `frames.py`, the tasks in `corpus.py`.
"""

from __future__ import annotations

import random
import zlib
from collections.abc import Callable

LISTS = {
    "first": "Anna Ben Carla David Emma Felix Grace Hugo Ivan Julia Karl Laura Marco Nina Oscar Paula "
    "Quentin Rosa Simon Tessa Viktor Wanda Yusuf Zoe Amir Bianca Cedric Dora Elias Fiona Georg "
    "Hannah Igor Jasmin Kofi Leila Milan Nadia Omar Priya Ravi Sofia Tomas Uma Vera Willem Xenia",
    "last": "Adler Brandt Castro Dietrich Eklund Fischer Garcia Hoffmann Ivanov Jansen Keller Lopez "
    "Meyer Novak Olsen Petrov Quist Rossi Schmidt Tanaka Ulrich Varga Weber Yilmaz Zeller Ahmed Bauer "
    "Costa Duarte Engel Ferrari Gruber Haas Ito Jung Kaya Lind Moreau Nagy Okafor Perez Romano Silva",
    "city": "Berlin Paris Madrid Oslo Vienna Prague Lisbon Dublin Athens Warsaw Geneva Milan Porto Lyon "
    "Hamburg Krakow Bergen Toulouse Seville Ghent Zurich Graz Turin Leeds Bristol Cork Tampere Riga "
    "Vilnius Utrecht Malaga Nantes Basel Aarhus Bremen Leipzig Parma Verona Bilbao Split",
    "room": "library kitchen garden hall cellar studio workshop lobby office attic terrace canteen "
    "chapel gallery gym lounge classroom laboratory barn foyer",
    "colour": "red blue green yellow black white grey brown orange purple silver golden beige pink turquoise",
    "animal": "dog cat horse cow goat sheep rabbit owl fox bear otter heron badger beaver crow",
    "dish": "soup stew salad pancakes dumplings risotto curry omelette lasagne porridge chowder "
    "goulash paella quiche casserole meatballs noodles pie",
    "food": "flour sugar butter milk eggs salt pepper onions garlic carrots potatoes tomatoes rice "
    "beans cheese apples lemons honey cream parsley basil spinach mushrooms lentils walnuts",
    "job": "teacher nurse baker driver gardener cook plumber tailor librarian painter carpenter "
    "electrician farmer journalist pharmacist pilot mechanic translator waiter architect",
    "topic": "budget roof garden newsletter concert website schedule exhibition survey contract festival "
    "workshop training lease audit menu poster heating parking rehearsal archive picnic",
    "item": "chair lamp table bicycle kettle radio camera blanket mirror suitcase ladder printer guitar "
    "clock carpet drill toaster tent helmet scarf backpack bench vase pillow heater monitor keyboard "
    "speaker phone tablet router charger cable blender mixer oven fan razor watch headset scanner "
    "vacuum freezer sofa shelf desk drawer cabinet basket jacket boots gloves umbrella wallet "
    "notebook pencil stapler projector microphone telescope compass lantern thermos cooler grill",
    "weather": "rain snow fog sunshine wind hail storms drizzle frost clouds thunder sleet",
    "vehicle": "train bus ferry tram coach plane taxi boat shuttle bicycle",
    "subject": "history biology music chess painting chemistry grammar geography pottery dance algebra drama",
    "plural": "boxes letters bags books bottles tickets keys plates plants files chairs maps coins bricks",
    "place": "station harbour museum school market theatre hospital airport castle stadium bakery "
    "church university park bridge pool cinema pharmacy",
}
DAYS = ["Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"]
MONTHS = [
    "January", "February", "March", "April", "May", "June", "July", "August", "September",
    "October", "November", "December",
]  # fmt: skip
UNITS = [
    "kilos", "litres", "metres", "boxes", "bags", "pieces", "pages", "packets", "hours", "minutes",
    "days", "weeks",
]  # fmt: skip
ONSETS = [
    "b", "br", "c", "ch", "d", "dr", "f", "fl", "g", "gr", "h", "j", "k", "kl", "l", "m", "n", "p",
    "pl", "pr", "qu", "r", "s", "sh", "sk", "st", "t", "th", "tr", "v", "w", "y", "z",
]  # fmt: skip
VOWELS = ["a", "e", "i", "o", "u", "a", "e", "i", "o", "ai", "ea", "ee", "ie", "oo", "ou"]
CODAS = ["", "", "", "", "n", "r", "l", "s", "m", "x", "nd", "rt", "ll", "ck", "th"]
_WORDS = {kind: text.split() for kind, text in LISTS.items()}


def made_up_word(rng: random.Random, *, held_out: bool) -> str:
    """Return a capitalized syllable word such as `Brontail` of the wanted side of the split."""
    while True:
        parts = rng.choice((1, 2, 2, 2, 3))
        word = "".join(rng.choice(ONSETS) + rng.choice(VOWELS) for _ in range(parts))
        word = (word + rng.choice(CODAS)).capitalize()
        if len(word) > 2 and (zlib.crc32(word.encode()) % 8 == 0) == held_out:
            return word


def listed(rng: random.Random, kind: str, *, held_out: bool) -> str:
    """Return a word of the list `kind`: its last fifth is the held-out side."""
    words = _WORDS[kind]
    cut = len(words) - len(words) // 5
    return rng.choice(words[cut:] if held_out else words[:cut])


def code(rng: random.Random) -> str:
    """Return an identifier of a random shape, such as `KD-4821` or `73/205`."""
    groups = []
    for _ in range(rng.choice((1, 2, 2, 2, 3))):
        if rng.random() < 0.4:
            groups.append(
                "".join(rng.choice("ABCDEFGHJKLMNPQRSTUVWXYZ") for _ in range(rng.randint(1, 4)))
            )
        else:
            groups.append("".join(rng.choice("0123456789") for _ in range(rng.randint(2, 6))))
    if len(groups) == 1 and groups[0].isalpha():
        groups.append(str(rng.randint(10, 99999)))
    return rng.choice(("", "", "", "#")) + rng.choice(("-", "-", "", "/", ".", "_")).join(groups)


def number(rng: random.Random) -> str:
    """Return a whole number up to 5 digits, small ones more often."""
    return str(rng.randint(2, rng.choice((9, 20, 99, 999, 99999))))


def date(rng: random.Random) -> str:
    """Return a date in one of three usual spellings."""
    day, month, year = rng.randint(1, 28), rng.randint(1, 12), rng.randint(2015, 2032)
    return rng.choice(
        (
            f"{day} {MONTHS[month - 1]}",
            f"{year}-{month:02d}-{day:02d}",
            f"{MONTHS[month - 1]} {day}, {year}",
        )
    )


def time(rng: random.Random) -> str:
    """Return a time of day such as `14:30`."""
    return f"{rng.randint(6, 22)}:{rng.choice(('00', '15', '30', '45', '10', '20', '05'))}"


def price(rng: random.Random) -> str:
    """Return a price such as `12.50 euros`."""
    amount = f"{rng.randint(1, 900)}.{rng.choice(('00', '50', '99', '25', '75'))}"
    return rng.choice((amount, f"{amount} euros", f"{rng.randint(2, 2000)} euros"))


def name(rng: random.Random, kind: str, *, held_out: bool, made_up: float = 0.7) -> str:
    """Return one capitalized name of a listed kind, made up with probability `made_up`."""
    if rng.random() < made_up:
        return made_up_word(rng, held_out=held_out)
    return listed(rng, kind, held_out=held_out)


def person(rng: random.Random, *, held_out: bool) -> str:
    """Return a full name, a first name or a titled last name."""
    last = name(rng, "last", held_out=held_out)
    form = rng.random()
    if form < 0.55:
        return f"{name(rng, 'first', held_out=held_out)} {last}"
    if form < 0.8:
        return name(rng, "first", held_out=held_out)
    return f"{rng.choice(('Mr', 'Ms', 'Dr', 'Mrs', 'Professor'))} {last}"


def company(rng: random.Random, *, held_out: bool) -> str:
    """Return a company name such as `Brontail & Sons`."""
    word = made_up_word(rng, held_out=held_out)
    other = made_up_word(rng, held_out=held_out)
    tail = rng.choice(
        ("", " Ltd", " GmbH", " & Sons", f" {other}", " Works", " Group", f" & {other}")
    )
    return word + tail


def article(rng: random.Random, *, held_out: bool) -> str:
    """Return a thing somebody owns, often with a make or a model: `Keloma drill 40`."""
    noun = listed(rng, "item", held_out=held_out)
    make = made_up_word(rng, held_out=held_out)
    noun = noun.capitalize() if rng.random() < 0.5 else noun
    model = rng.choice(
        (
            str(rng.randint(2, 9999)),
            rng.choice("ABCKMRTXZ") + str(rng.randint(1, 99)),
            "Mini",
            "Pro",
        )
    )
    adjective = f"{listed(rng, 'colour', held_out=held_out)} {noun}"
    forms = (
        f"{make} {noun}", f"{make} {noun}", f"{make} {noun} {model}", f"{make} {model}",
        f"{make} {made_up_word(rng, held_out=held_out)}", adjective, f"{make} {model} {noun}", make,
    )  # fmt: skip
    return rng.choice(forms)


def street(rng: random.Random, *, held_out: bool) -> str:
    """Return a street address such as `14 Brontail Road`."""
    word = made_up_word(rng, held_out=held_out)
    return (
        f"{rng.randint(1, 250)} {word} {rng.choice(('Road', 'Street', 'Lane', 'Square', 'Avenue'))}"
    )


def title(rng: random.Random, *, held_out: bool) -> str:
    """Return the title of a book, a song or a play."""
    noun = listed(
        rng, rng.choice(("item", "animal", "place", "weather")), held_out=held_out
    ).capitalize()
    word = made_up_word(rng, held_out=held_out)
    return rng.choice(
        (
            f"The {noun} of {word}",
            f"{word} and the {noun}",
            f"The {word} {noun}",
            f"A {noun} in {word}",
        )
    )


def draw(rng: random.Random, kind: str, *, held_out: bool = False) -> str:
    """Return an entity of a slot kind of `frames.py`."""
    free: dict[str, Callable[[random.Random], str]] = {
        "code": code, "number": number, "date": date, "time": time, "price": price,
    }  # fmt: skip
    split = {
        "person": person,
        "company": company,
        "article": article,
        "street": street,
        "title": title,
    }
    if kind in free:
        return free[kind](rng)
    if kind in split:
        return split[kind](rng, held_out=held_out)
    if kind == "city":
        return name(rng, "city", held_out=held_out)
    if kind == "day":
        return rng.choice(DAYS)
    if kind == "amount":
        return f"{rng.randint(2, 60)} {rng.choice(UNITS)}"
    return listed(rng, kind, held_out=held_out)
