"""Scripts that mean harm, or ask for what no JSON says, by language: the script and the code it ends with."""

from __future__ import annotations

from typing import Any

RECORD: dict[str, Any] = {"a": 1, "s": "a" * 60 + "b", "list": list(range(200)), "big": ["x" * 1000] * 1000}

_TEN = "[@,@,@,@,@,@,@,@,@,@]"
_COUNT = "WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c)"
_EACH = ", ".join(f"json_each(input.list) t{n}" for n in range(5))

QUICK: dict[str, list[tuple[str, str]]] = {
    "javascript": [
        ("try { while (true) {} } catch (e) { 1 }", "time"),
        ("new Array(2**32 - 1).sort()", "time"),
    ],
    "python": [
        ("try:\n  while True: pass\nexcept BaseException:\n  1", "time"),
        ("9**9**9", "memory"),
    ],
    "sql": [
        (f"{_COUNT} SELECT count(*) AS n FROM c", "time"),
        ("SELECT length(randomblob(1000000000)) AS n", "memory"),
    ],
    "jmespath": [("|".join([_TEN + "[]"] * 12), "time")],
    "jsonpath": [("$.list[?search($.s, '(a|aa)+$')]", "time")],
}
"""One of each kind that could get past a weak limit."""

STOPPED: dict[str, list[tuple[str, str]]] = {
    "javascript": [
        ("while (true) {}", "time"),
        ("let a = []; while (true) a.push('x'.repeat(100000) + a.length)", "memory"),
        ("for (;;) { try { while (true) {} } catch (e) {} }", "time"),
        ("/(a+)+$/.test(input.s)", "time"),
        ("'x'.repeat(2**30)", "memory"),
        ("new ArrayBuffer(2**32)", "memory"),
        ("(function f() { f() })()", "memory"),
        ("JSON.parse('['.repeat(1e6))", "memory"),
        ("JSON.stringify(Array(1e8))", "time memory"),
        ("Array(1e9).fill(0)", "time memory"),
        ("[].concat(Array(1e9)).sort()", "time memory"),
        ("let s = 'x'; while (true) s += s", "memory"),
        ("10n**10n**10n", "memory"),
        ("2n**(2n**22n) % 7n", "memory"),
        ("let b = 3n; while (true) b = b * b", "time memory"),
        ("new Array(1e9).reverse()", "time memory"),
        ("Array.from({length: 1e9})", "time memory"),
        ("'a'.padEnd(2**30 - 1)", "memory"),
        ("new Proxy({}, {get() { while (1); }}).a", "time"),
        ("({toJSON() { while (1); }})", "time"),
        ("({get a() { while (1); }})", "time"),
        ("input.list.sort(() => { while (1); })", "time"),
        ("'aaaa'.repeat(1e6).replace(/a/g, 'b'.repeat(1000))", "memory"),
        ("('a'.repeat(1e6)).indexOf('a'.repeat(5e5) + 'b')", "time"),
        ("'x'.repeat(1e8).split('').length", "memory"),
        ("'x'.repeat(2e7)", "memory output"),
        ("let o = {}; for (let i = 0; i < 5000; i++) o = {o}; o", "memory"),
    ],
    "python": [
        ("while True: pass", "time"),
        ("a = []\nwhile True: a.append('x' * 1000)", "memory"),
        ("sum(range(10**10))", "time"),
        ("def f(): f()\nf()", "memory"),
        ("'x' * 10**10", "memory"),
        ("[0] * 10**10", "memory"),
        ("list(range(10**9))", "memory"),
        ("'a'.join(['b' * 10**6] * 10**6)", "memory"),
        ("f'{1:1000000000}'", "memory"),
        ("('a' * 10**6).replace('a', 'b' * 10**6)", "memory"),
        ("1 << 10**10", "memory"),
        ("import math\nmath.factorial(10**6)", "time"),
        ("all(iter(lambda: 1, 0))", "time"),
        ("while True: print('x' * 1000)", "time memory"),
        ("import json\njson.loads('[' * 10**6)", "failed memory"),
        ("o = {}\nfor i in range(5000): o = {'o': o}\no", "memory"),
        ("'x' * 20000000", "output"),
        ("(" * 500 + ")" * 500, "syntax"),
        ("x = " + "-" * 100_000 + "1", "syntax"),
        ("raise SystemExit", "failed"),
    ],
    "sql": [
        (f"{_COUNT} SELECT x FROM c", "time output"),
        (f"{_COUNT} SELECT group_concat(x) AS g FROM c", "time memory"),
        ("WITH RECURSIVE c(x) AS (SELECT 'x' UNION ALL SELECT x || x FROM c) SELECT x FROM c", "memory output"),
        ("SELECT zeroblob(2000000000) AS z", "memory"),
        ("SELECT hex(zeroblob(100000000)) AS z", "memory"),
        ("SELECT printf('%.*c', 1000000000, 'x') AS p", "time memory"),
        ("SELECT replace(hex(zeroblob(5000000)), '0', hex(zeroblob(5000000))) AS r", "memory time"),
        ("SELECT * FROM generate_series(1, 1e12)", "failed time"),
        (f"SELECT t0.value FROM input, {_EACH}", "time output"),
        (f"SELECT count(*) AS n FROM input, {_EACH}", "time"),
        ("SELECT " + "(" * 2000 + "1" + ")" * 2000, "syntax"),
        ("SELECT " + "+".join(["1"] * 20_000), "failed syntax"),
        ("SELECT json('" + "[" * 5000 + "') AS j", "failed"),
    ],
    "jmespath": [
        ("|".join([_TEN] * 12), "output"),
        ("to_string(@)|" + "|".join([f"join('', {_TEN})"] * 12), "output"),
        ("list|" + "|".join(["[].[@,@,@,@,@,@,@,@,@,@][]"] * 12) + "|length(@)", "time memory"),
        ("|".join(["to_string([@,@,@,@])"] * 14), "output"),
        ("(" * 4000 + "a" + ")" * 4000, "syntax"),
        ("a" * 20_000, "syntax"),
    ],
    "jsonpath": [
        ("$.list[?match($.s, '(a|aa)+')]", "time"),
        ("$" + "['big','big','big','big','big','big','big','big','big','big','big','big','big','big','big']"
         + "[*,*]", "output"),
        ("$.list[?@.a == " + "(" * 3000 + "1" + ")" * 3000 + "]", "syntax"),
    ],
}  # fmt: skip
"""Loops, bombs, recursion, searches without end: stopped, whatever it takes."""

