"""Defects of what is running already: who asks at the same moment, whose window has begun, whom the
policies remember, and what was asked in vain."""

from tests.mutants.hardening import hd
from tests.mutants.mutant import Mutant, at

MUTANTS = [
    # at the same moment
    Mutant("who-mints-last-is-minted-for", hd(37)),
    Mutant("who-lists-last-has-his-keys-listed", hd(37)),
    # an edit, and who was there before
    Mutant("raised-request-limits-are-for-newcomers", hd(71)),
    Mutant("lowered-token-limits-are-for-newcomers", hd(71)),
    Mutant("first-token-limits-of-gateways-hold", hd(71)),
    Mutant("first-conditions-of-gateways-hold", hd(72)),
    Mutant("identities-outlive-an-edit", hd(72)),
    Mutant("lookups-outlive-an-edit", hd(72)),
    Mutant("decisions-outlive-an-edit", hd(72)),
    # what is remembered for ever
    Mutant("identities-have-no-end", hd(115), windows=True),
    Mutant("lookups-have-no-end", hd(115), windows=True),
    Mutant("decisions-have-no-end", hd(115), hd(73), windows=True),
    # what was asked in vain
    Mutant("one-ways-refused-prompts-in-the-log", hd(85), at=at("routes")),
    Mutant("prompts-of-errors-in-the-log", hd(85)),
]
