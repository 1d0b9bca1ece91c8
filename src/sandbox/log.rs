//! The requests that the API got, for tests that count them or expect none.

use serde_json::Value;

/// One request and how it was answered.
#[derive(Debug, Clone, PartialEq)]
pub struct Recorded {
    /// On the sandbox's clock, in milliseconds since 1970.
    pub at: i64,
    pub method: String,
    /// Path without `/api/v3` and query.
    pub path: String,
    pub query: String,
    /// The route as GitHub's description writes it; none when nothing answers here.
    pub route: Option<&'static str>,
    /// The permission that the route needs, as `checks:write`.
    pub permission: Option<&'static str>,
    /// The status that was sent; 0 when the connection was closed instead.
    pub status: u16,
    pub body: Option<Value>,
}

impl Recorded {
    /// Says whether it asked to change something. Minting a token changes nothing that people see.
    pub fn writes(&self) -> bool {
        self.method != "GET" && self.method != "HEAD" && !self.path.ends_with("/access_tokens")
    }

    /// Method and path in one line.
    pub fn line(&self) -> String {
        format!("{} {}", self.method, self.path)
    }
}
