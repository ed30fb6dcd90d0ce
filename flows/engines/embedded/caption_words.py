"""The English words that `caption_rules` knows: nouns for people, and what may stand around or after them."""

Trait = str | None


def _set(text: str) -> frozenset[str]:
    return frozenset(text.split())


_MEN = _set(
    "man gentleman guy male boy father dad husband son brother uncle grandfather grandpa king prince waiter groom "
    "businessman policeman fireman cowboy nephew salesman fisherman craftsman monk"
)
_WOMEN = _set(
    "woman lady female girl mother mom wife daughter sister aunt grandmother grandma queen princess waitress "
    "actress bride businesswoman policewoman niece saleswoman ballerina nun"
)
_CHILDREN = _set("child kid toddler baby infant boy girl schoolboy schoolgirl")
_ADULTS = _set(
    "man woman gentleman lady adult father mother dad mom husband wife grandfather grandmother grandpa grandma "
    "businessman businesswoman policeman policewoman officer soldier doctor driver king queen waiter waitress "
    "bride groom"
)
_ANYONE = _set(
    "person individual human adult figure teenager youth child kid toddler baby infant elder senior someone "
    "somebody friend colleague coworker companion partner parent sibling cousin twin neighbor neighbour classmate "
    "teammate stranger officer soldier guard sergeant captain doctor nurse surgeon patient teacher student pupil "
    "professor scientist researcher engineer worker employee manager boss farmer chef cook baker barista "
    "bartender driver passenger pilot cyclist biker rider runner jogger skater surfer skier swimmer climber hiker "
    "athlete player footballer boxer wrestler gymnast coach referee dancer singer musician guitarist pianist "
    "violinist drummer performer actor artist painter photographer model host presenter reporter journalist "
    "speaker lawyer judge politician president priest pope pedestrian passerby shopper customer seller vendor "
    "clerk cashier tourist traveler traveller visitor guest spectator onlooker bystander detective firefighter "
    "astronaut carpenter mechanic technician electrician plumber builder craftsperson tailor hairdresser barber "
    "leader member participant contestant narrator witch wizard knight warrior clown magician archer interviewer "
    "interviewee lecturer secretary receptionist butler maid"
)
NOUNS = _MEN | _WOMEN | _CHILDREN | _ANYONE

_IRREGULAR = {
    "men": "man",
    "women": "woman",
    "children": "child",
    "people": "person",
    "persons": "person",
    "ladies": "lady",
    "babies": "baby",
    "wives": "wife",
    "passersby": "passerby",
    "passers-by": "passerby",
    "coworkers": "coworker",
    "co-worker": "coworker",
    "co-workers": "coworker",
    "policemen": "policeman",
    "policewomen": "policewoman",
    "businessmen": "businessman",
    "businesswomen": "businesswoman",
    "firemen": "fireman",
    "gentlemen": "gentleman",
    "youths": "youth",
    "fishermen": "fisherman",
    "actresses": "actress",
    "waitresses": "waitress",
    "witches": "witch",
    "coaches": "coach",
}

COLLECTIVES: dict[str, int | None] = {
    "couple": 2,
    "duo": 2,
    "pair": 2,
    "trio": 3,
    "quartet": 4,
    "crowd": None,
    "audience": None,
    "family": None,
    "group": None,
    "team": None,
    "band": None,
    "crew": None,
    "choir": None,
    "orchestra": None,
}
"""People named by one noun; a number where the noun says it."""

RELATIONS = _set("friend colleague coworker companion partner classmate teammate neighbor neighbour twin sibling")
"""Nouns that name a person by another one: after a counted group they are its members."""

NUMBERS = {
    "one": 1, "two": 2, "three": 3, "four": 4, "five": 5, "six": 6, "seven": 7, "eight": 8, "nine": 9, "ten": 10,
    "eleven": 11, "twelve": 12, "both": 2,
} | {str(n): n for n in range(1, 31)}  # fmt: skip

