"""wg-ai-gateway: its controller."""
