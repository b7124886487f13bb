"""Who gets to see which secret; `test_what_is_shown` has what the cluster shows to everybody."""

from fixtures.evidence import BACKEND
from fixtures.evidence.requirements import requirement
from fixtures.evidence.verdicts import Decision
from fixtures.stack import Identity, Stack
from suites.mixed_providers.providers import OPENAI, VLLM


@requirement("HD-14")
def test_the_users_token_at_the_provider(stack: Stack, alice: Identity, decide: Decision) -> None:
    """Present where the key has a header of its own; replaced where it is Authorization."""
    token = alice.token.reveal()
    exchange = stack.chat(VLLM, alice).expect_status(200)
    record = exchange.expect_backend_received(VLLM.name)
    exchange.expect(BACKEND, token not in record.headers.text, "the token nowhere", "in a header")
    other = stack.chat(OPENAI, alice).expect_status(200).expect_backend_received(OPENAI.name)
    decide("present" if token in other.headers.text else "closed")
