"""The API server against the real kubectl."""

from __future__ import annotations

import json

import pytest
import yaml

from tests.conftest import Cluster

WEB = """
apiVersion: apps/v1
kind: Deployment
metadata: {name: web}
spec:
  replicas: 1
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec:
      terminationGracePeriodSeconds: 1
      containers:
      - name: web
        image: python:3.12
        command: [python, -m, http.server, "8000", --bind, $(POD_IP)]
        env: [{name: POD_IP, valueFrom: {fieldRef: {fieldPath: status.podIP}}}]
        readinessProbe: {httpGet: {path: /, port: 8000}}
---
apiVersion: v1
kind: Service
metadata: {name: web}
spec: {selector: {app: web}, ports: [{name: http, port: 80, targetPort: 8000}]}
"""


def as_json(text: str) -> str:
    """kubectl takes text that begins with a brace for JSON."""
    return json.dumps(yaml.safe_load(text))


def test_deployment_from_apply_to_delete(cluster: Cluster, namespace: str) -> None:
    """apply, rollout status, wait, get, logs, describe, proxy, scale, delete."""
    at = ("-n", namespace)
    assert "deployment.apps/web created" in cluster.kubectl("apply", *at, "-f", "-", stdin=WEB)
    cluster.kubectl("rollout", "status", *at, "deployment/web", "--timeout=30s")
    cluster.kubectl("wait", *at, "--for=condition=Ready", "pod", "-l", "app=web", "--timeout=30s")
    assert "unchanged" in cluster.kubectl("apply", *at, "-f", "-", stdin=WEB)
    row = cluster.kubectl("get", *at, "pods", "--no-headers").split()
    assert row[1:3] == ["1/1", "Running"]
    path = f"/api/v1/namespaces/{namespace}/services/web:http/proxy/"
    assert "Directory listing" in cluster.kubectl("get", "--raw", path)
    assert '"GET / HTTP/1.1" 200' in cluster.kubectl("logs", *at, "deployment/web")
    assert "Available" in cluster.kubectl("describe", *at, "deployment", "web")
    cluster.kubectl("scale", *at, "deployment/web", "--replicas=2")
    cluster.kubectl("rollout", "status", *at, "deployment/web", "--timeout=30s")
    assert len(cluster.kubectl("get", *at, "pods", "--no-headers").splitlines()) == 2
    cluster.kubectl("delete", *at, "-f", "-", "--timeout=20s", stdin=WEB)
    cluster.kubectl("wait", *at, "--for=delete", "pod", "-l", "app=web", "--timeout=20s")


def test_rollout_replaces_pods(cluster: Cluster, namespace: str) -> None:
    """A new template gives new Pods, and the old ones go."""
    at = ("-n", namespace)
    cluster.kubectl("apply", *at, "-f", "-", stdin=WEB)
    cluster.kubectl("rollout", "status", *at, "deployment/web", "--timeout=30s")
    changed = WEB.replace("python:3.12", "python:3.13")
    assert "configured" in cluster.kubectl("apply", *at, "-f", "-", stdin=changed)
    cluster.kubectl("rollout", "status", *at, "deployment/web", "--timeout=30s")
    images = "jsonpath={.items[?(@.status.phase=='Running')].spec.containers[0].image}"
    cluster.kubectl("wait", *at, "--for=delete", "pod", "-l", "app=web,gone=yes", "--timeout=5s")
    assert "python:3.13" in cluster.kubectl("get", *at, "pods", "-o", images)


