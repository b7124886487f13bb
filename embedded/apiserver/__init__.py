"""The Kubernetes API: discovery, CRUD, list/watch, patches, RBAC, reviews, logs, proxy.

Upstream: kubernetes/kubernetes `staging/src/k8s.io/apiserver`; conventions from
kubernetes/community `contributors/devel/sig-architecture/api-conventions.md`.
Left out: protobuf bodies, admission webhooks, aggregation, resource quotas, CEL
validation rules of CRDs, conversion other than `None`.
"""
