//! The test that the attribute makes of a function.

use proc_macro2::TokenStream;
use quote::{format_ident, quote, quote_spanned};
use syn::spanned::Spanned;

use crate::arguments::{Arguments, Seeds};
use crate::function::Function;

/// A plain `#[test]` function of the same name, with the written one inside.
pub(crate) fn expand(arguments: &Arguments, function: &Function) -> TokenStream {
    let facade = match &arguments.facade {
        Some(path) => quote!(#path),
        None => quote!(::sim),
    };
    let private = quote!(#facade::__private);
    let mut inner = function.item.clone();
    let attributes = std::mem::take(&mut inner.attrs);
    let visibility = std::mem::replace(&mut inner.vis, syn::Visibility::Inherited);
    let name = &inner.sig.ident;
    let spec = spec(arguments, function, &private);

    // At the type of the parameter, so that a wrong one is said to be wrong there.
    let sim = function.takes_sim.then(|| {
        let span = function.item.sig.inputs.first().map_or(name.span(), Spanned::span);
        quote_spanned!(span=> __sim)
    });
    let places: Vec<_> = (0..function.drawn.len()).map(|place| format_ident!("__drawn{place}")).collect();
    let draws = function.drawn.iter().zip(&places).zip(0u64..).map(|((drawn, place), position)| {
        let (strategy, ty, name) = (&drawn.strategy, &drawn.parameter.ty, drawn.name());
        let draw = quote_spanned! { strategy.span() =>
            #private::draw(#private::Sim::seed(&__sim), #position, #name, #strategy)
        };
        quote!(let #place: #ty = #draw;)
    });
    let given = sim.into_iter().chain(places.iter().map(|place| quote!(#place)));
    quote! {
        #[::core::prelude::v1::test]
        #(#attributes)*
        #visibility fn #name() {
            #inner
            #spec
            #private::run_test(&SPEC, |__sim: #private::Sim| {
                #(#draws)*
                #name(#(#given),*)
            })
        }
    }
}

fn spec(arguments: &Arguments, function: &Function, private: &TokenStream) -> TokenStream {
    let name = function.item.sig.ident.to_string();
    let name = name.strip_prefix("r#").unwrap_or(&name);
    let line = quote_spanned!(function.item.sig.ident.span()=> ::core::line!());
    let seeds = option(arguments.seeds.map(|seeds| match seeds {
        Seeds::Count(count) => quote!(#private::TestSeeds::Count(#count)),
        Seeds::Range(start, end) => quote!(#private::TestSeeds::Range(#start, #end)),
    }));
    let time_limit = option(arguments.time_limit.map(|limit| {
        let (seconds, nanos) = (limit.as_secs(), limit.subsec_nanos());
        quote!(#private::Duration::new(#seconds, #nanos))
    }));
    let schedule = option(arguments.schedule.as_ref().map(|schedule| quote!(#schedule)));
    let (thread, check_determinism) = (arguments.thread, arguments.check_determinism);
    let should_panic = function.item.attrs.iter().any(|attribute| attribute.path().is_ident("should_panic"));
    let vacuous_after = option(arguments.vacuous_after.map(|runs| quote!(#runs)));
    let record = record(arguments, function, name, &line);
    quote! {
        const SPEC: #private::TestSpec = #private::TestSpec {
            module: ::core::module_path!(),
            name: #name,
            file: ::core::file!(),
            line: #line,
            package: ::core::option_env!("CARGO_PKG_NAME"),
            target: ::core::option_env!("CARGO_CRATE_NAME"),
            program: ::core::option_env!("CARGO_BIN_NAME"),
            integration: ::core::option_env!("CARGO_TARGET_TMPDIR"),
            seeds: #seeds,
            time_limit: #time_limit,
            schedule: #schedule,
            thread: #thread,
            check_determinism: #check_determinism,
            should_panic: #should_panic,
            manifest: ::core::option_env!("CARGO_MANIFEST_DIR"),
            vacuous_after: #vacuous_after,
            record: #record,
        };
    }
}

/// What tools find of the test in the program that it is compiled into, without running it: fields between unit
/// separators, in a frame of record separators. `sim-cli/src/listing.rs` reads it.
fn record(arguments: &Arguments, function: &Function, name: &str, line: &TokenStream) -> TokenStream {
    let seeds = arguments.seeds.map_or_else(String::new, |seeds| match seeds {
        Seeds::Count(count) => count.to_string(),
        Seeds::Range(start, end) => format!("{start}..{end}"),
    });
    let has = |name| function.item.attrs.iter().any(|attribute| attribute.path().is_ident(name));
    let flags: String = [("ignore", 'i'), ("should_panic", 'p')]
        .into_iter()
        .filter_map(|(name, flag)| has(name).then_some(flag))
        .collect();
    quote! {
        ::core::concat!(
            "\u{1e}sim_test 1\u{1f}", ::core::module_path!(), "\u{1f}", #name, "\u{1f}", ::core::file!(), "\u{1f}",
            #line, "\u{1f}", #seeds, "\u{1f}", #flags, "\u{1e}",
        )
    }
}

fn option(value: Option<TokenStream>) -> TokenStream {
    match value {
        Some(value) => quote!(::core::option::Option::Some(#value)),
        None => quote!(::core::option::Option::None),
    }
}
