"""The vLLM Semantic Router."""
