"""JavaScript in a worker: the one door to quickjs-ng.

A script runs in a realm of its own in which all that could keep something is frozen before it comes: what it
does to a prototype or to `globalThis` is refused, so nothing of one record reaches the next.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

from edgekit.transformation.limits import Refusal, out_of_memory, out_of_time, too_deep, too_large

if TYPE_CHECKING:
    from edgekit.transformation.limits import Limits

_STACK = 256 << 10
_FIRST_LINE = re.compile(r"<(?:input|evalScript|anonymous)>:(\d+)")
_UNKNOWN = re.compile(r"ReferenceError: (\w+) is not defined")
_REACH = {
    "Bun", "Deno", "Worker", "WebAssembly", "WebSocket", "XMLHttpRequest", "bjson", "child_process",
    "console", "document", "fetch", "fs", "importScripts", "load", "module", "navigator", "os", "print",
    "process", "require", "scriptArgs", "setInterval", "setTimeout", "std", "window",
}  # fmt: skip
_TOO_MUCH = ("out of memory", "string too long", "invalid string length", "array length", "buffer length",
    "BigInt is too large")  # fmt: skip
_NO_JSON = "NoJson: "
_EXACT = 2**53

_REALM = r"""
(function () {
  "use strict";
  for (const name of ["Atomics", "SharedArrayBuffer", "WeakRef", "FinalizationRegistry", "performance"])
    delete globalThis[name];
  const refuse = function (name, hint) {
    return function () { throw new TypeError(name + " is no JSON value" + hint); };
  };
  for (const [type, hint] of [[Map, "; use Object.fromEntries(…)"], [Set, "; use [...…]"], [Promise, ""],
      [RegExp, ""], [WeakMap, ""], [WeakSet, ""], [BigInt, "; use Number(…) or String(…)"], [Function, ""],
      [ArrayBuffer, ""], [DataView, ""], [Object.getPrototypeOf(Int8Array), "; use Array.from(…)"]])
    Object.defineProperty(type.prototype, "toJSON", {
      value: refuse(type === Function ? "a function" : "a " + type.name, hint) });
  Object.defineProperty(Symbol.prototype, "toJSON", { value: refuse("a Symbol", "") });
  // A frozen prototype would also forbid objects of the script to have members of its members' names.
  for (const proto of [Object.prototype, Error.prototype])
    for (const [name, entry] of Object.entries(Object.getOwnPropertyDescriptors(proto)))
      if (entry.writable)
        Object.defineProperty(proto, name, {
          get() { return entry.value; },
          set(value) {
            if (this === proto) throw new TypeError("'" + name + "' is read-only");
            Object.defineProperty(this, name,
              { value, writable: true, enumerable: true, configurable: true });
          },
        });
  const seen = new Set();
  const found = [globalThis, function* () {}, async function () {}, async function* () {},
    [][Symbol.iterator](), new Map().entries(), new Set().values(), ""[Symbol.iterator](), "".matchAll(/a/g),
    Iterator.from({ next() {} }),
    (function* () {})().map((x) => x), Object.getPrototypeOf(Int8Array)];
  while (found.length) {
    const object = found.pop();
    if ((typeof object !== "object" && typeof object !== "function") || object === null || seen.has(object))
      continue;
    seen.add(object);
    found.push(Object.getPrototypeOf(object));
    const entries = Object.getOwnPropertyDescriptors(object);
    for (const key of Reflect.ownKeys(entries))
      found.push(entries[key].value, entries[key].get, entries[key].set);
    Object.freeze(object);
  }
})()
"""

_DRIVER = r"""
(function (script) {
  "use strict";
  const { parse, stringify } = JSON;
  const isFinite = Number.isFinite;
  const includes = Function.prototype.call.bind(String.prototype.includes);
  class NoJson extends Error {}
  Object.defineProperty(NoJson.prototype, "name", {value: "NoJson"});
  const strict = function (key, value) {
    if (typeof value === "number" && !isFinite(value)) throw new TypeError(value + " is no JSON value");
    if (typeof value === "symbol") throw new TypeError("a Symbol is no JSON value");
    return value;
  };
  return function (text) {
    const value = script(parse(text));
    if (value === undefined) return "null";
    try {
      const written = stringify(value);  // given as it is: the binding takes no text that was put together
      if (written !== undefined && !includes(written, "null")) return written;
      return stringify(value, strict) ?? "null";
    } catch (error) {
      throw new NoJson(error);
    }
  };
})
"""


class Evaluator:
    """A script at work in a worker."""

    def __init__(self, text: str, limits: Limits, seconds: float) -> None:
        self.text = text
        self.limits = limits
        self.function: Any = None
        self._open(seconds)

    def _open(self, seconds: float) -> None:
        import quickjs  # type: ignore[import-untyped]

        self.function = None
        context = quickjs.Context()
        context.set_max_stack_size(_STACK)
        context.eval(_REALM)
        context.set_memory_limit(self.limits.memory)
        context.set_time_limit(seconds)
        script = context.eval(f"(0, eval)({json.dumps(self._source(context))})")
        self.function = context.eval(_DRIVER)(script)
        self.context = context

    def _source(self, context: Any) -> str:
        """Write the script as a function: an expression as it is, statements as what their last one gives."""
        import quickjs

        text = self.text
        plain = f'(function (input) {{ "use strict"; return (\n{text}\n); }})'
        try:
            context.eval(f"(0, eval)({json.dumps(plain)})")
        except quickjs.JSException:
            pass  # no expression: statements
        else:
            return plain.replace("return (\n", "return (", 1)
        whole = f'(function (input) {{ "use strict"; {text}\n}})'
        try:
            context.eval(f"(0, eval)({json.dumps(whole)})")
        except quickjs.JSException as error:
            raise _refusal(str(error), self.limits, 0, code="syntax") from None
        try:  # where `return` may not stand: what gives its value by it is a function already
            closed = f"(class {{ static {{ if (0) {{ {text}\n}} }} }})"
            context.eval(f"(0, eval)({json.dumps(closed)})")
        except quickjs.JSException:
            if re.search(r"\breturn\b", text):
                return whole
        return f'(function (input) {{ "use strict"; return eval({json.dumps(text)}); }})'

    def run(self, document: bytes, seconds: float) -> str:
        """Answer one record in JSON within so many seconds. Raise Refusal."""
        if re.search(rb"[0-9]{16}", document):
            _refuse_inexact(json.loads(document))
        try:
            return self._call(document.decode(), seconds)
        except Refusal as refusal:
            if refusal.code != "memory":
                raise
            self._open(seconds)  # what earlier records left undone may fill the memory: once more, alone
            return self._call(document.decode(), seconds)

    def _call(self, text: str, seconds: float) -> str:
        import quickjs

        self.context.set_time_limit(seconds)
        try:
            answer: str = self.function(text)
        except quickjs.StackOverflow:
            raise too_deep() from None
        except MemoryError:
            raise out_of_memory() from None
        except quickjs.JSException as error:
            raise _refusal(str(error), self.limits, seconds) from None
        if len(answer) > self.limits.output:
            raise too_large(self.limits.output)
        return answer


def _refusal(message: str, limits: Limits, seconds: float, *, code: str = "failed") -> Refusal:
    """Read what the engine says: the error on the first line, then where, the innermost place first."""
    said, _, trace = message.partition("\n")
    if "InternalError: interrupted" in said:
        return out_of_time(seconds)
    if said == "null" or any(sign in said for sign in _TOO_MUCH):  # null: no memory for the error itself
        return out_of_memory()
    if "call stack size" in said:
        return too_deep()
    if said.startswith(_NO_JSON):
        code, said, trace = "output", said.removeprefix(_NO_JSON), ""
    place = _FIRST_LINE.search(trace)
    unknown = _UNKNOWN.match(said)
    if unknown and unknown[1] in _REACH:
        return Refusal("denied", f"may not use {unknown[1]}: it sees its input only", place and int(place[1]))
    verb = {"failed": "fails: ", "syntax": "is no JavaScript: ", "output": "gives no JSON: "}[code]
    said = said if code == "failed" else said.partition(": ")[2] or said
    return Refusal(code, verb + said, int(place[1]) if place else None)


def _refuse_inexact(value: Any) -> None:
    """Refuse a whole number JavaScript would change without a word."""
    if isinstance(value, dict):
        for item in value.values():
            _refuse_inexact(item)
    elif isinstance(value, list):
        for item in value:
            _refuse_inexact(item)
    elif isinstance(value, int) and not -_EXACT <= value <= _EXACT:
        shown = str(value)[:30] if abs(value) < 10**40 else "a number of more than 40 digits"
        raise Refusal("input", f"cannot take {shown}: too large for JavaScript, make it a text")
