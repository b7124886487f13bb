"""Defects of what stands behind a route: whose namesake it is, what becomes of its failures,
whether it is there still, and how its questions and answers come."""

from tests.mutants.external_models import em
from tests.mutants.hardening import hd
from tests.mutants.mutant import Mutant, at
from tests.mutants.whose import EVERYTHING

MUTANTS = [
    # namesakes
    Mutant("destinations-by-name-alone", hd(118), at=at("objects")),
    # It stays gone, for all that comes after.
    Mutant("who-has-lost-a-namesake-is-gone", hd(118), hd(*range(1, 200)), at=at("objects")),
    Mutant("one-services-namesake-takes-its-requests", hd(118), at=at("objects", "routes")),
    Mutant("one-routes-namesake-has-its-policy", hd(118), at=at("objects", "routes")),
    # failures
    Mutant("who-is-overloaded-is-asked-again", hd(26)),
    Mutant("one-operations-limit-is-asked-for-again", hd(26), at=at("routes", "operations")),
    Mutant("fifteen-errors-take-one-provider-away", hd(117), at=at("routes")),
    Mutant("a-dozen-failures-take-one-model-away", hd(117), at=at("routes")),
    # what is there no more
    Mutant("deleted-destinations-are-asked-on", em(23)),
    # Also a Service whose Pods have gone with it.
    Mutant("deleted-services-are-asked-on", hd(70), hd(75)),
    # how they come
    Mutant("answers-are-packed-for-who-takes-brotli", hd(55, 105)),
    Mutant(
        "questions-in-chunks-have-the-default-model",
        hd(33),
        overlay=EVERYTHING,
        at=at("routes"),
    ),
]
