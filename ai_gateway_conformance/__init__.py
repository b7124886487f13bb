"""The suite as an installed program: `ai-gateway-conformance`."""
