//! What a script gets, gives, and cannot do. `hostile.rs` and `exotic.rs` have those that mean harm.

mod exotic;
mod hostile;

use bytes::Bytes;

use super::sandbox::{Allowance, Sandbox};
use super::*;

const EVENT: &str = r#"{"id":"evt_1","event":"message.received","timestamp":"2026-01-31T12:00:00.123Z","data":{"text":"hello","nested":{"list":[1,{"a":2}]}}}"#;

fn check(code: &str) -> Result<(), ScriptError> {
    Sandbox::load(code, Allowance::FULL).map(drop)
}

fn input(body: &str) -> Input {
    Input { body: Bytes::copy_from_slice(body.as_bytes()), seed: [1, 2, 3, 4], webhook_id: "crm".to_owned() }
}

fn run_on(code: &str, body: &str) -> Result<Made, ScriptError> {
    Sandbox::load(code, Allowance::FULL)?.run(&input(body), Allowance::FULL).0.result
}

/// The same of a script that is not meant to come to its time limit. Where a machine's processors are lent out, what was
/// taken from a thread counts as used by it, so that one that does is run again.
fn run_patiently(code: &str, body: &str) -> Result<Made, ScriptError> {
    for _ in 0..5 {
        let made = run_on(code, body);
        if !made.as_ref().is_err_and(|error| error.message.contains("time limit")) {
            return made;
        }
    }
    run_on(code, body)
}

fn run(code: &str) -> Result<Made, ScriptError> {
    run_patiently(code, EVENT)
}

#[track_caller]
fn body_on(code: &str, event: &str) -> String {
    match run_patiently(code, event).unwrap_or_else(|error| panic!("{code}: {error}")) {
        Made::Body(shaped) => String::from_utf8(shaped.body.to_vec()).unwrap(),
        dropped => panic!("{code}: {dropped:?}"),
    }
}

#[track_caller]
fn body(code: &str) -> String {
    body_on(code, EVENT)
}

#[track_caller]
fn error(code: &str) -> ScriptError {
    match run(code) {
        Err(error) => error,
        Ok(made) => panic!("{code}: {made:?}"),
    }
}

