use super::*;
use insta::assert_snapshot;
use secrecy::ExposeSecret;
use std::collections::BTreeMap;

const PEM: &str = "-----BEGIN RSA PRIVATE KEY-----\nMIIE\n-----END RSA PRIVATE KEY-----";
const SECRET: &str = "0123456789abcdef0123456789abcdef";

/// A made-up world: variables, files, and what the other rooms would say.
#[derive(Default)]
struct Given {
    variables: BTreeMap<&'static str, &'static str>,
    files: BTreeMap<&'static str, &'static str>,
    key_refused: bool,
    database_refused: bool,
}

fn given(variables: &[(&'static str, &'static str)]) -> Given {
    Given { variables: variables.iter().copied().collect(), ..Given::default() }
}

/// As [`given`], with everything that must be there.
fn complete(more: &[(&'static str, &'static str)]) -> Given {
    let mut given =
        given(&[("PLIMSOLL_APP_ID", "12345"), ("PLIMSOLL_PRIVATE_KEY", PEM), ("PLIMSOLL_WEBHOOK_SECRET", SECRET)]);
    given.variables.extend(more.iter().copied());
    given
}

impl Given {
    fn file(mut self, path: &'static str, text: &'static str) -> Self {
        self.files.insert(path, text);
        self
    }

    fn read(&self, flags: &Flags) -> Result<Settings, Refusal> {
        read(
            flags,
            &World {
                variable: &|name| self.variables.get(name).map(|text| (*text).to_owned()),
                file: &|path| match self.files.get(path.to_str().unwrap()) {
                    Some(text) => Ok((*text).to_owned()),
                    None => Err("no such file".to_owned()),
                },
                key: &|_| if self.key_refused { Err("it is a public key".to_owned()) } else { Ok(()) },
                database: &|_| if self.database_refused { Err("permission denied".to_owned()) } else { Ok(()) },
                log_filter: &crate::telemetry::check_filter,
                probe_host: &|text| if text.contains('/') { Err("is not a host".to_owned()) } else { Ok(()) },
            },
        )
    }

    fn settings(&self) -> Settings {
        self.read(&Flags::default()).unwrap_or_else(|refusal| panic!("{refusal}"))
    }

    /// The whole refusal as the operator sees it.
    fn refusal(&self) -> String {
        self.read(&Flags::default()).expect_err("these settings should be refused").to_string()
    }
}

#[test]
fn three_settings_are_enough() {
    let settings = complete(&[]).settings();
    assert_eq!(settings.listen.to_string(), "127.0.0.1:3000");
    assert_eq!(settings.database, Path::new("plimsoll.db"));
    assert_eq!(settings.github_api_url, "https://api.github.com");
    assert_eq!(settings.github_web_url, "https://github.com");
    assert_eq!(settings.log, LogSettings { format: LogFormat::Human, filter: "info".to_owned() });
    assert_eq!(settings.workers, 4);
    assert_eq!(settings.retention, Duration::from_secs(30 * 24 * 60 * 60));
    assert_eq!(settings.request_timeout, Duration::from_secs(9));
    assert_eq!(settings.shutdown_grace, Duration::from_secs(20));
    // Nothing outside GitHub is asked.
    assert!(settings.probe_hosts.is_empty() && settings.probe_nets.is_empty());
    assert_eq!((settings.probe_redirects, settings.prometheus_url), (0, None));
    assert_eq!(settings.oidc_issuer, "https://token.actions.githubusercontent.com");
    assert_eq!(settings.oidc_audience, "plimsoll");
    assert!(settings.api_token.is_none(), "nobody may read");
    let folder = PathBuf::from("plimsoll-history");
    assert_eq!(settings.history, Some(HistorySettings { folder, bytes_max: 2 << 30 }));
}

