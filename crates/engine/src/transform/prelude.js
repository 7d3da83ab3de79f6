// What every sandbox begins with, before any code of a user: it takes away what reaches outside or differs
// from run to run, freezes everything that is left, and gives back the functions that `sandbox.rs` calls.
//
// Invariant: after it has run, nothing that a script can reach can be changed, so that no run leaves
// anything behind for the next one. What one run needs (its time, its randomness, what it set) is in the
// variables of this function, which no script can reach.
(() => {
  "use strict";

  const { freeze, defineProperty, getOwnPropertyDescriptor, getPrototypeOf, keys } = Object;
  const { ownKeys, construct, apply } = Reflect;
  const { parse, stringify } = JSON;
  const isArray = Array.isArray;
  const text = String;
  const isView = ArrayBuffer.isView;
  const promiseOf = Promise.resolve.bind(Promise);
  const then = Promise.prototype.then;

  // The rules for headers are the engine's.
  const { __checkHeader } = globalThis;
  delete globalThis.__checkHeader;

  const REASON_CHARS_MAX = 200;
  const LINES_MAX = 100;
  const LINE_CHARS_MAX = 500;
  const HEADERS_MAX = 50;
  const LENGTH_MAX = 1000000;
  const SEARCH_MAX = 2e9;
  const TEXT_MAX = 4000000;
  const COPY_MAX = 1e8;
  const SHORT_MAX = 10000;
  const SIGN = "\ue000";
  const BIG = SIGN + "big:";

  // ── What one run has ──────────────────────────────────────────────────────────────────────────────
  let now = 0;
  let a = 0, b = 0, c = 0, d = 0, seeds;
  let done, failed, headers, path, query, reason, lines, bigMark;

  // ── Time: the event's, in UTC ─────────────────────────────────────────────────────────────────────
  const NativeDate = Date;
  const dates = NativeDate.prototype;
  const nativeParse = NativeDate.parse;
  const offsetMinutes = dates.getTimezoneOffset;
  const WITH_ZONE = /(?:z|gmt|utc|[+-]\d\d:?\d\d)\s*(?:\(.*\))?\s*$/i;
  const DAY_ALONE = /^\s*[+-]?\d{4,6}(?:-\d\d(?:-\d\d)?)?\s*$/;
  const parseDate = (value) => {
    const string = text(value);
    const at = nativeParse(string);
    if (at !== at || WITH_ZONE.test(string) || DAY_ALONE.test(string)) return at;
    return at - apply(offsetMinutes, new NativeDate(at), []) * 60000;
  };
  const SandboxDate = function Date(...parts) {
    if (new.target === undefined) return new NativeDate(now).toUTCString();
    let args = parts;
    if (parts.length === 0) args = [now];
    else if (parts.length > 1) args = [NativeDate.UTC(...parts)];
    else if (typeof parts[0] === "string") args = [parseDate(parts[0])];
    return construct(NativeDate, args, new.target);
  };
  defineProperty(SandboxDate, "prototype", { value: dates, writable: false });
  defineProperty(SandboxDate, "now", { value: () => now });
  defineProperty(SandboxDate, "parse", { value: parseDate });
  defineProperty(SandboxDate, "UTC", { value: NativeDate.UTC });
  defineProperty(dates, "constructor", { value: SandboxDate });
  for (const part of ["FullYear", "Month", "Date", "Day", "Hours", "Minutes", "Seconds", "Milliseconds"]) {
    defineProperty(dates, "get" + part, { value: dates["getUTC" + part] });
    if (part !== "Day") defineProperty(dates, "set" + part, { value: dates["setUTC" + part] });
  }
  const inUtc = {
    getTimezoneOffset() { return 0; },
    getYear() { return this.getUTCFullYear() - 1900; },
    setYear(year) { return this.setUTCFullYear(year); },
    toString() { return this.toUTCString(); },
    toDateString() { return this.toUTCString().slice(0, 16); },
    toTimeString() { return this.toUTCString().slice(17); },
    toLocaleString() { return this.toISOString(); },
    toLocaleDateString() { return this.toISOString().slice(0, 10); },
    toLocaleTimeString() { return this.toISOString().slice(11, 19); },
  };
  for (const name of keys(inUtc)) defineProperty(dates, name, { value: inUtc[name] });
  globalThis.Date = SandboxDate;

  // ── Randomness: from the event (sfc32) ────────────────────────────────────────────────────────────
  const next = () => {
    const t = (a + b | 0) + d | 0;
    d = d + 1 | 0;
    a = b ^ b >>> 9;
    b = c + (c << 3) | 0;
    c = (c << 21 | c >>> 11) + t | 0;
    return t >>> 0;
  };
  // Most runs want none of it.
  const seed = () => {
    [a, b, c, d] = seeds;
    seeds = undefined;
    for (let round = 0; round < 12; round++) next();
  };
  defineProperty(Math, "random", {
    value: function random() {
      if (seeds !== undefined) seed();
      return ((next() >>> 5) * 67108864 + (next() >>> 6)) / 9007199254740992;
    },
  });

  // ── What is not there ─────────────────────────────────────────────────────────────────────────────
  const refused = (name, prototype) => {
    const refuse = function () { throw new TypeError(`${name} is not available in a transformation`); };
    defineProperty(refuse, "name", { value: name });
    if (prototype !== undefined) defineProperty(refuse, "prototype", { value: prototype, writable: false });
    return refuse;
  };
  const makers = [function () {}, async function () {}, function* () {}, async function* () {}];
  for (const made of makers) {
    const prototype = getPrototypeOf(made);
    const name = getOwnPropertyDescriptor(prototype, "constructor").value.name;
    defineProperty(prototype, "constructor", { value: refused(name, prototype) });
  }
  globalThis.Function = Function.prototype.constructor;
  for (const name of ["eval", "Proxy", "WeakRef", "FinalizationRegistry", "SharedArrayBuffer", "Atomics"]) {
    defineProperty(globalThis, name, { value: refused(name), writable: false, enumerable: false });
  }
  // They would change what every later error says of itself.
  defineProperty(Error, "stackTraceLimit", { value: 10, writable: false });
  defineProperty(Error, "prepareStackTrace", { value: undefined, writable: false });
  for (const name of ["performance", "DOMException", "queueMicrotask", "gc", "navigator", "print"]) {
    delete globalThis[name];
  }

  // ── JSON is made from value to value ──────────────────────────────────────────────────────────────
  // The engine's own `stringify` goes through any length without asking whether time is up; a function that it calls
  // for each value asks. (An eighth more for a usual event.)
  const same = (_key, value) => value;
  const jsonOf = (value) => stringify(value, same);

  // ── The console: kept, for whoever tries a script out ─────────────────────────────────────────────
  const shown = (value) => {
    if (typeof value === "string") return value;
    if (typeof value === "object" && value !== null && !(value instanceof Error)) {
      const made = jsonOf(value);
      if (made !== undefined) return made;
    }
    return text(value);
  };
  const log = (...values) => {
    if (lines.length === LINES_MAX) lines.push("… (more was printed than is kept)");
    if (lines.length > LINES_MAX) return;
    let line = "";
    for (const value of values) {
      if (line !== "") line += " ";
      try { line += shown(value).slice(0, LINE_CHARS_MAX); } catch { line += "(cannot be shown)"; }
    }
    lines.push(line.slice(0, LINE_CHARS_MAX));
  };
  globalThis.console = { log, info: log, debug: log, warn: log, error: log, trace: log };

  // ── Built-in calls that would not end ─────────────────────────────────────────────────────────────
  // Some loop over a length, or over one text in another, without asking whether time is up. A length is
  // checked before; what looks into further arrays is written here, where every step asks.
  const views = getPrototypeOf(Uint8Array.prototype);
  const { get: viewLength } = getOwnPropertyDescriptor(views, "length");
  const tooLong = () => new RangeError(`the length is too large, or not known; the largest is ${LENGTH_MAX}`);
  // The length of a typed array that a built-in function will see, too: none of its prototypes has another one.
  const lengthOfView = (it) => {
    for (let at = it; at !== views; at = getPrototypeOf(at)) {
      if (at === null || getOwnPropertyDescriptor(at, "length") !== undefined) return Infinity;
    }
    return apply(viewLength, it, []);
  };
  const checkLength = (it) => {
    if (isArray(it) || typeof it === "string") {
      if (it.length <= LENGTH_MAX) return;
    } else {
      if ((typeof it !== "object" && typeof it !== "function") || it === null) return;
      const own = getOwnPropertyDescriptor(it, "length");
      if (own !== undefined) {
        if (typeof own.value === "number" && own.value <= LENGTH_MAX) return;
      } else if (!("length" in it) || (isView(it) && lengthOfView(it) <= LENGTH_MAX)) {
        return;
      }
    }
    throw tooLong();
  };
  const replace = (target, name, made) => {
    defineProperty(made, "name", { value: name });
    defineProperty(target, name, { value: made });
  };
  const lists = Array.prototype;
  const lazy = ["constructor", "keys", "values", "entries", "concat", "flat", "flatMap", "sort", "toSorted"];
  for (const name of Object.getOwnPropertyNames(lists)) {
    const native = lists[name];
    if (typeof native !== "function" || lazy.includes(name)) continue;
    replace(lists, name, function (...args) {
      checkLength(this);
      return apply(native, this, args);
    });
  }
  const byText = (x, y) => {
    const [left, right] = [text(x), text(y)];
    return left < right ? -1 : left > right ? 1 : 0;
  };
  for (const name of ["sort", "toSorted"]) {
    const native = lists[name];
    replace(lists, name, function (compare) {
      checkLength(this);
      return apply(native, this, [compare === undefined ? byText : compare]);
    });
  }
  const flatInto = (out, list, depth) => {
    checkLength(list);
    for (let at = 0; at < list.length; at++) {
      if (!(at in list)) continue;
      if (depth > 0 && isArray(list[at])) flatInto(out, list[at], depth - 1);
      else out.push(list[at]);
    }
    return out;
  };
  const { map } = lists;
  replace(lists, "flat", function (depth) { return flatInto([], this, depth === undefined ? 1 : +depth); });
  replace(lists, "flatMap", function (each, that) { return flatInto([], apply(map, this, [each, that]), 1); });
  replace(lists, "concat", function (...others) { return flatInto([], [this, ...others], 1); });

  for (const name of ["join", "toLocaleString"]) {
    const native = views[name];
    replace(views, name, function (...args) {
      if (apply(viewLength, this, []) > LENGTH_MAX) throw tooLong();
      return apply(native, this, args);
    });
  }
  for (const [target, name] of [[views, "set"], [views.constructor, "from"]]) {
    const native = target[name];
    replace(target, name, function (...args) {
      checkLength(args[0]);
      return apply(native, this, args);
    });
  }

  replace(JSON, "stringify", function (value, replacer, space) {
    if (typeof replacer === "function") return stringify(value, replacer, space);
    // A list of names leaves no room for a function: only what is handed over is looked at.
    if (isArray(replacer)) {
      checkLength(replacer);
      checkLength(value);
      return stringify(value, replacer, space);
    }
    return stringify(value, same, space);
  });

  replace(String, "raw", function (template, ...values) {
    const { raw } = template;
    let out = "";
    for (let at = 0; at < raw.length; at++) {
      out += text(raw[at]);
      if (at < values.length && at + 1 < raw.length) out += text(values[at]);
    }
    return out;
  });

  const strings = String.prototype;
  const matchers = RegExp.prototype;
  const string = (it) => {
    const made = typeof it === "string" ? it : text(it);
    if (made.length > TEXT_MAX) throw new RangeError(`the text is too long to search it; the longest has ${TEXT_MAX} characters`);
    return made;
  };
  // An expression that is as it was made, and does what those do.
  const isMatcher = (it) =>
    typeof it === "object" && it !== null && getPrototypeOf(it) === matchers && ownKeys(it).length === 1;
  const needle = (haystack, it) => {
    if (isMatcher(it)) return it;
    const made = typeof it === "string" ? it : text(it);
    if (made.length > 64 && haystack.length * made.length > SEARCH_MAX) {
      throw new RangeError("the texts are too long to look for one in the other");
    }
    return made;
  };
  for (const name of ["indexOf", "lastIndexOf", "includes"]) {
    const native = strings[name];
    replace(strings, name, function (it, from) {
      const haystack = string(this);
      return apply(native, haystack, from === undefined ? [needle(haystack, it)] : [needle(haystack, it), from]);
    });
  }
  const { split } = strings;
  const { exec } = matchers;
  const { RegExp: Matcher } = globalThis;
  // As the language has it, but from match to match: the engine's own tries at each character. The expression that was
  // made for it last is kept, which nobody can see.
  let finder = new Matcher("", "g");
  const splitAt = (haystack, it, limit) => {
    const most = limit === undefined ? 4294967295 : limit >>> 0;
    if (most === 0) return [];
    const { source, ignoreCase, multiline, dotAll } = it;
    if (finder.source !== source || finder.ignoreCase !== ignoreCase || finder.multiline !== multiline || finder.dotAll !== dotAll) {
      finder = new Matcher(source, `g${ignoreCase ? "i" : ""}${multiline ? "m" : ""}${dotAll ? "s" : ""}`);
    }
    finder.lastIndex = 0;
    const parts = [];
    let from = 0;
    for (;;) {
      const found = apply(exec, finder, [haystack]);
      if (found === null) break;
      const { index, 0: matched } = found;
      const end = index + matched.length;
      if (matched === "") {
        if (haystack === "") return [];
        // An empty match splits nothing off at the end, or where the last one ended.
        if (index >= haystack.length) break;
        finder.lastIndex = index + 1;
        if (end === from) continue;
      } else if (index >= haystack.length) break;
      parts.push(haystack.slice(from, index));
      if (parts.length === most) return parts;
      from = end;
      for (let at = 1; at < found.length; at++) {
        parts.push(found[at]);
        if (parts.length === most) return parts;
      }
    }
    parts.push(haystack.slice(from));
    return parts;
  };
  replace(strings, "split", function (it, limit) {
    const haystack = string(this);
    if (it === undefined) return apply(split, haystack, [it, limit]);
    const by = needle(haystack, it);
    if (typeof by === "string") return apply(split, haystack, [by, limit]);
    const own = by.sticky || by.unicode || by.unicodeSets || by.hasIndices;
    return own ? apply(split, haystack, [by, limit]) : splitAt(haystack, by, limit);
  });
  // A long replacement is copied for each place, far beyond what there is memory for: as a function's result it is not.
  const replacement = (haystack, it) => {
    if (typeof it === "function") return it;
    const made = typeof it === "string" ? it : text(it);
    if (haystack.length * made.length <= COPY_MAX && !/\$[`']/.test(made)) return made;
    if (made.includes("$") && haystack.length > SHORT_MAX) {
      throw new RangeError("the text is too long for a replacement with $; give a function");
    }
    return made.includes("$") ? made : () => made;
  };
  for (const name of ["replace", "replaceAll"]) {
    const native = strings[name];
    replace(strings, name, function (it, by) {
      const haystack = string(this);
      return apply(native, haystack, [needle(haystack, it), replacement(haystack, by)]);
    });
  }
  const replaced = matchers[Symbol.replace];
  defineProperty(matchers, Symbol.replace, {
    value(it, by) {
      const haystack = string(it);
      return apply(replaced, this, [haystack, replacement(haystack, by)]);
    },
  });

  // ── Frozen, all of it ─────────────────────────────────────────────────────────────────────────────
  // A frozen prototype would refuse `own.name = …` on objects under it; these properties stay assignable
  // on what inherits them.
  const assignable = (prototype) => {
    for (const key of ownKeys(prototype)) {
      const { value, configurable, get } = getOwnPropertyDescriptor(prototype, key);
      if (!configurable || get !== undefined || typeof key !== "string" || key === "__proto__") continue;
      defineProperty(prototype, key, {
        get() { return value; },
        set(own) {
          if (this === prototype) throw new TypeError(`${key} of a built-in prototype cannot be changed`);
          defineProperty(this, key, { value: own, writable: true, enumerable: true, configurable: true });
        },
        enumerable: false,
        configurable: false,
      });
    }
  };
  const errors = [Error, TypeError, RangeError, SyntaxError, ReferenceError, EvalError, URIError, AggregateError];
  for (const error of errors) assignable(error.prototype);
  assignable(Object.prototype);

  const frozen = new Set();
  const harden = (value) => {
    if ((typeof value !== "object" && typeof value !== "function") || value === null || frozen.has(value)) return;
    frozen.add(value);
    freeze(value);
    harden(getPrototypeOf(value));
    for (const key of ownKeys(value)) {
      const property = getOwnPropertyDescriptor(value, key);
      harden(property.value);
      harden(property.get);
      harden(property.set);
    }
  };
  const walked = [[].values(), new Map().values(), new Set().values(), ""[Symbol.iterator](), "".matchAll(/a/g)];
  const hidden = [
    ...walked, [].values().map((x) => x), Iterator.from({ next() {} }), makers[2](), makers[3](), ...makers,
    getOwnPropertyDescriptor(function () { return arguments; }(), "callee").get, /a/.exec("a"),
  ];
  for (const value of hidden) harden(getPrototypeOf(Object(value)));
  harden(globalThis);

  // ── The event ─────────────────────────────────────────────────────────────────────────────────────
  // Whole numbers that a JavaScript number cannot hold come as text behind `bigMark` and become BigInts.
  const revived = (value) => {
    if (typeof value === "string") return value.startsWith(bigMark) ? BigInt(value.slice(bigMark.length)) : value;
    if (typeof value === "object" && value !== null) {
      for (const key of keys(value)) {
        // Not by assignment: a member may be called __proto__.
        const member = revived(value[key]);
        defineProperty(value, key, { value: member, writable: true, enumerable: true, configurable: true });
      }
    }
    return value;
  };
  const frozenDeep = (value) => {
    if (isArray(value)) {
      for (let at = 0; at < value.length; at++) {
        const element = value[at];
        if (typeof element === "object" && element !== null) frozenDeep(element);
      }
    } else {
      const names = keys(value);
      for (let at = 0; at < names.length; at++) {
        const member = value[names[at]];
        if (typeof member === "object" && member !== null) frozenDeep(member);
      }
    }
    return freeze(value);
  };

  // ── The result ────────────────────────────────────────────────────────────────────────────────────
  const bigsAsText = (_key, value) => {
    if (typeof value === "bigint") return BIG + value;
    const string = value instanceof String ? text(value) : value;
    return typeof string === "string" && string.startsWith(SIGN) ? SIGN + string : value;
  };
  const finish = (value) => {
    if (value === null) {
      done = { dropped: true };
      return;
    }
    if (value === undefined) {
      throw new TypeError("transform returned nothing; return the new body, or null to drop the delivery");
    }
    if (typeof value === "function" || typeof value === "symbol") {
      throw new TypeError(`transform returned a ${typeof value}, which is no JSON`);
    }
    let body, bigs = false;
    try {
      body = jsonOf(value);
    } catch (error) {
      bigs = true;
      try { body = stringify(value, bigsAsText); } catch { throw error; }
    }
    if (body === undefined) throw new TypeError("what transform returned is no JSON");
    done = { body, bigs };
  };

  // ── What a script may set ─────────────────────────────────────────────────────────────────────────
  const given = (value, what) => {
    if (typeof value === "string") return value;
    if (typeof value === "number" || typeof value === "boolean") return text(value);
    throw new TypeError(`${what} must be a string`);
  };
  const setHeader = (name, value) => {
    if (headers.length >= HEADERS_MAX) throw new RangeError(`at most ${HEADERS_MAX} headers can be set`);
    const problem = __checkHeader(given(name, "the header's name"), given(value, "the header's value"));
    if (problem !== undefined) throw new TypeError(`header ${text(name).slice(0, 100)} ${problem}`);
    headers.push([text(name), text(value)]);
  };
  const setPath = (value) => {
    const string = given(value, "the path");
    if (!/^\/[!-"$->@-~]{0,2000}$/.test(string)) {
      throw new TypeError("the path must begin with / and have at most 2001 visible ASCII characters, without ? and #");
    }
    path = string;
  };
  const setQuery = (value) => {
    const string = given(value, "the query");
    if (!/^[!-"$-~]{0,2000}$/.test(string)) {
      throw new TypeError("the query must have at most 2000 visible ASCII characters, without #");
    }
    query = string;
  };
  const drop = (why) => {
    reason = why === undefined ? undefined : text(why).slice(0, REASON_CHARS_MAX);
    return null;
  };
  for (const made of [setHeader, setPath, setQuery, drop]) freeze(made);

  const listed = (list) => (list.length === 0 ? undefined : stringify(list));
  const result = () => [done.body, done.bigs === true, reason, listed(headers), path, query, listed(lines)];

  return {
    // Begins a run; gives what came of it, or undefined where `settled` will know.
    run(factory, json, mark, ownSeeds, webhookId) {
      now = 0;
      seeds = ownSeeds;
      done = failed = path = query = reason = undefined;
      headers = [];
      lines = [];
      let event = parse(json);
      if (mark !== undefined) {
        bigMark = mark;
        event = revived(event);
      }
      frozenDeep(event);
      const happened = nativeParse(event.timestamp);
      now = happened === happened ? happened : 0;
      const transform = factory();
      const context = freeze({ webhookId, setHeader, setPath, setQuery, drop });
      const returned = transform(event, context);
      if (typeof returned === "object" && returned !== null && typeof returned.then === "function") {
        apply(then, promiseOf(returned), [finish, (error) => { throw error; }])
          .then(undefined, (error) => { failed = { error }; });
        return undefined;
      }
      finish(returned);
      return result();
    },
    // Whether the script defines what it must.
    check(factory) {
      now = 0;
      headers = [];
      lines = [];
      return typeof factory() === "function";
    },
    // What came of it, or undefined where that is not known yet.
    settled() {
      if (failed !== undefined) throw failed.error;
      return done === undefined ? undefined : result();
    },
    console() { return lines === undefined ? "[]" : stringify(lines); },
    // What was thrown, as [message, stack].
    explain(error) {
      if (error instanceof Error) return [text(error), text(error.stack)];
      // The engine throws it where there is no memory left even for an error.
      if (error === null) return ["threw null, which is also thrown where no memory is left", ""];
      return [`threw ${shown(error)}`.slice(0, 300), ""];
    },
  };
})()
