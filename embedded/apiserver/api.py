"""What the API server does with an object: decode, default, admit, validate, store.

Upstream: `k8s.io/apiserver/pkg/registry/generic/registry/store.go` and
`pkg/endpoints/handlers`. HTTP lives in `embedded.apiserver.http`; the built-in
controllers and the node call this class directly.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from embedded.apiserver import admission, apply, patch, selectors, status
from embedded.apiserver.applied import Applied
from embedded.apiserver.decoding import Options, decode, without_nulls
from embedded.apiserver.resources import Registry, Resource, from_crd
from embedded.apiserver.store import Store
from embedded.shared.trees import copied

Object = dict[str, Any]


@dataclass(frozen=True)
class User:
    """Who asks: as authenticated, after impersonation."""

    name: str
    groups: tuple[str, ...] = ()
    uid: str = ""
    extra: dict[str, list[str]] = field(default_factory=dict)


def now() -> str:
    """RFC 3339 in UTC with seconds, as `metav1.Time`."""
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


class Api:
    """CRUD on every registered resource. All methods raise `ApiError`."""

    def __init__(self, admitters: list[admission.Admitter]) -> None:
        self.store = Store()
        self.registry = Registry()
        self._admitters = admitters
        self._applied = Applied()

    # -- reading ------------------------------------------------------------------------

    def resource(self, group: str, plural: str) -> Resource:
        found = self.registry.get(group, plural)
        if found is None:
            raise status.no_such_path()
        return found

    def get(self, resource: Resource, namespace: str, name: str) -> Object:
        found = self.store.get(resource.id, (namespace if resource.namespaced else "", name))
        if found is None:
            raise status.not_found(resource.plural, resource.group, name)
        return found

    def list(
        self, resource: Resource, namespace: str = "", labels: str = "", fields: str = ""
    ) -> list[Object]:
        matches = selectors.matcher(labels, fields)
        return [o for o in self.store.objects(resource.id, namespace) if matches(o)]

    def find(self, group: str, plural: str, namespace: str, name: str) -> Object | None:
        """An object by plain names, or None."""
        return self.store.get((group, plural), (namespace, name))

    # -- writing ------------------------------------------------------------------------

    def create(
        self, resource: Resource, version: str, namespace: str, obj: Object, options: Options
    ) -> Object:
        obj = decode(resource, version, obj, options)
        metadata = obj["metadata"]
        if resource.namespaced:
            if metadata.setdefault("namespace", namespace) != namespace:
                raise status.bad_request(
                    "the namespace of the provided object does not match the namespace sent on "
                    "the request"
                )
            self._check_namespace(resource, namespace, metadata.get("name", ""))
        else:
            metadata.pop("namespace", None)
        if not metadata.get("name") and metadata.get("generateName"):
            metadata["name"] = metadata["generateName"] + uuid.uuid4().hex[:5]
        if "status" in resource.subresources:
            obj.pop("status", None)
        metadata |= {"uid": str(uuid.uuid4()), "creationTimestamp": now()}
        for stale in ("resourceVersion", "generation", "deletionTimestamp", "managedFields"):
            metadata.pop(stale, None)
        if "spec" in obj:
            metadata["generation"] = 1
        obj = self._admit(resource, version, obj, None)
        key = (metadata.get("namespace", ""), obj["metadata"]["name"])
        if self.store.get(resource.id, key):
            raise status.already_exists(resource.plural, resource.group, key[1])
        if not obj["metadata"].get("managedFields"):
            self._own(resource, version, obj, {}, options, "")
        return self._put(resource, key, obj, options)

    def update(
        self,
        resource: Resource,
        version: str,
        namespace: str,
        name: str,
        obj: Object,
        options: Options,
        subresource: str = "",
    ) -> Object:
        live = self.get(resource, namespace, name)
        obj = decode(resource, version, obj, options)
        if obj["metadata"].get("name") != name:
            raise status.bad_request(
                f"the name of the object ({obj['metadata'].get('name', '')}) does not match the "
                f"name on the URL ({name})"
            )
        sent = obj["metadata"].get("resourceVersion")
        if sent and sent != live["metadata"]["resourceVersion"]:
            raise status.conflict(resource.plural, resource.group, name)
        return self._replace(resource, version, live, obj, options, subresource)

    def patch(
        self,
        resource: Resource,
        version: str,
        namespace: str,
        name: str,
        content_type: str,
        body: Any,
        options: Options,
        subresource: str = "",
    ) -> Object:
        """`content_type` is one of the four patch media types."""
        schema = resource.versions[version].root
        if content_type in ("application/apply-patch+yaml", "application/apply-patch+cbor"):
            return self._apply(resource, version, namespace, name, body, options, subresource)
        live = self.get(resource, namespace, name)
        if content_type == "application/json-patch+json":
            obj = patch.json_patch(live, body)
        elif content_type == "application/merge-patch+json":
            obj = patch.merge_patch(live, body)
        elif content_type == "application/strategic-merge-patch+json" and not resource.custom:
            obj = patch.strategic_merge(schema, live, body)
        else:
            accepted = ["application/json-patch+json", "application/merge-patch+json"]
            raise status.unsupported_media_type(
                content_type, [*accepted, "application/apply-patch+yaml"]
            )
        obj = decode(resource, version, obj, options)
        sent = (body.get("metadata") or {}).get("resourceVersion") if isinstance(body, dict) else ""
        if sent and sent != live["metadata"]["resourceVersion"]:
            raise status.conflict(resource.plural, resource.group, name)
        return self._replace(resource, version, live, obj, options, subresource)

    def mutate(
        self,
        resource: Resource,
        namespace: str,
        name: str,
        change: Callable[[Object], None],
        subresource: str = "",
        manager: str = "embedded",
    ) -> Object:
        """Change a copy of an object in place and store it; nothing is stored if it is equal."""
        live = self.get(resource, namespace, name)
        obj = copied(live)
        change(obj)
        if obj == live:
            return live
        options = Options(field_manager=manager)
        return self._replace(resource, resource.storage_version, live, obj, options, subresource)

    def delete(
        self,
        resource: Resource,
        namespace: str,
        name: str,
        options: Object | None = None,
        dry_run: bool = False,
    ) -> Object:
        """`options` is a DeleteOptions object; graceful where the kind is (Pods, Namespaces)."""
        live = self.get(resource, namespace, name)
        options = options or {}
        for field_name in ("uid", "resourceVersion"):
            wanted = (options.get("preconditions") or {}).get(field_name)
            found = live["metadata"][field_name]
            if wanted and wanted != found:
                why = f"the {field_name.upper()} in the precondition: {wanted} != {found}"
                raise status.conflict(resource.plural, resource.group, name, why)
        if dry_run:
            return live
        grace = options.get("gracePeriodSeconds")
        if resource.id == ("", "pods") and grace is None:
            grace = live["spec"].get("terminationGracePeriodSeconds", 30)
        graceful = resource.id == ("", "pods") and grace and live["spec"].get("nodeName")
        waits = graceful or live["metadata"].get("finalizers") or resource.id == ("", "namespaces")
        if not waits:
            return self._remove(resource, live)
        if "deletionTimestamp" in live["metadata"]:
            return live
        marked = copied(live)
        marked["metadata"] |= {"deletionTimestamp": now(), "deletionGracePeriodSeconds": grace or 0}
        if resource.id == ("", "namespaces"):
            marked["status"] = {**marked.get("status", {}), "phase": "Terminating"}
        return self._put(resource, _key(live), marked, Options())

    def finish_delete(self, resource: Resource, obj: Object) -> None:
        """Remove an object whose graceful deletion is over."""
        if self.store.get(resource.id, _key(obj)):
            self._remove(resource, obj)

    # -- steps --------------------------------------------------------------------------

    def _check_namespace(self, resource: Resource, namespace: str, name: str) -> None:
        found = self.store.get(("", "namespaces"), ("", namespace))
        if found is None:
            raise status.not_found("namespaces", "", namespace)
        if "deletionTimestamp" in found["metadata"] and resource.id != ("", "events"):
            why = (
                f"unable to create new content in namespace {namespace} because it is being "
                "terminated"
            )
            raise status.forbidden(resource.plural, resource.group, name, why)

    def _admit(self, resource: Resource, version: str, obj: Object, old: Object | None) -> Object:
        for admitter in self._admitters:
            admitter(self.store, resource, obj, old)
        causes = admission.name_errors(resource, obj)
        causes += resource.versions[version].validate(obj, old)
        causes += admission.field_errors(resource, obj, old)
        if causes:
            name = obj["metadata"].get("name", "")
            raise status.invalid(resource.kind, resource.group, name, causes)
        return obj

    def _replace(
        self,
        resource: Resource,
        version: str,
        live: Object,
        obj: Object,
        options: Options,
        subresource: str,
    ) -> Object:
        new_metadata = obj["metadata"]
        for kept in ("uid", "creationTimestamp", "namespace", "name", "generation",
                     "deletionTimestamp", "deletionGracePeriodSeconds"):  # fmt: skip
            if kept in live["metadata"]:
                new_metadata[kept] = live["metadata"][kept]
            else:
                new_metadata.pop(kept, None)
        if subresource == "status":
            obj = {**copied(live), "status": obj.get("status", {})}
        elif "status" in resource.subresources and "status" in live:
            obj["status"] = live["status"]
        elif "status" in resource.subresources:
            obj.pop("status", None)
        if _bare(obj) == _bare(live):
            return live
        if "spec" in obj and obj.get("spec") != live.get("spec"):
            obj["metadata"]["generation"] = live["metadata"].get("generation", 0) + 1
        obj = self._admit(resource, version, obj, live)
        if not options.field_manager.startswith("apply:"):
            self._own(resource, version, obj, live, options, subresource)
        key = _key(live)
        if "deletionTimestamp" in live["metadata"] and not obj["metadata"].get("finalizers"):
            finished = live["metadata"].get("finalizers") and resource.id != ("", "namespaces")
            if finished and not options.dry_run:
                return self._remove(resource, obj)
        return self._put(resource, key, obj, options)

    def _apply(
        self,
        resource: Resource,
        version: str,
        namespace: str,
        name: str,
        applied: Any,
        options: Options,
        subresource: str,
    ) -> Object:
        if not isinstance(applied, dict):
            raise status.bad_request("error decoding YAML: the body is not an object")
        key = (namespace if resource.namespaced else "", name)
        place, how = (resource.id, key), (applied, options, version, subresource)
        live = self.store.get(resource.id, key)
        if live and self._applied.is_in(place, live, *how):
            return live
        stored = self._merge(resource, version, live, key, applied, options, subresource)
        self._applied.remember(place, stored, *how)
        return stored

    def _merge(
        self,
        resource: Resource,
        version: str,
        live: Object | None,
        key: tuple[str, str],
        applied: Object,
        options: Options,
        subresource: str,
    ) -> Object:
        namespace, name = key
        schema = resource.versions[version].root
        blank: Object = {"metadata": {}}
        checked = decode(resource, version, applied, options)
        wanted = resource.versions[version].prune(without_nulls(applied))
        merged, owned = apply.apply(
            schema, live or blank, wanted, options.field_manager, options.force, subresource
        )
        merged["metadata"] |= {"name": name}
        api_version = resource.api_version(version)
        if live is None:
            if subresource:
                raise status.not_found(resource.plural, resource.group, name)
            merged = {
                **checked,
                **merged,
                "metadata": {**checked["metadata"], **merged["metadata"]},
            }
            creating = Options("apply:" + options.field_manager, "Ignore", options.dry_run)
            created = self.create(resource, version, namespace, merged, creating)
            created = copied(created)
            created["metadata"].pop("managedFields", None)
            apply.write_owners(created, owned, subresource, api_version, now())
            return self._put(resource, key, created, options)
        defaulted: Object = resource.versions[version].default(merged)
        apply.write_owners(defaulted, owned, subresource, api_version, now())
        replacing = Options("apply:" + options.field_manager, "Ignore", options.dry_run)
        return self._replace(resource, version, live, defaulted, replacing, subresource)

    def _own(
        self,
        resource: Resource,
        version: str,
        obj: Object,
        live: Object,
        options: Options,
        subresource: str,
    ) -> None:
        """Record `options.field_manager` as the owner of the fields this write changed."""
        schema = resource.versions[version].root
        before = apply.leaves(schema, _part(live, subresource)) if live else {}
        after = apply.leaves(schema, _part(obj, subresource))
        changed = {path for path in after if before.get(path, _ABSENT) != after[path]}
        owned = {
            who: {p for p in paths - changed if p in after}
            for who, paths in apply.owners(obj, subresource).items()
        }
        owned.setdefault((options.field_manager, "Update"), set()).update(changed)
        apply.write_owners(obj, owned, subresource, resource.api_version(version), now())

    def _put(
        self, resource: Resource, key: tuple[str, str], obj: Object, options: Options
    ) -> Object:
        if options.dry_run:
            return obj
        obj["apiVersion"] = resource.api_version(resource.storage_version)
        stored = self.store.put(resource.id, key, obj)
        if resource.plural == "customresourcedefinitions":
            self._serve(stored)
        return stored

    def _remove(self, resource: Resource, obj: Object) -> Object:
        gone = self.store.remove(resource.id, _key(obj))
        self._applied.forget((resource.id, _key(obj)))
        if resource.plural == "customresourcedefinitions":
            group, plural = obj["spec"]["group"], obj["spec"]["names"]["plural"]
            for instance in list(self.store.objects((group, plural))):
                self.store.remove((group, plural), _key(instance))
            self.registry.remove(group, plural)
        return gone

    def _serve(self, crd: Object) -> None:
        self.registry.add(from_crd(crd))


_ABSENT = object()


def _key(obj: Object) -> tuple[str, str]:
    return (obj["metadata"].get("namespace", ""), obj["metadata"]["name"])


def _part(obj: Object, subresource: str) -> Object:
    """What is written through a subresource: the status alone, or all but it."""
    return {k: v for k, v in obj.items() if (k == "status") == (subresource == "status")}


def _bare(obj: Object) -> Object:
    """An object without the bookkeeping that every write changes."""
    skipped = ("resourceVersion", "managedFields")
    return {**obj, "metadata": {k: v for k, v in obj["metadata"].items() if k not in skipped}}
