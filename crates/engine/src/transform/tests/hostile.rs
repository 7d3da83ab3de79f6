//! A table of hostile scripts: each ends within its limits, with a reason.

use std::time::Duration;

use super::{EVENT, run, run_on};
use crate::transform::{Made, ScriptError, meter};

/// What a hostile script does, and a part of what is said about it: one of these, where it may run into either of two
/// limits; nothing, where it may be anything.
const HOSTILE: &[(&str, &str)] = &[
    ("() => { for (;;); }", "time limit"),
    ("() => { for (;;) { try { for (;;); } catch {} finally {} } }", "time limit"),
    ("async () => { for (;;) await 1 }", "time limit"),
    ("() => { const f = () => Promise.resolve().then(f); return f() }", "time limit|memory|never settled"),
    ("function transform() { return transform() + 1 }", "call stack"),
    ("() => { const f = () => { try { return f() } catch { return f() } }; return f() }", "time limit"),
    ("() => { const all = []; for (;;) all.push('x'.repeat(100000) + all.length) }", "memory"),
    ("() => { let s = 'x'; for (;;) s += s }", "string too long"),
    ("() => { let s = 'x'; for (;;) try { s += s } catch {} }", "time limit"),
    ("() => new ArrayBuffer(1e9)", "memory"),
    ("() => new Array(1e9).fill(0)", "length is too large"),
    ("() => 'x'.repeat(2000000)", "the result takes 2000002 bytes"),
    ("() => Array.from({ length: 200000 }, () => 'xxxxxxxxxx')", ""),
    ("() => new Array(1e9)", "limit"),
    ("() => Array.prototype.indexOf.call({ length: 2 ** 53 - 1 }, 1)", "length is too large"),
    ("() => Array.prototype.includes.call({ length: 2 ** 53 - 1 }, 1)", "length is too large"),
    ("() => Array.prototype.lastIndexOf.call({ length: 2 ** 53 - 1 }, 1)", "length is too large"),
    ("() => Array.prototype.reverse.call({ length: 2 ** 53 - 1 })", "length is too large"),
    ("() => Array.prototype.fill.call({ length: 2 ** 53 - 1 }, 0)", "length is too large"),
    ("() => Array.prototype.forEach.call({ length: 2 ** 53 - 1 }, () => 0)", "length is too large"),
    ("() => Array.prototype.copyWithin.call({ length: 2 ** 53 - 1 }, 1)", "length is too large"),
    ("() => Array.prototype.shift.call({ length: 2 ** 53 - 1 })", "length is too large"),
    ("() => Array.prototype.unshift.call({ length: 2 ** 52 }, 1)", "length is too large"),
    ("() => Array.prototype.splice.call({ length: 2 ** 52 }, 0, 0, 1)", "length is too large"),
    ("() => Array.prototype.slice.call({ length: 2 ** 32 - 1 })", "length is too large"),
    ("() => Array.prototype.concat.call([], Object.assign([], { length: 2 ** 32 - 1 }))", ""),
    ("() => Array.prototype.join.call({ length: 2 ** 32 - 1 }, '')", ""),
    ("() => Array.prototype.sort.call({ length: 2 ** 53 - 1 })", "length is too large"),
    (
        "() => Array.prototype.indexOf.call(Object.setPrototypeOf(new Uint8Array(1), { length: 2 ** 53 - 1 }), 1)",
        "length is too large",
    ),
    (
        "() => { const between = Object.create(Object.getPrototypeOf(Uint8Array.prototype), { length: { value: 2 ** 53 - 1 } }); return Array.prototype.indexOf.call(Object.setPrototypeOf(new Uint8Array(1), between), 1) }",
        "length is too large",
    ),
    ("() => Array.prototype.lastIndexOf.call('x'.repeat(3e6), 'y')", "length is too large"),
    ("() => new Uint8Array(8e6).set({ length: 8e6 })", "length is too large"),
    ("() => Uint8Array.from({ length: 8e6 })", "length is too large"),
    ("() => [Object.assign([], { length: 2 ** 32 - 1 })].flat()", "length is too large"),
    ("() => [1].flatMap(() => Object.assign([], { length: 2 ** 32 - 1 }))", "length is too large"),
    ("() => Object.assign([], { length: 2 ** 32 - 1 }).toSorted()", ""),
    ("() => Object.assign([], { length: 2 ** 32 - 1 }).toString()", ""),
    ("() => String(Object.assign([], { length: 2 ** 32 - 1 }))", ""),
    ("() => JSON.stringify(new Array(1e9)).length", "limit"),
    ("() => JSON.stringify(new Array(1e9), ['a']).length", "length is too large"),
    ("() => JSON.stringify(new Array(1e9), (key, value) => value).length", "limit"),
    ("() => { const a = new Array(1e4).fill(0); return new Array(1e4).fill(a) }", "limit"),
    ("() => JSON.stringify({}, Object.assign([], { length: 2 ** 32 - 1 }))", "length is too large"),
    ("() => 'x'.repeat(4e6).indexOf('x'.repeat(2e6) + 'y')", "too long"),
    ("() => 'x'.repeat(4e6).split({ toString: () => 'x'.repeat(2e6) + 'y' })", "too long"),
    (
        "() => { const re = /x/; Object.defineProperty(re, Symbol.split, { value: undefined }); Object.defineProperty(re, 'toString', { value: () => 'x'.repeat(2e6) + 'y' }); return 'x'.repeat(4e6).split(re) }",
        "too long",
    ),
    ("() => new Array(1e5).fill('x'.repeat(1e6)).sort()", ""),
    (
        "() => Array.prototype.map.call({ get length() { return 2 ** 53 - 1 } }, x => x)",
        "length is too large, or not known",
    ),
    ("() => Array.from({ length: 2 ** 53 - 1 })", ""),
    ("() => String.raw({ raw: { length: 2 ** 53 - 1 } })", ""),
    ("() => Math.max(...new Array(1e8))", ""),
    ("() => Object.getPrototypeOf(() => {}).constructor('return 1')()", "Function is not available"),
    (
        "() => Object.getPrototypeOf(async () => {}).constructor('return 1')()",
        "AsyncFunction is not available",
    ),
    ("() => eval('1')", "eval is not available"),
    ("() => (0, eval)('1')", "eval is not available"),
    ("() => new Function('return 1')()", "Function is not available"),
    ("() => [].map.constructor('return 1')()", "Function is not available"),
    ("() => new Proxy({}, {})", "Proxy is not available"),
    ("() => import('fs')", ""),
    ("() => require('fs')", "require is not defined"),
    ("() => process.exit()", "process is not defined"),
    ("() => fetch('http://127.0.0.1')", "fetch is not defined"),
    ("() => setTimeout(() => 1)", "setTimeout is not defined"),
    ("() => /^(a+)+$/.test('a'.repeat(60) + 'b')", "time limit"),
    ("() => ({ get a() { throw new Error('in a getter') } })", "in a getter"),
    ("() => ({ get a() { for (;;); } })", "time limit"),
    ("() => ({ toJSON() { throw new Error('in toJSON') } })", "in toJSON"),
    ("() => ({ toJSON() { for (;;); } })", "time limit"),
    ("() => { const a = {}; a.a = a; return a }", "circular"),
    ("() => new Promise(() => {})", "never settled"),
    ("async () => { await new Promise(() => {}) }", "never settled"),
    ("() => ({ then() {} })", "never settled"),
    ("() => ({ then() { throw new Error('in then') } })", "in then"),
    ("() => Promise.reject(new Error('no'))", "Error: no"),
    ("() => { let a = []; for (let n = 0; n < 1000; n++) a = [a]; return a }", "call stack|no good JSON"),
    ("() => { let a = []; for (let n = 0; n < 200; n++) a = [a]; return a }", "no good JSON"),
    ("() => { let a = []; for (let n = 0; n < 100000; n++) a = [a]; return a }", ""),
    ("() => { throw { toJSON() { for (;;); } } }", "time limit"),
    ("() => { throw { get message() { throw 1 } } }", "threw"),
    (
        "() => { const e = new Error(); Object.defineProperty(e, 'message', { get() { for (;;); } }); throw e }",
        "time limit",
    ),
    ("() => { throw new Error('x'.repeat(1000000)) }", "Error: x"),
    ("() => { throw null }", "threw null"),
    ("() => 2n ** 100000000n", ""),
    ("() => '\\ud800' + 'x'", ""),
    ("() => { const m = new Map(); for (let n = 0;; n++) m.set(n, n) }", ""),
    ("() => Iterator.from({ next: Object }).drop(1e15).next()", "time limit"),
    ("() => new Set({ [Symbol.iterator]: () => ({ next: Object }) })", "time limit"),
    ("() => { Object.freeze = () => 1; return 1 }", "TypeError"),
    ("(e, c) => { c.drop({ toString() { for (;;); } }) }", "time limit"),
    ("() => { console.log({ toJSON() { for (;;); } }) }", "time limit"),
    ("(e) => { e.__proto__.polluted = 1 }", "TypeError"),
    ("() => 'a'.localeCompare({ toString() { for (;;); } })", "time limit"),
];

