//! The log of a run: each line with the virtual time and the node, filtered by `SIM_LOG`.
//!
//! Logging must not change the run. So the filter is built outside of the run's thread, and filters that make
//! hash maps while they match (those on spans) are refused: they would use up keys of the run's hasher.

use std::fmt::{self, Write as _};
use std::io::{self, Write};
#[cfg(unix)]
use std::time::Duration;

use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Record};
use tracing::{Dispatch, Event, Id, Metadata, Subscriber};
use tracing_subscriber::filter::{self, EnvFilter, LevelFilter, Targets};
use tracing_subscriber::fmt::format::{FormatEvent, FormatFields, Writer};
use tracing_subscriber::fmt::{FmtContext, MakeWriter};
use tracing_subscriber::layer::{Context, Layer, SubscriberExt};
use tracing_subscriber::registry::LookupSpan;

/// What is logged when `SIM_LOG` does not say.
const DEFAULT: LevelFilter = LevelFilter::INFO;

/// Whether a filter can be used.
///
/// # Errors
/// What is wrong with it and what is allowed.
pub(crate) fn check(filter: &str) -> Result<(), String> {
    const ALLOWED: &str = "expected a filter such as debug, or info,my_service=trace,hyper=off";
    if filter.contains('[') {
        return Err(format!("filters on spans would change the run that they watch; {ALLOWED}"));
    }
    filter.parse::<EnvFilter>().map(|_| ()).map_err(|error| format!("{error}; {ALLOWED}"))
}

/// The logger of a run: writes to standard error and reports where the run is to its worker.
pub(crate) fn dispatch() -> Dispatch {
    let asked = std::env::var("SIM_LOG").ok().filter(|filter| check(filter).is_ok());
    dispatch_to(asked.as_deref(), || StandardError)
}

fn dispatch_to<W>(asked: Option<&str>, writer: W) -> Dispatch
where
    W: for<'a> MakeWriter<'a> + Send + Sync + 'static,
{
    let filter = EnvFilter::builder().with_default_directive(DEFAULT.into());
    let filter = filter.parse_lossy(asked.unwrap_or_default());
    let lines = tracing_subscriber::fmt::layer().event_format(Line).with_ansi(false).with_writer(writer);
    let tasks = Whereabouts.with_filter(filter::filter_fn(is_task));
    tracing_subscriber::registry().with(tasks).with(lines.with_filter(filter)).into()
}

/// Calls `f` with the program's log going into that of the run: what `SIM_LOG` lets through, of each target by its level.
pub(crate) fn kept<R>(f: impl FnOnce() -> R) -> R {
    let asked = std::env::var("SIM_LOG").ok().and_then(|filter| filter.parse::<Targets>().ok());
    let keeper = Keeper(asked.unwrap_or_else(|| Targets::new().with_default(DEFAULT)));
    tracing::dispatcher::with_default(&keeper.into(), f)
}

/// Keeps lines in the run. It knows of no spans: a registry of them is more than a run needs to tell its story.
struct Keeper(Targets);

impl Subscriber for Keeper {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.is_event() && self.0.would_enable(metadata.target(), metadata.level())
    }

    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn event(&self, event: &Event<'_>) {
        let (level, target) = (event.metadata().level().as_str(), event.metadata().target());
        sim_core::host::line(level, target, || {
            let mut words = Words::default();
            event.record(&mut words);
            words.message + &words.fields
        });
    }

    fn enter(&self, _: &Id) {}

    fn exit(&self, _: &Id) {}
}

/// A line as the logger writes it: `message field=1`.
#[derive(Default)]
struct Words {
    message: String,
    fields: String,
}

impl Visit for Words {
    fn record_str(&mut self, field: &Field, value: &str) {
        match field.name() {
            "message" => self.message.push_str(value),
            _ => self.record_debug(field, &value),
        }
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        // A String takes everything.
        let _ = match field.name() {
            "message" => write!(self.message, "{value:?}"),
            name => write!(self.fields, " {name}={value:?}"),
        };
    }
}

fn is_task(metadata: &Metadata<'_>) -> bool {
    metadata.is_span() && metadata.name() == "task" && metadata.target().starts_with("sim_core")
}

/// One line an event: `1.250000000 payment INFO my_service: message field=1`.
struct Line;

impl<S, N> FormatEvent<S, N> for Line
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(&self, ctx: &FmtContext<'_, S, N>, mut to: Writer<'_>, event: &Event<'_>) -> fmt::Result {
        if let Some((now, node)) = sim_core::host::stamp() {
            write!(to, "{:>6}.{:09} {node} ", now / 1_000_000_000, now % 1_000_000_000)?;
        }
        write!(to, "{:>5} {}: ", event.metadata().level(), event.metadata().target())?;
        ctx.format_fields(to.by_ref(), event)?;
        writeln!(to)
    }
}

/// Reports the time and the node at each poll of a task, so that a crash has a place.
struct Whereabouts;

impl<S: Subscriber> Layer<S> for Whereabouts {
    fn on_enter(&self, _: &Id, _: Context<'_, S>) {
        #[cfg(unix)]
        if let Some((now, node)) = sim_core::host::stamp() {
            crate::isolate::beacon::set(Duration::from_nanos(now), &node);
        }
    }
}

/// Standard error as the test harness captures it.
#[derive(Debug)]
struct StandardError;

impl Write for StandardError {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        eprint!("{}", String::from_utf8_lossy(bytes));
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::{Arc, Mutex};
    use std::time::Duration;

    #[derive(Clone, Default)]
    struct Page(Arc<Mutex<Vec<u8>>>);

    impl Write for Page {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn logged(filter: Option<&str>, f: impl FnOnce()) -> String {
        let page = Page::default();
        let writer = page.clone();
        tracing::dispatcher::with_default(&dispatch_to(filter, move || writer.clone()), f);
        String::from_utf8(page.0.lock().unwrap().clone()).unwrap()
    }

    #[test]
    fn lines_have_virtual_time_and_node() {
        let text = logged(None, || {
            let outcome = sim_core::run(sim_core::Config::seed(1), async |sim: sim_core::Sim| {
                let node = sim.node("payment");
                node.spawn(async {
                    sim_core::time::sleep(Duration::from_millis(1250)).await;
                    tracing::info!(amount = 7, "charged");
                    tracing::debug!("unseen");
                })
                .await
                .unwrap();
            });
            outcome.result.unwrap();
        });
        assert!(
            text.contains("1.250000000 payment  INFO sim_run::logging::tests: charged amount=7\n"),
            "{text:?}"
        );
        assert!(!text.contains("unseen"));
    }

    #[test]
    fn filters_choose_lines() {
        let text = logged(Some("error,sim_run=debug"), || {
            tracing::debug!("ours");
            tracing::warn!(target: "theirs", "not ours");
        });
        assert!(text.contains("ours") && !text.contains("theirs"), "{text:?}");
    }

    #[test]
    fn filters_that_cannot_be_used_are_refused() {
        assert!(check("info,hyper=off").is_ok());
        assert!(check("a=b=c").unwrap_err().contains("my_service=trace"));
        assert!(check("[task{node=a}]=trace").unwrap_err().contains("would change the run"));
    }
}
