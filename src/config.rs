//! Settings of the service: flags over environment over a file, read once at the start.
//!
//! The only room that reads the environment. Must never print a secret, and must never start anything: what can only
//! be judged elsewhere (does the key sign, can the database be written) is asked through [`World`].

mod callers;
mod sources;
mod values;

pub use sources::{KEYS, Key};

use ipnet::IpNet;
use secrecy::SecretString;
use sources::Sources;
use std::fmt;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// GitHub's own API, used when nothing else is said.
pub const GITHUB_API_URL: &str = "https://api.github.com";
/// GitHub's own pages, used when nothing else is said.
pub const GITHUB_WEB_URL: &str = "https://github.com";
/// Who issues tokens to workflow runs on GitHub's own machines.
pub const OIDC_ISSUER: &str = "https://token.actions.githubusercontent.com";

/// Everything that `plimsoll serve` must know before it starts. Printing it shows no secret.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Address on which deliveries are taken.
    pub listen: SocketAddr,
    /// SQLite file; made when it is not there.
    pub database: PathBuf,
    /// Base of GitHub's REST API, without a slash at the end.
    pub github_api_url: String,
    /// Base of GitHub's pages, without a slash at the end.
    pub github_web_url: String,
    /// App id or client id.
    pub app_id: String,
    /// The App's private key as PEM.
    pub private_key: SecretString,
    /// Never empty. A delivery signed with any of them is taken, so that a secret can be changed without a gap.
    pub webhook_secrets: Vec<SecretString>,
    pub log: LogSettings,
    /// Lanes, and effects, that are worked on at the same time. 0: deliveries are kept and nothing is done with them.
    pub workers: usize,
    /// How long bodies of deliveries, ended effects and journal lines are kept.
    pub retention: Duration,
    /// How long a request may take to arrive, and then to be answered.
    pub request_timeout: Duration,
    /// How long running work may take to finish when the service is told to stop.
    pub shutdown_grace: Duration,
    /// Hosts outside GitHub that policies may have asked; each is one that [`World::probe_host`] has nothing against.
    pub probe_hosts: Vec<String>,
    /// Ranges of addresses that may be asked although they are not of the open internet.
    pub probe_nets: Vec<IpNet>,
    /// How many redirects are followed there, 0 to 3.
    pub probe_redirects: u8,
    /// Base of the operator's own Prometheus server, without a slash at the end.
    pub prometheus_url: Option<String>,
    /// Who issues the tokens by which workflow runs say who they are, without a slash at the end.
    pub oidc_issuer: String,
    /// What these tokens must have been asked for.
    pub oidc_audience: String,
    /// What readers of the API must bring; `None`: nobody may read.
    pub api_token: Option<SecretString>,
    /// Where histories of repositories are kept; `None`: none are.
    pub history: Option<HistorySettings>,
}

/// Where mirrors of repositories are kept, and how large one may be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HistorySettings {
    /// Made when it is not there.
    pub folder: PathBuf,
    /// Of one repository's mirror, in bytes.
    pub bytes_max: u64,
}

/// What is logged, and how it looks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogSettings {
    pub format: LogFormat,
    /// A level, or directives as in `info,plimsoll=debug`.
    pub filter: String,
}

/// How a line of the log looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogFormat {
    Human,
    Json,
}

/// Settings as flags. Every one may also stand in the environment or in the settings file.
#[derive(clap::Args, Clone, Default)]
pub struct Flags {
    /// Settings file in TOML; its keys are the long names here with `_` in place of `-` [env: PLIMSOLL_CONFIG]
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,

    /// Address on which deliveries are taken. The environment's PORT alone means 0.0.0.0:PORT
    /// [env: PLIMSOLL_LISTEN] [default: 127.0.0.1:3000]
    #[arg(long, value_name = "ADDRESS:PORT")]
    pub listen: Option<String>,

    /// Where the state is kept: a path or sqlite:PATH
    /// [env: PLIMSOLL_DATABASE, DATABASE_URL] [default: plimsoll.db]
    #[arg(long, value_name = "PATH")]
    pub database: Option<String>,

