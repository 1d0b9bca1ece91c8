//! The door over real sockets: what a slow, rude or cut-off caller can do, and how the service stops.

use super::*;
use std::net::SocketAddr;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

const HEAD: &str = "POST /github/webhook HTTP/1.1\r\nhost: plimsoll\r\nconnection: close\r\nx-github-event: push\r\n\
                    x-github-delivery: 1\r\nx-hub-signature-256: signed\r\ncontent-type: application/json\r\n";

/// [`HEAD`] of a caller that will send more on the same connection.
fn kept_open() -> String {
    HEAD.replace("connection: close\r\n", "")
}

/// A house with its door open on a port of this machine.
struct Open {
    house: House,
    address: SocketAddr,
    serving: JoinHandle<usize>,
}

async fn open(mood: Mood, limits: Limits) -> Open {
    let house = house_with(mood, limits.clone());
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let serving = tokio::spawn(server::serve(listener, house.router.clone(), limits, house.stop.clone()));
    Open { house, address, serving }
}

/// Times that no test reaches, even on a busy machine.
fn roomy() -> Limits {
    Limits { body_bytes_max: 1_000, ..Limits::default() }
}

/// Times that a test can wait for.
fn short() -> Limits {
    let short = Duration::from_millis(200);
    Limits { head_timeout: short, request_timeout: short, shutdown_grace: short, ..roomy() }
}

impl Open {
    async fn call(&self) -> TcpStream {
        TcpStream::connect(self.address).await.unwrap()
    }

    /// Sends bytes on a new connection and reads until the other side closes it.
    async fn exchange(&self, bytes: &[u8]) -> String {
        let mut stream = self.call().await;
        stream.write_all(bytes).await.unwrap();
        rest_of(&mut stream).await
    }

    async fn kept(&self) -> usize {
        self.house.store.kept.unsorted(100).await.unwrap().len()
    }
}

async fn rest_of(stream: &mut TcpStream) -> String {
    let mut bytes = Vec::new();
    let read = tokio::time::timeout(Duration::from_secs(10), stream.read_to_end(&mut bytes)).await;
    read.expect("the connection stayed open").unwrap_or(0);
    String::from_utf8_lossy(&bytes).into_owned()
}

/// Reads one answer with a body, and leaves the connection open.
async fn one_answer(stream: &mut TcpStream) -> String {
    let mut text = String::new();
    while !text.ends_with("}\n") {
        let mut piece = [0; 1024];
        let read = tokio::time::timeout(Duration::from_secs(10), stream.read(&mut piece)).await.unwrap().unwrap();
        assert!(read > 0, "closed after {text:?}");
        text.push_str(std::str::from_utf8(&piece[..read]).unwrap());
    }
    text
}

fn status(answer: &str) -> &str {
    answer.split_whitespace().nth(1).unwrap_or("closed")
}

fn chunked(pieces: usize) -> Vec<u8> {
    let mut bytes = format!("{HEAD}transfer-encoding: chunked\r\n\r\n").into_bytes();
    for _ in 0..pieces {
        bytes.extend_from_slice(b"64\r\n");
        bytes.extend_from_slice(&[b' '; 100]);
        bytes.extend_from_slice(b"\r\n");
    }
    bytes.extend_from_slice(b"0\r\n\r\n");
    bytes
}

#[tokio::test]
async fn several_deliveries_come_over_one_connection() {
    let open = open(Mood::Well, roomy()).await;
    let mut stream = open.call().await;
    for id in ["a", "b"] {
        let request =
            format!("{}content-length: 2\r\n\r\n{{}}", kept_open().replace("delivery: 1", &format!("delivery: {id}")));
        stream.write_all(request.as_bytes()).await.unwrap();
        assert_eq!(status(&one_answer(&mut stream).await), "202");
    }
    assert_eq!(open.kept().await, 2);
}

#[tokio::test]
async fn a_body_without_a_length_is_counted_as_it_comes() {
    let open = open(Mood::Well, roomy()).await;
    assert_eq!(status(&open.exchange(&chunked(10)).await), "202");
    assert_eq!(open.house.store.kept.unsorted(1).await.unwrap()[0].body.len(), 1_000);
    assert_eq!(status(&open.exchange(&chunked(11)).await), "413");
    assert_eq!(open.kept().await, 1);
}

