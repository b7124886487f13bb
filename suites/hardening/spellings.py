"""Other ways to write a path, which some component might take for the same."""

from __future__ import annotations

from fixtures.found import parts


def spellings(prefix: str, harmless: str, rest: str) -> list[str]:
    """Paths that come to `prefix` + `rest` for a reader who decodes or tidies too much or too
    little; `harmless` is a prefix that the user may use. Both are `/namespace/name`."""
    namespace, name = parts(prefix.strip("/"), "/", 2, "a prefix")
    return [
        f"{harmless}/..%2f{name}{rest}",
        f"{harmless}/../{name}{rest}",
        f"{harmless}/%2e%2e/{name}{rest}",
        f"{harmless}/.%2e/{name}{rest}",
        f"{harmless}/..;/{name}{rest}",
        f"{harmless}/..\\{name}{rest}",
        f"{harmless}/..%5c{name}{rest}",
        f"{harmless}/%252e%252e/{name}{rest}",
        f"/{prefix}{rest}",
        f"/{namespace}//{name}{rest}",
        f"/{namespace}%2f{name}{rest}",
        f"/{namespace}%2F{name}{rest}",
        f"/{namespace};x/{name}{rest}",
        f"/{namespace}/{name};x{rest}",
        f"/{namespace}/./{name}{rest}",
        f"/{namespace}/%2e/{name}{rest}",
        f"/./{namespace}/{name}{rest}",
        f"/{namespace}/{name[0]}%{ord(name[1]):02x}{name[2:]}{rest}",
        f"/%{ord(namespace[0]):02x}{namespace[1:]}/{name}{rest}",
        f"/{namespace.upper()}/{name}{rest}",
        f"/{namespace}/{name.upper()}{rest}",
        f"/{namespace}/{name}.{rest}",
        f"/{namespace}/{name}%00{rest}",
        f"/{namespace}/{name}%20{rest}",
    ]