    /// Base address of GitHub's REST API. GitHub Enterprise Server: https://HOST/api/v3
    /// [env: PLIMSOLL_GITHUB_API_URL] [default: https://api.github.com]
    #[arg(long, value_name = "URL")]
    pub github_api_url: Option<String>,

    /// Base address of GitHub's pages, for links
    /// [env: PLIMSOLL_GITHUB_WEB_URL] [default: what belongs to the API address]
    #[arg(long, value_name = "URL")]
    pub github_web_url: Option<String>,

    /// The App's id or client id, as its settings page shows it [env: PLIMSOLL_APP_ID]
    #[arg(long, value_name = "ID")]
    pub app_id: Option<String>,

    /// File with the App's private key (PEM). The environment may hold the key itself in PLIMSOLL_PRIVATE_KEY, with
    /// line ends as they are or written as \n [env: PLIMSOLL_PRIVATE_KEY_FILE]
    #[arg(long, value_name = "FILE")]
    pub private_key_file: Option<String>,

    /// The webhook's secret; repeat it, or put commas between, while you change it. Other users of this machine can see
    /// flags: rather use the environment or a file [env: PLIMSOLL_WEBHOOK_SECRET]
    #[arg(long, value_name = "SECRET")]
    pub webhook_secret: Vec<String>,

    /// File with the webhook's secrets, one a line [env: PLIMSOLL_WEBHOOK_SECRET_FILE]
    #[arg(long, value_name = "FILE")]
    pub webhook_secret_file: Option<String>,

    #[command(flatten)]
    pub log: LogFlags,

    /// Pull requests and pipelines that are worked on at the same time. 0 only keeps deliveries, for later
    /// [env: PLIMSOLL_WORKERS] [default: 4]
    #[arg(long, value_name = "NUMBER")]
    pub workers: Option<String>,

    /// Days for which bodies of deliveries, ended effects and journal lines are kept
    /// [env: PLIMSOLL_RETENTION_DAYS] [default: 30]
    #[arg(long, value_name = "DAYS")]
    pub retention_days: Option<String>,

    /// Time in which a request must arrive, and then be answered; GitHub waits 10 s
    /// [env: PLIMSOLL_REQUEST_TIMEOUT] [default: 9s]
    #[arg(long, value_name = "TIME")]
    pub request_timeout: Option<String>,

    /// Time that running work has to finish when the service is told to stop
    /// [env: PLIMSOLL_SHUTDOWN_GRACE] [default: 20s]
    #[arg(long, value_name = "TIME")]
    pub shutdown_grace: Option<String>,

    /// Hosts outside GitHub that a policy's verification may ask, with commas between: shop.example, *.shop.example,
    /// shop.example:8443 [env: PLIMSOLL_PROBE_HOSTS] [default: none]
    #[arg(long, value_name = "HOSTS")]
    pub probe_hosts: Option<String>,

    /// Ranges of addresses that may be asked although they are private or otherwise special, with commas between:
    /// 10.2.0.0/16, fd00:1::/64 [env: PLIMSOLL_PROBE_NETS] [default: none]
    #[arg(long, value_name = "RANGES")]
    pub probe_nets: Option<String>,

    /// Redirects that are followed when a host is asked, 0 to 3; each leads to a listed host or is refused
    /// [env: PLIMSOLL_PROBE_REDIRECTS] [default: 0]
    #[arg(long, value_name = "NUMBER")]
    pub probe_redirects: Option<String>,

    /// Base address of your Prometheus server, for policies that name none. Every policy may then query all of it
    /// [env: PLIMSOLL_PROMETHEUS_URL] [default: none]
    #[arg(long, value_name = "URL")]
    pub prometheus_url: Option<String>,

    /// Who issues the tokens by which workflow runs say who they are, when they report
    /// [env: PLIMSOLL_OIDC_ISSUER] [default: what belongs to the API address]
    #[arg(long, value_name = "URL")]
    pub oidc_issuer: Option<String>,

    /// The audience that these tokens must have been asked for; the address of this service is a good one
    /// [env: PLIMSOLL_OIDC_AUDIENCE] [default: plimsoll]
    #[arg(long, value_name = "TEXT")]
    pub oidc_audience: Option<String>,

