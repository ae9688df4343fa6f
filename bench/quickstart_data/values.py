"""Draw the values of the quickstart mails: products, customers and order numbers.

Makes, nouns, customer names and order-number shapes have a known and a held-out side that do not
meet. A make is a made-up word, so it has to be copied. The sentences are in `wording.py`.
"""

from __future__ import annotations

import random
import string

NOUNS = {
    "known": [
        "Kettle",
        "Toaster",
        "Lamp",
        "Blender",
        "Router",
        "Printer",
        "Heater",
        "Speaker",
        "Camera",
        "Monitor",
        "Drill",
        "Mixer",
        "Fan",
        "Vacuum",
        "Scanner",
        "Headset",
        "Keyboard",
        "Clock",
        "Radio",
        "Grill",
        "Oven",
        "Razor",
        "Charger",
        "Tablet",
        "Watch",
        "Backpack",
        "Tent",
        "Chair",
        "Desk",
        "Shelf",
        "Mower",
        "Scale",
        "Freezer",
        "Projector",
        "Humidifier",
        "Thermostat",
        "Doorbell",
        "Sander",
        "Dryer",
        "Juicer",
        "Bench",
        "Table",
        "Wardrobe",
        "Pillow",
        "Blanket",
        "Carpet",
        "Mirror",
        "Bottle",
        "Wallet",
        "Umbrella",
        "Jacket",
        "Helmet",
        "Sofa",
        "Bookcase",
        "Curtain",
        "Basket",
        "Hammer",
        "Ladder",
        "Compass",
        "Binoculars",
        "Guitar",
        "Drum",
        "Piano",
        "Tripod",
        "Lens",
        "Mouse",
        "Dock",
        "Switch",
        "Cable",
        "Adapter",
        "Battery",
        "Sensor",
        "Alarm",
        "Lock",
        "Safe",
        "Whisk",
        "Pan",
        "Pot",
        "Knife",
        "Grater",
        "Iron",
        "Hairdryer",
        "Toothbrush",
        "Crib",
        "Scooter",
        "Skates",
        "Sled",
        "Rucksack",
        "Hammock",
        "Parasol",
    ],
    "held_out": [
        "Cooler",
        "Lantern",
        "Microphone",
        "Pump",
        "Stroller",
        "Bicycle",
        "Dehumidifier",
        "Steamer",
        "Telescope",
        "Saw",
        "Mattress",
        "Trimmer",
    ],
}
NAMES = {
    "known": [
        "Anna",
        "Ben",
        "Carla",
        "David",
        "Emma",
        "Felix",
        "Grace",
        "Hugo",
        "Ivan",
        "Julia",
        "Karl",
        "Laura",
        "Marco",
        "Nina",
        "Oscar",
        "Paula",
        "Rosa",
        "Simon",
        "Tessa",
        "Viktor",
        "Miller",
        "Novak",
        "Rossi",
        "Weber",
        "Schmidt",
        "Lopez",
        "Jansen",
        "Keller",
    ],
    "held_out": [
        "Yusuf",
        "Zoe",
        "Amir",
        "Bianca",
        "Elias",
        "Fiona",
        "Leila",
        "Omar",
        "Priya",
        "Sofia",
        "Okafor",
        "Tanaka",
        "Moreau",
    ],
}
SHAPES = {
    "known": [
        *(
            "A-#####",
            "######",
            "ORD-#####",
            "#####-##",
            "@@####",
            "20##-#####",
            "@####-#",
            "##.####",
        ),
        *(
            "@@-##-###",
            "###/###",
            "@.#####",
            "####.@@",
            "##-@@-##",
            "#########",
            "@/####",
            "###.###.###",
        ),
        *("@@@-##", "R##/##", "#@###", "@##.#.##"),
    ],
    "held_out": ["##/####/#", "L.####.##", "#######-Q", "@#-###-##"],
}
MODELS = {
    "known": [
        *(
            "##",
            "@#",
            "@##",
            "###",
            "Mini",
            "Plus",
            "Pro",
            "Eco",
            "One",
            "Neo",
            "Air",
            "Duo",
            "Flex",
            "@@#",
        ),
        *("Turbo", "Smart", "Classic", "####", "@-#", "Junior", "Home", "#@#"),
    ],
    "held_out": ["##@", "X-##", "Max", "Lite"],
}
STARTS = [
    "b", "br", "c", "d", "dr", "f", "fl", "g", "gr", "h", "j", "k", "kl", "l", "m", "n", "p", "pl",
    "r", "s", "sk", "st", "t", "tr", "v", "w", "z",
]  # fmt: skip
ENDS = ["n", "r", "l", "s", "x", "ra", "lo", "na", "ko", "ve", "mi", "to", "ria", "den", "tek"]
MAKES_PER_SIDE = {"known": 400, "held_out": 120}


def makes() -> dict[str, list[str]]:
    """Return the made-up makes of both sides; no word is on both."""
    rng = random.Random("makes")
    found: dict[str, None] = {}
    while len(found) < sum(MAKES_PER_SIDE.values()):
        middle = "".join(
            rng.choice(STARTS) + rng.choice("aeiou") for _ in range(rng.choice((1, 1, 2)))
        )
        found[(middle + rng.choice(ENDS)).capitalize()] = None
    words = [word for word in found if word != "Sir"]  # stands in a greeting
    return {"known": words[: MAKES_PER_SIDE["known"]], "held_out": words[MAKES_PER_SIDE["known"] :]}


MAKES = makes()


def shaped(rng: random.Random, shape: str) -> str:
    """Return the shape with # as digits and @ as capital letters."""
    draw = {"#": string.digits, "@": string.ascii_uppercase}
    return "".join(rng.choice(draw.get(sign, sign)) for sign in shape)


def product(rng: random.Random, side: str) -> str:
    """Return a product such as `Kelora Kettle K40`."""
    make, noun = rng.choice(MAKES[side]), rng.choice(NOUNS[side])
    model = shaped(rng, rng.choice(MODELS[side]))
    return rng.choice(
        (f"{make} {noun}", f"{make} {noun}", f"{make} {noun} {model}", f"{make} {model} {noun}")
    )


def order_number(rng: random.Random, side: str) -> str:
    """Return an order number of one of the side's shapes."""
    return shaped(rng, rng.choice(SHAPES[side]))


def customer(rng: random.Random, side: str) -> str:
    """Return one or two names."""
    return " ".join(rng.sample(NAMES[side], rng.choice((1, 1, 2))))
