//! What is logged, where to, and how it looks: lines on standard error, for people or as JSON.
//!
//! Libraries are held at warnings, because at finer levels some of them write request headers, which carry tokens.

use crate::config::{LogFormat, LogSettings};
use std::io::IsTerminal;
use tracing_subscriber::EnvFilter;

/// Libraries that speak to GitHub or the database: never finer than this, whatever is asked for.
const HELD: [&str; 12] = [
    "hyper=warn",
    "hyper_util=warn",
    "h2=warn",
    "reqwest=warn",
    "rustls=warn",
    "octocrab=warn",
    "tower=warn",
    "tower_http=warn",
    "axum=warn",
    "sqlx=warn",
    "jsonwebtoken=warn",
    "mio=warn",
];

/// Says why a text does not say how much to log.
pub fn check_filter(text: &str) -> Result<(), String> {
    filter(text).map(drop)
}

/// Starts logging for the whole process; when somebody has started it before, it stays as it was.
pub fn start(settings: &LogSettings) {
    // The filter was checked when the settings were read; should it still not parse, the default is better than silence.
    let filter = filter(&settings.filter).unwrap_or_else(|_| EnvFilter::new("info"));
    let colours = std::io::stderr().is_terminal();
    let lines = tracing_subscriber::fmt().with_writer(std::io::stderr).with_ansi(colours).with_env_filter(filter);
    let _ = match settings.format {
        LogFormat::Human => lines.with_target(false).try_init(),
        LogFormat::Json => lines.json().flatten_event(true).with_current_span(false).with_span_list(false).try_init(),
    };
}

fn filter(text: &str) -> Result<EnvFilter, String> {
    let text = text.trim();
    let bare = ["error", "warn", "info", "debug", "trace", "off"].contains(&text.to_ascii_lowercase().as_str());
    // A lone word that is no level would be read as the name of a module, and log everything of it and nothing else.
    if !bare && !text.contains('=') {
        return Err("it is neither a level nor a directive".to_owned());
    }
    let mut filter = EnvFilter::try_new(text).map_err(|error| error.to_string())?;
    for held in HELD {
        // A more specific directive (`hyper::client=trace`) would win over these, so it is refused.
        let library = held.split('=').next().unwrap_or(held);
        let names_it = text.split(',').any(|directive| directive.trim().starts_with(library));
        if names_it {
            return Err(format!("`{library}` is held at warnings, because it may log tokens"));
        }
        filter = filter.add_directive(held.parse().map_err(|_| format!("`{held}` is not a directive"))?);
    }
    Ok(filter)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_level_or_directives_say_how_much_to_log() {
        for good in ["info", "DEBUG", "off", "info,plimsoll=debug", "plimsoll::engine=trace,warn"] {
            assert_eq!(check_filter(good), Ok(()), "{good}");
        }
        for bad in ["", "loud", "plimsoll", "plimsoll=loud", "info,hyper=trace", "h2::codec=trace,info"] {
            assert!(check_filter(bad).is_err(), "{bad}");
        }
    }
}
