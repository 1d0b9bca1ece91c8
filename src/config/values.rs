//! What each setting's text means, and what is said when it means nothing.
//!
//! Knows one setting at a time. Every function returns `None` only after it noted a problem.

use super::sources::{Found, Sources};
use super::{Flags, GITHUB_API_URL, GITHUB_WEB_URL, HistorySettings, Key, LogFlags, LogFormat, LogSettings, World};
use http::Uri;
use ipnet::IpNet;
use secrecy::SecretString;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Shorter secrets than this many bytes can be guessed.
const SECRET_BYTES_MIN: usize = 16;

/// GitHub redelivers what is up to 3 days old; what is kept shorter could be taken twice.
const RETENTION_DAYS_MIN: u64 = 4;

/// More requests at a time than this are what GitHub calls abuse.
const WORKERS_MAX: usize = 64;

pub(super) fn listen(sources: &mut Sources, flags: &Flags) -> Option<SocketAddr> {
    let key = Key("listen");
    let flag = flags.listen.as_deref();
    // A platform that sets PORT calls from outside; a written address says more, wherever it stands.
    let Some(found) = sources.find(key, flag) else {
        let Some(port) = sources.variable("PORT") else {
            return Some(SocketAddr::from((Ipv4Addr::LOCALHOST, 3000)));
        };
        let Ok(number) = port.text.trim().parse::<u16>() else {
            let what = format!("`{}` is not a port.", shown(&port.text));
            sources.wrong(key, "PORT", what, "Set PORT to a number up to 65535, or unset it.");
            return None;
        };
        return Some(SocketAddr::from((Ipv4Addr::UNSPECIFIED, number)));
    };
    let text = found.text.trim();
    let spelled = text.strip_prefix("localhost:").map(|port| format!("127.0.0.1:{port}"));
    let parsed = spelled.as_deref().unwrap_or(text).parse().ok();
    if parsed.is_none() {
        let what = format!("`{}` is not an address with a port.", shown(text));
        sources.wrong(key, &found.from, what, "Write it as 127.0.0.1:3000 or [::]:3000.");
    }
    parsed
}

pub(super) fn database(sources: &mut Sources, flags: &Flags) -> Option<PathBuf> {
    let key = Key("database");
    let default = || Found { text: "plimsoll.db".to_owned(), from: "the default".to_owned() };
    let found = sources.find_with(key, flags.database.as_deref(), Some("DATABASE_URL")).unwrap_or_else(default);
    let mend = "Give a path such as /data/plimsoll.db, or sqlite:/data/plimsoll.db.";
    let path = match sqlite_path(found.text.trim()) {
        Ok(path) => path,
        Err(what) => {
            sources.wrong(key, &found.from, what, mend);
            return None;
        }
    };
    match (sources.world.database)(&path) {
        Ok(()) => Some(path),
        Err(why) => {
            let what = format!("{} cannot be used: {}.", path.display(), why.trim_end_matches('.'));
            sources.wrong(key, &found.from, what, "Name a file in a folder that exists and that this user may write.");
            None
        }
    }
}

/// The path in a database setting, or what is wrong with it. What stands in a URL may be a password and is not shown.
fn sqlite_path(text: &str) -> Result<PathBuf, String> {
    let scheme = text.split_once(':').map(|(scheme, _)| scheme.to_ascii_lowercase());
    let path = match scheme.as_deref() {
        Some("postgres" | "postgresql") => {
            return Err("this version keeps its state in SQLite only, and the address is of PostgreSQL.".to_owned());
        }
        Some("sqlite") => {
            let rest = &text["sqlite:".len()..];
            rest.strip_prefix("//").unwrap_or(rest)
        }
        Some(other) if text.contains("://") => {
            return Err(format!("databases of the kind `{}` are not known.", shown(other)));
        }
        Some(_) | None => text,
    };
    if path.starts_with(":memory:") {
        return Err("a database in memory forgets every delivery when the service stops.".to_owned());
    }
    if path.is_empty() || path.ends_with('/') {
        return Err("this names no file.".to_owned());
    }
    if scheme.as_deref() == Some("sqlite") && path.contains('?') {
        return Err("options after `?` are not read.".to_owned());
    }
    Ok(PathBuf::from(path))
}

pub(super) fn github_api_url(sources: &mut Sources, flags: &Flags) -> Option<String> {
    let key = Key("github_api_url");
    let Some(found) = sources.find(key, flags.github_api_url.as_deref()) else {
        return Some(GITHUB_API_URL.to_owned());
    };
    let url = github_url(sources, key, &found)?;
    if matches!(url.as_str(), "https://github.com" | "https://www.github.com") {
        sources.wrong(key, &found.from, "these are GitHub's pages, not its API.", "Write https://api.github.com.");
        return None;
    }
    Some(url)
}

