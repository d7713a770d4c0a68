"""Access policy documents in one form, whatever the spelling.

Grammar: https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_grammar.html
"""

from typing import Any

from plugins.kind import compact

VERSION = "2012-10-17"
LISTS = ("Action", "NotAction", "Resource", "NotResource")


def canonical(policy: dict[str, Any]) -> dict[str, Any]:
    """A single value becomes a list, lists are sorted, what MinIO drops is dropped."""
    statements = policy.get("Statement") or []
    if isinstance(statements, dict):
        statements = [statements]
    kept = {k: v for k, v in policy.items() if k not in ("Statement", "Version") and v}
    return kept | {
        "Version": policy.get("Version") or VERSION,
        "Statement": sorted((_statement(item) for item in statements), key=compact),
    }


def _statement(statement: dict[str, Any]) -> dict[str, Any]:
    found = {k: v for k, v in statement.items() if v or k == "Effect"}
    for key in LISTS:
        if key in found:
            found[key] = _texts(found[key])
    for key in ("Principal", "NotPrincipal"):
        if found.get(key) == "*":
            found[key] = {"AWS": ["*"]}
        elif key in found:
            found[key] = {kind: _texts(names) for kind, names in found[key].items()}
    if "Condition" in found:
        found["Condition"] = {
            operator: {key: _texts(value) for key, value in tests.items()}
            for operator, tests in found["Condition"].items()
        }
    return found


def _texts(value: Any) -> list[str]:
    items = value if isinstance(value, list) else [value]
    return sorted({str(v).lower() if isinstance(v, bool) else str(v) for v in items})


def public_read(bucket: str) -> str:
    """What the canned ACL `public-read` means; MinIO knows policies only. The same rights as
    `mc anonymous set download`, so a bucket opened by hand shows as drift of the ACL."""
    everyone = {"AWS": ["*"]}
    arn = f"arn:aws:s3:::{bucket}"
    listing = ["s3:GetBucketLocation", "s3:ListBucket"]
    statements = [
        {"Effect": "Allow", "Principal": everyone, "Action": listing, "Resource": [arn]},
        {
            "Effect": "Allow",
            "Principal": everyone,
            "Action": ["s3:GetObject"],
            "Resource": [f"{arn}/*"],
        },
    ]
    return compact(canonical({"Version": VERSION, "Statement": statements}))
