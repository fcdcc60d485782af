"""Integrations: what is connected, how its fields become ours, and the secrets it needs.

An integration is data: made from a template, with settings of its own; `runner.run(name)` runs it.

    integrations.create("vins", template="vpic-vin-decode", settings={"base_url": "http://127.0.0.1:8080"})
    integrations.set_credential("drivers", "api_key", "…")
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from edgekit.integrations.approvals import Approvals, approve, list_approvals
    from edgekit.integrations.catalogs import discover, select
    from edgekit.integrations.configurations import map_configurations
    from edgekit.integrations.credentials import (
        get_credential,
        list_credentials,
        rotate_credentials,
        set_credential,
        unset_credential,
    )
    from edgekit.integrations.earlier import MappingsVersion, list_mapping_versions
    from edgekit.integrations.environments import show_environment, switch_environment
    from edgekit.integrations.instances import create, retire
    from edgekit.integrations.keeping import keep_inputs
    from edgekit.integrations.mapping_cases import Case, confirm_tests, generate_tests
    from edgekit.integrations.mapping_tests import (
        MappingTest,
        Suite,
        mapping_test_history,
        run_mapping_tests,
        summarise,
    )
    from edgekit.integrations.mappings import (
        MappingVersion,
        add_mapping,
        diff_mapping,
        list_mappings,
        mapping_history,
        retire_mapping,
        rollback_mapping,
        set_mapping,
        show_mapping,
    )
    from edgekit.integrations.own_tables import (
        OwnTable,
        create_table,
        list_tables,
        show_table,
        track_table,
        untrack_table,
    )
    from edgekit.integrations.pipelines import (
        PipelineVersion,
        diff_pipeline,
        pipeline_history,
        rollback_pipeline,
        set_pipeline,
        show_pipeline,
    )
    from edgekit.integrations.plan import Plan, prepare, prepare_pipeline
    from edgekit.integrations.previews import Preview, preview_mappings
    from edgekit.integrations.reading import (
        find,
        find_all,
        find_pipeline,
        list_integrations,
        list_pipelines,
        show,
    )
    from edgekit.integrations.sharing import Taken, export_template, import_template
    from edgekit.integrations.suggesting import apply_suggestions, suggest_mappings
    from edgekit.integrations.table_files import create_table_from
    from edgekit.integrations.templates import (
        TemplateVersion,
        diff_templates,
        list_template_versions,
        list_templates,
        show_template,
    )
    from edgekit.integrations.transformation_tests import TransformationTest, run_transformation_tests
    from edgekit.integrations.transformations import (
        StoredTransformation,
        TransformationVersion,
        Trial,
        add_transformation,
        compile_transformation,
        list_transformations,
        retire_transformation,
        set_transformation,
        show_transformation,
        transformation_history,
        try_transformation,
    )
    from edgekit.integrations.using import Use, disable, enable, require_usable, usable
    from edgekit.integrations.versions import Version, diff, history, rollback, set_settings

__all__ = [
    "Approvals",
    "Case",
    "MappingTest",
    "MappingVersion",
    "MappingsVersion",
    "OwnTable",
    "PipelineVersion",
    "Plan",
    "Preview",
    "StoredTransformation",
    "Suite",
    "Taken",
    "TemplateVersion",
    "TransformationTest",
    "TransformationVersion",
    "Trial",
    "Use",
    "Version",
    "add_mapping",
    "add_transformation",
    "apply_suggestions",
    "approve",
    "compile_transformation",
    "confirm_tests",
    "create",
    "create_table",
    "create_table_from",
    "diff",
    "diff_mapping",
    "diff_pipeline",
    "diff_templates",
    "disable",
    "discover",
    "enable",
    "export_template",
    "find",
    "find_all",
    "find_pipeline",
    "generate_tests",
    "get_credential",
    "history",
    "import_template",
    "keep_inputs",
    "list_approvals",
    "list_credentials",
    "list_integrations",
    "list_mapping_versions",
    "list_mappings",
    "list_pipelines",
    "list_tables",
    "list_template_versions",
    "list_templates",
    "list_transformations",
    "map_configurations",
    "mapping_history",
    "mapping_test_history",
    "pipeline_history",
    "prepare",
    "prepare_pipeline",
    "preview_mappings",
    "require_usable",
    "retire",
    "retire_mapping",
    "retire_transformation",
    "rollback",
    "rollback_mapping",
    "rollback_pipeline",
    "rotate_credentials",
    "run_mapping_tests",
    "run_transformation_tests",
    "select",
    "set_credential",
    "set_mapping",
    "set_pipeline",
    "set_settings",
    "set_transformation",
    "show",
    "show_environment",
    "show_mapping",
    "show_pipeline",
    "show_table",
    "show_template",
    "show_transformation",
    "suggest_mappings",
    "summarise",
    "switch_environment",
    "track_table",
    "transformation_history",
    "try_transformation",
    "unset_credential",
    "untrack_table",
    "usable",
]

_HOMES = {
    "MappingTest": "mapping_tests",
    "MappingsVersion": "earlier",
    "Plan": "plan",
    "Use": "using",
    "create": "instances",
    "disable": "using",
    "discover": "catalogs",
    "enable": "using",
    "find": "reading",
    "find_all": "reading",
    "find_pipeline": "reading",
    "get_credential": "credentials",
    "keep_inputs": "keeping",
    "list_credentials": "credentials",
    "list_integrations": "reading",
    "list_pipelines": "reading",
    "list_template_versions": "templates",
    "list_templates": "templates",
    "TemplateVersion": "templates",
    "diff_templates": "templates",
    **dict.fromkeys(("Taken", "export_template", "import_template"), "sharing"),
    "map_configurations": "configurations",
    "list_mapping_versions": "earlier",
    "prepare": "plan",
    "prepare_pipeline": "plan",
    "require_usable": "using",
    "retire": "instances",
    "rotate_credentials": "credentials",
    "run_mapping_tests": "mapping_tests",
    "select": "catalogs",
    "set_credential": "credentials",
    "show": "reading",
    "show_template": "templates",
    "unset_credential": "credentials",
    "usable": "using",
    **dict.fromkeys(
        (
            "MappingVersion",
            "add_mapping",
            "diff_mapping",
            "list_mappings",
            "mapping_history",
            "retire_mapping",
            "rollback_mapping",
            "set_mapping",
            "show_mapping",
        ),
        "mappings",
    ),
    **dict.fromkeys(
        (
            "StoredTransformation",
            "TransformationVersion",
            "Trial",
            "add_transformation",
            "compile_transformation",
            "list_transformations",
            "retire_transformation",
            "set_transformation",
            "show_transformation",
            "transformation_history",
            "try_transformation",
        ),
        "transformations",
    ),
    **dict.fromkeys(("TransformationTest", "run_transformation_tests"), "transformation_tests"),
    **dict.fromkeys(("apply_suggestions", "suggest_mappings"), "suggesting"),
    **dict.fromkeys(("Case", "confirm_tests", "generate_tests"), "mapping_cases"),
    **dict.fromkeys(("Suite", "mapping_test_history", "summarise"), "mapping_tests"),
    **dict.fromkeys(("Preview", "preview_mappings"), "previews"),
    **dict.fromkeys(
        ("OwnTable", "create_table", "list_tables", "show_table", "track_table", "untrack_table"),
        "own_tables",
    ),
    "create_table_from": "table_files",
    **dict.fromkeys(("Approvals", "approve", "list_approvals"), "approvals"),
    **dict.fromkeys(("show_environment", "switch_environment"), "environments"),
    **dict.fromkeys(
        (
            "PipelineVersion",
            "diff_pipeline",
            "pipeline_history",
            "rollback_pipeline",
            "set_pipeline",
            "show_pipeline",
        ),
        "pipelines",
    ),
    **dict.fromkeys(("Version", "diff", "history", "rollback", "set_settings"), "versions"),
}


def __getattr__(name: str) -> Any:
    # Each part waits until it is used: reading needs neither models nor connectors.
    if name in {"own_tables", "tables"}:
        return import_module(f"{__name__}.{name}")
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
