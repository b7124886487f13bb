"""The recording provider, as what it stands for speaks."""

from __future__ import annotations

import argparse
import runpy
import threading
import time

import httpx

from manifests import FOLDER


def test_model_is_said_as_vllm_says_it() -> None:
    """maas-api shows what a model says of itself, its owner too (MP-11, EM-10)."""
    program = runpy.run_path(str(FOLDER / "recording-provider" / "base" / "provider.py"))
    flags = argparse.Namespace(
        host="127.0.0.1", port=0, model="m", api_key="", key_header="", ssl_certfile=""
    )
    server = program["Provider"](flags)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        port = server.server_address[1]
        body = httpx.get(f"http://127.0.0.1:{port}/v1/models", trust_env=False).json()
    finally:
        server.shutdown()
        server.server_close()
    (model,) = body["data"]
    (permission,) = model.pop("permission")
    assert abs(model.pop("created") - time.time()) < 60
    assert model.pop("max_model_len") > 0
    assert (body["object"], model) == (
        "list",
        {"id": "m", "object": "model", "owned_by": "vllm", "root": "m", "parent": None},
    )
    assert (permission["object"], permission["organization"]) == ("model_permission", "*")
