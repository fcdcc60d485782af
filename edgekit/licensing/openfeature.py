"""Features as flags of OpenFeature, for programs that ask through its SDK (the extra `openfeature`).

    from openfeature import api
    from openfeature.evaluation_context import EvaluationContext
    from edgekit.licensing.openfeature import Provider

    api.set_provider(Provider())  # answers from the file that is open
    client = api.get_client()
    client.get_boolean_value("ADVANCED_ANALYTICS", False, EvaluationContext("maria", {"program": "AUTO"}))

A flag is a feature, by code or key. The targeting key is the user; `program`, `producer`, `entity`, `user`
and `organization` are read from the attributes, by code or id, and others are left alone.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from edgekit import db, licensing
from edgekit.errors import EdgekitError, NotFoundError, UnavailableError

try:
    from openfeature.exception import (
        FlagNotFoundError,
        GeneralError,
        InvalidContextError,
        ProviderNotReadyError,
        TypeMismatchError,
    )
    from openfeature.flag_evaluation import FlagResolutionDetails, Reason
    from openfeature.provider import AbstractProvider, Metadata
except ImportError as error:
    raise UnavailableError(
        "The OpenFeature provider needs the openfeature extra.", hint="Run: pip install edgekit[openfeature]"
    ) from error

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from openfeature.evaluation_context import EvaluationContext
    from openfeature.flag_evaluation import FlagMetadata, FlagValueType

    from edgekit.licensing import Decision

_PLACES = ("program", "producer", "entity", "user", "organization")
_FOR_ALL = {"core", "default"}


class Provider(AbstractProvider):
    """Answers with what is licensed in the open file.

    A boolean flag is whether the feature is available. Any other is its value, an object without a value its
    settings; where the feature is off, or says nothing, the caller's default. Nothing is blocked here and
    nothing counted: ask `licensing.require` and `licensing.use` for that.
    """

    def get_metadata(self) -> Metadata:
        """Name the provider."""
        return Metadata(name="edgekit")

    def resolve_boolean_details(
        self, flag_key: str, default_value: bool, evaluation_context: EvaluationContext | None = None
    ) -> FlagResolutionDetails[bool]:
        """Say whether a feature is available; of one whose value is true or false, which."""
        decision = _decide(flag_key, evaluation_context)
        value = decision.enabled and (decision.value if isinstance(decision.value, bool) else True)
        return _details(decision, value, None)

    def resolve_string_details(
        self, flag_key: str, default_value: str, evaluation_context: EvaluationContext | None = None
    ) -> FlagResolutionDetails[str]:
        """Return the text a feature has for a value."""
        return _value(flag_key, default_value, evaluation_context, lambda value: isinstance(value, str))

    def resolve_integer_details(
        self, flag_key: str, default_value: int, evaluation_context: EvaluationContext | None = None
    ) -> FlagResolutionDetails[int]:
        """Return the whole number a feature has for a value."""
        return _value(flag_key, default_value, evaluation_context, lambda value: type(value) is int)

    def resolve_float_details(
        self, flag_key: str, default_value: float, evaluation_context: EvaluationContext | None = None
    ) -> FlagResolutionDetails[float]:
        """Return the number a feature has for a value."""
        found = _value(flag_key, default_value, evaluation_context, lambda value: type(value) in {int, float})
        found.value = float(found.value)
        return found

    def resolve_object_details(
        self, flag_key: str, default_value: Sequence[FlagValueType] | Mapping[str, FlagValueType],
        evaluation_context: EvaluationContext | None = None,
    ) -> FlagResolutionDetails[Sequence[FlagValueType] | Mapping[str, FlagValueType]]:  # fmt: skip
        """Return the object or list a feature has for a value, else its settings."""
        return _value(
            flag_key, default_value, evaluation_context, lambda value: isinstance(value, dict | list),
            with_settings=True,
        )  # fmt: skip


def _value(
    flag: str, default: Any, context: EvaluationContext | None, is_right: Callable[[Any], bool], *,
    with_settings: bool = False,
) -> FlagResolutionDetails[Any]:  # fmt: skip
    decision = _decide(flag, context)
    if not decision.enabled:
        return _details(decision, default, Reason.DISABLED)
    value = decision.value
    if value is None and with_settings and decision.settings:
        value = decision.settings
    value = _thaw(value)
    if value is None:
        return _details(decision, default, Reason.DEFAULT)
    if not is_right(value):
        raise TypeMismatchError(
            f"The value of {decision.feature} is of another kind: {type(value).__name__}."
        )
    return _details(decision, value, None)


def _thaw(value: Any) -> Any:
    """Copy a value of a decision, which is shared and cannot be changed, to one the caller may keep."""
    if isinstance(value, Mapping):
        return {key: _thaw(item) for key, item in value.items()}
    return [_thaw(item) for item in value] if isinstance(value, tuple | list) else value


def _details(decision: Decision, value: Any, reason: Reason | None) -> FlagResolutionDetails[Any]:
    if reason is None:
        matched = Reason.STATIC if decision.reason in _FOR_ALL else Reason.TARGETING_MATCH
        reason = matched if decision.enabled else Reason.DISABLED
    return FlagResolutionDetails(
        value=value, reason=reason, variant="on" if decision.enabled else "off", flag_metadata=_say(decision)
    )


def _say(decision: Decision) -> FlagMetadata:
    said = {
        "feature": decision.feature,
        "feature_key": decision.feature_key,
        "reason": decision.reason,
        "message": decision.message,
        "mode": decision.mode,
        "quantity": decision.quantity,
        "turns_at": decision.turns_at,
        "license": decision.licence.serial if decision.licence is not None else None,
    }
    return {name: value for name, value in said.items() if value is not None}


def _decide(flag: str, context: EvaluationContext | None) -> Decision:
    place = _place(context)
    try:
        return licensing.check(flag, **place)
    except NotFoundError as error:
        raise _missing(flag, place, error) from error
    except EdgekitError as error:
        raise GeneralError(error.message) from error


def _place(context: EvaluationContext | None) -> dict[str, Any]:
    if context is None:
        return {}
    place = {name: context.attributes[name] for name in _PLACES if context.attributes.get(name) is not None}
    if context.targeting_key:
        place.setdefault("user", context.targeting_key)
    for name, value in place.items():
        if type(value) not in {int, str}:
            raise InvalidContextError(f"The {name} in the context is neither a code nor an id.")
    return place


def _missing(flag: str, place: dict[str, Any], error: NotFoundError) -> Exception:
    """Tell a feature that is not there from a place that is not, and from no file at all."""
    try:
        db.current()
    except NotFoundError:
        return ProviderNotReadyError(error.message)
    if not place:
        return FlagNotFoundError(error.message)
    try:
        licensing.check(flag)
    except NotFoundError as own:
        return FlagNotFoundError(own.message)
    return InvalidContextError(error.message)