/// Longer than the limit: single built-in calls end when they end, and this is not built for speed.
const ENDS_WITHIN: Duration = Duration::from_millis(1_000);

/// What of a table is not as it says.
pub(super) fn wrong(table: &[(&str, &str)]) -> Vec<String> {
    let mut wrong = Vec::new();
    for &(code, reason) in table {
        let is_right = |result: &Result<Made, ScriptError>| match result {
            Err(error) => {
                reason.split('|').any(|reason| error.to_string().contains(reason))
                    && !error.message.is_empty()
                    && error.message.len() < 1_300
            }
            Ok(_) => reason.split('|').any(str::is_empty),
        };
        let (mut result, mut took) = timed(code);
        // What was taken from a thread counts as used by it.
        for _ in 0..2 {
            if took <= ENDS_WITHIN {
                break;
            }
            (result, took) = timed(code);
        }
        let right = is_right(&result) || is_right(&run(code));
        if !right || took > ENDS_WITHIN {
            wrong.push(format!("{code} took {took:?}: {result:?}"));
        }
    }
    wrong
}

fn timed(code: &str) -> (Result<Made, ScriptError>, Duration) {
    let began = meter::used();
    let result = run_on(code, EVENT);
    (result, meter::used().saturating_sub(began))
}

#[test]
fn every_hostile_script_ends_within_its_limits_with_a_reason() {
    let wrong = wrong(HOSTILE);
    assert!(wrong.is_empty(), "{wrong:#?}");
}
