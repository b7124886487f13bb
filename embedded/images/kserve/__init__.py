"""KServe: the LLMInferenceService controller."""
