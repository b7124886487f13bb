"""Namespaces under other names than the documents'."""

import pytest

from fixtures.clusters.existing.renamed import Names

NAMES = Names({"opendatahub": "redhat-ods-applications", "kuadrant-system": "rh-kuadrant"})


@pytest.mark.parametrize(
    "text",
    [
        "/api/v1/namespaces/{}/configmaps/opendatahub-config?force=true",
        "/api/v1/namespaces/{}",
        '{{"namespace":"{}","name":"maas-api"}}',
        "system:serviceaccount:{}:maas-api",
        "system:serviceaccounts:{}",
        "https://maas-api.{}.svc.cluster.local:8443/v1/tiers/lookup",
        "https://maas-api.{}.svc:8443",
        "there is no ConfigMap {}/external-model-registry",
        "name: {}",
    ],
)
def test_namespaces_are_renamed_and_back(text: str) -> None:
    here, there = text.format("opendatahub"), text.format("redhat-ods-applications")
    assert NAMES.there(here) == there
    assert NAMES.here(there) == here


@pytest.mark.parametrize(
    "text",
    [
        "alpha.maas.opendatahub.io/tiers",
        "opendatahub.io/managed",
        "quay.io/opendatahub/maas-api:latest",
        "opendatahub-operator",
        "my-opendatahub",
        "opendatahubs",
        "kuadrant-system2",
    ],
)
def test_other_words_stay(text: str) -> None:
    assert NAMES.there(text) == text


def test_without_other_names_nothing_changes() -> None:
    assert Names({}).there("opendatahub") == "opendatahub"
