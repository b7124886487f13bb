"""Who gets to see which secret; `test_what_is_shown` has what the cluster shows to everybody."""

from fixtures.evidence import BACKEND
from fixtures.evidence.requirements import requirement
from fixtures.evidence.verdicts import Decision
from fixtures.stack import Identity, Provider, Stack
from suites.mixed_providers.providers import VLLM


@requirement("HD-14")
def test_the_users_token_at_the_provider(
    stack: Stack, alice: Identity, external: Provider, decide: Decision
) -> None:
    """Present where the key has a header of its own; replaced where it is Authorization."""
    token = alice.token.reveal()
    exchange = stack.chat(VLLM, alice).expect_status(200)
    record = exchange.expect_backend_received(VLLM.name)
    exchange.expect(BACKEND, token not in record.headers.text, "the token nowhere", "in a header")
    other = stack.chat(external, alice).expect_status(200)
    record = other.expect_backend_received(external.name)
    decide("present" if token in record.headers.text else "closed")
