"""Hold the wording of the quickstart mails: problems, urgency, layouts, and what is held out.

`[a|b]` means a or b. Every dictionary has two sides: `known` wording may stand in train.jsonl,
`held_out` wording stands in test.jsonl only. `{p}` is the product with its article.
Values (products, names, order numbers) are in `values.py`, the files in `__main__.py`.
"""

from __future__ import annotations

PROBLEMS: dict[str, dict[str, list[str]]] = {
    "billing": {
        "known": [
            "[I was|We were|You have] charged [twice|two times|double] for {p}.",
            "The invoice for {p} [shows|lists|has] [the wrong amount|a wrong total|the wrong tax].",
            "[Why|Can you explain why] is {p} more expensive on the invoice than [in the shop|on your page]?",
            "[I still wait for|Where is|I have not got] my refund for {p}.",
            "My [card|bank] was debited [again|once more] for {p}.",
            "[Please send|I need|Could I get] [an invoice|a receipt|a bill] for {p} [with our tax number|for my boss].",
            "The discount [code was not applied|was missing] when I paid for {p}.",
            "I paid for {p} but you [say|write] that the payment [is open|failed|is missing].",
            "[Your reminder says|You claim] I did not pay {p}, [but I did|which is wrong].",
            "The [price|amount|sum] you took from my [account statement|card] for {p} is [too high|not right].",
            "There are [two payments|two bookings] on my bank statement for {p}.",
            "Can I pay {p} [in instalments|by bank transfer|with another card]?",
        ],
        "held_out": [
            "My bank statement shows the payment for {p} two times.",
            "The total on the bill for {p} can't be right.",
            "I paid too much money for {p} and want the amount corrected.",
            "A receipt for {p} never came with my payment.",
            "The refund you promised for {p} is not on my card.",
        ],
    },
    "shipping": {
        "known": [
            "{p} [has not arrived|did not arrive|never arrived] [yet|so far|until now].",
            "[Where is|When will I get|When do you send] {p}? [The tracking|My tracking link] [shows nothing|has not moved|is empty].",
            "The courier [left|dropped] {p} at [the wrong house|the wrong address|a neighbour I don't know].",
            "[I am|We have been] [still waiting|waiting] for [the delivery of|the parcel with] {p}.",
            "[The parcel|The package|The box] with {p} [is lost|got lost|is stuck at the depot].",
            "[Can you|Please] [deliver|send] {p} to [another address|my office|my new address] instead?",
            "The tracking says that {p} was delivered, [but nothing came|but I got nothing].",
            "{p} should have [come|been here|arrived] [last week|on Monday|days ago].",
            "[Nobody|No driver] came with {p} [although I was home|on the promised day].",
            "[How long|How many days] does the delivery of {p} take?",
            "The delivery date of {p} [was moved again|keeps changing].",
            "[Has|Did] {p} already [left|leave] your warehouse?",
        ],
        "held_out": [
            "The courier never came with {p}.",
            "Tracking is stuck and I wonder where {p} could be.",
            "My parcel is late: {p} was promised for last week.",
            "{p} went to an old address, please send the driver again.",
            "We still have not seen the package with {p}.",
        ],
    },
    "returns": {
        "known": [
            "I [want|would like|wish] to [send back|return|give back] {p}.",
            "{p} [came|arrived] [broken|damaged|with a crack|scratched], [I want a new one|please replace it].",
            "You sent [the wrong colour|the wrong size|the wrong model] instead of {p}.",
            "[How do I|How can I|Where can I] [return|send back] {p}?",
            "[I changed my mind|We don't need it any more] and want to give {p} back.",
            "[Please send|I need] a return label for {p}.",
            "{p} is [too small|too big|not what I expected], can I [exchange|swap] it?",
            "[Can I|May I] exchange {p} for [another colour|a bigger one|a different model]?",
            "A part [is missing|was missing] in the box of {p}, [I send it back|please take it back].",
            "I opened {p} and [the glass was broken|the lid was cracked], please exchange it.",
            "[Is it still possible|How long do I have] to return {p}?",
            "{p} does not fit, I [will send it back|want to return it].",
        ],
        "held_out": [
            "{p} is the wrong size and has to go back to you.",
            "What do I need to give {p} back?",
            "I unpacked {p} and it was scratched, I would like to exchange it.",
            "No label for the return of {p} was in the box.",
            "Please replace {p}, it came with a broken lid.",
        ],
    },
    "technical": {
        "known": [
            "{p} [does not switch on|won't start|does not turn on] [any more|at all|since yesterday].",
            "{p} [shows|displays|gives me] [an error|error 14|a strange error message].",
            "The [app|software|program] of {p} [crashes|freezes|hangs] [all the time|when I open it|after a minute].",
            "I [can't|cannot] [connect|pair] {p} [with my phone|to the wifi|by bluetooth].",
            "{p} [makes a strange noise|smells burnt|gets very hot] when it [runs|is on].",
            "[After the update|Since the last update] {p} [stopped working|does not react|restarts again and again].",
            "The [battery|display|motor] of {p} [is dead|does not work|died].",
            "[How do I|How can I] [reset|install|set up] {p}?",
            "The [red light|lamp] on {p} [blinks|keeps flashing] and nothing [works|happens].",
            "{p} [stops|switches off] [after five minutes|by itself|in the middle of use].",
            "[The buttons|The keys] of {p} [don't react|are dead|do nothing].",
            "[The manual|Your guide] does not say how to [clean|calibrate|charge] {p}.",
        ],
        "held_out": [
            "When I turn on {p}, the display stays dark and nothing works.",
            "The update crashed and {p} shows an error since then.",
            "{p} loses the wifi and will not connect again.",
            "The battery gets hot and {p} switches off.",
            "I hear a noise from the motor of {p} and then it stops.",
        ],
    },
    "account": {
        "known": [
            "I [can't|cannot] [log in|sign in] to [register|see] {p}.",
            "I forgot my password and [need it for|want to register] {p}.",
            "[Please change|How do I change] [the e-mail|the name|the phone number] in my profile, I own {p}.",
            "My [login|user] is [locked|blocked], so I can't [see|rate|register] {p}.",
            "{p} is not [listed|shown] in my [profile|user area|customer area].",
            "[Please delete|I want you to delete] my [profile|data|user], I only bought {p}.",
            "The [password link|login code|confirmation mail] [does not come|never comes], I wanted to register {p}.",
            "[I have two profiles|There are two users in my name], please [merge|join] them, {p} is in the old one.",
            "[Stop|Please stop] your newsletter, I only [bought|own] {p}.",
            "My [new password|login] is [refused|not accepted] when I want to look up {p}.",
            "[How do I|Where do I] [register|add] {p} in my profile?",
            "[Someone else|A stranger] [uses|got into] my profile, {p} is [listed|shown] there too.",
        ],
        "held_out": [
            "The login refuses my password and I can't see {p}.",
            "I want to delete my user, {p} is all I ever bought.",
            "My profile shows a wrong name, and {p} is missing in it.",
            "No code comes when I sign in to add {p}.",
            "Where in the customer area do I find {p}? My user is new.",
        ],
    },
}