DEFINITE = _set("the this that these those both each every")
NEW = _set("another a an second third fourth fifth other some his her their its my our your")
MEMBER = _set("first central middle leftmost rightmost other one")
SIDES = _set("middle central leftmost rightmost")
OPENERS = DEFINITE | NEW | frozenset(NUMBERS) | _set("several many few various numerous no first last all any")
STAND_INS = _set("one another other others second third")
AFTER_STAND_IN = _set(". , ; in with wearing dressed is on at who has from and to partly")
SUBJECT_PRONOUNS = {"he": "man", "she": "woman"}
LIKENESSES = _set("statue statues sculpture poster posters painting paintings drawing bust mannequin figurine cutout")
COPULAS = _set("is are was were be being likely possibly probably perhaps presumably apparently maybe")
PLACES = _set(
    "foreground background distance profile frame scene middle center centre corner room kitchen office classroom "
    "street park garden setting settings environment front view house home building hall hallway corridor field "
    "forest beach"
)
"""After `in`, a place and no clothing."""
APPEARANCE = _set("in with wearing dressed having sporting")

ADJECTIVES = _set(
    "young old older younger elderly middle-aged teenage adult little small tall short long slim slender large "
    "big thin smiling happy sad bearded bald blonde blond brunette red-haired dark-haired curly-haired "
    "grey-haired gray-haired uniformed masked seated standing pregnant muscular black white asian dark light "
    "relaxed cheerful serious male female red blue green yellow orange pink purple brown grey gray beige cream "
    "navy denim curly straight wavy thick"
)

CLOSED = OPENERS | _set(
    "and or but nor while as than then when where who whom whose which that what if because so to from at on by "
    "into onto through across along over under above below behind beside besides near next between among around "
    "toward towards down up off out inside outside within against during before after about against amid amidst "
    "in with of for without is are was were be been being am has have had do does did can could will would may "
    "might must not also both either there here it its he she they them him his her their we you i me us there's "
    "who's each every via per"
)
"""Words that end a noun phrase, or stand left of one."""

_VERBS = _set(
    "stand sit walk run talk speak look smile hold wear dance sing play sign perform show move turn raise lower "
    "pour draw jump ride drive eat drink cook read write work laugh cry wave point gesture face watch listen "
    "carry push pull lift open close put take give get go come make interact engage appear gaze stare lean rest "
    "kneel lie lay bend stretch throw catch kick hit touch hug kiss shake nod reach enter exit leave pass cross "
    "approach follow lead descend ascend climb swim surf ski skate cycle fish hike exercise pose practise "
    "practice juggle mime inspect examine use operate press type paint prepare serve clean wash brush comb cut "
    "chop tie fold pack shop pay buy sell teach explain demonstrate present discuss converse chat argue react "
    "express begin start stop pause continue remain stay wait sleep wake dream think alternate bring exchange "
    "help hand place pick drop search explore enjoy celebrate cheer clap applaud see flank engage"
)


def person(word: str) -> tuple[str | None, bool]:
    """The singular of a noun for people and whether it stood in the plural; (None, False) for any other word."""
    if word in COLLECTIVES:
        return "person", True
    if word in NOUNS:
        return word, False
    singular = _IRREGULAR.get(word, word[:-1] if word.endswith("s") else "")
    return (singular, word != "co-worker") if singular in NOUNS else (None, False)


def traits(noun: str) -> tuple[Trait, Trait]:
    """Sex and age that a noun speaks of; None: either."""
    sex = "male" if noun in _MEN else "female" if noun in _WOMEN else None
    age = "child" if noun in _CHILDREN - {"girl", "boy"} else "adult" if noun in _ADULTS else None
    return sex, age


def is_verb(word: str) -> bool:
    """Whether a word is a form of a verb that captions use of people, or any word in -ing but `wearing`."""
    if word.endswith("ing") and word not in {"wearing", "clothing", "ring", "earring", "evening", "wedding"}:
        return True
    stems = [word.removesuffix(ending) for ending in ("", "s", "es", "d", "ed", "n")]
    return any(stem in _VERBS for stem in stems)
