//! Sites on this machine, and the names that lead to them.

use axum::Router;
use axum::extract::{Request, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use plimsoll::probe::{Looking, Resolver};
use std::collections::BTreeMap;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

type Seen = Arc<Mutex<Vec<String>>>;

/// A server on a loopback address; it ends with this value.
pub struct Site {
    pub address: SocketAddr,
    seen: Seen,
    serving: JoinHandle<()>,
}

impl Drop for Site {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

impl Site {
    /// One that speaks HTTP as it should.
    pub async fn kind() -> Self {
        Self::kind_on(TcpListener::bind("127.0.0.1:0").await.expect("a port"))
    }

    /// Two of them on one port.
    pub async fn pair(addresses: [&str; 2]) -> (Self, Self) {
        // A port that is free at one address may be taken at the other.
        for _ in 0..20 {
            let first = TcpListener::bind((addresses[0], 0)).await.expect("a port");
            let port = first.local_addr().expect("bound").port();
            if let Ok(second) = TcpListener::bind((addresses[1], port)).await {
                return (Self::kind_on(first), Self::kind_on(second));
            }
        }
        panic!("no port is free at both addresses");
    }

    fn kind_on(listener: TcpListener) -> Self {
        let (address, seen) = (listener.local_addr().expect("bound"), Seen::default());
        let router = Router::new().fallback(page).with_state(seen.clone());
        let serving = tokio::spawn(async move {
            let _ = axum::serve(listener, router).await;
        });
        Self { address, seen, serving }
    }

    /// One that does with the connection as it likes.
    pub async fn rude() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let (address, seen) = (listener.local_addr().expect("bound"), Seen::default());
        let remembered = seen.clone();
        let serving = tokio::spawn(async move {
            let mut conversations = tokio::task::JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                conversations.spawn(rude(stream, remembered.clone()));
            }
        });
        Self { address, seen, serving }
    }

    pub fn port(&self) -> u16 {
        self.address.port()
    }

    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// What was asked, oldest first: the request line, then the headers, a line each.
    pub fn requests(&self) -> Vec<String> {
        self.seen.lock().unwrap().clone()
    }
}

async fn page(State(seen): State<Seen>, request: Request) -> Response {
    let headers: String =
        request.headers().iter().map(|(name, value)| format!("{name}: {}\n", value.to_str().unwrap_or("?"))).collect();
    seen.lock().unwrap().push(format!("{} {}\n{headers}", request.method(), request.uri()));
    match request.uri().path() {
        "/health" => {
            let body = r#"{"checks": [{"state": "green", "errors": 3}]}"#;
            ([(header::CONTENT_TYPE, "application/json"), (header::SET_COOKIE, "a=b")], body).into_response()
        }
        "/version" => " release-7\n".into_response(),
        "/down" => (StatusCode::SERVICE_UNAVAILABLE, "maintenance").into_response(),
        "/to" => (StatusCode::FOUND, [(header::LOCATION, request.uri().query().unwrap_or("/"))]).into_response(),
        "/loop" => (StatusCode::TEMPORARY_REDIRECT, [(header::LOCATION, "/loop")]).into_response(),
        _ => StatusCode::NOT_FOUND.into_response(),
    }
}

async fn rude(mut stream: TcpStream, seen: Seen) {
    let mut head = vec![0; 8_192];
    let read = stream.read(&mut head).await.unwrap_or(0);
    let head = String::from_utf8_lossy(&head[..read]).into_owned();
    let path = head.split(' ').nth(1).unwrap_or_default().to_owned();
    seen.lock().unwrap().push(head);
    // Whoever has heard enough hangs up; that ends the writing.
    let _ = misbehave(&mut stream, &path).await;
}

async fn misbehave(stream: &mut TcpStream, path: &str) -> io::Result<()> {
    let ok = b"HTTP/1.1 200 OK\r\n";
    match path {
        "/silent" => std::future::pending().await,
        "/slow-head" => {
            tokio::time::sleep(Duration::from_millis(300)).await;
            stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").await
        }
        "/slow-body" => {
            stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\n").await?;
            loop {
                stream.write_all(b"x").await?;
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        }
        "/endless-body" => {
            stream.write_all(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n").await?;
            let chunk = format!("10000\r\n{}\r\n", "x".repeat(0x10000));
            loop {
                stream.write_all(chunk.as_bytes()).await?;
            }
        }
        "/endless-headers" => {
            stream.write_all(ok).await?;
            loop {
                stream.write_all(format!("x-endless: {}\r\n", "x".repeat(4_000)).as_bytes()).await?;
            }
        }
        "/many-headers" => {
            stream.write_all(ok).await?;
            let headers: String = (0..200).map(|n| format!("x-{n}: {n}\r\n")).collect();
            stream.write_all(format!("{headers}content-length: 0\r\n\r\n").as_bytes()).await
        }
        "/breaks-off" => stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\nhalf").await,
        "/no-http" => stream.write_all(b"SSH-2.0-OpenSSH_9.2p1\r\n").await,
        "/gzip" => {
            let head = b"HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\ncontent-length: 10\r\n\r\n";
            stream.write_all(head).await?;
            stream.write_all(b"\x1f\x8b\x08\0\0\0\0\0\0\x03").await
        }
        _ => Ok(()),
    }
}

/// Answers of a name, in turn; the last one stays.
type Answers = Vec<Vec<IpAddr>>;

/// Names that lead where a test wants them to.
pub struct Names {
    names: BTreeMap<String, Answers>,
    looked: Mutex<BTreeMap<String, usize>>,
    asked: AtomicUsize,
}

impl Names {
    pub fn new(names: &[(&str, &[&[&str]])]) -> Arc<Self> {
        let address = |text: &&str| text.parse().expect("an address");
        let names = names.iter().map(|(name, answers)| {
            let answers = answers.iter().map(|answer| answer.iter().map(address).collect()).collect();
            ((*name).to_owned(), answers)
        });
        Arc::new(Self { names: names.collect(), looked: Mutex::default(), asked: AtomicUsize::new(0) })
    }

    /// How often a name was looked up.
    pub fn asked(&self) -> usize {
        self.asked.load(Ordering::Relaxed)
    }
}

impl Resolver for Names {
    fn addresses(&self, host: &str) -> Looking {
        self.asked.fetch_add(1, Ordering::Relaxed);
        let answer = self.names.get(host).map(|answers| {
            let mut looked = self.looked.lock().unwrap();
            let turn = looked.entry(host.to_owned()).or_default();
            *turn += 1;
            answers[(*turn - 1).min(answers.len() - 1)].clone()
        });
        Box::pin(async move { answer.ok_or_else(|| io::Error::other("no such name")) })
    }
}
