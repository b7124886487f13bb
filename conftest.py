"""Registers the plugins: the suite's options and fixtures, and its reports."""

pytest_plugins = [
    "fixtures.plugin",
    "fixtures.disposables",
    "fixtures.selection",
    "fixtures.shared_plugin",
    "fixtures.watching",
    "reports.plugin",
    "reports.listed",
]