pub(super) fn github_web_url(sources: &mut Sources, flags: &Flags, api: Option<&str>) -> Option<String> {
    let key = Key("github_web_url");
    if let Some(found) = sources.find(key, flags.github_web_url.as_deref()) {
        return github_url(sources, key, &found);
    }
    Some(match api {
        None | Some(GITHUB_API_URL) => GITHUB_WEB_URL.to_owned(),
        // Enterprise Server has its API below its pages; with data residency it has a host of its own.
        Some(api) => match (api.strip_suffix("/api/v3"), api.strip_prefix("https://api.")) {
            (Some(pages), _) => pages.to_owned(),
            (None, Some(host)) => format!("https://{host}"),
            (None, None) => api.to_owned(),
        },
    })
}

/// An https address, or an http one of this machine; without a slash at the end.
pub(super) fn github_url(sources: &mut Sources, key: Key, found: &Found) -> Option<String> {
    let text = found.text.trim().trim_end_matches('/');
    let mend = "Write it as https://HOST, with the path if it has one.";
    let fault = match text.parse::<Uri>() {
        // Said without the text: what stands before an @ may be a password.
        _ if text.contains('@') => Some("an address with a user name or password in it is not taken.".to_owned()),
        _ if text.contains(['?', '#']) => Some(format!("`{}` has a `?` or `#` in it.", shown(text))),
        Ok(uri) => match (uri.scheme_str(), uri.host()) {
            (Some("https"), Some(_)) => None,
            (Some("http"), Some(host)) if is_loopback(host) => None,
            (Some("http"), Some(_)) => Some(format!(
                "`{}` would send tokens unencrypted; http is taken for this machine (127.0.0.1, localhost) only.",
                shown(text)
            )),
            (_, _) => Some(format!("`{}` is not an https address.", shown(text))),
        },
        Err(_) => Some(format!("`{}` is not an https address.", shown(text))),
    };
    match fault {
        None => Some(text.to_owned()),
        Some(what) => {
            sources.wrong(key, &found.from, what, mend);
            None
        }
    }
}

fn is_loopback(host: &str) -> bool {
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    bare == "localhost" || bare.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

pub(super) fn app_id(sources: &mut Sources, flags: &Flags) -> Option<String> {
    let key = Key("app_id");
    let Some(found) = sources.find(key, flags.app_id.as_deref()) else {
        let mend = "Set PLIMSOLL_APP_ID to the \"App ID\" or \"Client ID\" on the App's settings page.";
        sources.missing(key, mend);
        return None;
    };
    let text = found.text.trim();
    let good = (1..=64).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'.');
    if !good {
        let what = format!("`{}` is neither an App id nor a client id.", shown(text));
        sources.wrong(key, &found.from, what, "Copy the \"App ID\" or \"Client ID\" from the App's settings page.");
        return None;
    }
    Some(text.to_owned())
}

pub(super) fn private_key(sources: &mut Sources, flags: &Flags) -> Option<SecretString> {
    let key = Key("private_key_file");
    let found = match flags.private_key_file.as_deref() {
        Some(path) => Some(Found { text: path.to_owned(), from: key.flag() }),
        None => match (sources.variable("PLIMSOLL_PRIVATE_KEY"), sources.variable(&key.variable())) {
            (Some(_), Some(_)) => {
                let from = "PLIMSOLL_PRIVATE_KEY, PLIMSOLL_PRIVATE_KEY_FILE";
                sources.wrong(key, from, "both are set, and they may differ.", "Keep one of the two.");
                return None;
            }
            (Some(pem), None) => return pem_that_signs(sources, &pem.text, &pem.from),
            (None, Some(path)) => Some(path),
            (None, None) => sources.in_file(key),
        },
    };
    let Some(found) = found else {
        let mend = "Set PLIMSOLL_PRIVATE_KEY_FILE to the .pem file that the App's settings page made, or \
                    PLIMSOLL_PRIVATE_KEY to its text.";
        sources.missing(key, mend);
        return None;
    };
    let path = found.text.trim();
    if path.starts_with("-----BEGIN") {
        sources.wrong(key, &found.from, "this is the key itself.", "Put it into PLIMSOLL_PRIVATE_KEY, or name a file.");
        return None;
    }
    match (sources.world.file)(Path::new(path)) {
        Ok(pem) => pem_that_signs(sources, &pem, &format!("{}, {path}", found.from)),
        Err(why) => {
            let what = format!("{} cannot be read: {}.", shown(path), why.trim_end_matches('.'));
            sources.wrong(key, &found.from, what, "Name the .pem file, and let this user read it.");
            None
        }
    }
}