URGENCY: dict[str, dict[str, list[str]]] = {
    "urgent": {
        "known": [
            "[This is|It is] [very|really|extremely] urgent[!|.]", "I need [an answer|help|a solution] [today|right now|within the hour]!",
            "[Please hurry|Hurry up, please], [my event is tomorrow|we open tomorrow|I leave tonight].",
            "[This can't wait|It cannot wait] [any longer|until tomorrow].", "[Please answer|Call me|Reply] [immediately|at once|as soon as you can]!",
            "[Everything|The whole shop|Our office] [stands still|is down] because of this.", "ASAP[!|, please.|!!]",
            "[I need it|We need it] [by tonight|for tomorrow morning|today].", "[Second|Third|Last] [reminder|mail], [act now|answer now]!",
            "I [have to|must] solve this [today|before noon|tonight].", "It is an emergency[!|, please help now.]",
            "[Without it|Without your help] we [lose money|can't work] [every hour|today].",
        ],
        "held_out": [
            "I need your answer before tonight!", "Please solve it at once, we can't wait.", "Hurry, tomorrow is too late!",
            "We can't work until you help, so call me now!", "Urgent: we leave in an hour.",
        ],
    },
    "normal": {
        "known": [
            "", "", "", "Please let me know[.| what to do.]", "[Thanks|Thank you] for your [help|answer].",
            "What [should|can] I do?", "[Can you|Could you] [help|check this|look into it]?", "I [would be glad|hope] to hear from you.",
            "Please [check|look into] it.", "[Looking forward|I look forward] to your reply.",
        ],
        "held_out": ["", "Could you tell me what to do?", "I hope you can help.", "Please look at it and let me know."],
    },
    "low": {
        "known": [
            "[No rush|No hurry|There is no hurry|There is no rush][.| at all.|, really.]", "[Answer|Reply|Write] whenever [you like|it suits you|you have time].",
            "It [can wait|is not important|has time].", "[Take your time|Please take your time][.| with it.]",
            "[Just|Only] [a small question|a question out of curiosity|wondering].", "[Any time|Some time] [this month|next month|in the next weeks] is [fine|good enough|early enough].",
            "[It is not urgent|This is not urgent|Not urgent][.| at all.]", "If you [find|have] a [quiet|free] [moment|minute], [let me know|tell me].",
            "[I can wait|We can wait] [a few weeks|a while|a month].", "[It does not matter|I don't mind] if it takes [longer|a while|some weeks].",
            "[I am|We are] not in a hurry[.|, just asking.]", "[It is|This is] a minor [thing|matter], [whenever you can|no stress].",
        ],
        "held_out": [
            "A reply next month is early enough.", "This can wait a while, no stress.", "Just a minor question, whenever it suits you.",
            "We don't mind waiting some weeks.", "Take a few weeks if you like.",
        ],
    },
}  # fmt: skip