    /// Token that readers of the API must bring, 32 characters or more. Without it nothing can be read there. Other users
    /// of this machine can see flags: rather use the environment or a file [env: PLIMSOLL_API_TOKEN] [default: none]
    #[arg(long, value_name = "TOKEN")]
    pub api_token: Option<String>,

    /// Folder for mirrors of the repositories, from whose history risk is learned; needs git. `off`: risk is judged by the
    /// list of changed files alone [env: PLIMSOLL_HISTORY_FOLDER] [default: plimsoll-history beside the database]
    #[arg(long, value_name = "FOLDER")]
    pub history_folder: Option<String>,

    /// How large one repository's mirror may be; a larger repository is judged without its history
    /// [env: PLIMSOLL_HISTORY_MEGABYTES_MAX] [default: 2048]
    #[arg(long, value_name = "MEGABYTES")]
    pub history_megabytes_max: Option<String>,
}

/// The flags about the log, which other commands have too.
#[derive(clap::Args, Clone, Default)]
pub struct LogFlags {
    /// How log lines look: human or json [env: PLIMSOLL_LOG_FORMAT] [default: human]
    #[arg(long, value_name = "FORMAT")]
    pub log_format: Option<String>,

    /// How much is logged: error, warn, info, debug, trace, or directives such as `info,plimsoll::engine=debug`
    /// [env: PLIMSOLL_LOG_LEVEL] [default: info]
    #[arg(long, value_name = "LEVEL")]
    pub log_level: Option<String>,
}

/// What settings are read from and judged with.
pub struct World<'a> {
    /// A variable of the environment.
    pub variable: &'a dyn Fn(&str) -> Option<String>,
    /// The text of a file, or why it cannot be read.
    pub file: &'a dyn Fn(&Path) -> Result<String, String>,
    /// Says why a text is not a private key that can sign.
    pub key: &'a dyn Fn(&SecretString) -> Result<(), String>,
    /// Says why a database cannot be kept at a path.
    pub database: &'a dyn Fn(&Path) -> Result<(), String>,
    /// Says why a text does not say how much to log.
    pub log_filter: &'a dyn Fn(&str) -> Result<(), String>,
    /// Says why a text does not name hosts that may be asked, as the end of a sentence.
    pub probe_host: &'a dyn Fn(&str) -> Result<(), String>,
}

/// A variable of this process's environment; empty counts as not set.
#[expect(clippy::disallowed_methods, reason = "this is the room that reads the environment")]
pub fn environment(name: &str) -> Option<String> {
    std::env::var_os(name).map(|value| value.to_string_lossy().into_owned()).filter(|value| !value.trim().is_empty())
}

/// Where this machine keeps what is thrown away later.
pub fn temporary_folder() -> PathBuf {
    std::env::temp_dir()
}

/// The text of a file, or why it cannot be read.
pub fn file_text(path: &Path) -> Result<String, String> {
    std::fs::read_to_string(path).map_err(|error| error.to_string())
}

