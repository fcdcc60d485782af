"""Deciding from facts: nothing here reads the file.

A feature by itself walks: core, registry default, tier, licences along the chain, what is set for the user;
the later has the word. A feature as a whole is on where it and all it depends on are on by themselves.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, NamedTuple

from edgekit import clock
from edgekit.licensing.facts import HAVE_SAY, Fact, Facts, Licence
from edgekit.licensing.merging import USER, keep_within, level_of, merge

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from edgekit.licensing.merging import Said
    from edgekit.scope import Link

REASONS = {
    "core": "It is a core feature: always on.",
    "default": "The registry has it on by default.",
    "tier": "The tier covers it.",
    "license": "A licence grants it.",
    "grace": "A licence grants it that has expired and is in its days of grace.",
    "user": "It is set for this user.",
    "retired": "The feature is retired.",
    "withheld": "A licence withholds it.",
    "tier_withholds": "The tier leaves it out.",
    "expired": "Its licence has expired.",
    "revoked": "Its licence was revoked.",
    "replaced": "Its licence was replaced by one that leaves it out.",
    "tampered": "Its licence is not what its vendor signed.",
    "wrong_site": "Its licence is for another file.",
    "pending": "Its licence does not hold yet.",
    "not_licensed": "Neither a tier nor a licence covers it.",
    "user_off": "It is switched off for this user.",
    "not_signed": "It is granted by hand; while licences block, only what the vendor signed counts.",
    "dependency": "It depends on a feature that is off.",
}
"""Every reason of a decision, and what it says."""

BY_HAND = "entered by hand; while licences block, only what the vendor signed counts"

_STATES = {
    "withheld": "is inactive and so withholds it",
    "expired": "expired at {0}",
    "revoked": "was revoked",
    "replaced": "was replaced",
    "tampered": "is not what its vendor signed",
    "wrong_site": "is for another file",
    "pending": "holds from {1} on",
    "grace": "expired at {0} and is in grace until {1}",
}


@dataclass(frozen=True, slots=True)
class Step:
    """One thing that had a say: where it stands, and whether it switches on, off, or says nothing of that."""

    feature: str
    source: str
    scope: str | None
    says: str
    detail: str


@dataclass(frozen=True, slots=True)
class Unmet:
    """One link that is missing: of what kind, what it needs, what there is."""

    feature: str
    link: str
    needs: str | None
    has: str | None
    message: str


class Verdict(NamedTuple):
    """What a feature is by itself, without what it depends on."""

    enabled: bool
    reason: str
    value: Any
    settings: Mapping[str, Any]
    licence: Licence | None


@dataclass(frozen=True, slots=True)
class Decision:
    """Whether a feature is available at a place, why, and with which value and settings.

    `quantity` is how much the deciding licence allows, None without one. `mode` says what an unlicensed use
    meets: advise, warn or block. `path` is worked out when it is read.
    """

    enabled: bool
    reason: str
    feature: str
    feature_key: str
    value: Any
    settings: Mapping[str, Any]
    quantity: int | None
    mode: str
    turns_at: str | None
    good_until: float | None = field(repr=False)
    facts: Facts = field(repr=False, compare=False)
    verdicts: tuple[Verdict, ...] = field(repr=False, compare=False)

    @property
    def message(self) -> str:
        """The reason as a sentence."""
        return REASONS[self.reason]

    @property
    def path(self) -> tuple[Step, ...]:
        """All that was looked at, in order: the feature itself first, then what it depends on."""
        features, signed = self.facts.features, self.facts.signed
        if signed is None:
            return tuple(step for fact in features for step in _steps(fact, self.facts))
        held = _judge_signed(signed)
        return tuple(
            step
            for fact, verdict in zip(features, held, strict=True)
            for step in _steps(fact, self.facts, is_signed=verdict.enabled)
        )

    @property
    def licence(self) -> Licence | None:
        """The licence whose word counts, if one has it."""
        return self.verdicts[0].licence


def decide(facts: Facts) -> Decision:
    """Decide on the first feature of the facts."""
    verdicts = tuple([judge(fact, facts) for fact in facts.features])
    if facts.signed is not None:
        verdicts = tuple(map(_within, verdicts, _judge_signed(facts.signed)))
    fact, own = facts.features[0], verdicts[0]
    enabled, reason = own.enabled, own.reason
    if enabled and reason != "core":
        for other in verdicts:
            if not other.enabled:
                enabled, reason = False, "dependency"
                break
    quantity = own.licence.quantity if own.licence is not None else None
    good_until = None if facts.turns_at is None else clock.from_text(facts.turns_at).timestamp()
    return Decision(
        enabled, reason, fact.of.code, fact.of.key, own.value, own.settings, quantity, facts.mode,
        facts.turns_at, good_until, facts, verdicts,
    )  # fmt: skip


def judge(fact: Fact, facts: Facts) -> Verdict:
    """Say what a feature is by itself; later has the word, and a narrower licence before a broader."""
    enabled, reason = False, "not_licensed"
    says: list[Said] = []
    if fact.of.default is not None:
        says.append((0, fact.of.default))
        if fact.of.default["enabled"] and not fact.of.is_addon:
            enabled, reason = True, "default"
    if not fact.of.is_addon:
        if fact.tier_value is not None:
            says.append((0, fact.tier_value))
        tier = _tier_says(fact, facts)
        if tier is not None:
            enabled, reason = tier, "tier" if tier else "tier_withholds"
    licence = None
    if fact.licences:
        enabled, reason, licence = _judge_licences(fact, enabled, reason, says)
    if fact.override is not None:
        says.append((USER, fact.override))
        if "enabled" in fact.override:
            enabled = bool(fact.override["enabled"])
            reason = "user" if enabled else "user_off"
    if fact.of.is_core:
        enabled, reason = True, "core"
    elif not fact.of.is_active:
        enabled, reason = False, "retired"
    return Verdict(enabled, reason, *merge(fact, says), licence)


def _judge_signed(signed: Facts) -> list[Verdict]:
    return [judge(fact, signed) for fact in signed.features]


def _within(whole: Verdict, signed: Verdict) -> Verdict:
    """Keep a verdict within what is signed: what is entered by hand may take away, and not add."""
    if whole.reason == "core":
        return whole
    value = keep_within(signed.value, whole.value)
    settings = keep_within(signed.settings, whole.settings)
    if not whole.enabled:
        return whole._replace(value=value, settings=settings)
    if not signed.enabled:
        return Verdict(False, "not_signed", value, settings, None)
    # A licence by hand beside a signed one would count uses apart from it, and so allow more of them.
    return Verdict(True, signed.reason, value, settings, signed.licence or whole.licence)


def _judge_licences(
    fact: Fact, enabled: bool, reason: str, says: list[Said]
) -> tuple[bool, str, Licence | None]:
    """Let the licences have their say, the broadest first, and return the one whose word counts."""
    licence = None
    for one in fact.licences:
        if one.state in HAVE_SAY:
            licence = one
            if one.value is not None:
                says.append((level_of(one.link), one.value))
            if one.configuration is not None:
                says.append((level_of(one.link), {"settings": one.configuration}))
            enabled = one.state != "withheld" and (one.value is None or one.value["enabled"])
            reason = ("grace" if one.state == "grace" else "license") if enabled else "withheld"
        elif not enabled and licence is None:
            reason = one.state
    return enabled, reason, licence


def _tier_says(fact: Fact, facts: Facts) -> bool | None:
    """Say whether the tier has it on or off; None where it says nothing of it."""
    if fact.tier_value is not None:
        return bool(fact.tier_value["enabled"])
    return True if facts.tier is not None and facts.tier.rank >= fact.of.needs_rank else None


def _says(enabled: bool | None) -> str:
    return "nothing" if enabled is None else "on" if enabled else "off"


def _steps(fact: Fact, facts: Facts, *, is_signed: bool = True) -> Iterator[Step]:
    """Give what had a say of one feature, in the order it was asked.

    Where it is not on by what is signed, what switches it on by hand says nothing.
    """
    is_beyond = not is_signed and not fact.of.is_core
    if fact.of.is_core:
        yield Step(fact.of.code, "core", None, "on", REASONS["core"])
    if not fact.of.is_active:
        yield Step(fact.of.code, "registry", None, "off", REASONS["retired"])
    given = None if fact.of.default is None else bool(fact.of.default["enabled"])
    detail = "no default" if given is None else "on by default" if given else "off by default"
    if fact.of.is_addon and given:
        given, detail = None, "on by default, but an add-on needs a licence of its own"
    yield Step(fact.of.code, "default", None, _says(given), detail)
    tier = _tier_step(fact, facts)
    is_entered = facts.signed is not None and facts.signed.tier != facts.tier
    yield _not_signed(tier) if is_beyond and is_entered else tier
    for link, one in _licence_steps(fact, facts):
        if one is None:
            yield Step(fact.of.code, "license", link.label, "nothing", "no licence")
        else:
            on = one.state != "withheld" and (one.value is None or bool(one.value["enabled"]))
            said = on if one.state in HAVE_SAY else None
            step = Step(fact.of.code, "license", link.label, _says(said), _tell(one))
            yield _not_signed(step) if is_beyond and one.serial is None else step
    user = next((link for link in facts.chain if link.level == "USER"), None)
    if user is not None:
        said = None if fact.override is None else fact.override.get("enabled")
        detail = "not set" if fact.override is None else "set for this user"
        step = Step(fact.of.code, "user", user.label, _says(said), detail)
        yield _not_signed(step) if is_beyond else step


def _not_signed(step: Step) -> Step:
    return replace(step, says="nothing", detail=f"{step.detail}, {BY_HAND}") if step.says == "on" else step


def _tier_step(fact: Fact, facts: Facts) -> Step:
    scope = facts.tier.code if facts.tier is not None else None
    says = None if fact.of.is_addon else _tier_says(fact, facts)
    if fact.of.is_addon:
        detail = "an add-on: no tier covers it"
    elif facts.tier is None:
        detail = f"no tier is assigned; it takes {fact.of.needs_tier}"
    elif fact.tier_value is not None:
        detail = f"{facts.tier.code} says so itself"
    else:
        verb = "covers" if says else "does not reach"
        detail = f"{facts.tier.code} {verb} what takes {fact.of.needs_tier}"
    return Step(fact.of.code, "tier", scope, _says(says), detail)


def _licence_steps(fact: Fact, facts: Facts) -> Iterator[tuple[Link, Licence | None]]:
    for link in facts.chain:
        if link.level in {"ENTITY", "USER"}:
            continue
        found: list[Licence | None] = [one for one in fact.licences if one.link == link]
        yield from ((link, one) for one in found or [None])


def _tell(one: Licence) -> str:
    name = f"licence {one.serial or one.id}"
    if one.state in _STATES:
        return f"{name} {_STATES[one.state].format(one.expires_at, one.turns_at)}"
    until = f" until {one.expires_at}" if one.expires_at else ""
    on = one.value is None or one.value["enabled"]
    return f"{name} {'grants' if on else 'withholds'} it{until}, quantity {one.quantity}"


def find_unmet(decision: Decision, edges: Sequence[tuple[int, int]]) -> Iterator[Unmet]:
    """Give every link that is missing; `edges` are the dependencies among the features of the decision."""
    if decision.enabled:
        return
    facts = decision.facts
    judged = dict(zip([fact.of.id for fact in facts.features], decision.verdicts, strict=True))
    codes = {fact.of.id: fact.of.code for fact in facts.features}
    off = {key for key, verdict in judged.items() if not verdict.enabled}
    while more := {needer for needer, needed in edges if needed in off and needer not in off}:
        off |= more
    for fact in facts.features:
        for _, needed in sorted(edge for edge in edges if edge[0] == fact.of.id and edge[1] in off):
            verdict = judged[needed]
            reason = "dependency" if verdict.enabled else verdict.reason
            message = f"{fact.of.code} depends on {codes[needed]}, which is off: {REASONS[reason]}"
            yield Unmet(fact.of.code, "dependency", codes[needed], reason, message)
        if not judged[fact.of.id].enabled:
            yield from _missing(fact, judged[fact.of.id], facts)


def _missing(fact: Fact, verdict: Verdict, facts: Facts) -> Iterator[Unmet]:
    """Name what keeps one feature off by itself."""
    code = fact.of.code
    if verdict.reason == "retired":
        yield Unmet(code, "feature", "ACTIVE", "retired", f"{code} is retired in the registry.")
        return
    if verdict.reason == "user_off":
        yield Unmet(code, "user", None, "off", f"{code} is switched off for this user.")
        return
    if verdict.reason == "not_signed":
        yield Unmet(code, "license", "a signed licence", "by hand", f"{code} is granted by hand: {BY_HAND}.")
        return
    has = facts.tier.code if facts.tier is not None else None
    if not fact.of.is_addon and not _tier_says(fact, facts):
        what = f"the tier is {has}" if has else "no tier is assigned"
        if fact.tier_value is not None:
            what = f"{has} leaves it out"
        yield Unmet(
            code, "tier", fact.of.needs_tier, has, f"{code} takes the tier {fact.of.needs_tier}; {what}."
        )
    where = " > ".join(link.label for link in facts.chain if link.level not in {"ENTITY", "USER"})
    if verdict.licence is not None or fact.licences:
        lapsed = verdict.licence or fact.licences[-1]
        message = f"{code}: {_tell(lapsed)} ({lapsed.link.label})."
        yield Unmet(code, "license", "a licence in force", lapsed.state, message)
    else:
        yield Unmet(code, "license", "a licence", None, f"{code} has no licence along {where}.")