LAYOUTS: dict[str, dict[str, str]] = {
    "known": {
        "t01": "{hello}\n{problem} {order} {urgency}\n{bye}",
        "t02": "{hello} {order} {problem} {urgency} {bye}",
        "t03": "{problem} {urgency} {order} {bye}",
        "t04": "Subject: {np}\n\n{hello}\n{it} {order} {urgency}\n{bye}",
        "t05": "Order: {no}\nProduct: {np}\nMessage: {it} {urgency}",
        "t06": "{mood} {problem} {order} {urgency}\n\n{bye}",
        "t07": "{hello} {problem} {urgency}\n\n{bye}\nOrder no. {no}",
        "t08": "hi, {problem} {order} {urgency} thx",
        "t09": "[chat] {visitor}: {hello}\n{visitor}: {problem} {urgency}\n{visitor}: {order}",
        "t10": "{hello}\n{urgency} {problem} {order}\n{bye}\nSent from my phone",
        "t11": "{mood} I bought {p}. {it} {urgency} {order} {bye}",
        "t12": "Re: {no}\n{hello} {problem} {urgency} {bye}",
        "t13": "Voice mail, {visitor}: {problem} {order} {urgency} My number is {phone}.",
        "t14": "{np} / {no}: {it} {urgency} {bye}",
    },
    "held_out": {
        "t15": "Customer {visitor} writes: {problem} {urgency} {order}",
        "t16": "{hello}\n{order} {urgency} {problem}\n{bye}\nTel. {phone}",
        "t17": "Item = {np}\nNumber = {no}\n{hello} {it} {urgency} {bye}",
    },
}
ORDERS: dict[str, list[str]] = {
    "known": [
        "My order number is {o}.", "Order {o}.", "The order is {o}.", "It was order {o}.", "(order {o})", "Order no. {o}.",
        "I ordered it under {o}.", "You find it under {o}.", "Number {o} in your shop.", "My order: {o}.", "Ordered last month as {o}.",
    ],
    "held_out": ["The number of my order was {o}.", "It is listed as {o}.", "See order {o} please.", "I have the order no. {o}."],
}  # fmt: skip
HELLOS: dict[str, list[str]] = {
    "known": ["Hello,", "Hi,", "Dear team,", "Good morning,", "Hi there,", "Dear Sir or Madam,", "Hello support,", "Hey!", "Good day,", ""],
    "held_out": ["Good evening,", "Hello again,", "Dear all,", "Hi folks,"],
}  # fmt: skip
MOODS: dict[str, list[str]] = {
    "known": ["I am really annoyed.", "Your shop is great, but one thing.", "I am disappointed.", "Sorry to bother you.", "Not happy.", "What a mess."],
    "held_out": ["This is no fun.", "I like your shop.", "Sorry, me again."],
}  # fmt: skip
BYES: dict[str, list[str]] = {
    "known": ["Thanks, {n}", "Best, {n}", "Kind regards, {n}", "Regards\n{n}", "{n}", "Cheers, {n}", "Yours, {n}", "Bye, {n}", "- {n}", ""],
    "held_out": ["Best wishes, {n}", "Greetings, {n}", "Have a nice day, {n}"],
}  # fmt: skip
