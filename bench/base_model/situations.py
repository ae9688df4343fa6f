"""Hold everyday situations and kinds of utterance, to sort sentences by what they are about.

`[a|b]` means a or b, slots are those of `frames.py`. The labels are always given in the prompt.
The tasks are in `sorting.py`.
"""

from __future__ import annotations

SITUATIONS = {
    "bank": [
        "[I paid|We paid] {price} into [the book|my savings] [this morning|on {day}].",
        "The [clerk|lady at the counter] [counted|checked] the [money|coins|notes] [twice|again].",
        "[Interest|The fee] [went up|is higher] and my [card|loan] costs more [now|than before].",
        "{person} [transferred|owes|lent] me {price} and the [statement|receipt] [shows|proves] it.",
        "[Cash|Money] was [taken from|added to] the [savings|wallet], [a total of|in all] {price}.",
    ],
    "post office": [
        "[A parcel|A package|A letter] from {city} [lies|waits] at the [counter|depot] for {person}.",
        "The [postman|courier|driver] [rang|knocked] [at|on] {day} but [nobody was home|I was out].",
        "[The stamp|The address] on the [letter|package] was [old|wet|hard to read].",
        "[Has the van|When does the van] [come|leave] with the [letters|parcels] for {city}?",
        "{person} [tracks|follows] the [shipment|delivery] from {city} [every day|on the phone].",
    ],
    "garage": [
        "The [motor|engine] [hums|rattles|coughs] and [dies|stops] [on the hill|when it is cold].",
        "[A lamp|A red light] [on the panel|in front] [blinks|glows] and the [pump|motor] [will not go|is still].",
        "{person} [mended|fixed|repaired] the [brake|battery|wire] of the {vehicle} [with tape|on {day}].",
        "[Nothing happens|It stays dark] when I [turn the key|press the button].",
        "It [smells of oil|smokes|gets too hot] [after an hour|on long ways].",
    ],
    "tailor": [
        "The [coat|dress|shirt] is [too wide|too short|too tight] [at the neck|for {person}].",
        "[Can the sleeve|Can it] be [changed|exchanged|made longer] [by {day}|for {price}]?",
        "I [tried on|chose] the {colour} one but [the size|the shade] [is wrong|does not suit me].",
        "[A hole|A scratch|A tear] [was|is] in the [cloth|lining], so [take it back|give me another].",
        "{person} [swapped|replaced] the [buttons|lining] of the [coat|jacket].",
    ],
    "computer class": [
        "[Type|Enter] [the secret word|the password] [and wait|once more], says {person}.",
        "The [screen|program|page] [froze|went black|closed] [during the lesson|while I wrote].",
        "{person} [forgot|lost] the [password|code] and [cannot open|can't enter] the [files|page].",
        "[We learned|Today we learn] to [save a file|change a profile|choose a user name].",
        "[My profile|The user page] [has|shows] {person} [as a name|in big letters].",
    ],
    "doctor": [
        "[My knee|My back|My head] [hurts|aches] [since {day}|at night].",
        "The [nurse|doctor] [gave|wrote] me [pills|drops] for the [cough|fever].",
        "{person} [needs rest|stays in bed] [until {day}|for a week].",
    ],
    "kitchen": [
        "[Chop|Boil|Fry] the {food} [until soft|for ten minutes].",
        "The {dish} [needs|wants] more {food} [and salt|and time].",
        "{person} [burned|tasted|served] the {dish} [again|on {day}].",
    ],
    "farm": [
        "The {animal} [ran off|had young ones|is in the barn] [last night|on {day}].",
        "[We sow|We harvest|They plough] [the field|the north field] when {weather} [is over|is near].",
        "{person} [milks|feeds|counts] the [cows|sheep|goats] [at dawn|at {time}].",
    ],
    "station": [
        "The {vehicle} to {city} [leaves|departs] from [platform|stop] {number}.",
        "[We missed|I caught] the {vehicle} [at {time}|by a minute].",
        "[Change|Get off] in {city} and [wait|look] for the {vehicle}.",
    ],
    "school": [
        "{person} [teaches|explains] {subject} [on {day}|to the little ones].",
        "[The exam|The test] in {subject} [was hard|is on {date}].",
        "[Write|Read] page {number} [for {day}|again], children.",
    ],
    "theatre": [
        "[The curtain|The light] [falls|goes up] at {time} [and everyone claps|sharp].",
        "{person} [sings|plays] the [king|old queen] in {title}.",
        "[The choir|The band] [practises|starts] [on {day}|with a slow song].",
    ],
    "garden": [
        "[The roses|The hedges|The beans] [grow well|need water] [this year|after the {weather}].",
        "{person} [dug|planted|cut] the [bed|tree|grass] [behind the house|on {day}].",
        "[Slugs|Birds] [ate|took] the [salad|cherries] [again|overnight].",
    ],
}
UTTERANCES = {
    "thanks": ["[Thank you|Thanks|Many thanks] for the {article}.", "That was [kind|nice] of you, {first}.", "I am [grateful|so glad] that you [came|called|wrote]."],
    "apology": ["[I am sorry|Forgive me|Excuse me] [about|for] the {item}.", "It was my [fault|mistake], {first}.", "I [regret|feel bad] that I [forgot|missed] {day}."],
    "invitation": ["[Come|Join us] [on {day}|at {time}] for {dish}.", "[Would you like|Do you want] to [visit|see] us in {city}?", "You are [welcome|invited] [at our place|to the {room}]."],
    "farewell": ["[Goodbye|So long|Bye now], {first}.", "[See you|Until] {day}!", "[Sleep well|Good night], [all|my dear]."],
    "praise": ["[Well done|Great work|Bravo], {first}!", "The {dish} [tastes|was] [wonderful|perfect].", "Nobody [sings|paints|cooks] like {first}."],
    "warning": ["[Careful|Watch out|Mind the step], {first}!", "[Do not touch|Keep away from] the {animal}.", "[Danger|Attention]: {weather} in {city}."],
    "wish": ["[I wish|I dream of] a {colour} {item}.", "[If only|How nice if] {first} were here.", "[All the best|Good luck] for {day}."],
    "refusal": ["[No|Never|Not at all], {first}, I [stay|will not come].", "[I can't accept|I must decline] the {article}.", "{first} [said no|does not agree]."],
}  # fmt: skip
