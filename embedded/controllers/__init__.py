"""The built-in controllers that a cluster needs: what kube-controller-manager does.

Upstream: `k8s.io/kubernetes/pkg/controller`. Each runs in the cluster's own process on
`embedded.apiserver.api.Api`, and follows its objects through the store's watch.
"""
