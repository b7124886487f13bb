"""Who is greeted, and how."""

from greetings.places import PATH

from fixtures.evidence import CLIENT
from fixtures.evidence.requirements import requirement
from fixtures.evidence.verdicts import Decision
from fixtures.stack import Identity, Stack


@requirement("GR-1")
def test_who_has_a_token_is_greeted(stack: Stack, alice: Identity) -> None:
    exchange = stack.send("GET", PATH, alice).expect_status(200)
    said = exchange.response.text
    exchange.expect(CLIENT, said == "Good morning", "Good morning", said)


@requirement("GR-2")
def test_who_has_none_is_refused(stack: Stack) -> None:
    stack.send("GET", PATH).expect_status(401)


@requirement("GR-3")
def test_german(stack: Stack, alice: Identity, decide: Decision) -> None:
    english = stack.send("GET", PATH, alice).expect_status(200).response.text
    german = stack.send("GET", PATH, alice, headers={"accept-language": "de"}).expect_status(200)
    decide("present" if german.response.text == english else "closed")
