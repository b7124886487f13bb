"""Simulated models: llm-d-inference-sim and provider-sim."""