def test_tokens_and_identity(cluster: Cluster, namespace: str) -> None:
    """create token, auth whoami with it, auth can-i with and without rights."""
    at = ("-n", namespace)
    cluster.kubectl("create", "serviceaccount", *at, "bob")
    token = cluster.kubectl("create", "token", *at, "bob", "--duration=15m").strip()
    who = json.loads(cluster.kubectl("auth", "whoami", "--token", token, "-o", "json"))
    user = f"system:serviceaccount:{namespace}:bob"
    assert who["status"]["userInfo"]["username"] == user
    denied = cluster.run("kubectl", "auth", "can-i", "list", "pods", *at, "--as", user)
    assert (denied.stdout.strip(), denied.returncode) == ("no", 1)
    cluster.kubectl("create", "role", *at, "reader", "--verb=list,get", "--resource=pods")
    cluster.kubectl(
        "create", "rolebinding", *at, "bob", "--role=reader", f"--serviceaccount={namespace}:bob"
    )
    assert cluster.kubectl("auth", "can-i", "list", "pods", *at, "--as", user).strip() == "yes"
    assert cluster.kubectl("get", "pods", *at, "--token", token) == ""
    refused = cluster.refused("get", "secrets", *at, "--token", token)
    assert (
        f'secrets is forbidden: User "{user}" cannot list resource "secrets" in API group "" in '
        f'the namespace "{namespace}"' in refused
    )
    assert "may not specify a duration less than 10 minutes" in cluster.refused(
        "create", "token", *at, "bob", "--duration=1m"
    )


def test_demo_is_shown_ready(cluster: Cluster) -> None:
    """The columns that a person looks at: Programmed, Accepted, Enforced, Running."""
    gateways = cluster.kubectl("get", "gateways", "-A", "--no-headers").splitlines()
    assert {line.split()[1]: line.split()[-2] for line in gateways} == {
        "maas-default-gateway": "True",
        "poc-gateway": "True",
    }
    policies = cluster.kubectl("get", "authpolicies", "-A", "--no-headers").splitlines()
    assert len(policies) == 5
    assert {tuple(line.split()[2:4]) for line in policies} == {("True", "True")}
    pods = cluster.kubectl("get", "pods", "-A", "--no-headers").splitlines()
    running = [line for line in pods if line.split()[3] == "Running"]
    assert [line for line in running if line.split()[2] not in ("1/1", "2/2")] == []


@pytest.mark.parametrize(
    ("manifest", "says"),
    [
        (
            "{apiVersion: gateway.networking.k8s.io/v1, kind: HTTPRoute, metadata: {name: x}, "
            "spec: {rulez: []}}",
            'strict decoding error: unknown field "spec.rulez"',
        ),
        (
            "{apiVersion: v1, kind: ConfigMap, metadata: {name: x}, dataa: {}}",
            'unknown field "dataa"',
        ),
        (
            "{apiVersion: example.com/v1, kind: Nothing, metadata: {name: x}}",
            'no matches for kind "Nothing" in version "example.com/v1"',
        ),
        (
            "{apiVersion: gateway.networking.k8s.io/v1, kind: Gateway, metadata: {name: x}, "
            "spec: {gatewayClassName: c, listeners: [{name: a, port: 99999, protocol: HTTP}]}}",
            "spec.listeners[0].port: Invalid value: 99999: spec.listeners[0].port in body should "
            "be less than or equal to 65535",
        ),
        (
            "{apiVersion: ainetworking.prototype.x-k8s.io/v0alpha0, kind: XBackendDestination, "
            "metadata: {name: x}, spec: {destination: {type: Host, ports: [{number: 1, "
            "protocol: HTTP}]}}}",
            'spec.destination.type: Unsupported value: "Host": supported values: "Fqdn", "Service"',
        ),
        (
            "{apiVersion: kuadrant.io/v1, kind: AuthPolicy, metadata: {name: x}, spec: {}}",
            "spec.targetRef: Required value",
        ),
        (
            "{apiVersion: v1, kind: ConfigMap, metadata: {name: Not_A_Name}}",
            "a lowercase RFC 1123 subdomain must consist of",
        ),
        (
            "{apiVersion: apps/v1, kind: Deployment, metadata: {name: x}, spec: {selector: "
            "{matchLabels: {a: b}}, template: {metadata: {labels: {a: c}}, spec: {containers: "
            "[{name: c, image: i}]}}}}",
            "`selector` does not match template `labels`",
        ),
    ],
    ids=["field", "builtin-field", "kind", "range", "enum", "required", "name", "labels"],
)
def test_wrong_objects_are_refused(cluster: Cluster, manifest: str, says: str) -> None:
    """With Kubernetes' own words, and nothing is stored."""
    assert says in cluster.refused("apply", "-f", "-", stdin=as_json(manifest))


