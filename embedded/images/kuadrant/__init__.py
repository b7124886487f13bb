"""Kuadrant: its operator, Authorino, Limitador and the wasm-shim."""
