"""Errors meant for a person at a terminal."""


class EmbeddedError(Exception):
    """One line that says what was expected, what was found and what to do."""
