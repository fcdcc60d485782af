"""A template version as one file that says who signed it: written, looked at, and taken over.

Who has no signing key writes a file with a checksum alone: it shows a damage, and not where it is from.
"""

from __future__ import annotations

import base64
import hashlib
import re
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgekit import codec, crypto, db, masking
from edgekit.errors import ConflictError, CorruptError, DeniedError, InvalidError, NotFoundError
from edgekit.integrations import figures, forms, instances, semver, templates

if TYPE_CHECKING:
    from collections.abc import Mapping

FORMAT = "edgekit-template"
_VERSION = 1
_LARGEST = 5_000_000
_DOCUMENTS = (
    "connection_template", "mapping_templates", "pipeline_template", "transformation_library", "test_suite",
    "renames", "rate_limits",
)  # fmt: skip
_TEXTS = ("code", "version", "template_name", "category")
_OPTIONAL = ("description", "documentation_url")
_LISTS = ("prerequisites", "operations")
_UNSIGNED = ("signature", "checksum")
_CODE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
_STRATEGIES = {"fail_fast", "continue_on_error", "dead_letter", "retry"}
_OF_THE_FILE = {"integration", "lookup", "transformation"}
"""What a step names that the file has or will have."""


@dataclass(frozen=True, slots=True)
class Taken:
    """What an import did, or would do: `added`, `would_add`, or `there_already` with the same content.

    `signer` is the name of the key, `checksum` that of the content: one of them is what one trusts.
    `newest_until_now` is the version of that code used so far, None where the template is new. `settings` and
    `steps`, with their scripts, say where records would come from, what would be done to them and where they
    would go.
    """

    code: str
    version: str
    outcome: str
    signer: str | None
    checksum: str
    is_trusted: bool
    newest_until_now: str | None
    connector: str
    settings: dict[str, Any]
    steps: tuple[dict[str, Any], ...]
    secrets: tuple[str, ...]
    prerequisites: tuple[str, ...]
    mappings: int
    tests: int


def export_template(code: str) -> dict[str, Any]:
    """Return a template version as a JSON document, signed with the site's key where that can be opened.

    It has everything of the template and no secret. Raise NotFoundError, InvalidError (a secret is in it).
    """
    content = _content(templates.show_template(code))
    _refuse_secrets(content, f"{content['code']} {content['version']}")
    document: dict[str, Any] = {"format": FORMAT, "format_version": _VERSION, "template": content}
    key = _own_key()
    if key is not None:
        public = base64.b64encode(key.public).decode("ascii")
        document |= {"signed_by": key.name, "public_key": public}
        document["signature"] = base64.b64encode(key.sign(_text(document))).decode("ascii")
    return {**document, "checksum": _checksum(document)}


def import_template(
    source: Mapping[str, Any] | str | Path, *, trust: str | None = None, dry_run: bool = False
) -> Taken:
    """Take a template version over from a document or its file, in one change; it comes uncertified.

    `trust` names whom to believe: the key that signed it, or, where nobody has, its checksum. What this file
    signed itself needs nobody's word. `dry_run` only looks. Raise NotFoundError (no such file), InvalidError
    (no template, a newer format, a secret inside), CorruptError (changed after it was signed), DeniedError
    (signed by nobody trusted), ConflictError (the version is there and says something else).
    """
    document, name = _read(source)
    signer = _verified(document, name)
    content = _checked(document["template"], name)
    found = _describe(document, content, signer, trust)
    if not found.is_trusted and not dry_run:
        who = f"signed by {signer}, a key you have not named" if signer else "signed by nobody"
        raise DeniedError(
            f"{name} is {who}.",
            hint="Look at what it brings with --dry-run. If you know that"
            f" {signer or found.checksum} is right: --trust {signer or found.checksum}",
        )
    if found.outcome == "would_add" and not dry_run:
        _add(content)
        return replace(found, outcome="added")
    return found


