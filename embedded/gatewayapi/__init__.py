"""Gateway API → Envoy: what the two gateway controllers have in common.

Source: kubernetes-sigs/gateway-api `apis/v1` (semantics, conditions, precedence).
"""
