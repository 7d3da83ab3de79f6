//! A sandbox: one script in a JavaScript engine of its own, on one thread.
//!
//! Invariants: whatever the script does, a run ends within its limits (processor time, memory, stack,
//! output), but for single built-in calls over long texts, which end a little later; the engine is shared
//! with no other script; after a run that did not end in good order the sandbox is not used again.
//! Read `prelude.js` next.

use std::cell::Cell;
use std::rc::Rc;
use std::time::Duration;

use rquickjs::context::{EvalOptions, intrinsic};
use rquickjs::{
    Array, CatchResultExt as _, CaughtError, Context, Ctx, Function, Object, Persistent, Runtime, Value,
};
use serde::de::DeserializeOwned;
use vai_webhooks_wire::json;

use super::compile::{self, FILE, LINES_BEFORE};
use super::{
    CPU_TIME_MAX, Input, MEMORY_BYTES_MAX, Made, Run, STACK_BYTES_MAX, ScriptError, ScriptErrorKind, Shaped,
};
use super::{meter, numbers};
use crate::fields::DEPTH_MAX;
use crate::intake::EVENT_BYTES_MAX;
use crate::webhook::check_header;

const PRELUDE: &str = include_str!("prelude.js");

/// What a script may use. No `Proxy` (its traps would be everywhere), no `WeakRef` (it sees the collector),
/// no performance clock.
type Intrinsics = (
    intrinsic::Date,
    intrinsic::Eval,
    intrinsic::RegExpCompiler,
    intrinsic::RegExp,
    intrinsic::Json,
    intrinsic::MapSet,
    intrinsic::TypedArrays,
    intrinsic::Promise,
);

/// One script, loaded.
pub(super) struct Sandbox {
    // Before the context and the runtime: values must be gone before those are.
    api: Persistent<Object<'static>>,
    factory: Persistent<Function<'static>>,
    context: Context,
    runtime: Runtime,
    limit: Limit,
}

/// What a run may use, and how it uses it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Allowance {
    /// Processor time.
    pub(super) time: Duration,
    /// Whether it lets others go first whenever the engine asks for time.
    pub(super) gives_way: bool,
}

impl Allowance {
    /// All that a script may have.
    pub(super) const FULL: Self = Self { time: CPU_TIME_MAX, gives_way: false };
}

/// The limit on processor time, which the engine asks about now and then.
#[derive(Clone, Default)]
struct Limit {
    until: Rc<Cell<Duration>>,
    passed: Rc<Cell<bool>>,
    gives_way: Rc<Cell<bool>>,
}

impl Limit {
    fn begin(&self, allowed: Allowance) -> Duration {
        let began = meter::used();
        self.until.set(began + allowed.time);
        self.gives_way.set(allowed.gives_way);
        self.passed.set(false);
        began
    }

    fn check(&self) -> bool {
        // A thread that only computes would have its whole time slice, whoever wakes up meanwhile.
        if self.gives_way.get() {
            std::thread::yield_now();
        }
        let passed = meter::used() > self.until.get();
        if passed {
            self.passed.set(true);
        }
        passed
    }
}

impl Sandbox {
    /// Compiles a script and runs its outermost level once, in as much processor time as is allowed.
    pub(super) fn load(code: &str, allowed: Allowance) -> Result<Self, ScriptError> {
        let failed =
            |error: rquickjs::Error| ScriptError::new(ScriptErrorKind::Unavailable, error.to_string());
        let runtime = Runtime::new().map_err(failed)?;
        runtime.set_memory_limit(MEMORY_BYTES_MAX);
        runtime.set_max_stack_size(STACK_BYTES_MAX);
        let limit = Limit::default();
        let asked = limit.clone();
        runtime.set_interrupt_handler(Some(Box::new(move || asked.check())));
        limit.begin(allowed);
        let source = compile::factory(&runtime, code)?;
        let context = Context::builder().with::<Intrinsics>().build(&runtime).map_err(failed)?;
        let loaded = context.with(|ctx| {
            let failed = |error| explained(&ctx, None, &limit, error);
            let api = prelude(&ctx).map_err(failed)?;
            // What is ours to do is not on the script's account.
            limit.begin(allowed);
            let factory: Function<'_> = ctx.eval_with_options(source, options()).map_err(failed)?;
            let failed = |error| explained(&ctx, Some(&api), &limit, error);
            let check: Function<'_> = api.get("check").map_err(failed)?;
            if !check.call::<_, bool>((factory.clone(),)).map_err(failed)? {
                let message = "the script is no function and defines no function `transform`; write `function \
                               transform(event, context) { … }`, or an expression that is a function";
                return Err(ScriptError::new(ScriptErrorKind::Code, message));
            }
            Ok((Persistent::save(&ctx, api), Persistent::save(&ctx, factory)))
        });
        let (api, factory) = loaded?;
        Ok(Self { api, factory, context, runtime, limit })
    }

