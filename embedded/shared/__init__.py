"""What the control plane and the stand-ins share: protocols, Go's words, ports, certificates."""
