//! What stands in the parentheses of the attribute.

use proc_macro2::TokenStream;
use std::time::Duration;
use syn::ext::IdentExt;
use syn::parse::{Parse, ParseStream, Parser};
use syn::{Error, Ident, Lit, LitBool, LitInt, LitStr, Path, Result, Token};

use crate::{schedule, span_of_time};

const ALLOWED: &str =
    "`seeds`, `time_limit`, `schedule`, `isolate`, `check_determinism`, `vacuous_after` and `crate`";

/// The arguments, checked.
#[derive(Default)]
pub(crate) struct Arguments {
    pub(crate) seeds: Option<Seeds>,
    pub(crate) time_limit: Option<Duration>,
    pub(crate) schedule: Option<String>,
    pub(crate) thread: bool,
    pub(crate) check_determinism: bool,
    pub(crate) vacuous_after: Option<u64>,
    pub(crate) facade: Option<Path>,
}

/// The value of `seeds`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Seeds {
    Count(u64),
    Range(u64, u64),
}

impl Arguments {
    pub(crate) fn parse(tokens: TokenStream) -> Result<Arguments> {
        Parser::parse2(Arguments::parse_all, tokens)
    }

    fn parse_all(input: ParseStream<'_>) -> Result<Arguments> {
        let mut arguments = Arguments::default();
        let mut seen: Vec<Ident> = Vec::new();
        let mut errors: Option<Error> = None;
        let mut note = |error: Error| match &mut errors {
            Some(errors) => errors.combine(error),
            none => *none = Some(error),
        };
        while !input.is_empty() {
            let name = input.call(Ident::parse_any).map_err(|error| {
                Error::new(error.span(), format!("expected the name of an argument: {ALLOWED}"))
            })?;
            if seen.contains(&name) {
                note(Error::new(name.span(), format!("`{name}` is given twice")));
            }
            seen.push(name.clone());
            if let Err(error) = arguments.take(&name, input) {
                note(error);
                // What follows in a value that was not understood is not worth a second error.
                while !input.is_empty() && !input.peek(Token![,]) {
                    input.parse::<proc_macro2::TokenTree>()?;
                }
            }
            if input.is_empty() {
                break;
            }
            input.parse::<Token![,]>()?;
        }
        match errors {
            None => Ok(arguments),
            Some(errors) => Err(errors),
        }
    }

    fn take(&mut self, name: &Ident, input: ParseStream<'_>) -> Result<()> {
        match name.to_string().as_str() {
            "seeds" => self.seeds = Some(value(name, input, "seeds = 200` or `seeds = 0..5000")?),
            "time_limit" => {
                let text: LitStr = value(name, input, "time_limit = \"10m\"")?;
                let limit =
                    span_of_time::parse(&text.value()).map_err(|error| Error::new(text.span(), error))?;
                self.time_limit = Some(limit);
            }
            "schedule" => {
                let text: LitStr = value(name, input, "schedule = \"fifo\"")?;
                schedule::check(&text.value()).map_err(|error| Error::new(text.span(), error))?;
                self.schedule = Some(text.value());
            }
            "isolate" => {
                let text: LitStr = value(name, input, "isolate = \"thread\"")?;
                self.thread = match text.value().as_str() {
                    "process" => false,
                    "thread" => true,
                    other => {
                        let message = format!("unknown isolation `{other}`: use \"process\" or \"thread\"");
                        return Err(Error::new(text.span(), message));
                    }
                };
            }
            "check_determinism" => {
                self.check_determinism = match input.peek(Token![=]) {
                    false => true,
                    true => value::<LitBool>(name, input, "check_determinism = true")?.value,
                };
            }
            "vacuous_after" => {
                self.vacuous_after =
                    Some(value::<LitInt>(name, input, "vacuous_after = 1000")?.base10_parse()?);
            }
            "crate" => self.facade = Some(value(name, input, "crate = ::sim")?),
            other => {
                let mut message = format!("unknown argument `{other}`: allowed are {ALLOWED}");
                if let Some(meant) = meant(other) {
                    message =
                        format!("unknown argument `{other}`: did you mean `{meant}`? Allowed are {ALLOWED}");
                }
                return Err(Error::new(name.span(), message));
            }
        }
        Ok(())
    }
}

