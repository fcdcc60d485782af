"""Licensing: what the product can do, what tiers and licences allow of it, and the files vendors sign.

    licensing.check("ADVANCED_ANALYTICS", program="AUTO").enabled  # true or false, and why
    licensing.require("ADVANCED_ANALYTICS", user="maria")          # or LicenseError, where the licence blocks
    licensing.use("REPORT_SEATS", 2, organization="EAST")          # counted with the work of the same change

A file without an installed licence file advises: it answers truthfully and stops nothing.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from edgekit.licensing.checking import check, explain, list_features, mode, require
    from edgekit.licensing.deciding import Decision
    from edgekit.licensing.gating import (
        activate_entity,
        check_component,
        check_model,
        gates,
        require_component,
        require_entity,
        require_model,
        requirements,
    )
    from edgekit.licensing.granting import assign_tier, grant, unset, withhold
    from edgekit.licensing.installing import install, revoke
    from edgekit.licensing.standing import list_files
    from edgekit.licensing.tiers import list_tiers
    from edgekit.licensing.trusting import rotate_key, trust
    from edgekit.licensing.using import release, usage, use

__all__ = [
    "Decision",
    "activate_entity",
    "assign_tier",
    "check",
    "check_component",
    "check_model",
    "explain",
    "gates",
    "grant",
    "install",
    "list_features",
    "list_files",
    "list_tiers",
    "mode",
    "release",
    "require",
    "require_component",
    "require_entity",
    "require_model",
    "requirements",
    "revoke",
    "rotate_key",
    "trust",
    "unset",
    "usage",
    "use",
    "withhold",
]

_HOMES = {
    "Decision": "deciding",
    "activate_entity": "gating",
    "assign_tier": "granting",
    "check": "checking",
    "check_component": "gating",
    "check_model": "gating",
    "explain": "checking",
    "gates": "gating",
    "grant": "granting",
    "install": "installing",
    "list_features": "checking",
    "list_files": "standing",
    "list_tiers": "tiers",
    "mode": "checking",
    "release": "using",
    "require": "checking",
    "require_component": "gating",
    "require_entity": "gating",
    "require_model": "gating",
    "requirements": "gating",
    "revoke": "installing",
    "rotate_key": "trusting",
    "trust": "trusting",
    "unset": "granting",
    "usage": "using",
    "use": "using",
    "withhold": "granting",
}


def __getattr__(name: str) -> Any:
    # Each part waits until it is used.
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    found = getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
    globals()[name] = found  # a check costs less than asking here again
    return found