def test_unknown_image_is_shown(cluster: Cluster, namespace: str) -> None:
    """ErrImagePull or ImagePullBackOff, and an event that says what to do."""
    at = ("-n", namespace)
    cluster.kubectl("run", *at, "odd", "--image=example.com/odd:1")
    reason = "jsonpath={.status.containerStatuses[0].state.waiting.reason}"
    cluster.kubectl("wait", *at, "pod/odd", f"--for={reason}=ImagePullBackOff", "--timeout=10s")
    assert "has no example.com/odd" in cluster.kubectl("describe", *at, "pod", "odd")


def test_missing_config_map_is_shown_and_healed(cluster: Cluster, namespace: str) -> None:
    """FailedMount until the ConfigMap is there; then the Pod runs and sees the file."""
    at = ("-n", namespace)
    pod = """
    apiVersion: v1
    kind: Pod
    metadata: {name: reader}
    spec:
      restartPolicy: Never
      containers:
      - name: c
        image: python:3.12
        command: [python, -c, "print(open('/etc/app/greeting').read())"]
        volumeMounts: [{name: app, mountPath: /etc/app}]
      volumes: [{name: app, configMap: {name: app}}]
    """
    cluster.kubectl("apply", *at, "-f", "-", stdin=pod)
    events = ("get", *at, "events", "--field-selector=reason=FailedMount", "-o", "name")
    for _ in range(50):
        if cluster.kubectl(*events):
            break
    assert 'configmap "app" not found' in cluster.kubectl("describe", *at, "pod", "reader")
    cluster.kubectl("create", "configmap", *at, "app", "--from-literal=greeting=hello")
    phase = "--for=jsonpath={.status.phase}=Succeeded"
    cluster.kubectl("wait", *at, "pod/reader", phase, "--timeout=10s")
    assert cluster.kubectl("logs", *at, "reader") == "hello\n"


def test_server_side_apply_conflicts(cluster: Cluster, namespace: str) -> None:
    """Two managers, one field: refused with both names, taken with force."""
    at = ("-n", namespace, "--server-side")

    def config_map(value: object) -> str:
        data = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "x"}}
        return json.dumps({**data, "data": {"a": value}})

    cluster.kubectl("apply", *at, "--field-manager=one", "-f", "-", stdin=config_map("one"))
    two = (*at, "--field-manager=two", "-f", "-")
    refused = cluster.refused("apply", *two, stdin=config_map("two"))
    assert 'conflict with "one": .data.a' in refused.replace("\n- ", " ")
    refused = cluster.refused("apply", *two, "--force-conflicts", stdin=config_map(2))
    assert "data.a in body must be of type string" in refused
    cluster.kubectl("apply", *two, "--force-conflicts", stdin=config_map("two"))
    value = cluster.kubectl("get", "-n", namespace, "configmap", "x", "-o", "jsonpath={.data.a}")
    assert value == "two"


def test_patches(cluster: Cluster, namespace: str) -> None:
    """JSON, merge and strategic patches; a list merges by its key."""
    at = ("-n", namespace)
    cluster.kubectl("apply", *at, "-f", "-", stdin=WEB)
    web = {"name": "web", "env": [{"name": "A", "value": "1"}]}
    env = json.dumps({"spec": {"template": {"spec": {"containers": [web]}}}})
    cluster.kubectl("patch", *at, "deployment", "web", "--type=strategic", "-p", env)
    names = "jsonpath={.spec.template.spec.containers[0].env[*].name}"
    found = cluster.kubectl("get", *at, "deployment", "web", "-o", names)
    assert sorted(found.split()) == ["A", "POD_IP"]
    cluster.kubectl(
        "patch", *at, "deployment", "web", "--type=json", "-p",
        '[{"op":"replace","path":"/spec/replicas","value":0}]',
    )  # fmt: skip
    cluster.kubectl(
        "patch", *at, "deployment", "web", "--type=merge", "-p", '{"metadata":{"labels":{"x":"y"}}}'
    )
    both = "jsonpath={.spec.replicas} {.metadata.labels.x}"
    assert cluster.kubectl("get", *at, "deployment", "web", "-o", both) == "0 y"
    missing = '[{"op":"remove","path":"/spec/nothing"}]'
    assert "error in our request" in cluster.refused(
        "patch", *at, "deployment", "web", "--type=json", "-p", missing
    )