/// Reads all settings. Fails with everything that is missing or wrong, not only the first.
pub fn read(flags: &Flags, world: &World) -> Result<Settings, Refusal> {
    let mut sources = Sources::open(flags.config.as_deref(), world);
    let listen = values::listen(&mut sources, flags);
    let database = values::database(&mut sources, flags);
    let github_api_url = values::github_api_url(&mut sources, flags);
    let github_web_url = values::github_web_url(&mut sources, flags, github_api_url.as_deref());
    let app_id = values::app_id(&mut sources, flags);
    let private_key = values::private_key(&mut sources, flags);
    let webhook_secrets = values::webhook_secrets(&mut sources, flags);
    let log = values::log(&mut sources, &flags.log);
    let workers = values::workers(&mut sources, flags);
    let retention = values::retention(&mut sources, flags);
    let request_timeout = values::request_timeout(&mut sources, flags);
    let shutdown_grace = values::shutdown_grace(&mut sources, flags);
    let probe_hosts = values::probe_hosts(&mut sources, flags);
    let probe_nets = values::probe_nets(&mut sources, flags);
    let probe_redirects = values::probe_redirects(&mut sources, flags);
    let prometheus_url = values::prometheus_url(&mut sources, flags);
    let oidc_issuer = callers::oidc_issuer(&mut sources, flags, github_api_url.as_deref());
    let oidc_audience = callers::oidc_audience(&mut sources, flags);
    let api_token = callers::api_token(&mut sources, flags);
    let history = values::history(&mut sources, flags, database.as_deref());
    let all = (|| {
        Some(Settings {
            listen: listen?,
            database: database?,
            github_api_url: github_api_url?,
            github_web_url: github_web_url?,
            app_id: app_id?,
            private_key: private_key?,
            webhook_secrets: webhook_secrets?,
            log: log?,
            workers: workers?,
            retention: retention?,
            request_timeout: request_timeout?,
            shutdown_grace: shutdown_grace?,
            probe_hosts: probe_hosts?,
            probe_nets: probe_nets?,
            probe_redirects: probe_redirects?,
            prometheus_url: prometheus_url?,
            oidc_issuer: oidc_issuer?,
            oidc_audience: oidc_audience?,
            api_token: api_token?,
            history: history?,
        })
    })();
    sources.end(all)
}

/// Reads the settings of the log alone, for commands that need no others.
pub fn read_log(flags: &LogFlags, world: &World) -> Result<LogSettings, Refusal> {
    let mut sources = Sources::open(None, world);
    let log = values::log(&mut sources, flags);
    sources.end(log)
}

/// Where the state is kept, for commands that look into it.
#[derive(clap::Args, Clone, Default)]
pub struct DatabaseFlags {
    /// Settings file of the service [env: PLIMSOLL_CONFIG]
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,

    /// Where the service keeps its state: a path or sqlite:PATH
    /// [env: PLIMSOLL_DATABASE, DATABASE_URL] [default: plimsoll.db]
    #[arg(long, value_name = "PATH")]
    pub database: Option<String>,
}

/// What a command must know that only looks.
#[derive(Clone, Debug)]
pub struct Whereabouts {
    pub database: PathBuf,
    /// As in [`Settings`].
    pub github_api_url: String,
    /// As in [`Settings`]; empty when it is not given here.
    pub app_id: String,
}

/// Reads where the state is kept, and of the other settings only what helps to understand it.
pub fn read_whereabouts(flags: &DatabaseFlags, world: &World) -> Result<Whereabouts, Refusal> {
    let mut sources = Sources::open(flags.config.as_deref(), world);
    let flags = Flags { database: flags.database.clone(), ..Flags::default() };
    let database = values::database(&mut sources, &flags);
    let github_api_url = values::github_api_url(&mut sources, &flags);
    let app_id = sources.find(Key("app_id"), None).map(|found| found.text.trim().to_owned()).unwrap_or_default();
    let all = (|| Some(Whereabouts { database: database?, github_api_url: github_api_url?, app_id }))();
    sources.end(all)
}

/// Why the service does not start: one line for each thing that is missing or wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// Never empty.
    pub problems: Vec<SettingProblem>,
}

/// One setting that is missing or wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SettingProblem {
    /// Name of the setting, as in the settings file.
    pub key: String,
    /// Where its value was read from; `None`: nowhere, it is missing.
    pub read_from: Option<String>,
    /// What is wrong. Never holds a secret.
    pub what: String,
    /// How to mend it.
    pub mend: String,
}

impl fmt::Display for SettingProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.read_from {
            Some(from) => write!(f, "{} (from {from}): {} {}", self.key, self.what, self.mend),
            None => write!(f, "{}: {} {}", self.key, self.what, self.mend),
        }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.problems.len() {
            1 => f.write_str("One setting is missing or wrong:")?,
            n => write!(f, "{n} settings are missing or wrong:")?,
        }
        for problem in &self.problems {
            write!(f, "\n  - {problem}")?;
        }
        Ok(())
    }
}

impl std::error::Error for Refusal {}

#[cfg(test)]
mod tests;
