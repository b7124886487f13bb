"""Where greetings are."""

PATH = "/greetings"
