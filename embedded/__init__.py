"""A Kubernetes cluster made of local processes: no Docker, no root, nothing beyond loopback.

The parts, from the bottom up: `embedded.apiserver` (the Kubernetes API over HTTPS),
`embedded.controllers` (what kube-controller-manager does), `embedded.node` (what a
kubelet, kube-proxy and cluster DNS do) and `embedded.images` (container image name to
process). `python -m embedded` drives it by hand.
"""
