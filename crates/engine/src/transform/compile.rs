//! The two forms of a script: an expression that is a function, or code that defines `transform`.
//!
//! Both become the body of one function, made once for each run, so that what a script keeps outside of
//! its function begins anew with every event. Invariant: code becomes part of that body only after it
//! was parsed by itself, so that no stray bracket of it can end the body early. Read `sandbox.rs` next.

use rquickjs::context::intrinsic;
use rquickjs::{Context, Ctx, Runtime, Value};

use super::sandbox::{located, options};
use super::{ScriptError, ScriptErrorKind};

/// The script's name in stacks, by which its own lines are told from ours.
pub(super) const FILE: &str = "transform.js";
/// How many lines stand before the author's code in everything that is compiled.
pub(super) const LINES_BEFORE: u32 = 1;

/// The factory of a script: JavaScript whose value is a function that gives the transformation.
pub(super) fn factory(runtime: &Runtime, code: &str) -> Result<String, ScriptError> {
    // A directive or a semicolon at the end is no part of an expression.
    let expression = code.trim_end().trim_end_matches(';');
    let as_expression = parses(runtime, &format!("throw 0;(\n{expression}\n)"))
        .and_then(|()| parses(runtime, &format!("throw 0;let it=\n{expression}")));
    let Err(not_expression) = as_expression else {
        return Ok(format!("(function(){{\"use strict\";return (\n{expression}\n)}})"));
    };
    match parses(runtime, &format!("throw 0;\n{code}")) {
        Ok(()) => Ok(format!(
            "(function(){{\"use strict\";\n{code}\n;return typeof transform===\"function\"?transform:undefined}})"
        )),
        // The reading that got further is the one that was meant.
        Err(error) if (error.line, error.column) >= (not_expression.line, not_expression.column) => {
            Err(error)
        }
        Err(_) => Err(not_expression),
    }
}

/// Whether a text that begins with `throw 0;` parses: then that is all that happens.
fn parses(runtime: &Runtime, text: &str) -> Result<(), ScriptError> {
    // Functions are hoisted into the context's global object: a new one each time, with nothing in it.
    type Parsing = (intrinsic::Eval, intrinsic::RegExpCompiler, intrinsic::RegExp);
    let unavailable = |error: rquickjs::Error| ScriptError::new(ScriptErrorKind::Limit, error.to_string());
    let context = Context::builder().with::<Parsing>().build(runtime).map_err(unavailable)?;
    context.with(|ctx: Ctx<'_>| match ctx.eval_with_options::<Value<'_>, _>(text, options()) {
        Ok(_) => Ok(()),
        Err(_) => {
            let thrown = ctx.catch();
            match thrown.as_exception() {
                None if thrown.is_number() => Ok(()),
                Some(error) => {
                    let (message, stack) =
                        (error.message().unwrap_or_default(), error.stack().unwrap_or_default());
                    Err(located(ScriptErrorKind::Code, format!("SyntaxError: {message}"), &stack))
                }
                None => {
                    Err(ScriptError::new(ScriptErrorKind::Limit, "the script is too large to be compiled"))
                }
            }
        }
    })
}