def _content(template: Mapping[str, Any]) -> dict[str, Any]:
    """Return what a template is, without what only this file knows of it."""
    kind = db.query(
        "SELECT i.code, i.name, i.description, f.code AS feature FROM integration_type i"
        " JOIN feature f ON f.id = i.feature_id WHERE i.code = ?",
        (template["integration_type"],),
    )
    names = (*_TEXTS, *_OPTIONAL, *_LISTS, *_DOCUMENTS)
    return {**{name: template[name] for name in names}, "integration_type": kind[0]}


def _own_key() -> crypto.SigningKey | None:
    from edgekit.vault import signing

    return signing.signer(db.connection(), Path(db.current().path))


def _text(document: Mapping[str, Any]) -> bytes:
    """Return what is signed: the document without its signature, written in the one canonical way."""
    return codec.canonical({key: value for key, value in document.items() if key not in _UNSIGNED}).encode()


def _checksum(document: Mapping[str, Any]) -> str:
    digest = hashlib.sha256(_text(document)).digest()[:15]
    return "c" + base64.b32encode(digest).decode("ascii").lower()


def _read(source: Mapping[str, Any] | str | Path) -> tuple[dict[str, Any], str]:
    if not isinstance(source, str | Path):
        return _shaped(dict(source), "the document")
    path = Path(source)
    try:
        with path.open("rb") as file:
            data = file.read(_LARGEST + 1)
    except FileNotFoundError:
        raise NotFoundError(f"There is no file {path}.") from None
    except (OSError, ValueError) as error:  # a name no file can have is a ValueError
        raise DeniedError(f"{path} cannot be read: {getattr(error, 'strerror', error)}.") from error
    if len(data) > _LARGEST:
        raise InvalidError(f"{path} is larger than any template.")
    try:
        return _shaped(codec.loads(data), str(path))
    except InvalidError as error:
        raise InvalidError(f"{path}: {error.message}", hint=error.hint) from error


def _shaped(document: Any, name: str) -> tuple[dict[str, Any], str]:
    if not isinstance(document, dict) or document.get("format") != FORMAT:
        raise InvalidError(
            f"{name} is no template.", hint="Write one with: edgekit integrations templates export CODE"
        )
    if document.get("format_version") != _VERSION:
        raise InvalidError(
            f"{name} has format version {document.get('format_version')}; this program reads {_VERSION}.",
            hint="Install a newer edgekit.",
        )
    known = {"format", "format_version", "template", "signed_by", "public_key", *_UNSIGNED}
    if unknown := sorted(set(document) - known):
        raise InvalidError(f"{name} has a part nobody knows: {unknown[0]}.")
    if not isinstance(document.get("template"), dict):
        raise InvalidError(f"{name} has no template in it.")
    return document, name


def _verified(document: Mapping[str, Any], name: str) -> str | None:
    """Return the name of the key that signed a document. Raise CorruptError where it was changed since."""
    changed = CorruptError(
        f"{name} was changed after it was written.", hint="Get it again from where it came from."
    )
    if document.get("checksum") != _checksum(document):
        raise changed
    if not {"signature", "public_key", "signed_by"} & set(document):
        return None
    public, signature = (_bytes(document.get(key)) for key in ("public_key", "signature"))
    signer = crypto.public_name(public)
    if signer != document.get("signed_by") or not crypto.is_signed(public, _text(document), signature):
        raise changed
    return signer


def _bytes(text: Any) -> bytes:
    try:
        return base64.b64decode(text, validate=True) if isinstance(text, str) else b""
    except ValueError:
        return b""


