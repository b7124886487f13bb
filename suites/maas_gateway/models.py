"""The models that the guide's tests talk to."""

from fixtures.stack import Provider
from suites.mixed_providers.providers import LOCAL


def _model(name: str) -> Provider:
    service = f"https:{name}-kserve-workload-svc:8000"
    return Provider(name, name, f"/llm/{name}", "", "llm", service)


SHARED = LOCAL  # open to every tier
PREMIUM = _model("premium-model")  # open to premium and enterprise
PRIVATE = _model("private-model")  # on the MaaS gateway, open to nobody
STANDARD = _model("standard-model")  # did not opt in
ALL = [SHARED, PREMIUM, PRIVATE, STANDARD]
