"""What subscriptions do with events: tell others by webhook, or run an integration."""

from edgekit.runner.listening import running, webhooks

__all__ = ["running", "webhooks"]