fn pem_that_signs(sources: &mut Sources, text: &str, from: &str) -> Option<SecretString> {
    let key = Key("private_key_file");
    let mend = "Use the .pem file as GitHub made it (\"Generate a private key\" on the App's settings page).";
    // Many places that keep secrets have room for one line only.
    let text = text.trim();
    let lines = if text.contains('\n') { text.to_owned() } else { text.replace("\\n", "\n") };
    let pem = lines.trim();
    if !(pem.starts_with("-----BEGIN") && pem.contains("PRIVATE KEY-----")) {
        sources.wrong(key, from, "this is not a private key in PEM form.", mend);
        return None;
    }
    let pem = SecretString::from(format!("{pem}\n"));
    match (sources.world.key)(&pem) {
        Ok(()) => Some(pem),
        Err(why) => {
            let what = format!("the key cannot be used: {}.", why.trim_end_matches('.'));
            sources.wrong(key, from, what, mend);
            None
        }
    }
}

pub(super) fn webhook_secrets(sources: &mut Sources, flags: &Flags) -> Option<Vec<SecretString>> {
    let (key, file_key) = (Key("webhook_secret"), Key("webhook_secret_file"));
    let commas = |text: &str| text.split(',').map(str::to_owned).collect::<Vec<_>>();
    // From the first place that has any; in each place the secrets themselves, or else a file with them.
    let (texts, from) = if !flags.webhook_secret.is_empty() {
        (flags.webhook_secret.iter().flat_map(|text| commas(text)).collect(), key.flag())
    } else if let Some(path) = flags.webhook_secret_file.as_deref() {
        lines_of(sources, path, &file_key.flag())?
    } else if let Some(found) = sources.variable(&key.variable()) {
        (commas(&found.text), found.from)
    } else if let Some(found) = sources.variable(&file_key.variable()) {
        lines_of(sources, &found.text, &found.from)?
    } else if let Some((texts, from)) = sources.list_in_file(key) {
        (texts, from)
    } else if let Some(found) = sources.in_file(file_key) {
        lines_of(sources, &found.text, &found.from)?
    } else {
        let mend = "Set PLIMSOLL_WEBHOOK_SECRET to the secret on the App's settings page; `openssl rand -hex 32` \
                    makes one.";
        sources.missing(key, mend);
        return None;
    };
    let texts: Vec<String> = texts.iter().map(|text| text.trim().to_owned()).filter(|text| !text.is_empty()).collect();
    if texts.is_empty() {
        sources.wrong(key, &from, "there is no secret in it.", "Give one, for instance from `openssl rand -hex 32`.");
        return None;
    }
    let mut good = true;
    for (i, text) in texts.iter().enumerate().filter(|(_, text)| text.len() < SECRET_BYTES_MIN) {
        let what = format!("secret {} of {} has {} bytes and can be guessed.", i + 1, texts.len(), text.len());
        let mend = format!("Use {SECRET_BYTES_MIN} bytes or more, for instance from `openssl rand -hex 32`.");
        sources.wrong(key, &from, what, mend);
        good = false;
    }
    good.then(|| texts.into_iter().map(SecretString::from).collect())
}

fn lines_of(sources: &mut Sources, path: &str, from: &str) -> Option<(Vec<String>, String)> {
    match (sources.world.file)(Path::new(path.trim())) {
        Ok(text) => Some((text.lines().map(str::to_owned).collect(), format!("{from}, {}", path.trim()))),
        Err(why) => {
            let what = format!("{} cannot be read: {}.", shown(path), why.trim_end_matches('.'));
            sources.wrong(Key("webhook_secret_file"), from, what, "Name a file that this user can read.");
            None
        }
    }
}

pub(super) fn log(sources: &mut Sources, flags: &LogFlags) -> Option<LogSettings> {
    let format = match sources.find(Key("log_format"), flags.log_format.as_deref()) {
        None => Some(LogFormat::Human),
        Some(found) => match found.text.trim().to_ascii_lowercase().as_str() {
            "human" => Some(LogFormat::Human),
            "json" => Some(LogFormat::Json),
            other => {
                let what = format!("`{}` is not a format.", shown(other));
                sources.wrong(Key("log_format"), &found.from, what, "Write `human` or `json`.");
                None
            }
        },
    };
    let filter = match sources.find(Key("log_level"), flags.log_level.as_deref()) {
        None => Some("info".to_owned()),
        Some(found) => match (sources.world.log_filter)(found.text.trim()) {
            Ok(()) => Some(found.text.trim().to_owned()),
            Err(why) => {
                let what = format!("`{}` does not say how much to log: {why}.", shown(&found.text));
                let mend = "Write error, warn, info, debug or trace, or directives such as `info,plimsoll=debug`.";
                sources.wrong(Key("log_level"), &found.from, what, mend);
                None
            }
        },
    };
    Some(LogSettings { format: format?, filter: filter? })
}

