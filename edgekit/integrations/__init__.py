"""Integrations: what is connected, how its fields become ours, and the secrets it needs.

An integration is data: made from a template, with settings of its own; `runner.run(name)` runs it.

    integrations.create("vins", template="vpic-vin-decode", settings={"base_url": "http://127.0.0.1:8080"})
    integrations.set_credential("drivers", "api_key", "…")
"""

from edgekit.integrations.credentials import get_credential, list_credentials, set_credential
from edgekit.integrations.instances import create, find, list_integrations, retire, show
from edgekit.integrations.plan import Plan, prepare
from edgekit.integrations.templates import list_templates, show_template

__all__ = [
    "Plan",
    "create",
    "find",
    "get_credential",
    "list_credentials",
    "list_integrations",
    "list_templates",
    "prepare",
    "retire",
    "set_credential",
    "show",
    "show_template",
]
