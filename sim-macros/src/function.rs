//! The function that the attribute stands on.

use proc_macro2::TokenStream;
use quote::ToTokens;
use syn::{Attribute, Error, Expr, FnArg, ItemFn, Meta, Pat, PatType, Result};

/// A function that can be a test.
pub(crate) struct Function {
    /// Without the attributes of its parameters that are read here.
    pub(crate) item: ItemFn,
    /// Whether the first parameter is the simulation.
    pub(crate) takes_sim: bool,
    /// The other parameters.
    pub(crate) drawn: Vec<Drawn>,
}

/// A parameter that is drawn.
pub(crate) struct Drawn {
    pub(crate) parameter: PatType,
    pub(crate) strategy: Expr,
}

impl Function {
    pub(crate) fn parse(tokens: TokenStream) -> Result<Function> {
        let mut item: ItemFn = syn::parse2(tokens).map_err(|error| {
            Error::new(error.span(), format!("#[sim_test] stands on an `async fn`: {error}"))
        })?;
        let mut errors = Vec::new();
        check_signature(&item, &mut errors);
        let (mut takes_sim, mut drawn) = (false, Vec::new());
        for (position, input) in item.sig.inputs.iter_mut().enumerate() {
            let parameter = match input {
                FnArg::Typed(parameter) => parameter,
                FnArg::Receiver(receiver) => {
                    errors.push(Error::new_spanned(receiver, "a test is a free function: it has no `self`"));
                    continue;
                }
            };
            match strategy_of(parameter) {
                Err(error) => errors.push(error),
                Ok(Some(strategy)) => drawn.push(Drawn { parameter: parameter.clone(), strategy }),
                Ok(None) if position == 0 => takes_sim = true,
                Ok(None) => errors.push(Error::new_spanned(
                    &*parameter,
                    "only the first parameter is given, as `sim: Sim`; each other one needs `#[strategy(..)]`, a \
                     proptest strategy to draw it from",
                )),
            }
        }
        match errors.into_iter().reduce(|mut all, error| {
            all.combine(error);
            all
        }) {
            None => Ok(Function { item, takes_sim, drawn }),
            Some(errors) => Err(errors),
        }
    }
}

fn check_signature(item: &ItemFn, errors: &mut Vec<Error>) {
    let signature = &item.sig;
    if signature.asyncness.is_none() {
        errors.push(Error::new_spanned(signature.fn_token, "#[sim_test] needs an `async fn`: add `async`"));
    }
    if !signature.generics.params.is_empty() {
        let message = "a test cannot be generic: nobody would say for which types it runs";
        errors.push(Error::new_spanned(&signature.generics, message));
    } else if let Some(clause) = &signature.generics.where_clause {
        errors.push(Error::new_spanned(clause, "a test cannot be generic, so it has no `where`"));
    }
    if let Some(keyword) = &signature.unsafety {
        errors.push(Error::new_spanned(keyword, "a test is called by the harness, so it cannot be `unsafe`"));
    }
    if let Some(abi) = &signature.abi {
        errors.push(Error::new_spanned(abi, "a test is called by the harness, so it has no ABI"));
    }
    for attribute in &item.attrs {
        if attribute.path().is_ident("test") {
            let message = "#[sim_test] makes this a test already: remove `#[test]`, or it runs twice";
            errors.push(Error::new_spanned(attribute, message));
        } else if attribute.path().is_ident("sim_test") {
            errors.push(Error::new_spanned(attribute, "#[sim_test] stands here twice"));
        } else if attribute.path().segments.last().is_some_and(|last| last.ident == "rstest") {
            let message =
                "write `#[rstest]`, its cases, and `#[test_attr(sim_test(..))]` in place of #[sim_test]";
            errors.push(Error::new_spanned(attribute, message));
        }
    }
}

/// What stands in for a function that cannot be a test: the same one without attributes, so that what it uses is used
/// and an editor knows its body.
pub(crate) fn stand_in(tokens: TokenStream) -> TokenStream {
    let Ok(mut item) = syn::parse2::<ItemFn>(tokens) else { return TokenStream::new() };
    item.attrs = vec![syn::parse_quote!(#[allow(warnings)])];
    item.sig.asyncness.get_or_insert_with(Default::default);
    for input in &mut item.sig.inputs {
        if let FnArg::Typed(parameter) = input {
            parameter.attrs.clear();
        }
    }
    item.into_token_stream()
}

/// Takes `#[strategy(..)]` from a parameter.
fn strategy_of(parameter: &mut PatType) -> Result<Option<Expr>> {
    let mut strategy = None;
    for attribute in std::mem::take(&mut parameter.attrs) {
        if !attribute.path().is_ident("strategy") {
            return Err(unknown(&attribute));
        }
        let example = "write `#[strategy(0..100u32)]`, with a proptest strategy in the parentheses";
        let Meta::List(list) = &attribute.meta else { return Err(Error::new_spanned(&attribute, example)) };
        if list.tokens.is_empty() {
            return Err(Error::new_spanned(&attribute, example));
        }
        if strategy.replace(list.parse_args::<Expr>()?).is_some() {
            return Err(Error::new_spanned(&attribute, "the parameter has a strategy already"));
        }
    }
    Ok(strategy)
}

fn unknown(attribute: &Attribute) -> Error {
    let name = attribute.path().to_token_stream();
    let message = match name.to_string().as_str() {
        name @ ("case" | "values" | "with" | "from" | "future") => {
            format!(
                "`#[{name}]` is rstest's: write `#[rstest]` and `#[test_attr(sim_test(..))]` in place of #[sim_test]"
            )
        }
        name => format!("unknown attribute `{name}`: a parameter of a #[sim_test] takes `#[strategy(..)]`"),
    };
    Error::new_spanned(attribute, message)
}

impl Drawn {
    /// The name in messages.
    pub(crate) fn name(&self) -> String {
        match &*self.parameter.pat {
            Pat::Ident(name) => name.ident.to_string(),
            other => other.to_token_stream().to_string(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use quote::quote;

    fn errors(tokens: TokenStream) -> Vec<String> {
        Function::parse(tokens).err().unwrap().into_iter().map(|error| error.to_string()).collect()
    }

    #[test]
    fn all_parameters_are_optional() {
        let function = Function::parse(quote!(
            async fn f() {}
        ))
        .unwrap();
        assert!(!function.takes_sim && function.drawn.is_empty());
        let function = Function::parse(quote!(
            async fn f(sim: Sim) -> Result<()> {
                Ok(())
            }
        ))
        .unwrap();
        assert!(function.takes_sim && function.drawn.is_empty());
        let function = Function::parse(quote!(
            async fn f(#[strategy(0..9u8)] mut x: u8) {}
        ))
        .unwrap();
        assert!(!function.takes_sim);
        assert_eq!(function.drawn[0].name(), "x");
    }

    #[test]
    fn everything_that_is_wrong_is_said_at_once() {
        let said = errors(quote! {
            #[test]
            unsafe fn f<T>(sim: Sim, y: u8, #[strategy] z: u8, #[case] c: u8) {}
        });
        let parts =
            ["`unsafe`", "add `async`", "generic", "runs twice", "only the first", "0..100u32", "rstest"];
        assert_eq!(said.len(), parts.len(), "{said:?}");
        for part in parts {
            assert!(said.iter().any(|error| error.contains(part)), "{part} is missing in {said:?}");
        }
    }

    #[test]
    fn what_is_no_function_is_refused() {
        assert!(
            errors(quote!(
                struct S;
            ))[0]
                .contains("stands on an `async fn`")
        );
    }
}
