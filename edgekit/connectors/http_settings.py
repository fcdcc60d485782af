"""The settings of the HTTP connector, as a JSON Schema. Secrets are named in them, never written.

A setting that names one has `x-secret`, the key under which the vault usually has it.
"""

from __future__ import annotations

from typing import Any

from edgekit.connectors.http_signature import SIGNATURE_SETTINGS

_TEXT: dict[str, Any] = {"type": "string", "minLength": 1}
_VALUES: dict[str, Any] = {
    "type": "object",
    "additionalProperties": {
        "type": ["string", "number", "boolean", "null", "array"],
        "items": {"type": ["string", "number", "boolean"]},
    },
}

_AUTH: dict[str, Any] = {
    "type": "object",
    "additionalProperties": False,
    "required": ["kind"],
    "properties": {
        "kind": {"enum": ["none", "header", "basic", "bearer", "query", "oauth2", "hmac"]},
        "name": {
            **_TEXT,
            "pattern": "^[A-Za-z0-9_.\\-]+$",
            "description": "Header (X-Api-Key) or query parameter (api_key).",
        },
        "secret": {
            **_TEXT,
            "description": "Key of the stored secret: api_key, for bearer token, for hmac signing_key.",
            "x-secret": "api_key",
        },
        "username_secret": {**_TEXT, "description": "For basic; username.", "x-secret": "username"},
        "password_secret": {**_TEXT, "description": "For basic; password.", "x-secret": "password"},
        "token_url": {"type": "string", "pattern": "^https?://", "description": "For oauth2."},
        "grant": {"enum": ["client_credentials", "refresh_token"], "description": "client_credentials"},
        "scope": _TEXT,
        "audience": _TEXT,
        "resource": _TEXT,
        "client_auth": {"enum": ["basic", "body"], "description": "How the client's secret is sent: basic."},
        "client_id_secret": {**_TEXT, "description": "For oauth2; client_id.", "x-secret": "client_id"},
        "client_secret_secret": {
            **_TEXT,
            "description": "For oauth2; client_secret.",
            "x-secret": "client_secret",
        },
        "refresh_token_secret": {
            **_TEXT,
            "description": "For oauth2; refresh_token.",
            "x-secret": "refresh_token",
        },
        **SIGNATURE_SETTINGS,
    },
    "if": {"properties": {"kind": {"const": "oauth2"}}, "required": ["kind"]},
    "then": {"required": ["token_url"]},
}

_PAGINATION: dict[str, Any] = {
    "type": "object",
    "additionalProperties": False,
    "required": ["kind"],
    "properties": {
        "kind": {"enum": ["none", "page", "offset", "next_link", "cursor"]},
        "page_param": {**_TEXT, "description": "page, or offset."},
        "size_param": {
            **_TEXT,
            "description": "Carries page_size: page_size, or limit; for links and cursors none.",
        },
        "start": {
            "type": ["integer", "string"],
            "description": "The first page (1), offset (0) or cursor (none).",
        },
        "next_path": {**_TEXT, "description": "Where the link to the next page is; absent: the Link header."},
        "cursor_path": {**_TEXT, "description": "Where the cursor of the next page is: $.next_cursor."},
        "cursor_param": {**_TEXT, "description": "cursor"},
        "total_path": {
            **_TEXT,
            "description": "Where the number of all records is; it counts more than a short page.",
        },
        "max_pages": {"type": "integer", "minimum": 1},
        "allow_other_origin": {"type": "boolean", "default": False},
    },
}

_REQUEST: dict[str, Any] = {
    "type": "object",
    "additionalProperties": False,
    "properties": {
        "form": _VALUES,
        "json": {"type": "object"},
        "inputs": {
            "type": "object",
            "additionalProperties": False,
            "required": ["join", "into", "name"],
            "properties": {
                "join": {**_TEXT, "description": "What one row becomes, such as {vin},{model_year}."},
                "separator": {
                    **_TEXT,
                    "description": "Between rows; absent: a list, or the parameter repeated.",
                },
                "into": {"enum": ["form", "query", "json", "path"]},
                "name": {**_TEXT, "description": "Field, parameter or member; in a path the place {name}."},
            },
        },
    },
    "not": {"required": ["form", "json"]},
}