def _checked(content: dict[str, Any], name: str) -> dict[str, Any]:
    """Check that a template can be used here. Raise InvalidError naming what is wrong, or NotFoundError."""
    known = {*_TEXTS, *_OPTIONAL, *_LISTS, *_DOCUMENTS, "integration_type"}
    if unknown := sorted(set(content) - known):
        raise InvalidError(f"{name}: a template has no {unknown[0]}.")
    content = {**dict.fromkeys(_OPTIONAL), **{key: [] for key in _LISTS}, **content}
    _check_texts(content, name)
    if isinstance(content.get("mapping_templates"), list):
        content["mapping_templates"] = {"mappings": content["mapping_templates"]}
    for key in _DOCUMENTS:
        content[key] = content.get(key) or {}
        if not isinstance(content[key], dict):
            raise InvalidError(f"{name}: {key} is an object.")
    kind = content.get("integration_type")
    named = isinstance(kind, dict) and all(isinstance(kind.get(k), str) for k in ("code", "name", "feature"))
    if not named:
        raise InvalidError(f"{name}: integration_type has a code, a name and a feature.")
    semver.check(content["version"])
    _refuse_secrets(content, name)
    try:
        _check_form(content)
    except (InvalidError, NotFoundError) as error:
        raise InvalidError(f"{name}: {error.message}", hint=error.hint) from error
    return content


def _check_texts(content: Mapping[str, Any], name: str) -> None:
    for key in _TEXTS:
        if not isinstance(content.get(key), str) or not content[key].strip():
            raise InvalidError(f"{name}: the template has no {key}.")
    if not _CODE.fullmatch(content["code"]):
        raise InvalidError(f"{name}: a code is letters, digits, - _ and dots; not {content['code']!r}.")
    for key in _OPTIONAL:
        if not isinstance(content[key], str | None):
            raise InvalidError(f"{name}: {key} is a text.")
    if not str(content["documentation_url"] or "https://").startswith(("https://", "http://")):
        raise InvalidError(f"{name}: documentation_url begins with https://.")
    for key in _LISTS:
        if not isinstance(content[key], list) or not all(isinstance(item, str) for item in content[key]):
            raise InvalidError(f"{name}: {key} is a list of texts.")


def _check_form(content: Mapping[str, Any]) -> None:
    """Check each part as far as it can be without the settings of an integration."""
    from edgekit.integrations.steps import read_steps
    from edgekit.mapping import FieldMapping, compile_mapping

    settings, form = content["connection_template"], forms.of_template(content)
    forms.suite(content)
    forms.check_renames(content["renames"])
    if content["rate_limits"]:
        figures.check_rate_limits(content["rate_limits"], what="the template")
    instances.check_known(settings)
    fields = []
    for label, said in form["mappings"].items():
        kept = {key: said[key] for key in said if key not in {"mapping_direction", "mapping_notes"}}
        if said["mapping_direction"] not in {"inbound", "outbound", "bidirectional"}:
            raise InvalidError(f"The mapping {label} goes in no direction {said['mapping_direction']}.")
        fields.append(FieldMapping(name=label, direction=said["mapping_direction"], **kept))
    for direction in ("inbound", "outbound"):
        compile_mapping(fields, direction=direction)
    if unknown := sorted(set(content["pipeline_template"]) - set(form["pipeline"])):
        raise InvalidError(f"A pipeline has no {unknown[0]}.")
    if form["pipeline"]["error_handling_strategy"] not in _STRATEGIES:
        raise InvalidError(f"error_handling_strategy is one of {', '.join(sorted(_STRATEGIES))}.")
    alone = [step for step in form["pipeline"]["steps"] if _OF_THE_FILE.isdisjoint(step)]
    read_steps(str(content["code"]), {**form["pipeline"], "steps": alone})


def _refuse_secrets(content: Mapping[str, Any], name: str) -> None:
    if place := _secret_in(content, "template"):
        raise InvalidError(
            f"{name} holds a secret at {place}; a template never carries one.",
            hint='Name it by its key in the vault instead: {"vault": "api_key"}.',
        )


def _secret_in(value: Any, place: str) -> str | None:
    """Say where in a document a secret stands; None if nowhere."""
    if isinstance(value, str):
        return place if any(masking.secrets(text) != text for text in (value, _decoded(value))) else None
    if isinstance(value, list):
        found = (_secret_in(item, f"{place}[{number}]") for number, item in enumerate(value))
        return next(filter(None, found), None)
    if not isinstance(value, dict):
        return None
    for key, item in value.items():
        here = f"{place}.{key}"
        is_key = place.endswith(".auth") and key.endswith("secret")  # of one in the vault
        is_text = isinstance(item, str | int | float) and not isinstance(item, bool) and item != ""
        if masking.is_secret(key) and is_text and not is_key:
            return here
        if found_in := _secret_in(item, here):
            return found_in
    return None