DENIED: dict[str, list[str]] = {
    "javascript": [
        "require('fs')", "process.exit()", "std.open('/etc/passwd')", "os.exec(['ls'])", "fetch('http://x')",
        "globalThis.constructor.constructor('return process')()",
    ],
    "python": [
        "open('/etc/passwd').read()", "import os\nos.environ['HOME']", "import os\nos.listdir('/')",
        "import socket", "import subprocess", "().__class__.__bases__[0].__subclasses__()",
        "'{0.__class__}'.format(1)", "__import__('os')", "globals()",
    ],
    "sql": [
        "ATTACH 'x.db' AS x", "SELECT load_extension('x')", "PRAGMA database_list",
        "SELECT * FROM pragma_database_list", "CREATE TABLE t (a)", "CREATE TEMP TABLE t AS SELECT 1",
        "INSERT INTO input VALUES (1)", "DELETE FROM input", "UPDATE input SET a = 2", "DROP TABLE input",
        "VACUUM INTO 'x.db'", "BEGIN", "SELECT * FROM sqlite_schema", "SELECT count(*) AS n FROM sqlite_schema",
        "ANALYZE", "DETACH main", "SELECT total_changes() AS n", "SELECT last_insert_rowid() AS n",
    ],
}  # fmt: skip
"""What reaches for more than its input."""

