"""Defects that no document's sentence forbids, and that users of a gateway would not forgive."""

from tests.mutants.mutant import Mutant, ids


def hd(*numbers: int) -> frozenset[str]:
    return ids("HD", *numbers)


MUTANTS = [
    Mutant("identity-of-client-kept", hd(1)),
    Mutant("first-token-counts", hd(2)),
    Mutant("token-in-the-query", hd(3)),
    Mutant("tokens-unverified", hd(4), hd(2, 8)),
    Mutant("scheme-in-any-letters", hd(), outcomes={"HD-5": "taken"}),
    Mutant("underscores-refused", hd(), outcomes={"HD-6": "closed"}),
    Mutant("bridge-tidies-headers", hd(), outcomes={"HD-7": "closed", "HD-14": "closed"}),
    Mutant("large-identities-cached", hd(8)),
    Mutant("tiers-open-to-all", hd(9)),
    Mutant("bridge-for-anybody", hd(10), hd(2, 3, 4, 8)),
    Mutant("any-host", hd(11)),
    Mutant("short-headers-only", hd(12), hd(4, 17)),
    Mutant("keys-in-the-log", hd(13)),
    Mutant("credit-for-negative-usage", hd(15)),
    Mutant("budgets-by-full-name", hd(), hd(1), {"HD-16": "closed"}),
    Mutant("auth-fails-open", hd(18), disposables=True),
    Mutant("limits-fail-closed", hd(), outcomes={"HD-19": "closed"}, disposables=True),
    Mutant("what-is-gone-stays-gone", hd(20), disposables=True),
    Mutant("chunks-beside-a-length", hd(17)),
]