    /// Runs the script over one event; gives the sandbox back where it is good for another run.
    pub(super) fn run(self, input: &Input, allowed: Allowance) -> (Run, Option<Self>) {
        let began = self.limit.begin(allowed);
        let (result, console) = self.context.with(|ctx| {
            let restored =
                self.api.clone().restore(&ctx).and_then(|api| Ok((api, self.factory.clone().restore(&ctx)?)));
            match restored {
                Ok((api, factory)) => match run(&ctx, &api, factory, &self.limit, input) {
                    Ok((made, console)) => (Ok(made), console),
                    Err(stop) => (Err(stop.explained(&ctx, &api, &self.limit)), console(&api)),
                },
                Err(error) => (Err(explained(&ctx, None, &self.limit, error)), Vec::new()),
            }
        });
        let took = meter::used().saturating_sub(began);
        let in_order = !matches!(&result, Err(error) if error.kind != ScriptErrorKind::Code);
        let again = in_order && !self.limit.passed.get() && !self.runtime.is_job_pending();
        (Run { result, console, took }, again.then_some(self))
    }
}

/// How everything is evaluated.
pub(super) fn options() -> EvalOptions {
    let mut options = EvalOptions::default();
    options.filename = Some(FILE.to_owned());
    options
}

fn prelude<'js>(ctx: &Ctx<'js>) -> rquickjs::Result<Object<'js>> {
    let check = Function::new(ctx.clone(), |name: String, value: String| {
        check_header(&name, &value).err().map(|(_, detail)| detail)
    })?;
    ctx.globals().set("__checkHeader", check)?;
    let mut options = EvalOptions::default();
    options.filename = Some("prelude.js".to_owned());
    let api = ctx.eval_with_options(PRELUDE, options)?;
    Ok(api)
}

/// Why a run ended without a result.
enum Stop {
    Js(rquickjs::Error),
    Script(ScriptError),
}

impl From<rquickjs::Error> for Stop {
    fn from(error: rquickjs::Error) -> Self {
        Self::Js(error)
    }
}

impl Stop {
    fn explained<'js>(self, ctx: &Ctx<'js>, api: &Object<'js>, limit: &Limit) -> ScriptError {
        match self {
            Self::Js(error) => explained(ctx, Some(api), limit, error),
            Self::Script(error) => error,
        }
    }
}

fn run<'js>(
    ctx: &Ctx<'js>,
    api: &Object<'js>,
    factory: Function<'js>,
    limit: &Limit,
    input: &Input,
) -> Result<(Made, Vec<String>), Stop> {
    let text = std::str::from_utf8(&input.body)
        .map_err(|_| Stop::Script(ScriptError::new(ScriptErrorKind::Code, "the event is not UTF-8")))?;
    let marked = numbers::marked(text);
    let (text, mark) = match &marked {
        Some((text, mark)) => (text.as_str(), Some(mark.as_str())),
        None => (text, None),
    };
    let seeds: Vec<u32> = input.seed.to_vec();
    let run: Function<'js> = api.get("run")?;
    let mut result: Option<Array<'js>> = run.call((factory, text, mark, seeds, input.webhook_id.as_str()))?;
    if result.is_none() {
        let settled: Function<'js> = api.get("settled")?;
        loop {
            result = settled.call(())?;
            if result.is_some() {
                break;
            }
            let went_on = ctx.execute_pending_job();
            // A job that was stopped leaves its promise as it was.
            if limit.passed.get() {
                return Err(Stop::Script(out_of_time()));
            }
            if !went_on {
                break;
            }
        }
    }
    let Some(result) = result else {
        let message = "transform returned a promise that is never settled: nothing it could wait for is left";
        return Err(Stop::Script(ScriptError::new(ScriptErrorKind::Code, message)));
    };
    let console = listed(result.get(6)?);
    let Some(body) = result.get::<Option<String>>(0)? else {
        return Ok((Made::Dropped(result.get(2)?), console));
    };
    let body = if result.get(1)? { numbers::unmarked(&body) } else { body };
    check_body(&body).map_err(Stop::Script)?;
    let headers = listed(result.get(3)?);
    let shaped = Shaped { body: body.into(), headers, path: result.get(4)?, query: result.get(5)? };
    Ok((Made::Body(shaped), console))
}

