//! Logs on standard error: `ORRERY_LOG` is the filter, `ORRERY_LOG_FORMAT` `text` or `json`. A panic is a log line like
//! any other. Never a secret, a token, a bundle or an environment value: that is for who logs to keep.

use std::io::IsTerminal;
use std::panic::PanicHookInfo;

use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::SubscriberBuilder;

/// What is logged where `ORRERY_LOG` says nothing: the broker's client tells of each try to connect, which is too much.
const DEFAULT_FILTER: &str = "info,async_nats=error,sqlx=warn,hyper=warn";

/// Starts logging. A second call changes nothing.
pub fn init() {
    let wanted = std::env::var("ORRERY_LOG").ok().filter(|wanted| !wanted.is_empty());
    let wanted = match wanted {
        Some(level) if !level.contains(['=', ',']) => DEFAULT_FILTER.replacen("info", &level, 1),
        Some(filter) => filter,
        None => DEFAULT_FILTER.to_owned(),
    };
    let filter = EnvFilter::try_new(&wanted).unwrap_or_else(|_| EnvFilter::new(DEFAULT_FILTER));
    let builder: SubscriberBuilder = tracing_subscriber::fmt();
    let builder = builder.with_writer(std::io::stderr).with_env_filter(filter);
    let json = std::env::var("ORRERY_LOG_FORMAT").is_ok_and(|format| format == "json");
    let set = if json {
        builder.json().flatten_event(true).try_init()
    } else {
        builder.with_ansi(std::io::stderr().is_terminal()).with_target(false).try_init()
    };
    if set.is_ok() {
        std::panic::set_hook(Box::new(log_panic));
    }
}

fn log_panic(panic: &PanicHookInfo<'_>) {
    let payload = panic.payload();
    let text = payload.downcast_ref::<&str>().copied().map(str::to_owned);
    let text = text.or_else(|| payload.downcast_ref::<String>().cloned()).unwrap_or_else(|| "a panic without words".to_owned());
    let place = panic.location().map(ToString::to_string).unwrap_or_default();
    let backtrace = std::backtrace::Backtrace::capture();
    tracing::error!(place, backtrace = %backtrace, "panic: {text}");
    metrics::counter!("orrery_panics_total").increment(1);
}