pub(super) fn workers(sources: &mut Sources, flags: &Flags) -> Option<usize> {
    let key = Key("workers");
    let Some(found) = sources.find(key, flags.workers.as_deref()) else { return Some(4) };
    let number = found.text.trim().parse().ok().filter(|number| *number <= WORKERS_MAX);
    if number.is_none() {
        let what = format!("`{}` is not a number from 0 to {WORKERS_MAX}.", shown(&found.text));
        sources.wrong(
            key,
            &found.from,
            what,
            "GitHub asks for few requests at a time: 4 is good for nearly everybody.",
        );
    }
    number
}

pub(super) fn retention(sources: &mut Sources, flags: &Flags) -> Option<Duration> {
    const DAY: u64 = 24 * 60 * 60;
    let key = Key("retention_days");
    let Some(found) = sources.find(key, flags.retention_days.as_deref()) else {
        return Some(Duration::from_secs(30 * DAY));
    };
    match found.text.trim().parse::<u64>() {
        Ok(days) if (RETENTION_DAYS_MIN..=3650).contains(&days) => Some(Duration::from_secs(days * DAY)),
        Ok(_) | Err(_) => {
            let what = format!("`{}` is not a number of days from {RETENTION_DAYS_MIN} to 3650.", shown(&found.text));
            let mend = "GitHub can deliver again for 3 days, so keep at least 4.";
            sources.wrong(key, &found.from, what, mend);
            None
        }
    }
}

pub(super) fn request_timeout(sources: &mut Sources, flags: &Flags) -> Option<Duration> {
    let flag = flags.request_timeout.as_deref();
    duration(sources, Key("request_timeout"), flag, Duration::from_secs(9), (1, 60))
}

pub(super) fn shutdown_grace(sources: &mut Sources, flags: &Flags) -> Option<Duration> {
    let flag = flags.shutdown_grace.as_deref();
    duration(sources, Key("shutdown_grace"), flag, Duration::from_secs(20), (0, 600))
}

/// Redirects are for moved pages; a longer way round is a mistake of the host.
const PROBE_REDIRECTS_MAX: u8 = 3;

pub(super) fn probe_hosts(sources: &mut Sources, flags: &Flags) -> Option<Vec<String>> {
    let key = Key("probe_hosts");
    let mend = "Write hosts as in shop.example, *.shop.example, shop.example:8443.";
    entries(sources, key, flags.probe_hosts.as_deref(), mend, |world, text| {
        (world.probe_host)(text).map(|()| text.to_owned())
    })
}

pub(super) fn probe_nets(sources: &mut Sources, flags: &Flags) -> Option<Vec<IpNet>> {
    let key = Key("probe_nets");
    let mend = "Write ranges as in 10.2.0.0/16, fd00:1::/64.";
    entries(sources, key, flags.probe_nets.as_deref(), mend, |_, text| {
        let single = text.parse::<IpAddr>().map(IpNet::from);
        let net: IpNet = single.or_else(|_| text.parse()).map_err(|_| "is not a range of addresses".to_owned())?;
        match net.trunc() == net {
            true => Ok(net),
            false => Err(format!("is an address within a range; the range is {}", net.trunc())),
        }
    })
}

/// Entries with commas between, or as a list in the settings file; none is no mistake.
fn entries<T>(
    sources: &mut Sources,
    key: Key,
    flag: Option<&str>,
    mend: &str,
    read: impl Fn(&World, &str) -> Result<T, String>,
) -> Option<Vec<T>> {
    let (texts, from) = match (flag, sources.variable(&key.variable())) {
        (Some(text), _) => (vec![text.to_owned()], key.flag()),
        (None, Some(found)) => (vec![found.text], found.from),
        (None, None) => sources.list_in_file(key).unwrap_or_default(),
    };
    let texts = texts.iter().flat_map(|text| text.split(',')).map(str::trim).filter(|text| !text.is_empty());
    let (mut good, mut all) = (Vec::new(), true);
    for text in texts {
        match read(sources.world, text) {
            Ok(entry) => good.push(entry),
            Err(why) => {
                // What stands before an @ may be a password.
                let text = if text.contains('@') { "an entry with an @" } else { &format!("`{}`", shown(text)) };
                sources.wrong(key, &from, format!("{text} {}.", why.trim_end_matches('.')), mend);
                all = false;
            }
        }
    }
    all.then_some(good)
}

