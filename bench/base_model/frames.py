"""Hold the sentences of the pretraining corpus: everyday notes, letters and plain prose.

A frame is a sentence with slots; a slot's name is its kind in `words.py` and decides which
questions and which key names fit. Nothing here is about helping customers with a purchase.
The tasks built from the frames are in `corpus.py`.
"""

from __future__ import annotations

FRAMES = [
    # meetings
    "{person} would like to talk about the {topic} on {day} at {time}.",
    "We meet in the {room} at {time} and {person} takes the notes about the {topic}.",
    "The meeting about the {topic} has moved to {day}, {time}, and {person} will lead it.",
    "Can we discuss the {topic} with {person} from {company} on {date}?",
    "{person} ({company}) can't come on {day}, so let us meet on {date} instead.",
    "Reminder: {topic}, {day} {time}, {room}. Bring {person}.",
    # bookings and travel
    "I booked a table for {number} people at {company} in {city} for {date} under the name {person}.",
    "Please reserve a room in {city} from {date} for {person}, booking code {code}.",
    "My {vehicle} to {city} leaves at {time} on {day} and the seat is {code}.",
    "{person} travels from {city} by {vehicle} and arrives on {date} at {time}.",
    "The {vehicle} {code} to {city} is late and will leave at {time}.",
    "Our guide {person} waits at the {place} in {city} at {time}.",
    "The trip to {city} costs {price} and starts at the {place} on {date}.",
    # things that are sent, lent, bought and found
    "{company} brought the {article} to {street} on {day}; the slip says {code}.",
    "The {article} was left with {person} at {street}.",
    "A box with the reference {code} and the {article} inside went to {city}.",
    "{person} bought the {article} from {company} for {price}.",
    "I have had the {article} since {date} and I use it every {day}.",
    "Yesterday {person} found the {article} near the {place}.",
    "We keep the {article} in the {room}, the label reads {code}.",
    "{person} lent me the {article} and wants it back on {date}.",
    "The {article} (number {code}) stands in the {room} since {day}.",
    "My {article} is {colour} and came from {city}.",
    "For sale: {article}, {price}, ask for {person} in {city}.",
    "With the {article} I got a small card marked {code}.",
    "It is about the {article} that {person} gave us, the sheet has {code} on it.",
    "Number: {code}. Thing: {article}.",
    "{code} is the number on the {article}.",
    "About {code}: the {article} is now with {company}.",
    # library
    "The book {title} has to be back on {date}; its shelf mark is {code}.",
    "{person} borrowed {title} from the library in {city}.",
    "Members may keep {title} until {date}, says {person}.",
    "We read {title} in the {subject} class with {person}.",
    # jobs
    "{company} in {city} is looking for a {job}; write to {person} before {date}.",
    "{person} worked as a {job} for {company} and now lives in {city}.",
    "The pay for a {job} at {company} is {price} and the notice number is {code}.",
    "We need a {job} from {date}, best with {subject}, says {person}.",
    # recipes
    "For the {dish} you need {amount} of {food} and a little {animal} shaped dish from {company}.",
    "{person} cooks {dish} with {food} every {day}.",
    "Stir the {food} into the {dish} and wait {number} minutes, says {person}.",
    "The {dish} at {company} costs {price} and comes with {food}.",
    # weather
    "In {city} we expect {weather} on {day} and about {number} degrees.",
    "After {weather} in the morning {city} will be dry by {time}.",
    "{person} measured {number} millimetres of {weather} in {city} on {date}.",
    # courses, clubs, animals, houses
    "The {subject} course with {person} begins on {date} in the {room}.",
    "{person} teaches {subject} at the {place} on {day} and asks for {price}.",
    "Our {animal} is called {person} and eats {food} at {time}.",
    "The house at {street} has a {colour} door and belongs to {person}.",
    "{number} {plural} are missing from the {room}, {person} counted them on {day}.",
    "{person} carried {number} {plural} to the {place}.",
    "Send {number} {plural} to {street}, {city}.",
    "The key to the {room} hangs at {street}, ask {person}.",
    "{person} paid {price} for {amount} of {food} at the market in {city}.",
    "{company} will paint the {room} {colour} on {date}.",
]

