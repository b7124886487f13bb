"""The document's providers: models, paths, headers and keys are its own."""

from dataclasses import replace

from fixtures.secrets import Secret
from fixtures.stack import Provider

OPENAI = Provider(
    name="openai",
    model="gpt-4",
    path="/external/openai",
    egress_path="/openai",
    namespace="external-models",
    service="openai-simulator:8000",
    key_header="X-Provider-Api-Key",
    key=Secret("sk-openai-key-for-demo"),
)
ANTHROPIC = Provider(
    name="anthropic",
    model="claude-3-sonnet",
    path="/external/anthropic",
    egress_path="/anthropic",
    namespace="external-models",
    service="anthropic-simulator:8000",
    key_header="X-Provider-Api-Key",
    key=Secret("sk-ant-claude-key-for-demo"),
)
VLLM = Provider(
    name="vllm",
    model="Qwen/Qwen3-0.6B",
    path="/external/vllm",
    egress_path="/vllm",
    namespace="external-models",
    service="vllm-server:8000",
    key_header="Authorization",
    key=Secret("change-me-super-secret"),
    real="real_vllm",
)
LOCAL = Provider(
    name="local",
    model="facebook/opt-125m",
    path="/llm/facebook-opt-125m-simulated",
    egress_path="",
    namespace="llm",
    service="https:facebook-opt-125m-simulated-kserve-workload-svc:8000",
)
EXTERNAL = [OPENAI, ANTHROPIC, VLLM]
ALL = [*EXTERNAL, LOCAL]


def documents(provider: Provider) -> Provider:
    """The document's own simulator of a provider, which runs beside its recorder."""
    return replace(provider, service=f"documents-{provider.name}:8000")