pub(super) fn probe_redirects(sources: &mut Sources, flags: &Flags) -> Option<u8> {
    let key = Key("probe_redirects");
    let Some(found) = sources.find(key, flags.probe_redirects.as_deref()) else { return Some(0) };
    let number = found.text.trim().parse().ok().filter(|number| *number <= PROBE_REDIRECTS_MAX);
    if number.is_none() {
        let what = format!("`{}` is not a number from 0 to {PROBE_REDIRECTS_MAX}.", shown(&found.text));
        sources.wrong(key, &found.from, what, "With 0 a redirect is itself the answer.");
    }
    number
}

/// `Some(None)`: there is no server, which is no mistake.
pub(super) fn prometheus_url(sources: &mut Sources, flags: &Flags) -> Option<Option<String>> {
    let key = Key("prometheus_url");
    let Some(found) = sources.find(key, flags.prometheus_url.as_deref()) else { return Some(None) };
    let text = found.text.trim().trim_end_matches('/');
    let uri = text.parse::<Uri>().ok();
    let good = uri.is_some_and(|uri| matches!(uri.scheme_str(), Some("http" | "https")) && uri.host().is_some());
    // Said without the text where it may hold a password.
    let what = match (text.contains('@'), text.contains(['?', '#'])) {
        (true, _) => "an address with a user name or password in it is not taken.".to_owned(),
        (false, true) => format!("`{}` has a `?` or `#` in it.", shown(text)),
        (false, false) if good => return Some(Some(text.to_owned())),
        (false, false) => format!("`{}` is not an http or https address.", shown(text)),
    };
    sources.wrong(key, &found.from, what, "Write it as http://HOST:9090, with the path if it has one.");
    None
}

/// How large a mirror may be at least and at most, in megabytes.
const HISTORY_MEGABYTES: std::ops::RangeInclusive<u64> = 1..=1_000_000;

/// `Some(None)`: no history is kept, which is no mistake.
pub(super) fn history(
    sources: &mut Sources,
    flags: &Flags,
    database: Option<&Path>,
) -> Option<Option<HistorySettings>> {
    let key = Key("history_megabytes_max");
    let megabytes = match sources.find(key, flags.history_megabytes_max.as_deref()) {
        None => Some(2_048),
        Some(found) => {
            let number = found.text.trim().parse().ok().filter(|number| HISTORY_MEGABYTES.contains(number));
            if number.is_none() {
                let what = format!("`{}` is not a number of megabytes from 1 to 1000000.", shown(&found.text));
                sources.wrong(key, &found.from, what, "Write it as 2048.");
            }
            number
        }
    };
    let folder = match sources.find(Key("history_folder"), flags.history_folder.as_deref()) {
        Some(found) if found.text.trim() == "off" => return megabytes.map(|_| None),
        Some(found) => PathBuf::from(found.text.trim()),
        None => database.and_then(Path::parent).unwrap_or(Path::new("")).join("plimsoll-history"),
    };
    let bytes_max = megabytes?.saturating_mul(1024 * 1024);
    Some(Some(HistorySettings { folder, bytes_max }))
}

/// A length of time between two numbers of seconds.
fn duration(
    sources: &mut Sources,
    key: Key,
    flag: Option<&str>,
    default: Duration,
    (least, most): (u64, u64),
) -> Option<Duration> {
    let Some(found) = sources.find(key, flag) else { return Some(default) };
    let read = duration_in(found.text.trim());
    let good = read.filter(|time| (Duration::from_secs(least)..=Duration::from_secs(most)).contains(time));
    if good.is_none() {
        let what = format!("`{}` is not a time from {least} s to {most} s.", shown(&found.text));
        sources.wrong(key, &found.from, what, "Write it as 9s, 500ms or 2m.");
    }
    good
}

/// Reads `500ms`, `9s`, `2m`, `1h`, or bare seconds.
fn duration_in(text: &str) -> Option<Duration> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let number: u64 = text[..digits].parse().ok()?;
    let millis = match text[digits..].trim() {
        "ms" => 1,
        "" | "s" => 1_000,
        "m" | "min" => 60_000,
        "h" => 3_600_000,
        _ => return None,
    };
    number.checked_mul(millis).map(Duration::from_millis)
}

/// A value as far as it is worth showing, on one line.
pub(super) fn shown(text: &str) -> String {
    let clean: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).take(60).collect();
    if text.chars().count() > 60 { format!("{clean}…") } else { clean }
}