_EXCHANGE: dict[str, Any] = {
    "timeout_seconds": {"type": "number", "exclusiveMinimum": 0, "maximum": 3600, "default": 30},
    "retries": {"type": "integer", "minimum": 0, "maximum": 20, "default": 3},
    "retry_delay_ms": {"type": "integer", "minimum": 0, "maximum": 60_000, "default": 1000},
    "retry_multiplier": {"type": "number", "minimum": 1, "maximum": 100, "default": 2},
    "max_retry_after_seconds": {"type": "number", "minimum": 0, "maximum": 3600, "default": 60},
    "max_body_bytes": {"type": "integer", "minimum": 1, "default": 64 * 1024 * 1024},
}

_BASE_URL: dict[str, Any] = {
    "type": "string",
    "pattern": "^https?://",
    "description": "Such as https://api.example.com/v1",
}

CONFIG_SCHEMA: dict[str, Any] = {
    "type": "object",
    "additionalProperties": False,
    "required": ["base_url"],
    "properties": {
        "base_url": _BASE_URL,
        "path": {"type": "string"},
        "method": {"enum": ["GET", "POST"], "default": "GET"},
        "params": _VALUES,
        "headers": {"type": "object", "additionalProperties": {"type": ["string", "number"]}},
        "request": _REQUEST,
        "records": {**_TEXT, "default": "$", "description": "JSONPath to the list; $ is the answer itself."},
        "auth": _AUTH,
        "pagination": _PAGINATION,
        "page_size": {"type": "integer", "minimum": 1, "maximum": 100_000},
        "batch_size": {
            "type": "integer",
            "minimum": 1,
            "maximum": 100_000,
            "description": "Input rows in one request.",
        },
        "incremental": {
            "type": "object",
            "additionalProperties": False,
            "required": ["param", "path"],
            "properties": {"param": _TEXT, "path": _TEXT, "initial": {"type": ["string", "number"]}},
        },
        **_EXCHANGE,
    },
}

WRITE_SCHEMA: dict[str, Any] = {
    "type": "object",
    "additionalProperties": False,
    "required": ["base_url"],
    "properties": {
        "base_url": _BASE_URL,
        "path": {"type": "string", "description": "May have places of the record: /items/{id}"},
        "method": {"enum": ["POST", "PUT", "PATCH", "DELETE"], "default": "POST"},
        "params": _VALUES,
        "headers": {"type": "object", "additionalProperties": {"type": ["string", "number"]}},
        "request": {
            "type": "object",
            "additionalProperties": False,
            "minProperties": 1,
            "properties": {
                "json": {"type": "object", "description": "Members that go along with each request."},
                "form": {**_VALUES, "description": "The same, and the record is sent as a form."},
                "into": {**_TEXT, "description": "The member that holds the record or the list."},
                "list": {"type": "boolean", "description": "A list, even of one record."},
                "omit": {"type": "array", "items": _TEXT, "description": "Fields that are not sent."},
                "content_type": {**_TEXT, "description": "Such as application/merge-patch+json."},
            },
            "not": {"required": ["form", "json"]},
        },
        "batch_size": {
            "type": "integer",
            "minimum": 1,
            "maximum": 10_000,
            "default": 1,
            "description": "Records in one request.",
        },
        "idempotency_header": {
            "type": ["string", "null"],
            "pattern": "^[A-Za-z0-9_.\\-]+$",
            "default": "Idempotency-Key",
            "description": "null: the service does not know a second try from a second record.",
        },
        "answer": {
            "type": "object",
            "additionalProperties": False,
            "properties": {
                "reference": {**_TEXT, "description": "Where its own name of the record is: $.id"},
                "results": {**_TEXT, "description": "Where the list is that has one for each record."},
                "status": {**_TEXT, "description": "In a result, its status as HTTP has it."},
                "error": {**_TEXT, "description": "In a result, why the record is refused."},
            },
        },
        "auth": _AUTH,
        **_EXCHANGE,
    },
}