#[test]
fn both_forms_of_a_script_are_taken() {
    for code in [
        "function transform(event, context) { return { t: event.data.text } }",
        "const pick = (e) => ({ t: e.data.text });\nconst transform = pick;",
        "event => ({ t: event.data.text })",
        "(event) => ({ t: event.data.text });",
        "function (event) { return { t: event.data.text } }",
        "function anyName(event) { return { t: event.data.text } }",
        "async (event) => ({ t: await event.data.text })",
        "async function transform(event) { await null; return { t: event.data.text } }",
        "// a remark\n({ data: { text } }) => ({ t: text }) // another",
        "event => new Promise(done => done({ t: event.data.text }))",
    ] {
        assert_eq!(body(code), r#"{"t":"hello"}"#, "{code}");
    }
}

#[test]
fn a_script_that_is_none_is_refused_with_the_place() {
    let place = |code: &str| {
        let error = check(code).unwrap_err();
        (error.line, error.column, error.message)
    };
    let (line, column, message) = place("function transform(event) {\n  return { a: };\n}");
    assert_eq!((line, column), (Some(2), Some(15)), "{message}");
    assert!(message.starts_with("SyntaxError"), "{message}");
    assert_eq!(place("event => (").0, Some(2), "at the end of the text");
    assert_eq!(place("const a = 1;\nconst a = 2;\nfunction transform() {}").0, Some(2));
    assert!(place("const x = 1;").2.contains("defines no function"));
    assert!(place("42").2.contains("defines no function"));
    assert!(place("").2.contains("SyntaxError") || place("").2.contains("defines no function"));
    let (line, column, message) = place("const x = 1;\nnoSuchThing();\nfunction transform() {}");
    assert_eq!((line, column), (Some(2), Some(1)), "{message}");
}

#[test]
fn code_cannot_leave_the_function_that_it_is_put_into() {
    for code in [
        "}); globalThis.x = 1; (function(){ function transform() {}",
        "1); let leak = 0; (2",
        "e => e); (0",
        "function transform() {} /*",
        "function transform() {} `",
    ] {
        assert!(check(code).is_err(), "{code}");
    }
    assert_eq!(body("(e => 1) // )"), "1");
}

#[test]
fn an_error_tells_the_line_and_column_of_the_authors_own_code() {
    let error =
        error("function transform(event) {\n  const name = event.data.customer.name;\n  return name;\n}");
    assert_eq!((error.line, error.column.is_some()), (Some(2), true));
    assert!(error.message.contains("cannot read property 'name' of undefined"), "{error}");
    let later = super::tests::error("async e => {\n await 1;\n\n throw new RangeError('too far') }");
    assert_eq!((later.line, later.message.as_str()), (Some(4), "RangeError: too far"));
    let text = super::tests::error("() => { throw 'a text' }");
    assert_eq!(text.message, "threw a text");
}

#[test]
fn the_input_is_frozen_all_the_way_down() {
    for change in [
        "e.data = 1",
        "e.data.text = 'x'",
        "e.data.more = 1",
        "delete e.data.text",
        "e.data.nested.list.push(1)",
        "e.data.nested.list[1].a = 3",
        "context.setHeader = 1",
    ] {
        let code = format!("(e, context) => {{ {change}; return e }}");
        assert!(error(&code).message.starts_with("TypeError"), "{change}");
    }
    assert_eq!(body("e => ({ ...e.data, text: 'new' })"), r#"{"text":"new","nested":{"list":[1,{"a":2}]}}"#);
}

#[test]
fn time_and_randomness_are_the_events() {
    let code = "e => [Date.now(), new Date().toISOString(), Date(), new Date(2026, 0, 31, 12).getHours(),
        new Date('2026-01-31T12:00:00').toISOString(), new Date('2026-01-31').getTime(), new Date(0).getTimezoneOffset(),
        String(new Date(0)), new Date(0).toLocaleDateString(), Math.random(), Math.random()]";
    let first = body(code);
    assert!(first.starts_with(r#"[1769860800123,"2026-01-31T12:00:00.123Z","Sat, 31 Jan 2026 12:00:00 GMT",12,"2026-01-31T12:00:00.000Z",1769817600000,0,"Thu, 01 Jan 1970 00:00:00 GMT","1970-01-01",0."#), "{first}");
    assert_eq!(first, body(code));
    let other = Input { seed: [5, 6, 7, 8], ..input(EVENT) };
    let Made::Body(shaped) =
        Sandbox::load(code, Allowance::FULL).unwrap().run(&other, Allowance::FULL).0.result.unwrap()
    else {
        panic!()
    };
    assert_ne!(first.as_bytes(), shaped.body);
}

#[test]
fn what_a_script_sets_is_kept_and_what_it_may_not_set_is_refused() {
    let code = "(e, c) => { c.setHeader('X-Kind', e.event); c.setPath('/in/' + e.data.text); c.setQuery('a=1&b=2'); return 1 }";
    let Made::Body(shaped) = run(code).unwrap() else { panic!() };
    assert_eq!(shaped.headers, [("X-Kind".to_owned(), "message.received".to_owned())]);
    assert_eq!((shaped.path.as_deref(), shaped.query.as_deref()), (Some("/in/hello"), Some("a=1&b=2")));
    for bad in [
        "c.setHeader('Host', 'x')",
        "c.setHeader('X-VAI-Event', 'x')",
        "c.setHeader('X-A', 'a\\r\\nX-B: c')",
        "c.setHeader('X A', 'a')",
        "c.setHeader('X-A', {})",
        "for (let n = 0; n < 51; n++) c.setHeader('X-' + n, 'a')",
        "c.setPath('no/slash')",
        "c.setPath('/a?b')",
        "c.setPath('/a b')",
        "c.setPath('/' + 'a'.repeat(3000))",
        "c.setQuery('a#b')",
        "c.setQuery('a\\n')",
    ] {
        let error = error(&format!("(e, c) => {{\n {bad};\n return 1 }}"));
        assert_eq!(error.line, Some(2), "{bad}: {error}");
    }
}

#[test]
fn null_drops_the_delivery_and_nothing_at_all_is_an_error() {
    assert_eq!(run("() => null").unwrap(), Made::Dropped(None));
    let dropped = run("(e, c) => c.drop('not ours')").unwrap();
    assert_eq!(dropped, Made::Dropped(Some("not ours".to_owned())));
    assert!(error("() => {}").message.contains("returned nothing"));
    assert!(error("() => () => 1").message.contains("function, which is no JSON"));
    assert!(error("() => Symbol('x')").message.contains("symbol, which is no JSON"));
    assert!(error("() => ({ toJSON() { return undefined } })").message.contains("no JSON"));
}

#[test]
fn what_is_printed_is_kept_within_bounds() {
    let code = "e => { console.log('a', 1, { b: [2] }, null, undefined, 3n); for (let n = 0; n < 1000; n++) console.error('x'.repeat(5000)); return 1 }";
    let run = Sandbox::load(code, Allowance::FULL).unwrap().run(&input(EVENT), Allowance::FULL).0;
    assert_eq!(run.console[0], r#"a 1 {"b":[2]} null undefined 3"#);
    assert_eq!(run.console.len(), 101);
    assert!(run.console.iter().all(|line| line.len() <= 500));
}

#[test]
fn whole_numbers_of_any_size_stay_whole() {
    let event =
        r#"{"id":9007199254740993,"data":{"ids":[12345678901234567890,-99999999999999999999],"n":1.50}}"#;
    assert_eq!(body_on("e => e", event), event.replace("1.50", "1.5"));
    assert_eq!(
        body_on("e => ({ id: e.id, next: e.id + 1n, text: `${e.id}` })", event),
        r#"{"id":9007199254740993,"next":9007199254740994,"text":"9007199254740993"}"#
    );
    assert_eq!(body_on("e => typeof e.id", event), r#""bigint""#);
    let like = "[\"\u{e000}big:7\",{\"\u{e000}big:7\":7},\"\u{e000}\",7]";
    assert_eq!(body("() => ['\\ue000big:7', { '\\ue000big:7': 7n }, new String('\\ue000'), 7n]"), like);
    assert_eq!(body("e => ({ a: 2n ** 64n })"), r#"{"a":18446744073709551616}"#);
    let error = run_on("e => e.id + 1", event).unwrap_err();
    assert!(error.message.starts_with("TypeError"), "{error}");
}

#[test]
fn keys_keep_their_order_but_for_those_that_are_whole_numbers() {
    let event = r#"{"z":1,"a":{"y":1,"b":2},"__proto__":{"x":1},"constructor":1}"#;
    assert_eq!(body_on("e => e", event), event);
    assert_eq!(body_on("e => e", r#"{"b":1,"10":2,"9":3}"#), r#"{"9":3,"10":2,"b":1}"#);
    assert_eq!(
        body_on(
            "e => { const o = {}; for (const k in e) o[k] = e[k]; return o }",
            r#"{"toString":1,"constructor":2,"valueOf":3}"#
        ),
        r#"{"toString":1,"constructor":2,"valueOf":3}"#
    );
}

#[test]
fn a_run_leaves_nothing_behind_for_the_next_one() {
    let code = "let count = 0; const seen = [];
        function transform(e, c) { count++; seen.push(1); return [count, seen.length, Math.random()] }";
    let (first, sandbox) = Sandbox::load(code, Allowance::FULL).unwrap().run(&input(EVENT), Allowance::FULL);
    let (second, _) = sandbox.unwrap().run(&input(EVENT), Allowance::FULL);
    assert_eq!(first.result.unwrap(), second.result.unwrap());
    let mut leaks = Vec::new();
    for leak in [
        "globalThis.x = 1",
        "x = 1",
        "this.x = 1",
        "Object.prototype.x = 1",
        "Array.prototype.push = 1",
        "Array.prototype[Symbol.iterator] = 1",
        "Math.x = 1",
        "JSON.parse.x = 1",
        "console.x = 1",
        "console.log.x = 1",
        "Object.setPrototypeOf(Object.prototype, {})",
        "Object.defineProperty(Date.prototype, 'x', { value: 1 })",
        "Error.stackTraceLimit = 0",
        "Error.prepareStackTrace = () => 1",
        "(function* () {}).__proto__.x = 1",
        "(function* () {})().__proto__.__proto__.x = 1",
        "(async function* () {})().__proto__.__proto__.x = 1",
        "(async function* () {})().__proto__.__proto__.__proto__.x = 1",
        "[].values().__proto__.x = 1",
        "[].values().__proto__.__proto__.x = 1",
        "'a'.matchAll(/a/g).__proto__.x = 1",
        "[].values().map(x => x).__proto__.x = 1",
        "Uint8Array.prototype.__proto__.x = 1",
        "Object.prototype.toString = 1",
        "Error.prototype.name = 1",
        "context.drop.x = 1",
        "context.__proto__.x = 1",
        "e.constructor.x = 1",
    ] {
        let found = run(&format!("(e, context) => {{ {leak}; return 1 }}"));
        if found.is_ok() {
            leaks.push(leak);
        }
    }
    assert_eq!(leaks, [""; 0]);
}

#[test]
fn a_promise_left_over_is_not_run_in_the_next_event() {
    let code = "e => { Promise.resolve().then(() => console.log('late')); return 1 }";
    let (run, sandbox) = Sandbox::load(code, Allowance::FULL).unwrap().run(&input(EVENT), Allowance::FULL);
    assert!(run.result.is_ok() && sandbox.is_none());
}

#[test]
fn memory_is_given_back_after_many_runs() {
    let code = "e => { const a = { b: {} }; a.b.a = a; return [a.b === a, e.data] }";
    let mut sandbox = Some(Sandbox::load(code, Allowance::FULL).unwrap());
    for _ in 0..5_000 {
        let (run, again) = sandbox.take().unwrap().run(&input(EVENT), Allowance::FULL);
        assert!(run.result.is_ok(), "{:?}", run.result);
        sandbox = again;
    }
}

#[test]
fn json_is_made_as_the_language_says() {
    let inherited =
        "Object.create({ b: 1 }, { c: { value: 2, enumerable: false }, d: { value: 3, enumerable: true } })";
    let cycle = "(() => { const a = { b: [1] }; a.a = a; return a })()";
    for (call, expected) in [
        ("{ b: [1, { b: 2, c: 3 }], c: 4, a: 5 }, ['a', 'b', 'a']", r#"{"a":5,"b":[1,{"b":2}]}"#),
        ("{ 1: 1, 2: 2, x: 3 }, [2, new Number(1), new String('x'), null, {}]", r#"{"2":2,"1":1,"x":3}"#),
        (&format!("{inherited}, ['c', 'b']"), r#"{"c":2,"b":1}"#),
        (&format!("{cycle}, ['b']"), r#"{"b":[1]}"#),
        (inherited, r#"{"d":3}"#),
        ("{ a: { a: { toJSON(key) { return { a: key, b: 1 } } } } }, ['a']", r#"{"a":{"a":{"a":"a"}}}"#),
        (
            "[new Number(1), new String('a'), new Boolean(false), () => 1, undefined]",
            r#"[1,"a",false,null,null]"#,
        ),
        ("{ __proto__: null, a: new Date(0) }, undefined", r#"{"a":"1970-01-01T00:00:00.000Z"}"#),
        ("{ ['__proto__']: 1, b: 2 }, {}", r#"{"__proto__":1,"b":2}"#),
        ("{ a: 1, b: 2 }, (key, value) => key === 'a' ? undefined : value", r#"{"b":2}"#),
        ("{ a: [], b: 2 }, null, 1", "{\n \"a\": [],\n \"b\": 2\n}"),
    ] {
        let made = body(&format!("() => ({{ made: JSON.stringify({call}) }})"));
        let made: serde_json::Value = serde_json::from_str(&made).unwrap();
        assert_eq!(made["made"], expected, "{call}");
    }
    assert_eq!(
        body("() => Array.prototype.map.call(new (class extends Uint8Array {})(2), () => 1)"),
        "[1,1]"
    );
}
