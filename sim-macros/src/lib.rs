//! The [`sim_test`] attribute, in three parts: `arguments` reads what is in its parentheses, `function` reads the
//! function that it stands on, and `expand` writes the test. Whatever is wrong is an error at the place that is
//! wrong, and everything that is wrong is said at once.
//!
//! Use it through the facade, as `sim::sim_test`.

mod arguments;
mod expand;
mod function;
mod schedule;
mod span_of_time;

use arguments::Arguments;
use function::Function;
use proc_macro::TokenStream;

/// Makes an `async fn` a test that runs in a simulation, once for each of its seeds.
///
/// ```text
/// #[sim_test(seeds = 200, time_limit = "10m")]
/// async fn money_is_conserved(sim: Sim, #[strategy(vec(cart(), 1..40))] carts: Vec<Cart>) -> Result<()> {
///     …
/// }
/// ```
///
/// | argument | meaning | default |
/// | --- | --- | --- |
/// | `seeds = 200` | so many seeds, from a first one that belongs to the test | 32 |
/// | `seeds = 0..5000` | these seeds | |
/// | `time_limit = "10m"` | virtual time after which a run fails; units `h m s ms us ns`, as in `"1h30m"` | a day |
/// | `schedule = "fifo"` | how the next task is chosen: `portfolio`, `fifo`, `random`, `pos`, `pct`, `pct(DEPTH,LENGTH)` | `"portfolio"` |
/// | `isolate = "thread"` | where a run happens: in a `process` or on a `thread` of its own | `"process"` |
/// | `check_determinism` | every seed is run twice and the traces compared, instead of one in 64 | off |
/// | `vacuous_after = 1000` | from how many runs on the test fails because of what no run has seen, such as a `sometimes!` | 100 |
/// | `crate = path` | where the facade is | `::sim` |
///
/// All parameters are optional. The first may be the simulation, `sim: Sim`; each other one needs
/// `#[strategy(expression)]` and is drawn from that proptest strategy, from the seed of the run.
///
/// The function returns nothing, or a `Result` whose error can be displayed. Other attributes stay on the test:
/// `#[should_panic]`, `#[ignore]`, `#[cfg(..)]`. Cases of rstest are tests of their own, each with its seeds, when this
/// attribute goes by its other name, by which rstest knows an asynchronous test, or is named to it with
/// `#[test_attr(sim_test(seeds = 200))]`:
///
/// ```text
/// #[rstest]
/// #[case(1)]
/// #[case(2)]
/// #[sim::test(seeds = 200)]
/// async fn every_number_of_replicas_agrees(#[case] replicas: u32) { … }
/// ```
///
/// The environment overrides the arguments: `SIM_SEED`, `SIM_SEEDS`, `SIM_JOBS`, `SIM_SCHEDULE`, `SIM_FORK`,
/// `SIM_LOG`.
#[proc_macro_attribute]
pub fn sim_test(arguments: TokenStream, item: TokenStream) -> TokenStream {
    let arguments = Arguments::parse(arguments.into());
    let item = proc_macro2::TokenStream::from(item);
    let error = match (arguments, Function::parse(item.clone())) {
        (Ok(arguments), Ok(function)) => return expand::expand(&arguments, &function).into(),
        (Err(mut error), Err(other)) => {
            error.combine(other);
            error
        }
        (Err(error), Ok(_)) | (Ok(_), Err(error)) => error,
    };
    let mut expanded = error.into_compile_error();
    expanded.extend(function::stand_in(item));
    expanded.into()
}
