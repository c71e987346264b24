"""The sentence forms of the story world: what is told, in several wordings each.

A scene is one to three sentences about one thing. In a form
  {concept}         is a word of that concept (or union of concepts); {concept2} another one of it
  {Concept}         the same word with a capital;  {a:concept} with its article,  {A:concept} with a capital article
  {weekday+1}       the word that many places after {weekday}; {gap} is a number word from two to six and
  {weekday+gap}     the word that far on
  {capital.key}     one side of a relation's pair, {capital.value} the other
  {hero} {friend}   the two characters of the document; {he} {his} {him} agree with the hero, {name} is the hero's name
  ^                 stands before the word that a probe asks for: everything before it determines that word
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Scene:
    """One kind of scene: its weight among all scenes, its forms, and the probe kind of the forms that hold a `^`."""

    kind: str
    weight: float
    forms: tuple[str, ...]
    probe: str | None = None


def _scene(kind: str, weight: float, *forms: str, probe: str | None = None) -> Scene:
    return Scene(kind, weight, forms, probe)


UNIONS: dict[str, tuple[str, ...]] = {
    "animal": ("mammal", "bird", "fish_kind", "insect", "reptile"),
    "place": ("building", "landscape", "workplace"),
    "food": ("fruit_kind", "vegetable_kind", "dish"),
    "belonging": ("clothing", "treasure", "tool_kind"),
    "thing": ("furniture", "tool_kind", "vehicle_kind", "instrument_kind", "clothing"),
    "feeling": (
        "joy", "sadness", "anger", "fear", "surprise", "disgust",
        "pride", "calm", "tiredness", "gratitude", "boredom", "envy",
    ),
    "person": ("royalty", "family", "people"),
    "garden_plant": ("flower_kind", "tree_kind"),
}  # fmt: skip

ORDER_SCENES = (
    _scene(
        "weekday_next", 4.0,
        "Today is {weekday}. Tomorrow is ^{weekday+1}.",
        "Yesterday was {weekday}. Today is ^{weekday+1}.",
        "The day after {weekday} is ^{weekday+1}.",
        "It was {weekday} and {hero} waited. The next day was ^{weekday+1}.",
        "{Weekday}, {weekday+1}, {weekday+2}, ^{weekday+3}.",
        probe="weekday",
    ),
    _scene(
        "weekday_before", 1.5,
        "The day before {weekday+1} is ^{weekday}.",
        "Today is {weekday+1}. Yesterday was ^{weekday}.",
        probe="weekday_before",
    ),
    _scene(
        "weekday_offset", 5.0,
        "{Gap} days after {weekday} is ^{weekday+gap}.",
        "Today is {weekday}. In {gap} days it will be ^{weekday+gap}.",
        probe="weekday_offset",
    ),
    _scene(
        "month_next", 4.0,
        "This month is {month}. Next month is ^{month+1}.",
        "The month after {month} is ^{month+1}.",
        "Last month was {month}. Now it is ^{month+1}.",
        "{Hero} left in {month}. The next month was ^{month+1}.",
        "{Month}, {month+1}, {month+2}, ^{month+3}.",
        probe="month",
    ),
    _scene("month_before", 1.5, "The month before {month+1} is ^{month}.", probe="month_before"),
    _scene(
        "month_season", 1.5,
        "The month of {month_season.key} is in ^{month_season.value}.",
        "It was {month_season.key}, a month of ^{month_season.value}.",
        probe="month_season",
    ),
    _scene(
        "season_next", 1.5,
        "After {season} comes ^{season+1}.",
        "The season after {season} is ^{season+1}.",
        "When {season} ended, {hero} waited for ^{season+1}.",
        probe="season",
    ),
    _scene(
        "count_up", 4.0,
        "{Hero} counted up: {number_word}, {number_word+1}, {number_word+2}, ^{number_word+3}.",
        "The number after {number_word} is ^{number_word+1}.",
        "Counting up, {he} called {number_word}, {number_word+1}, ^{number_word+2}.",
        probe="count_up",
    ),
    _scene(
        "count_down", 4.0,
        "{Hero} counted down: {number_word}, {number_word-1}, {number_word-2}, ^{number_word-3}.",
        "The number before {number_word} is ^{number_word-1}.",
        "Counting down, {he} called {number_word}, {number_word-1}, ^{number_word-2}.",
        probe="count_down",
    ),
    _scene("tens", 0.6, "{Hero} counted in tens: {tens_word}, {tens_word+1}, {tens_word+2}."),
)  # fmt: skip

FACT_SCENES = (
    _scene(
        "category_animal", 1.5,
        "{A:mammal} is a mammal. A mammal is an animal.", "{A:bird} is a bird. A bird is an animal.",
        "{A:fish_kind} is a fish. A fish is an animal.", "{A:insect} is an insect. An insect is an animal.",
        "{A:reptile} is a reptile. A reptile is an animal.",
    ),
    _scene(
        "category_member", 2.0,
        "Is {a:mammal} a mammal? Yes, {a:mammal} is a mammal.", "The {mammal} is a mammal like the {mammal2}.",
        "The {bird} is a bird like the {bird2}.", "The {fish_kind} is a fish like the {fish_kind2}.",
        "The {insect} is an insect like the {insect2}.", "The {reptile} is a reptile like the {reptile2}.",
        "{A:garden_plant} is a plant.",
    ),
    _scene(
        "category_thing", 1.5,
        "{A:tree_kind} is a tree, and a tree is a plant.", "{A:flower_kind} is a flower, and a flower is a plant.",
        "{A:fruit_kind} is a fruit, and fruit is food.", "{A:vegetable_kind} is a vegetable and can be food.",
        "Is {drink_kind} a drink? Yes, {drink_kind} is a drink.", "{A:tool_kind} is a tool.", "{A:vehicle_kind} is a vehicle.",
        "{A:instrument_kind} is an instrument.", "The sport of {sport_kind} is older than {sport_kind2}.", "The city of {city} is older than {city2}.",
        "The country of {country} is near {country2}.", "The colour {colour_kind} is like {colour_kind2}.",
    ),
    _scene(
        "capital", 3.0,
        "{Capital.value} is the capital of ^{capital.key}.", "The capital of {capital.key} is ^{capital.value}.",
        "{Hero} travelled to {capital.key} and stayed in ^{capital.value}.",
        probe="capital",
    ),
    _scene(
        "work", 2.2,
        "{Name} is {a:work.key}. {He} works in the {work.value}.", "The {work.key} went to the {work.value}.",
        "In the {work.value} worked {a:work.key}.", "{Name} wants to be {a:profession} when {he} is older.",
        "The {profession} and the {profession2} worked together.", "\"I am {a:profession},\" {speech} {name}.",
    ),
    _scene(
        "sound", 1.5,
        "The {sound.key} {sound.value} at the {people}.", "\"Listen,\" {speech} {hero}, \"the {sound.key} {sound.value}.\"",
        "In the {time_of_day} the {sound.key} {sound.value}.",
    ),
    _scene(
        "typical_colour", 1.0,
        "The {typical_colour.key} is {typical_colour.value}.", "What colour is the {typical_colour.key}? It is {typical_colour.value}.",
    ),
    _scene(
        "biology", 1.2,
        "The {biology} is part of the {biology2}.", "Under the microscope {he} {perception} {a:biology}.",
        "Every {biology} needs {a:biology2}.",
    ),
    _scene(
        "material", 1.2,
        "The {treasure} was made of {material}.", "The {thing} is made of {material} and {material2}.",
        "The {work.key} {making} a box of {material}.",
    ),
    _scene(
        "school", 1.2,
        "At school {hero} {studying} {subject}.", "\"Open the book of {subject},\" {speech} the teacher.",
        "The lesson of {subject} was {taste}, but {subject2} was {quality}.",
    ),
)  # fmt: skip

WORLD_SCENES = (
    _scene(
        "weather", 1.8,
        "It was {a:weather_adjective} day and the {weather_noun} came from the {direction}.",
        "The {weather_noun} and the {weather_noun2} lasted all {time_of_day}.",
        "In {season} it is often {weather_adjective}.", "The weather was {weather_adjective} in {month}.",
    ),
    _scene(
        "sky", 1.0,
        "The {sky} was {colour_kind} above the {landscape}.", "{Hero} {perception} the {sky} and the {sky2}.",
    ),
    _scene(
        "journey", 2.2,
        "{Hero} {motion} {manner} to the {place}.", "{Hero} {motion} over the {landscape} to the {water}.",
        "{He} {motion} from the {place} to the {place2}.", "Then {hero} {motion} {direction} by {vehicle_kind}.",
        "They {motion} {direction} across the {water}.",
    ),
    _scene(
        "country", 1.0,
        "{Hero} visited {country}, {country2} and {city}.", "In {country} {he} {greeting} {a:profession}.",
        "{Name} comes from {city}.",
    ),
    _scene(
        "house", 1.2,
        "In the {room} stood {a:size} {furniture} and {a:furniture2}.", "The {furniture} is in the {room}.",
        "{Hero} {taking} the {furniture} into the {room}.",
    ),
    _scene(
        "vehicle", 1.0, "The {colour_kind} {vehicle_kind} stopped near the {building}.",
        "{Hero} bought {a:age} {vehicle_kind}.",
    ),
    _scene(
        "garden", 1.2,
        "In the garden {growing} {a:flower_kind} and {a:tree_kind}.", "The {tree_kind} {growing} beside the {flower_kind}.",
        "{Hero} planted {a:flower_kind} under the {tree_kind}.",
    ),
    _scene(
        "animal_meets", 2.0,
        "{A:size} {animal} {motion} {manner} into the {landscape}.", "The {mammal} and the {bird} lived near the {water}.",
        "{Hero} {perception} {a:colour_kind} {animal}.", "The {fish_kind} swam in the {water}.",
        "{A:insect} sat on the {flower_kind}.", "{A:bird} flew over the {landscape}.", "{A:reptile} slept on a rock.",
    ),
    _scene(
        "time", 1.6,
        "One {time_of_day} in {season}, {hero} {motion} to the {place}.", "It was {a:weather_adjective} {time_of_day}.",
        "After {number_word} {time_span} {hero} came back.", "{Time_adverb} it is {time_of_day}.", "Every {time_unit} {hero} {liking} the {sky} {time_adverb}.",
        "At {number_word} in the {time_of_day} {he} {eating} {dish}.", "They waited for {number_word} {time_span}.",
    ),
    _scene(
        "ordinal", 0.9,
        "The {ordinal} {thing} was {colour_kind}, the {ordinal2} was {colour_kind2}.",
        "{Hero} was the {ordinal} to come and {friend} the {ordinal2}.",
    ),
    _scene("number", 1.2, "{Name} is {number_word} {time_span} old.", "There were {number_word} of them in the {building}.",
           "The {building} has {tens_word} windows."),
)  # fmt: skip

PEOPLE_SCENES = (
    _scene(
        "because", 5.0,
        "{Hero} was {feeling} because ^{he} had {finding} the {belonging}.",
        "{Hero} {facial} because ^{he} was {feeling}.",
        "{Hero} {motion} home after ^{he} had {harm} the {thing}.",
        probe="pronoun",
    ),
    _scene(
        "own", 3.5,
        "{Hero} {taking} the {belonging} with ^{his} {body_part}.",
        "{Hero} raised ^{his} {body_part}.",
        "{Hero} put on ^{his} {clothing} and {his} {clothing2}.",
        probe="possessive",
    ),
    _scene("royal", 1.8, "The {royalty} and the {royalty2} lived in {a:age} palace.", "The {royalty} wore the {treasure}.",
           "The {royalty} {giving} the {treasure} to the {royalty2}."),
    _scene("family", 1.8, "The {family} of {name} {motion} to the {building}.", "{Hero} {greeting} {his} {family} and {his} {family2}.",
           "\"Where is my {family}?\" {asking} {friend}.", "The {family} {eating} {dish} with the {family2}."),
    _scene("people", 0.9, "{A:character} {people} {greeting} {a:people2}.", "The {people} was {character} and {character2}."),
    _scene("character", 1.4, "{Hero} was {degree} {character}.", "{Friend} is {character}, but {hero} is {degree} {character2}.",
           "What {a:character} {person}!"),
    _scene("meal", 2.4, "{Hero} {eating} {a:fruit_kind} and {a:vegetable_kind}.", "{He} {eating} {degree} {taste} {dish} with {drink_kind}.",
           "\"I like {drink_kind} and {dish},\" {speech} {hero}.", "The {fruit_kind} was {taste} and {taste2}.",
           "{Friend} {eating} {drink_kind} and {drink_kind2}.", "{Hero} cut the {vegetable_kind} and the {vegetable_kind2}."),
    _scene("clothes", 1.2, "{Hero} wore {a:colour_kind} {clothing} and {a:texture} {clothing2}.", "The {clothing} was {texture} and {colour_kind}."),
    _scene("make", 1.5, "{Hero} {making} {a:thing} with the {tool_kind}.", "The {profession} {making} {a:size} {furniture}.",
           "{He} needs {a:tool_kind} and {a:tool_kind2}."),
    _scene("give", 1.5, "{Hero} {giving} {friend} {a:belonging}.", "{Friend} {giving} {him} {a:quality} {thing}.",
           "{Hero} {finding} {a:treasure} in the {room}."),
    _scene("think", 1.0, "{Hero} {thought} of the {person}.", "{He} {thought} that the {thing} was {quality}."),
    _scene("like", 1.3, "{Hero} {frequency} {liking} {drink_kind}.", "{Hero} {liking} {subject} and {sport_kind}.",
           "{He} {frequency} {motion} to the {place}.", "{Friend} {liking} the {animal}."),
    _scene("sport", 1.0, "{Hero} played {sport_kind} and {sport_kind2} with {friend}.", "On {weekday} they play {sport_kind}.",
           "{Friend} won the game of {sport_kind}."),
    _scene("play", 1.0, "{Hero} {sound_making} the {instrument_kind} {degree} {manner}.", "The {instrument_kind} and the {instrument_kind2} sounded {quality}.",
           "{Name} played {a:instrument_kind} and {friend} sang."),
    _scene("hurt", 1.1, "{Hero} {harm} {his} {body_part} and {his} {body_part2}.", "The {animal} {harm} the {body_part} of {friend}.",
           "{His} {body_part} was {colour_kind}."),
    _scene("place_talk", 1.6, "\"Where is the {belonging}?\" {asking} {hero}. \"It is in the {room},\" {speech} {friend}.",
           "\"Come with me to the {place}!\" {speech} {hero}.", "\"Why are you {feeling}?\" {asking} {friend}.",
           "\"Thank you, {name},\" {speech} {friend} {manner}.", "\"How {quality} the {thing} is!\" {speech} {hero}."),
    _scene("quality", 0.9, "The {thing} was {degree} {quality}.", "It is {a:size} {building} and {a:size2} {landscape}.", "The {animal} is {texture} and {size}."),
)  # fmt: skip

FEELING_SCENES = (
    _scene("joy", 1.2, "{Hero} won a prize and was {joy}.", "It was the birthday of {name}. {He} felt {joy} and {joy2}.",
           "{Hero} danced and sang. {He} was {degree} {joy}."),
    _scene("sadness", 1.1, "{Hero} lost {his} {belonging} and felt {sadness}.", "Nobody came to visit {hero}. {He} was {sadness} and {sadness2}.",
           "{Friend} went away. {Hero} wept and was {degree} {sadness}."),
    _scene("anger", 1.1, "{Friend} broke the {thing} of {hero}. {He} was {anger}.", "{Friend} lied, so {hero} was {anger} and {anger2}.",
           "\"You stole my {belonging}!\" shouted {hero}, who was {degree} {anger}."),
    _scene("fear", 1.1, "{Hero} heard a ghost in the dark and was {fear}.", "The {reptile} crept near. {Hero} trembled and was {fear}."),
    _scene("surprise", 1.0, "Suddenly the {thing} spoke. {Hero} was {surprise}.", "Nobody expected the {animal}. {Hero} was {degree} {surprise}."),
    _scene("disgust", 0.9, "The {dish} smelled rotten. {Hero} was {disgust}.", "{Hero} was {disgust} by the dirty {room}."),
    _scene("pride", 0.9, "{Hero} finished the {subject} test and felt {pride}.", "{Hero} reached the top of the mountain. {He} was {pride}."),
    _scene("calm", 0.9, "{Hero} rested by the {water} and felt {calm}.", "All was still. {Hero} was {calm} and {calm2}."),
    _scene("tiredness", 0.9, "{Hero} worked all {time_of_day} and was {tiredness}.", "After the long journey {he} was {degree} {tiredness}."),
    _scene("gratitude", 0.8, "{Friend} saved the life of {hero}. {He} was {gratitude}.", "\"Thank you,\" {speech} {hero}, who felt {gratitude}."),
    _scene("boredom", 0.8, "{Hero} had nothing to do and was {boredom}.", "The speech was too long. {Hero} felt {boredom}."),
    _scene("envy", 0.8, "{Friend} had a better {belonging}. {Hero} was {envy}.", "{Hero} wanted the {treasure} of {friend} and felt {envy}."),
)  # fmt: skip

SCENES: tuple[Scene, ...] = ORDER_SCENES + FACT_SCENES + WORLD_SCENES + PEOPLE_SCENES + FEELING_SCENES