/// A list that comes as JSON, where it has anything.
fn listed<T: DeserializeOwned>(json: Option<String>) -> Vec<T> {
    json.and_then(|json| serde_json::from_str(&json).ok()).unwrap_or_default()
}

/// What is sent must be JSON that nobody can read in two ways, of a size that an event may have.
fn check_body(body: &str) -> Result<(), ScriptError> {
    let refused = |message| Err(ScriptError::new(ScriptErrorKind::Code, message));
    if body.len() > EVENT_BYTES_MAX {
        return refused(format!("the result takes {} bytes; the most are {EVENT_BYTES_MAX}", body.len()));
    }
    match json::check(body.as_bytes(), json::Limits { depth_max: DEPTH_MAX }) {
        Ok(_) => Ok(()),
        Err(problem) => refused(format!("the result is no good JSON: {problem}")),
    }
}

fn console(api: &Object<'_>) -> Vec<String> {
    let lines = api.get::<_, Function<'_>>("console").and_then(|console| console.call::<_, String>(()));
    listed(lines.ok())
}

/// An error of the engine as the script's author needs it.
fn explained<'js>(
    ctx: &Ctx<'js>,
    api: Option<&Object<'js>>,
    limit: &Limit,
    error: rquickjs::Error,
) -> ScriptError {
    let caught = Err::<(), _>(error).catch(ctx).err();
    if limit.passed.get() {
        let stack = match &caught {
            Some(CaughtError::Exception(exception)) => exception.stack().unwrap_or_default(),
            _ => String::new(),
        };
        return located(ScriptErrorKind::Limit, out_of_time().message, &stack);
    }
    let thrown: Option<Value<'_>> = match caught {
        Some(CaughtError::Exception(exception)) => Some(exception.into_object().into_value()),
        Some(CaughtError::Value(value)) => Some(value),
        Some(CaughtError::Error(error)) => {
            return ScriptError::new(ScriptErrorKind::Code, error.to_string());
        }
        None => None,
    };
    let told = api.zip(thrown).and_then(|(api, thrown)| {
        let explain: Function<'_> = api.get("explain").ok()?;
        let told: Vec<String> = explain.call((thrown,)).ok()?;
        <[String; 2]>::try_from(told).ok()
    });
    // Whatever explaining it threw is of no use to anybody.
    let _dropped = ctx.catch();
    match told {
        Some([message, _]) if message.contains("out of memory") => out_of_memory(),
        Some([message, stack]) => located(ScriptErrorKind::Code, cut(message), &stack),
        None if limit.passed.get() => out_of_time(),
        None => ScriptError::new(ScriptErrorKind::Code, "threw something that cannot be read"),
    }
}

fn out_of_time() -> ScriptError {
    let message = format!("the script ran into its time limit of {} ms", CPU_TIME_MAX.as_millis());
    ScriptError::new(ScriptErrorKind::Limit, message)
}

fn out_of_memory() -> ScriptError {
    let message = format!("the script needs more than its {} MiB of memory", MEMORY_BYTES_MAX / 1024 / 1024);
    ScriptError::new(ScriptErrorKind::Limit, message)
}

/// The longest message that is kept of what a script threw, in characters.
const MESSAGE_CHARS_MAX: usize = 300;

fn cut(message: String) -> String {
    let plain = |c: char| if c.is_control() { ' ' } else { c };
    message.chars().map(plain).take(MESSAGE_CHARS_MAX).collect()
}

/// An error with the place that the topmost line of the author's own code has in a stack.
pub(super) fn located(kind: ScriptErrorKind, message: String, stack: &str) -> ScriptError {
    let place = stack.lines().find_map(|line| {
        let (_, after) = line.split_once(FILE)?;
        let mut numbers = after.trim_start_matches(':').trim_end_matches(')').split(':');
        let line: u32 = numbers.next()?.parse().ok()?;
        Some((
            line.checked_sub(LINES_BEFORE).filter(|line| *line > 0)?,
            numbers.next().and_then(|it| it.parse().ok()),
        ))
    });
    let (line, column) = place.map_or((None, None), |(line, column)| (Some(line), column));
    ScriptError { kind, message, line, column }
}
