"""Registers the plugins: the suite's options and fixtures, and its reports."""

pytest_plugins = [
    "fixtures.documents_plugin",
    "fixtures.plugin",
    "fixtures.disposables",
    "fixtures.afterwards",
    "fixtures.selection",
    "fixtures.shared_plugin",
    "fixtures.watching",
    "reports.plugin",
    "reports.listed",
]
