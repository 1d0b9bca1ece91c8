//! Takes connections, bounds them, and lets them finish when the service stops.
//!
//! Knows sockets and HTTP/1.1. Must never know what the routes do.

use super::Limits;
use axum::Router;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// Largest head of a request, and largest piece of a body read at once.
const BUFFER_BYTES_MAX: usize = 64 * 1024;

/// Age at which a connection is asked to close after its next answer; a caller that never reads its answers would
/// otherwise keep its seat for ever.
const CONNECTION_AGE_MAX: Duration = Duration::from_secs(15 * 60);

/// How long accepting pauses after it failed (for instance when the process has no file descriptor left).
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// Serves until `stop` is cancelled; then takes no more connections, lets running requests finish within the grace,
/// and cuts what is left. Returns how many connections were cut.
///
/// This is `axum::serve` with what that one does not offer: a bound on the time that a request's head may take, a
/// bound on connections, and a bound on stopping.
pub async fn serve(listener: TcpListener, router: Router, limits: Limits, stop: CancellationToken) -> usize {
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new()).header_read_timeout(limits.head_timeout).max_buf_size(BUFFER_BYTES_MAX);
    let room = Arc::new(Semaphore::new(limits.connections_max));
    let running = TaskTracker::new();
    let cut = CancellationToken::new();

    loop {
        let accepted = async {
            let seat = room.clone().acquire_owned().await;
            (seat, listener.accept().await)
        };
        let (seat, accepted) = tokio::select! {
            biased;
            () = stop.cancelled() => break,
            accepted = accepted => accepted,
        };
        // The semaphore is never closed; if it were, serving on would be without a bound.
        let Ok(seat) = seat else { break };
        let stream = match accepted {
            Ok((stream, _)) => stream,
            Err(error) => {
                tracing::warn!(%error, "a connection could not be accepted");
                tokio::time::sleep(ACCEPT_PAUSE).await;
                continue;
            }
        };
        let one = one_connection(stream, http.clone(), router.clone(), limits.clone(), stop.clone());
        let cut = cut.clone();
        running.spawn(async move {
            let _seat = seat;
            tokio::select! {
                () = one => {}
                () = cut.cancelled() => {}
            }
        });
    }

    drop(listener);
    running.close();
    if tokio::time::timeout(limits.shutdown_grace, running.wait()).await.is_ok() {
        return 0;
    }
    let left = running.len();
    cut.cancel();
    running.wait().await;
    left
}

async fn one_connection(
    stream: TcpStream,
    http: http1::Builder,
    router: Router,
    limits: Limits,
    stop: CancellationToken,
) {
    let last_answer_max = limits.head_timeout + limits.request_timeout * 2;
    // Answers are small and wait for nothing: send them at once.
    let _ = stream.set_nodelay(true);
    let connection = http.serve_connection(TokioIo::new(stream), TowerToHyperService::new(router));
    let mut connection = pin!(connection);
    let ended = tokio::select! {
        ended = connection.as_mut() => Some(ended),
        () = stop.cancelled() => {
            connection.as_mut().graceful_shutdown();
            Some(connection.await)
        }
        () = tokio::time::sleep(CONNECTION_AGE_MAX) => {
            connection.as_mut().graceful_shutdown();
            tokio::time::timeout(last_answer_max, connection).await.ok()
        }
    };
    match ended {
        Some(Ok(())) => {}
        Some(Err(error)) => tracing::debug!(%error, "a connection ended badly"),
        None => tracing::debug!("a connection was too old and did not close"),
    }
}