OPENINGS = [
    "Hello,", "Hi,", "Dear all,", "Good morning,", "Hi there,", "Dear team,", "Good evening,", "Hey,",
    "Hello everyone,", "Dear neighbours,", "Dear friends,", "Hi {first},", "Dear {last},", "Hello {first},",
    "Note:", "From the diary:", "News:", "Morning!", "Hey {first}!", "Good day,",
]  # fmt: skip
CLOSINGS = [
    "Thanks, {first}", "Best, {first} {last}", "Kind regards, {first}", "See you soon!", "Yours, {last}",
    "Bye, {first}", "Many thanks", "Best wishes, {first} {last}", "Cheers, {first}", "Take care!", "Thank you!",
    "Greetings from {city}", "Regards, {first} {last}, {city}", "- {first}", "{first} {last}", "Talk soon, {first}",
]  # fmt: skip
FILLERS = [
    "I hope you are well.", "It was a long week.", "Nothing else is new here.", "I will write again soon.",
    "Please tell the others.", "The children are fine.", "Let me know what you think.", "It took a while.",
    "I was not sure about it at first.", "We are all looking forward to it.", "That is all for now.",
    "I am sorry for the late answer.", "You can call me in the evening.", "Everybody liked the last one.",
    "I tried it twice.", "It does not matter much.", "My neighbour told me about it.", "It works well so far.",
    "I am quite happy with it.", "I am not happy with it at all.", "What do you think about that?",
    "We still have to clean up.", "I could not find my glasses.", "By the way, the coffee is gone.",
    "As I said, the door was open.", "Could you have a look?", "I read your letter again today.",
    "The weather was lovely.", "My phone is {number}.", "The year {number} was better.", "There is no need to answer.",
    "I asked {first} as well.", "{first} sends greetings.", "You know how {first} is.", "Page {number} is missing.",
]  # fmt: skip

KEYS = {
    "person": ["person", "name", "who", "contact", "full_name"],
    "company": ["company", "firm", "business", "organisation"],
    "city": ["city", "town", "where", "location"],
    "street": ["street", "address", "house"],
    "article": ["item", "article", "thing", "object", "what"],
    "code": ["code", "reference", "ref", "id", "mark"],
    "date": ["date", "on", "due"],
    "day": ["day", "weekday"],
    "time": ["time", "hour", "clock"],
    "price": ["price", "cost", "sum"],
    "topic": ["topic", "matter", "about"],
    "title": ["title", "book", "work"],
    "room": ["room", "space"],
    "number": ["number", "how_many", "count"],
    "amount": ["amount", "quantity"],
}
DEFAULT_QUESTIONS = [
    "What is the {key}?", "Give the {key}.", "Find the {key} in the text.", "Which {key} is named?",
    "Name the {key} only.", "{key}?", "Copy the {key} from the text.", "Tell me the {key}.",
    "Extract the {key}.", "Answer with the {key} and nothing else.",
]  # fmt: skip
JSON_ORDERS = [
    "Give {keys} as JSON.", "JSON with {keys}, please.", "Extract {keys}. Answer in JSON.", "Turn this into JSON: {keys}.",
    "Return a JSON object with the keys {keys}.", "Read the text and fill {keys} in JSON.", "Which {keys}? Use JSON.",
    "Write one line of JSON with {keys}.", "{keys} -> JSON",
]  # fmt: skip
LINE_ORDERS = [
    "List {keys}, one per line.", "Write {keys} as lines.", "Note {keys}, each on its own line.", "Make a form with {keys}.",
]  # fmt: skip