def _decoded(text: str) -> str:
    """Return what a text says if it is base64 of one; nothing otherwise."""
    if len(text) < 8:  # what is shorter holds no secret
        return ""
    try:
        return base64.b64decode(text, validate=True).decode("utf-8")
    except ValueError:
        return ""


def _describe(
    document: Mapping[str, Any], content: Mapping[str, Any], signer: str | None, trust: str | None
) -> Taken:
    code, version = content["code"], content["version"]
    own = _own_key()
    checksum = str(document["checksum"])
    trusted = trust == (signer or checksum) or (own is not None and signer == own.name)
    newest, outcome = None, "would_add"
    try:
        newest = templates.show_template(code)["version"]
        there = templates.show_template(f"{code}@{version}")
    except NotFoundError:
        there = None
    if there is not None:
        if not forms.same(_told_here(_content(there)), _told_here(content)):
            raise ConflictError(
                f"There is a {code} {version} here already, and it says something else.",
                hint="Ask for it under another version.",
            )
        outcome = "there_already"
    return Taken(
        code, version, outcome, signer, checksum, trusted, newest,
        str(content["connection_template"].get("connector")), dict(content["connection_template"]),
        tuple(forms.of_template(content)["pipeline"]["steps"]),
        tuple(forms.secret_keys(content["connection_template"])), tuple(content["prerequisites"]),
        len(content["mapping_templates"].get("mappings", [])), len(forms.suite(content)),
    )  # fmt: skip


def _told_here(content: Mapping[str, Any]) -> dict[str, Any]:
    """Return what a template says, its type and shelf as this file would have them."""
    rows = db.query("SELECT code FROM template_category WHERE id = ?", (_category_id(content["category"]),))
    kind = content["integration_type"]["code"].lower()
    return {**content, "category": rows[0]["code"], "integration_type": kind}


def _add(content: Mapping[str, Any]) -> None:
    from edgekit.models.integrations import (
        IntegrationTemplate,
        IntegrationTemplateOperation,
        IntegrationTemplatePrerequisite,
    )

    with db.change(reason=f"templates import {content['code']} {content['version']}"):
        made = IntegrationTemplate.create(
            integration_type_id=_type_id(content["integration_type"]),
            template_category_id=_category_id(content["category"]),
            organization_id=db.current().session.organization_id,
            **{key: content[key] for key in ("code", "version", "template_name", *_OPTIONAL)},
            **{key: content[key] or None for key in _DOCUMENTS[2:]},
            connection_template=content["connection_template"],
            mapping_templates=content["mapping_templates"] or {"mappings": []},
        )
        for number, text in enumerate(content["prerequisites"]):
            IntegrationTemplatePrerequisite.create(template_id=made.id, prerequisite=text, sort_order=number)
        for operation in content["operations"]:
            IntegrationTemplateOperation.create(template_id=made.id, operation=operation)


def _type_id(kind: Mapping[str, Any]) -> int:
    """Return the id of a type of integration; one that is new here is made."""
    from edgekit.models.integrations import IntegrationType

    rows = db.query("SELECT id FROM integration_type WHERE code = ?", (kind["code"],))
    if rows:
        return int(rows[0]["id"])
    feature = db.query("SELECT id FROM feature WHERE code = ?", (kind["feature"],))
    if not feature:
        raise InvalidError(f"There is no feature {kind['feature']}, under which {kind['code']} stands.")
    made = IntegrationType.create(
        code=kind["code"], name=kind["name"], description=kind.get("description"), feature_id=feature[0]["id"]
    )
    return int(made.id)


def _category_id(code: str) -> int:
    rows = db.query(
        "SELECT id FROM template_category WHERE code IN (?, 'CUSTOM') ORDER BY code = 'CUSTOM'", (code,)
    )
    return int(rows[0]["id"])