/// The value behind `name`; an error that shows how it is written when there is none of that type.
fn value<T: Parse>(name: &Ident, input: ParseStream<'_>, example: &str) -> Result<T> {
    if !input.peek(Token![=]) {
        return Err(Error::new(name.span(), format!("`{name}` needs a value: write `{example}`")));
    }
    input.parse::<Token![=]>()?;
    let start = input.cursor();
    input.parse::<T>().map_err(|error| {
        let found = start.token_tree().map_or(name.span(), |(token, _)| token.span());
        // Errors that were made here know more than the parser's.
        match error.to_string() {
            said if said.starts_with("expected") || said.starts_with("unexpected") => {
                Error::new(found, format!("`{name}` takes another kind of value: write `{example}`"))
            }
            _ => error,
        }
    })
}

/// The argument that another test framework has under this name.
fn meant(name: &str) -> Option<&'static str> {
    match name {
        "seed" | "runs" | "iterations" | "cases" | "count" => Some("seeds"),
        "timeout" | "limit" | "deadline" => Some("time_limit"),
        "scheduler" | "strategy" | "flavor" => Some("schedule"),
        "isolation" => Some("isolate"),
        "determinism" => Some("check_determinism"),
        _ => None,
    }
}

impl Parse for Seeds {
    fn parse(input: ParseStream<'_>) -> Result<Seeds> {
        let first = integer(input)?;
        let start = first.base10_parse()?;
        if input.peek(Token![..=]) {
            let dots = input.parse::<Token![..=]>()?;
            return Err(Error::new_spanned(dots, "the end of a range of seeds is left out: write `A..B`"));
        }
        if !input.peek(Token![..]) {
            if start == 0 {
                return Err(Error::new(first.span(), "a test needs at least one seed"));
            }
            return Ok(Seeds::Count(start));
        }
        input.parse::<Token![..]>()?;
        let last = integer(input)?;
        let end = last.base10_parse()?;
        if start >= end {
            let message = format!("the range of seeds is empty: {start} is not less than {end}");
            return Err(Error::new(first.span(), message));
        }
        Ok(Seeds::Range(start, end))
    }
}

fn integer(input: ParseStream<'_>) -> Result<LitInt> {
    match input.parse::<Lit>()? {
        Lit::Int(literal) => Ok(literal),
        other => Err(Error::new(other.span(), "expected an integer")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use quote::quote;

    fn error(tokens: TokenStream) -> String {
        let error = Arguments::parse(tokens).err().unwrap();
        error.into_iter().map(|error| error.to_string()).collect::<Vec<_>>().join("\n")
    }

    #[test]
    fn every_argument_is_read() {
        let arguments = Arguments::parse(quote! {
            seeds = 0x10..5_000, time_limit = "1h30m", schedule = "pct(3, 100)", isolate = "thread",
            check_determinism, vacuous_after = 1_000, crate = ::other::sim,
        })
        .unwrap();
        assert_eq!(arguments.seeds, Some(Seeds::Range(16, 5000)));
        assert_eq!(arguments.time_limit, Some(Duration::from_secs(5400)));
        assert_eq!(arguments.schedule.as_deref(), Some("pct(3, 100)"));
        assert_eq!(arguments.vacuous_after, Some(1000));
        assert!(arguments.thread && arguments.check_determinism && arguments.facade.is_some());
        assert_eq!(Arguments::parse(quote!(seeds = 7)).unwrap().seeds, Some(Seeds::Count(7)));
        assert!(!Arguments::parse(quote!(check_determinism = false)).unwrap().check_determinism);
        assert!(Arguments::parse(quote!()).unwrap().seeds.is_none());
    }

    #[test]
    fn everything_that_is_wrong_is_said_at_once() {
        let said = error(quote!(seeds = 0, time_limit = 10, colour = "red", isolate = "jar", seeds = 1));
        for part in
            ["at least one seed", "time_limit = \"10m\"", "unknown argument `colour`", "`jar`", "given twice"]
        {
            assert!(said.contains(part), "{part} is missing in: {said}");
        }
    }

    #[test]
    fn values_of_the_wrong_kind_show_the_right_one() {
        assert!(error(quote!(seeds = "many")).contains("write `seeds = 200` or `seeds = 0..5000`"));
        assert!(error(quote!(seeds)).contains("needs a value"));
        assert!(error(quote!(seeds = 1..=5)).contains("A..B"));
        assert!(error(quote!(seeds = 5..5)).contains("5 is not less than 5"));
        assert!(error(quote!(timeout = "1s")).contains("did you mean `time_limit`"));
    }
}