ABSENT: dict[str, list[str]] = {
    "javascript": ["import('fs')", "import fs from 'fs'", "Function('return this')().x = 1", "new Worker('x')"],
    "python": ["(x for x in [1]).gi_frame", "import sys\nsys.modules", "exit()"],
    "sql": [
        "SELECT writefile('x', 'y') AS w", "SELECT readfile('/etc/passwd') AS r", "SELECT edit('x') AS e",
        "SELECT * FROM policy", "SELECT 1 AS a; SELECT 2 AS b",
    ],
}  # fmt: skip
"""What there is not: it fails, with whatever code."""

ODD: dict[str, list[tuple[str, Any]]] = {
    "javascript": [
        ("NaN", "output"), ("({a: Infinity})", "output"), ("[null, NaN]", "output"), ("undefined", None),
        ("({a: undefined, b: [undefined]})", {"b": [None]}), ("let a = {}; a.a = a; a", "output"),
        ("({toJSON() { return undefined }})", None), ("'x'.repeat(20000) + input.s", "x" * 20_000 + "a" * 60 + "b"),
        ("1n", "output"), ("new Date(0)", "1970-01-01T00:00:00.000Z"), ("new Map([[1, 2]])", "output"),
        ("new Set([1])", "output"), ("() => 1", "output"), ("({f() {}})", "output"), ("Symbol('a')", "output"),
        ("'\\ud800'", "output"), ("'a\\0b'", "a\0b"), ("2**53", 2**53), ("new Uint8Array(3)", "output"),
        ("async function f() {} f()", "output"), ("// nothing", None), ("{a: input.a}", {"a": 1}),
        ("return 5", 5), ("x = 1; x", "failed"), ("var q = 3; q", 3), ("let {", "syntax"),
        ("let o = {}; o.toString = 1; o.constructor = 2; o", {"toString": 1, "constructor": 2}),
        ("throw 'no'", "failed"), ("throw null", "memory"), ("setTimeout(() => 1)", "denied"),
    ],
    "python": [
        ("float('nan')", "output"), ("[float('inf')]", "output"), ("{1, 2}", "output"), ("(1, 2)", [1, 2]),
        ("b'x'", "output"), ("lambda: 1", "output"), ("class A: pass\nA()", "output"), ("{1: 2}", {"1": 2}),
        ("{(1, 2): 2}", "output"), ("x = []\nx.append(x)\nx", "output"), ("10**30", 10**30),
        ("10**5000", "output"), ("'a\\0b'", "a\0b"), ("'\\ud800'", "\N{REPLACEMENT CHARACTER}"), ("x = 1", None),
        ("return 5", 5), ("yield 1", "failed"), ("a = 1 +", "syntax"), ("import time\ntime.sleep(100)\n1", 1),
        ("import datetime\ndatetime.datetime.now()", "output"), ("input['nosuch']", "failed"),
    ],
    "sql": [
        ("SELECT 1e999 AS x", "output"), ("SELECT x'ff' AS x", "output"), ("SELECT cast(x'ff' AS text) AS x", "output"),
        ("SELECT 'a' || char(0) || 'b' AS x", [{"x": "a\0b"}]), ("SELECT char(55296) AS x", "output"),
        ("SELECT 9223372036854775807 AS x", [{"x": 2**63 - 1}]), ("SELECT 1 AS a, 2 AS a", "output"),
        ("VALUES (1)", [{"column1": 1}]), ("SELECT NULL AS x", [{"x": None}]), ("-- nothing", "syntax"),
        ("SELEC 1", "syntax"), ("SELECT nosuch FROM input", "failed"), ("SELECT a FROM input WHERE 0", []),
    ],
    "jmespath": [
        ("to_number('1e999')", "output"), ("`NaN`", "output"), ("missing", None), ("length(a)", "failed"),
        ("nosuch(a)", "failed"), ("a[", "syntax"), ("sum(list)", 19900),
    ],
    "jsonpath": [("$.nosuch", []), ("$[", "syntax"), ("$.list[-1:]", [199]), ("$.a", [1])],
}  # fmt: skip
"""Answers at the edge of JSON: each gives this value, or ends with this code."""
