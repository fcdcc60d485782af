"""The runner: run an integration, keep the books of it, and deal with what was set aside.

result = runner.run("vins")
for letter in runner.list_dead_letters():
    runner.replay_dead_letter(letter["id"])
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from edgekit.runner.certifying import certify, withdraw_certification
    from edgekit.runner.channels.at_once import send_communication
    from edgekit.runner.channels.threads import show_history, show_thread
    from edgekit.runner.dead_letters import discard_dead_letter
    from edgekit.runner.deliveries import list_deliveries
    from edgekit.runner.engine import run
    from edgekit.runner.execution import RunResult
    from edgekit.runner.health import Health, check_all_health, check_health
    from edgekit.runner.holding import recover_executions
    from edgekit.runner.kept import Pruned, prune_inputs
    from edgekit.runner.limiting.breakers import reset_breakers
    from edgekit.runner.limiting.showing import LimitsShown, list_breakers, show_limits
    from edgekit.runner.notifying.expiring import tell_expiring
    from edgekit.runner.notifying.flushing import Flushed, flush_notifications
    from edgekit.runner.notifying.hearing import notify
    from edgekit.runner.notifying.reading import (
        list_muted,
        list_notifications,
        mute_notifications,
        show_notification,
        unmute_notifications,
    )
    from edgekit.runner.notifying.recipients import notify_of
    from edgekit.runner.notifying.trying import try_notifications
    from edgekit.runner.pipelines import test_integration_pipeline
    from edgekit.runner.process.services import Service, install, plan_service, uninstall
    from edgekit.runner.process.starting import Lived, start
    from edgekit.runner.process.status import Status, status
    from edgekit.runner.reading import list_dead_letters, list_executions, show_dead_letter, show_execution
    from edgekit.runner.replaying import Replayed, replay_dead_letter, replay_dead_letters
    from edgekit.runner.rerun import Rerun, replay_execution
    from edgekit.runner.saving import save_as_test
    from edgekit.runner.scheduling import (
        Backfill,
        backfill,
        calendar,
        list_slots,
        run_schedule,
        unaccounted,
    )
    from edgekit.runner.scheduling.schedules import (
        add_schedule,
        list_schedules,
        next_times,
        pause_schedule,
        resume_schedule,
        set_schedule,
        show_schedule,
    )
    from edgekit.runner.scheduling.ticking import Tick, tick
    from edgekit.runner.template_tests import SuiteTest, try_template
    from edgekit.runner.trials import Tried, test_integration
    from edgekit.runner.upgrades import Upgrade, roll_back_upgrade, upgrade, upgrade_all
    from edgekit.runner.webhooks import list_webhook_receipts, receive_webhook, show_webhook_receipt

__all__ = [
    "Backfill",
    "Flushed",
    "Health",
    "LimitsShown",
    "Lived",
    "Pruned",
    "Replayed",
    "Rerun",
    "RunResult",
    "Service",
    "Status",
    "SuiteTest",
    "Tick",
    "Tried",
    "Upgrade",
    "add_schedule",
    "backfill",
    "calendar",
    "certify",
    "check_all_health",
    "check_health",
    "discard_dead_letter",
    "flush_notifications",
    "install",
    "list_breakers",
    "list_dead_letters",
    "list_deliveries",
    "list_executions",
    "list_muted",
    "list_notifications",
    "list_schedules",
    "list_slots",
    "list_webhook_receipts",
    "mute_notifications",
    "next_times",
    "notify",
    "notify_of",
    "pause_schedule",
    "plan_service",
    "prune_inputs",
    "receive_webhook",
    "recover_executions",
    "replay_dead_letter",
    "replay_dead_letters",
    "replay_execution",
    "reset_breakers",
    "resume_schedule",
    "roll_back_upgrade",
    "run",
    "run_schedule",
    "save_as_test",
    "send_communication",
    "set_schedule",
    "show_dead_letter",
    "show_execution",
    "show_history",
    "show_limits",
    "show_notification",
    "show_schedule",
    "show_thread",
    "show_webhook_receipt",
    "start",
    "status",
    "tell_expiring",
    "test_integration",
    "test_integration_pipeline",
    "tick",
    "try_notifications",
    "try_template",
    "unaccounted",
    "uninstall",
    "unmute_notifications",
    "upgrade",
    "upgrade_all",
    "withdraw_certification",
]

_HOMES = {
    "Health": "health",
    "Pruned": "kept",
    "Replayed": "replaying",
    "Rerun": "rerun",
    "RunResult": "execution",
    "check_all_health": "health",
    "check_health": "health",
    "discard_dead_letter": "dead_letters",
    **dict.fromkeys(("LimitsShown", "list_breakers", "show_limits"), "limiting.showing"),
    "list_dead_letters": "reading",
    "list_deliveries": "deliveries",
    "list_executions": "reading",
    "list_webhook_receipts": "webhooks",
    "prune_inputs": "kept",
    "receive_webhook": "webhooks",
    "recover_executions": "holding",
    "replay_dead_letter": "replaying",
    "replay_dead_letters": "replaying",
    "replay_execution": "rerun",
    "reset_breakers": "limiting.breakers",
    "run": "engine",
    "save_as_test": "saving",
    "send_communication": "channels.at_once",
    **dict.fromkeys(("show_history", "show_thread"), "channels.threads"),
    "show_dead_letter": "reading",
    "show_execution": "reading",
    "show_webhook_receipt": "webhooks",
    "test_integration_pipeline": "pipelines",
    **dict.fromkeys(("Service", "install", "plan_service", "uninstall"), "process.services"),
    **dict.fromkeys(("Lived", "start"), "process.starting"),
    **dict.fromkeys(("Status", "status"), "process.status"),
    **dict.fromkeys(("certify", "withdraw_certification"), "certifying"),
    **dict.fromkeys(
        (
            "add_schedule",
            "list_schedules",
            "next_times",
            "pause_schedule",
            "resume_schedule",
            "set_schedule",
            "show_schedule",
        ),
        "scheduling.schedules",
    ),
    **dict.fromkeys(("Tick", "tick"), "scheduling.ticking"),
    **dict.fromkeys(("Flushed", "flush_notifications"), "notifying.flushing"),
    **dict.fromkeys(
        (
            "list_muted",
            "list_notifications",
            "mute_notifications",
            "show_notification",
            "unmute_notifications",
        ),
        "notifying.reading",
    ),
    "notify": "notifying.hearing",
    "notify_of": "notifying.recipients",
    "tell_expiring": "notifying.expiring",
    "try_notifications": "notifying.trying",
    **dict.fromkeys(
        ("Backfill", "backfill", "calendar", "list_slots", "run_schedule", "unaccounted"), "scheduling"
    ),
    **dict.fromkeys(("SuiteTest", "try_template"), "template_tests"),
    **dict.fromkeys(("Tried", "test_integration"), "trials"),
    **dict.fromkeys(("Upgrade", "roll_back_upgrade", "upgrade", "upgrade_all"), "upgrades"),
}


def __getattr__(name: str) -> Any:
    # Each part waits until it is used: reading needs neither models nor connectors.
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