TOPICS = {
    "weather": "rain storm cloud sunshine fog wind frost umbrella forecast degrees snow thunder",
    "cooking": "oven butter recipe spoon flour pan boil salt taste soup bake kitchen",
    "sport": "team match goal coach race ball stadium score run win player training",
    "travel": "train hotel suitcase airport passport trip ferry seat journey map tourist luggage",
    "music": "song guitar choir concert drum piano melody singer band violin rhythm tune",
    "money": "bank pay invoice coins price bill tax refund salary euros loan card charge amount",
    "post": "parcel letter stamp courier package address mailbox envelope deliver arrive sent tracking",
    "computers": "screen keyboard password program file error update crash button website app device",
    "health": "doctor medicine nurse fever rest pain hospital pill sleep heart bandage cough",
    "garden": "flower tree soil seed rose grass plant spade leaf water hedge bee",
    "school": "teacher lesson exam pupil homework book class chalk grade learn pencil desk",
    "clothes": "shirt size colour wool shoes fit trousers button coat exchange sleeve dress",
}
TOPIC_SENTENCES = [
    "The {a} and the {b} were both there before the {c}.", "I thought about the {a} while the {b} was still here.",
    "There was a {a}, then a {b}, and nobody had seen the {c}.", "Without a {a} there is no {b}.",
    "We spoke of {a} and {b} all day.", "She said {a}, he said {b}, and I said {c}.", "First the {a}, then the {b}.",
    "My uncle knows all about {a}, {b} and {c}.", "It began with the {a} and ended with the {b}.",
    "Have you seen the {a} next to the {b}?", "Nothing is as good as a {a} with a {b}.",
]  # fmt: skip
THESAURUS = [
    "parcel package box shipment delivery", "broken damaged cracked smashed shattered", "begin start commence",
    "money cash funds payment", "fast quick rapid swift speedy", "slow sluggish unhurried", "big large huge great",
    "small little tiny slight", "angry cross annoyed furious upset", "happy glad pleased delighted cheerful",
    "sad unhappy gloomy down", "end finish stop close", "buy purchase get acquire", "send post mail dispatch",
    "arrive come appear reach", "lost missing gone vanished", "faulty defective broken failing", "bill invoice statement",
    "refund repayment reimbursement", "password passcode secret", "now immediately instantly directly",
    "late delayed overdue behind", "soon shortly presently", "sometime whenever eventually", "wrong incorrect mistaken false",
    "right correct true proper", "crash freeze hang fail", "fee charge cost price", "twice double doubled",
    "colour shade tint hue", "big-hearted kind generous", "exchange swap trade replace", "repair fix mend restore",
    "enter join visit", "profile user member", "help support aid assist", "question query request",
    "important vital crucial critical", "hurry rush haste speed", "patient calm relaxed easy", "phone call ring",
    "courier driver carrier", "home house flat apartment", "shop store market", "garment clothes clothing",
    "road street lane path", "clean tidy neat", "dirty muddy stained", "quiet silent still", "loud noisy",
    "hot warm boiling", "cold chilly icy freezing", "write note record", "say tell state mention", "strange odd weird",
]  # fmt: skip
PROSE = [
    "On {day} {first} walked to the {place} in {city}.", "It was {weather} again, and the {animal} slept in the {room}.",
    "The {job} from {city} had a {colour} {item}.", "{first} likes {dish} with {food}, but {food} alone is too plain.",
    "Every {day} the {vehicle} stops at the {place}.", "A {animal} sat on the {item} and looked at the {weather}.",
    "In the {room} stood a {colour} {item} that nobody used.", "The {job} asked the {job} for some {food}.",
    "People in {city} talk about the {topic} more than about the {weather}.", "{first} and {first} read about {subject}.",
    "There are {number} {plural} in the {room}.", "When the {vehicle} came, {first} had already gone to the {place}.",
    "She put the {item} back, because it was not hers.", "He did not know why the {animal} had come in.",
    "They were tired, so they ate {dish} and went to bed.", "If you go to the {place}, bring me some {food}.",
    "We could have gone by {vehicle}, although it was late.", "Nobody can say how old the {place} is.",
]  # fmt: skip