#[test]
fn histories_are_kept_beside_the_database_elsewhere_or_nowhere() {
    let history =
        |more: &[(&'static str, &'static str)]| complete(more).settings().history.map(|history| history.folder);
    assert_eq!(history(&[("PLIMSOLL_DATABASE", "/data/p.db")]), Some(PathBuf::from("/data/plimsoll-history")));
    assert_eq!(history(&[("PLIMSOLL_HISTORY_FOLDER", "/cache/h")]), Some(PathBuf::from("/cache/h")));
    assert_eq!(history(&[("PLIMSOLL_HISTORY_FOLDER", "off")]), None);
    let refused = complete(&[("PLIMSOLL_HISTORY_MEGABYTES_MAX", "much")]).refusal();
    assert_snapshot!(refused, @r"
    One setting is missing or wrong:
      - history_megabytes_max (from PLIMSOLL_HISTORY_MEGABYTES_MAX): `much` is not a number of megabytes from 1 to 1000000. Write it as 2048.
    ");
}

#[test]
fn the_issuer_of_tokens_follows_the_api_address() {
    let issuer = |api| complete(&[("PLIMSOLL_GITHUB_API_URL", api)]).settings().oidc_issuer;
    assert_eq!(issuer("https://ghe.example/api/v3"), "https://ghe.example/_services/token");
    assert_eq!(issuer("https://api.acme.ghe.com"), "https://token.actions.acme.ghe.com");
    assert_eq!(issuer("http://127.0.0.1:4000"), "http://127.0.0.1:4000/_services/token");
    let named = complete(&[("PLIMSOLL_OIDC_ISSUER", "https://token.actions.githubusercontent.com/acme/")]);
    assert_eq!(named.settings().oidc_issuer, "https://token.actions.githubusercontent.com/acme");
}

#[test]
fn what_would_let_strangers_call_is_refused() {
    let given = complete(&[
        ("PLIMSOLL_OIDC_ISSUER", "http://tokens.example"),
        ("PLIMSOLL_OIDC_AUDIENCE", "two words"),
        ("PLIMSOLL_API_TOKEN", "hush"),
    ]);
    assert_snapshot!(given.refusal(), @r"
    3 settings are missing or wrong:
      - oidc_issuer (from PLIMSOLL_OIDC_ISSUER): `http://tokens.example` would send tokens unencrypted; http is taken for this machine (127.0.0.1, localhost) only. Write it as https://HOST, with the path if it has one.
      - oidc_audience (from PLIMSOLL_OIDC_AUDIENCE): `two words` is not an audience. Write a word or a URL of up to 200 letters without spaces, for instance the address of this service.
      - api_token (from PLIMSOLL_API_TOKEN): the token has 4 characters and can be guessed. Use 32 characters or more, for instance from `openssl rand -hex 32`, or leave it out.
    ");
}

#[test]
fn whoever_gives_nothing_is_told_everything_that_is_missing() {
    assert_snapshot!(given(&[]).refusal(), @r#"
    3 settings are missing or wrong:
      - app_id: not given. Set PLIMSOLL_APP_ID to the "App ID" or "Client ID" on the App's settings page.
      - private_key_file: not given. Set PLIMSOLL_PRIVATE_KEY_FILE to the .pem file that the App's settings page made, or PLIMSOLL_PRIVATE_KEY to its text.
      - webhook_secret: not given. Set PLIMSOLL_WEBHOOK_SECRET to the secret on the App's settings page; `openssl rand -hex 32` makes one.
    "#);
}

#[test]
fn everything_that_is_wrong_is_said_at_once_and_no_secret_is_shown() {
    let refusal = Given {
        key_refused: true,
        database_refused: true,
        ..given(&[
            ("PLIMSOLL_LISTEN", "3000"),
            ("DATABASE_URL", "/nowhere/plimsoll.db"),
            ("PLIMSOLL_GITHUB_API_URL", "http://github.example/api/v3"),
            ("PLIMSOLL_GITHUB_WEB_URL", "https://user:hunter2@github.example"),
            ("PLIMSOLL_APP_ID", "my app"),
            ("PLIMSOLL_PRIVATE_KEY", PEM),
            ("PLIMSOLL_WEBHOOK_SECRET", "hunter2,0123456789abcdef"),
            ("PLIMSOLL_LOG_FORMAT", "xml"),
            ("PLIMSOLL_LOG_LEVEL", "loud"),
            ("PLIMSOLL_WORKERS", "all"),
            ("PLIMSOLL_RETENTION_DAYS", "2"),
            ("PLIMSOLL_REQUEST_TIMEOUT", "5 minutes"),
            ("PLIMSOLL_SHUTDOWN_GRACE", "-1"),
            ("PLIMSOLL_PROBE_HOSTS", "shop.example, https://shop.example/"),
            ("PLIMSOLL_PROBE_NETS", "10.2.0.0/16,10.2.3.4/16,10.0.0.0-10.1.0.0"),
            ("PLIMSOLL_PROBE_REDIRECTS", "4"),
            ("PLIMSOLL_PROMETHEUS_URL", "http://admin:hunter2@prometheus:9090"),
        ])
    }
    .refusal();
    assert!(!refusal.contains("hunter2") && !refusal.contains("MIIE"));
    assert_snapshot!(refusal, @r#"
    18 settings are missing or wrong:
      - listen (from PLIMSOLL_LISTEN): `3000` is not an address with a port. Write it as 127.0.0.1:3000 or [::]:3000.
      - database (from DATABASE_URL): /nowhere/plimsoll.db cannot be used: permission denied. Name a file in a folder that exists and that this user may write.
      - github_api_url (from PLIMSOLL_GITHUB_API_URL): `http://github.example/api/v3` would send tokens unencrypted; http is taken for this machine (127.0.0.1, localhost) only. Write it as https://HOST, with the path if it has one.
      - github_web_url (from PLIMSOLL_GITHUB_WEB_URL): an address with a user name or password in it is not taken. Write it as https://HOST, with the path if it has one.
      - app_id (from PLIMSOLL_APP_ID): `my app` is neither an App id nor a client id. Copy the "App ID" or "Client ID" from the App's settings page.
      - private_key_file (from PLIMSOLL_PRIVATE_KEY): the key cannot be used: it is a public key. Use the .pem file as GitHub made it ("Generate a private key" on the App's settings page).
      - webhook_secret (from PLIMSOLL_WEBHOOK_SECRET): secret 1 of 2 has 7 bytes and can be guessed. Use 16 bytes or more, for instance from `openssl rand -hex 32`.
      - log_format (from PLIMSOLL_LOG_FORMAT): `xml` is not a format. Write `human` or `json`.
      - log_level (from PLIMSOLL_LOG_LEVEL): `loud` does not say how much to log: it is neither a level nor a directive. Write error, warn, info, debug or trace, or directives such as `info,plimsoll=debug`.
      - workers (from PLIMSOLL_WORKERS): `all` is not a number from 0 to 64. GitHub asks for few requests at a time: 4 is good for nearly everybody.
      - retention_days (from PLIMSOLL_RETENTION_DAYS): `2` is not a number of days from 4 to 3650. GitHub can deliver again for 3 days, so keep at least 4.
      - request_timeout (from PLIMSOLL_REQUEST_TIMEOUT): `5 minutes` is not a time from 1 s to 60 s. Write it as 9s, 500ms or 2m.
      - shutdown_grace (from PLIMSOLL_SHUTDOWN_GRACE): `-1` is not a time from 0 s to 600 s. Write it as 9s, 500ms or 2m.
      - probe_hosts (from PLIMSOLL_PROBE_HOSTS): `https://shop.example/` is not a host. Write hosts as in shop.example, *.shop.example, shop.example:8443.
      - probe_nets (from PLIMSOLL_PROBE_NETS): `10.2.3.4/16` is an address within a range; the range is 10.2.0.0/16. Write ranges as in 10.2.0.0/16, fd00:1::/64.
      - probe_nets (from PLIMSOLL_PROBE_NETS): `10.0.0.0-10.1.0.0` is not a range of addresses. Write ranges as in 10.2.0.0/16, fd00:1::/64.
      - probe_redirects (from PLIMSOLL_PROBE_REDIRECTS): `4` is not a number from 0 to 3. With 0 a redirect is itself the answer.
      - prometheus_url (from PLIMSOLL_PROMETHEUS_URL): an address with a user name or password in it is not taken. Write it as http://HOST:9090, with the path if it has one.
    "#);
}

#[test]
fn a_settings_file_with_mistakes_is_named_line_by_line() {
    let given = complete(&[("PLIMSOLL_CONFIG", "plimsoll.toml")]).file(
        "plimsoll.toml",
        "app-id = 7\nlisten = true\nretention_days = 1.5\nwebhook_secret = [1]\nprivate_key = \"x\"\ncolour = \"red\"\n",
    );
    assert_snapshot!(given.refusal(), @"
    5 settings are missing or wrong:
      - app-id (from plimsoll.toml): there is no such setting. Did you mean `app_id`?
      - colour (from plimsoll.toml): there is no such setting. `plimsoll serve --help` names all settings.
      - private_key (from plimsoll.toml): there is no such setting. Give the path as `private_key_file`, or the key itself in the variable PLIMSOLL_PRIVATE_KEY.
      - listen (from `listen` in plimsoll.toml): a text or a whole number was expected, this is a boolean. Put it in quotation marks, as docs/configuration.md shows it.
      - retention_days (from `retention_days` in plimsoll.toml): a text or a whole number was expected, this is a float. Put it in quotation marks, as docs/configuration.md shows it.
    ");
}

#[test]
fn a_settings_file_that_is_no_toml_shows_the_line_and_not_its_text() {
    let given = complete(&[("PLIMSOLL_CONFIG", "plimsoll.toml")])
        .file("plimsoll.toml", "listen = \"[::]:80\"\nwebhook_secret = hunter2\n");
    let refusal = given.refusal();
    assert!(!refusal.contains("hunter2"));
    assert_snapshot!(refusal, @"
    One setting is missing or wrong:
      - config (from PLIMSOLL_CONFIG): plimsoll.toml line 2 is not TOML: string values must be quoted, expected literal string. Mend the line; docs/configuration.md has an example.
    ");
}

#[test]
fn a_settings_file_that_is_not_there_is_a_problem() {
    assert_snapshot!(complete(&[("PLIMSOLL_CONFIG", "gone.toml")]).refusal(), @"
    One setting is missing or wrong:
      - config (from PLIMSOLL_CONFIG): gone.toml cannot be read: no such file. Name a file that this user can read.
    ");
}

#[test]
fn flags_come_before_the_environment_and_the_environment_before_the_file() {
    let file = "listen = \"127.0.0.1:1\"\nretention_days = 10\nshutdown_grace = \"1s\"\n";
    let given =
        complete(&[("PLIMSOLL_LISTEN", "127.0.0.1:2"), ("PLIMSOLL_RETENTION_DAYS", "20")]).file("plimsoll.toml", file);
    let flags =
        Flags { config: Some("plimsoll.toml".into()), listen: Some("127.0.0.1:3".to_owned()), ..Flags::default() };
    let settings = given.read(&flags).unwrap();
    assert_eq!(settings.listen.port(), 3);
    assert_eq!(settings.retention, Duration::from_secs(20 * 24 * 60 * 60));
    assert_eq!(settings.shutdown_grace, Duration::from_secs(1));
}

#[test]
fn the_settings_file_alone_is_enough() {
    let given = given(&[("PLIMSOLL_CONFIG", "plimsoll.toml")])
        .file("app.pem", PEM)
        .file(
            "plimsoll.toml",
            "app_id = 12345\nprivate_key_file = \"app.pem\"\nwebhook_secret = [\"0123456789abcdef\", \"fedcba9876543210\"]\n",
        );
    let settings = given.settings();
    assert_eq!(settings.app_id, "12345");
    assert_eq!(settings.webhook_secrets.len(), 2);
}

#[test]
fn every_key_of_the_settings_file_is_read() {
    let given = given(&[("PLIMSOLL_CONFIG", "plimsoll.toml")]).file("a.pem", PEM).file("s", SECRET).file(
        "plimsoll.toml",
        r#"
        listen = "[::1]:8080"
        database = "sqlite:///data/p.db"
        github_api_url = "https://github.example/api/v3/"
        github_web_url = "https://pages.example"
        app_id = "Iv1.0123456789abcdef"
        private_key_file = "a.pem"
        webhook_secret_file = "s"
        log_format = "json"
        log_level = "info,plimsoll=debug"
        workers = 0
        retention_days = 90
        request_timeout = "2500ms"
        shutdown_grace = 0
        probe_hosts = ["shop.example", "*.shop.example:8443"]
        probe_nets = "10.2.0.0/16, fd00:1::/64, 127.0.0.1"
        probe_redirects = 2
        prometheus_url = "http://prometheus:9090/prom/"
        oidc_audience = "https://plimsoll.example"
        api_token = "0123456789abcdef0123456789abcdef"
        history_folder = "/data/histories"
        history_megabytes_max = 500
        "#,
    );
    let settings = given.settings();
    // Printed whole, so that a new setting has to be added here, and so that no secret can be printed unseen.
    assert_snapshot!(format!("{settings:#?}"), @r#"
    Settings {
        listen: [::1]:8080,
        database: "/data/p.db",
        github_api_url: "https://github.example/api/v3",
        github_web_url: "https://pages.example",
        app_id: "Iv1.0123456789abcdef",
        private_key: SecretBox<str>([REDACTED]),
        webhook_secrets: [
            SecretBox<str>([REDACTED]),
        ],
        log: LogSettings {
            format: Json,
            filter: "info,plimsoll=debug",
        },
        workers: 0,
        retention: 7776000s,
        request_timeout: 2.5s,
        shutdown_grace: 0ns,
        probe_hosts: [
            "shop.example",
            "*.shop.example:8443",
        ],
        probe_nets: [
            10.2.0.0/16,
            fd00:1::/64,
            127.0.0.1/32,
        ],
        probe_redirects: 2,
        prometheus_url: Some(
            "http://prometheus:9090/prom",
        ),
        oidc_issuer: "https://github.example/_services/token",
        oidc_audience: "https://plimsoll.example",
        api_token: Some(
            SecretBox<str>([REDACTED]),
        ),
        history: Some(
            HistorySettings {
                folder: "/data/histories",
                bytes_max: 524288000,
            },
        ),
    }
    "#);
}

#[test]
fn port_alone_listens_to_the_outside_and_an_address_says_more() {
    assert_eq!(complete(&[("PORT", "8080")]).settings().listen.to_string(), "0.0.0.0:8080");
    let both = complete(&[("PORT", "8080"), ("PLIMSOLL_LISTEN", "localhost:1")]);
    assert_eq!(both.settings().listen.to_string(), "127.0.0.1:1");
    assert!(complete(&[("PORT", "80800")]).refusal().contains("(from PORT)"));
}

#[test]
fn an_empty_variable_counts_as_not_set() {
    let settings = complete(&[("PLIMSOLL_LISTEN", ""), ("PLIMSOLL_LOG_FORMAT", "  ")]).settings();
    assert_eq!(settings.listen.port(), 3000);
}

#[test]
fn a_database_is_a_path_or_an_sqlite_address() {
    for (text, path) in [
        ("state.db", "state.db"),
        ("sqlite:state.db", "state.db"),
        ("sqlite://state.db", "state.db"),
        ("sqlite:///data/state.db", "/data/state.db"),
    ] {
        assert_eq!(complete(&[("DATABASE_URL", text)]).settings().database, Path::new(path), "{text}");
    }
    let said = |text| {
        let refusal = complete(&[("DATABASE_URL", text)]).refusal();
        assert!(!refusal.contains("hunter2"));
        refusal.lines().nth(1).unwrap().trim().to_owned()
    };
    assert_snapshot!(said("postgres://me:hunter2@db.example/plimsoll"), @"- database (from DATABASE_URL): this version keeps its state in SQLite only, and the address is of PostgreSQL. Give a path such as /data/plimsoll.db, or sqlite:/data/plimsoll.db.");
    assert_snapshot!(said("mysql://me:hunter2@db.example/plimsoll"), @"- database (from DATABASE_URL): databases of the kind `mysql` are not known. Give a path such as /data/plimsoll.db, or sqlite:/data/plimsoll.db.");
    assert_snapshot!(said("sqlite::memory:"), @"- database (from DATABASE_URL): a database in memory forgets every delivery when the service stops. Give a path such as /data/plimsoll.db, or sqlite:/data/plimsoll.db.");
    assert_snapshot!(said("sqlite:"), @"- database (from DATABASE_URL): this names no file. Give a path such as /data/plimsoll.db, or sqlite:/data/plimsoll.db.");
    assert_snapshot!(said("sqlite:a.db?mode=ro"), @"- database (from DATABASE_URL): options after `?` are not read. Give a path such as /data/plimsoll.db, or sqlite:/data/plimsoll.db.");
}

#[test]
fn the_pages_of_an_enterprise_server_are_found_from_its_api() {
    for (api, pages) in [
        ("https://github.example/api/v3", "https://github.example"),
        ("https://api.acme.ghe.com", "https://acme.ghe.com"),
        ("http://127.0.0.1:4000", "http://127.0.0.1:4000"),
        ("http://[::1]:4000/", "http://[::1]:4000"),
        ("http://localhost:4000", "http://localhost:4000"),
    ] {
        assert_eq!(complete(&[("PLIMSOLL_GITHUB_API_URL", api)]).settings().github_web_url, pages, "{api}");
    }
}

#[test]
fn only_encrypted_addresses_leave_this_machine() {
    for url in [
        "http://github.example/api/v3",
        "http://localhost.evil.example",
        "http://127.0.0.1.evil.example",
        "http://127.0.0.1@evil.example",
        "ftp://github.example",
        "github.example",
        "/api/v3",
        "https://",
        "https://github.example/?a=b",
        "https://github.example/#a",
        "https://user:hunter2@github.example",
        "https://github.com",
        "not a url",
    ] {
        let refusal = complete(&[("PLIMSOLL_GITHUB_API_URL", url)]).refusal();
        assert!(refusal.contains("github_api_url (from PLIMSOLL_GITHUB_API_URL)"), "{url}: {refusal}");
        assert!(!refusal.contains("hunter2"));
    }
}

#[test]
fn a_key_may_stand_on_one_line() {
    let settings =
        complete(&[("PLIMSOLL_PRIVATE_KEY", r"-----BEGIN PRIVATE KEY-----\nMIIE\n-----END PRIVATE KEY-----\n")])
            .settings();
    let as_in_the_file = "-----BEGIN PRIVATE KEY-----\nMIIE\n-----END PRIVATE KEY-----\n";
    assert_eq!(settings.private_key.expose_secret(), as_in_the_file);
}

#[test]
fn a_key_that_cannot_be_used_is_named_by_its_place_only() {
    let said = |given: Given| {
        let refusal = given.refusal();
        assert!(!refusal.contains("MIIE"));
        refusal.lines().nth(1).unwrap().trim().to_owned()
    };
    let no_pem = complete(&[("PLIMSOLL_PRIVATE_KEY", "MIIEowIBAAKCAQEA")]);
    assert_snapshot!(said(no_pem), @r#"- private_key_file (from PLIMSOLL_PRIVATE_KEY): this is not a private key in PEM form. Use the .pem file as GitHub made it ("Generate a private key" on the App's settings page)."#);
    let public = complete(&[("PLIMSOLL_PRIVATE_KEY", "-----BEGIN PUBLIC KEY-----\nMIIE\n-----END PUBLIC KEY-----")]);
    assert_snapshot!(said(public), @r#"- private_key_file (from PLIMSOLL_PRIVATE_KEY): this is not a private key in PEM form. Use the .pem file as GitHub made it ("Generate a private key" on the App's settings page)."#);
    let both = complete(&[("PLIMSOLL_PRIVATE_KEY_FILE", "a.pem")]);
    assert_snapshot!(said(both), @"- private_key_file (from PLIMSOLL_PRIVATE_KEY, PLIMSOLL_PRIVATE_KEY_FILE): both are set, and they may differ. Keep one of the two.");
    let mut gone = complete(&[("PLIMSOLL_PRIVATE_KEY_FILE", "gone.pem")]);
    gone.variables.remove("PLIMSOLL_PRIVATE_KEY");
    assert_snapshot!(said(gone), @"- private_key_file (from PLIMSOLL_PRIVATE_KEY_FILE): gone.pem cannot be read: no such file. Name the .pem file, and let this user read it.");
    let mut inline = complete(&[("PLIMSOLL_PRIVATE_KEY_FILE", PEM)]);
    inline.variables.remove("PLIMSOLL_PRIVATE_KEY");
    assert_snapshot!(said(inline), @"- private_key_file (from PLIMSOLL_PRIVATE_KEY_FILE): this is the key itself. Put it into PLIMSOLL_PRIVATE_KEY, or name a file.");
}

#[test]
fn a_secret_can_be_changed_without_a_gap() {
    let secrets = |given: &Given, flags: &Flags| -> Vec<String> {
        let settings = given.read(flags).unwrap_or_else(|refusal| panic!("{refusal}"));
        settings.webhook_secrets.iter().map(|secret| secret.expose_secret().to_owned()).collect()
    };
    let two = ["0123456789abcdef", "fedcba9876543210"];
    let commas = complete(&[("PLIMSOLL_WEBHOOK_SECRET", "0123456789abcdef, fedcba9876543210,")]);
    assert_eq!(secrets(&commas, &Flags::default()), two);
    let repeated = Flags { webhook_secret: two.map(str::to_owned).to_vec(), ..Flags::default() };
    assert_eq!(secrets(&complete(&[]), &repeated), two);
    let file = complete(&[]).file("/run/secrets/hook", "0123456789abcdef\nfedcba9876543210\n");
    let from_file = Flags { webhook_secret_file: Some("/run/secrets/hook".to_owned()), ..Flags::default() };
    assert_eq!(secrets(&file, &from_file), two);
}

#[test]
fn a_file_without_a_secret_is_refused() {
    let empty = complete(&[]).file("empty", "\n\n");
    let flags = Flags { webhook_secret_file: Some("empty".to_owned()), ..Flags::default() };
    assert_snapshot!(empty.read(&flags).unwrap_err(), @"
    One setting is missing or wrong:
      - webhook_secret (from --webhook-secret-file, empty): there is no secret in it. Give one, for instance from `openssl rand -hex 32`.
    ");
}

#[test]
fn the_manual_names_every_setting() {
    let manual = include_str!("../../docs/configuration.md");
    for key in KEYS {
        for name in [key.0.to_owned(), key.flag(), key.variable()] {
            assert!(manual.contains(&format!("`{name}`")), "docs/configuration.md does not name {name}");
        }
    }
}