#[tokio::test]
async fn a_body_that_is_too_large_is_taken_off_the_wire_so_that_the_answer_arrives() {
    let open = open(Mood::Well, roomy()).await;
    let mut request = format!("{HEAD}content-length: 3000000\r\n\r\n").into_bytes();
    request.resize(request.len() + 3_000_000, b' ');
    assert_eq!(status(&open.exchange(&request).await), "413");
    let unsigned = String::from_utf8(request).unwrap().replace("x-hub-signature-256: signed\r\n", "");
    assert_eq!(status(&open.exchange(unsigned.as_bytes()).await), "413");
}

#[tokio::test]
async fn a_body_that_does_not_come_is_not_waited_for_for_ever() {
    let open = open(Mood::Well, short()).await;
    let answer = open.exchange(format!("{HEAD}content-length: 10\r\n\r\n{{").as_bytes()).await;
    assert_eq!(status(&answer), "408");
    assert_eq!(open.kept().await, 0);
}

#[tokio::test]
async fn a_truncated_body_is_not_kept() {
    let open = open(Mood::Well, roomy()).await;
    let mut stream = open.call().await;
    stream.write_all(format!("{HEAD}content-length: 10\r\n\r\n{{").as_bytes()).await.unwrap();
    stream.shutdown().await.unwrap();
    let answer = rest_of(&mut stream).await;
    assert!(["400", "closed"].contains(&status(&answer)), "{answer}");
    assert_eq!(open.kept().await, 0);
}

#[tokio::test]
async fn a_caller_that_never_ends_its_head_is_hung_up_on() {
    let open = open(Mood::Well, short()).await;
    let mut stream = open.call().await;
    stream.write_all(HEAD.as_bytes()).await.unwrap();
    let answer = rest_of(&mut stream).await;
    assert!(["408", "closed"].contains(&status(&answer)), "{answer}");
}

#[tokio::test]
async fn a_caller_that_says_nothing_is_hung_up_on() {
    let open = open(Mood::Well, short()).await;
    let mut stream = open.call().await;
    assert!(["408", "closed"].contains(&status(&rest_of(&mut stream).await)));
}

#[tokio::test]
async fn a_connection_over_the_bound_waits_for_a_seat() {
    let open = open(Mood::Well, Limits { connections_max: 1, ..roomy() }).await;
    let first = open.call().await;
    let mut second = open.call().await;
    second.write_all(b"GET /healthz HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").await.unwrap();
    drop(first);
    assert_eq!(status(&rest_of(&mut second).await), "200");
}

#[tokio::test]
async fn what_is_not_http_gets_no_page() {
    let open = open(Mood::Well, roomy()).await;
    assert_eq!(status(&open.exchange(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n").await), "400");
}

#[tokio::test]
async fn stopping_lets_a_running_request_finish() {
    let open = open(Mood::Well, roomy()).await;
    let mut stream = open.call().await;
    stream.write_all(format!("{HEAD}content-length: 2\r\n\r\n{{").as_bytes()).await.unwrap();
    // The head has surely been read once a second request on another connection was answered.
    let other = open.exchange(b"GET /healthz HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").await;
    assert_eq!(status(&other), "200");
    open.house.stop.cancel();
    stream.write_all(b"}").await.unwrap();
    assert_eq!(status(&rest_of(&mut stream).await), "202");
    assert_eq!(open.serving.await.unwrap(), 0);
    assert!(TcpStream::connect(open.address).await.is_err(), "the door is closed");
}

#[tokio::test]
async fn stopping_waits_no_longer_than_its_grace() {
    let limits = Limits { request_timeout: Duration::from_secs(60), ..short() };
    let open = open(Mood::Stuck, limits).await;
    let mut stream = open.call().await;
    stream.write_all(format!("{HEAD}content-length: 2\r\n\r\n{{}}").as_bytes()).await.unwrap();
    let other = open.exchange(b"GET /healthz HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").await;
    assert_eq!(status(&other), "200");
    open.house.stop.cancel();
    assert_eq!(open.serving.await.unwrap(), 1, "one connection was cut");
}

#[tokio::test]
async fn an_idle_connection_does_not_delay_stopping() {
    let limits = Limits { head_timeout: Duration::from_secs(60), shutdown_grace: Duration::from_secs(60), ..roomy() };
    let open = open(Mood::Well, limits).await;
    let mut stream = open.call().await;
    stream.write_all(format!("{}content-length: 2\r\n\r\n{{}}", kept_open()).as_bytes()).await.unwrap();
    one_answer(&mut stream).await;
    open.house.stop.cancel();
    let stopped = tokio::time::timeout(Duration::from_secs(5), open.serving).await;
    assert_eq!(stopped.expect("it still waits").unwrap(), 0);
}
