//! A scripted server for this room's tests: it sees each request and plays what the test says, also what no decent
//! server does (closing the connection, never answering).
//!
//! Knows just enough HTTP/1.1. The stateful GitHub of `sandbox` is for everything else.

use super::{Client, ClientSettings};
use crate::domain::ids::{Span, Timestamp};
use crate::engine::ports::Clock;
use secrecy::SecretString;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

/// When the tests happen.
pub const NOW: Timestamp = Timestamp(1_700_000_000_000);

/// A request as it came in.
#[derive(Clone, Debug)]
pub struct Seen {
    pub method: String,
    pub path: String,
    /// By lower-case name.
    pub headers: BTreeMap<String, String>,
    pub body: String,
}

impl Seen {
    pub fn line(&self) -> String {
        format!("{} {}", self.method, self.path)
    }
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", String::as_str)
    }
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.body).unwrap()
    }
}

/// What to do with a request.
#[derive(Clone, Debug)]
pub enum Play {
    Answer {
        status: u16,
        headers: Vec<(&'static str, String)>,
        body: String,
    },
    /// Close the connection without a word.
    Close,
    /// Never answer.
    Hang,
}

impl Play {
    pub fn json(status: u16, body: serde_json::Value) -> Self {
        Self::Answer { status, headers: Vec::new(), body: body.to_string() }
    }
    pub fn with(mut self, name: &'static str, value: impl Into<String>) -> Self {
        if let Self::Answer { headers, .. } = &mut self {
            headers.push((name, value.into()));
        }
        self
    }
}

/// A running script.
pub struct Script {
    pub url: String,
    seen: Arc<Mutex<Vec<Seen>>>,
    task: JoinHandle<()>,
}

impl Script {
    /// Listens on a free port. `play` gets each request and how many came before it. Tokens are minted without
    /// asking it: `token-1`, `token-2` and so on, for an hour from [`NOW`].
    pub async fn start(play: impl Fn(&Seen, usize) -> Play + Send + Sync + 'static) -> Self {
        let minted = AtomicI64::new(0);
        Self::raw(move |seen, before| {
            if !seen.path.ends_with("/access_tokens") {
                return play(seen, before);
            }
            let number = minted.fetch_add(1, Ordering::SeqCst) + 1;
            Play::json(
                201,
                serde_json::json!({"token": format!("token-{number}"), "expires_at": "2023-11-14T23:13:20Z"}),
            )
        })
        .await
    }

    /// The same, with tokens minted by `play` too.
    pub async fn raw(play: impl Fn(&Seen, usize) -> Play + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let seen = Arc::new(Mutex::new(Vec::new()));
        let (play, log) = (Arc::new(play), Arc::clone(&seen));
        let task = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (play, log) = (Arc::clone(&play), Arc::clone(&log));
                tokio::spawn(async move {
                    let mut stream = BufReader::new(stream);
                    while let Some(request) = read(&mut stream).await {
                        let before = {
                            let mut log = log.lock().unwrap();
                            log.push(request.clone());
                            log.len() - 1
                        };
                        match play(&request, before) {
                            Play::Answer { status, headers, body } => write(&mut stream, status, &headers, &body).await,
                            Play::Close => return,
                            Play::Hang => std::future::pending().await,
                        }
                    }
                });
            }
        });
        Self { url, seen, task }
    }

    /// Everything that came in, tokens left out.
    pub fn seen(&self) -> Vec<Seen> {
        let seen = self.seen.lock().unwrap();
        seen.iter().filter(|seen| !seen.path.ends_with("/access_tokens")).cloned().collect()
    }

    /// Methods and paths of everything that came in, tokens left out.
    pub fn lines(&self) -> Vec<String> {
        self.seen().iter().map(Seen::line).collect()
    }

    /// How many tokens were asked for.
    pub fn minted(&self) -> usize {
        self.seen.lock().unwrap().iter().filter(|seen| seen.path.ends_with("/access_tokens")).count()
    }

    /// A client of this server with a clock that stands at [`NOW`].
    pub fn client(&self) -> (Client, Arc<Hands>) {
        self.client_with(|_| {})
    }

    /// The same with other settings.
    pub fn client_with(&self, change: impl FnOnce(&mut ClientSettings)) -> (Client, Arc<Hands>) {
        let mut settings = ClientSettings::new(&self.url, "12345", key());
        settings.pause = Span(1);
        change(&mut settings);
        let clock = Arc::new(Hands(AtomicI64::new(NOW.0)));
        (Client::new(settings, clock.clone()).unwrap(), clock)
    }
}

impl Drop for Script {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// A key that was made for these tests and opens nothing.
pub fn key() -> SecretString {
    SecretString::from(include_str!("../../tests/fixtures/app-key-pkcs1.pem").to_owned())
}

/// A clock that only moves by hand.
#[derive(Default)]
pub struct Hands(AtomicI64);

impl Hands {
    pub fn forward(&self, span: Span) {
        self.0.fetch_add(i64::try_from(span.0).unwrap(), Ordering::SeqCst);
    }
}

impl Clock for Hands {
    fn now(&self) -> Timestamp {
        Timestamp(self.0.load(Ordering::SeqCst))
    }
}

async fn read(stream: &mut BufReader<TcpStream>) -> Option<Seen> {
    let mut line = String::new();
    stream.read_line(&mut line).await.ok().filter(|length| *length > 0)?;
    let mut words = line.split_whitespace().map(str::to_owned);
    let (method, path) = (words.next()?, words.next()?);
    let mut headers = BTreeMap::new();
    loop {
        let mut line = String::new();
        stream.read_line(&mut line).await.ok()?;
        let Some((name, value)) = line.trim_end().split_once(": ") else { break };
        headers.insert(name.to_ascii_lowercase(), value.to_owned());
    }
    let length = headers.get("content-length").and_then(|length| length.parse().ok()).unwrap_or(0);
    let mut body = vec![0; length];
    stream.read_exact(&mut body).await.ok()?;
    Some(Seen { method, path, headers, body: String::from_utf8(body).unwrap() })
}

async fn write(stream: &mut BufReader<TcpStream>, status: u16, headers: &[(&'static str, String)], body: &str) {
    let mut head = format!("HTTP/1.1 {status} Word\r\ncontent-type: application/json\r\n");
    if status != 304 {
        head.push_str(&format!("content-length: {}\r\n", body.len()));
    }
    for (name, value) in headers {
        head.push_str(&format!("{name}: {value}\r\n"));
    }
    let _ = stream.write_all(format!("{head}\r\n{body}").as_bytes()).await;
}
