//! The Prometheus question: a query at a moment, or over a time.
//!
//! Knows Prometheus' HTTP API. Must never know what a query is for.

use super::wire::{Fault, exchange, too_late};
use super::{Prober, clip, parsed};
use crate::domain::ids::{Span, Timestamp};
use crate::domain::reading::{Reading, Series};
use reqwest::{Url, header};
use serde::Deserialize;
use serde::de::IgnoredAny;
use std::collections::BTreeMap;

/// Of an answer this many bytes are read: room for the samples below.
const BODY_MAX: usize = 8 << 20;
/// A query has at most this many bytes.
const QUERY_MAX: usize = 8_192;
const SERIES_MAX: usize = 1_000;
const SAMPLES_MAX: usize = 50_000;
/// A range is cut into this many steps, none shorter than [`STEP_MIN`].
const STEPS: u64 = 100;
const STEP_MIN: Span = Span::seconds(5);
/// Labels of a series are written with at most this many characters.
const LABELS_MAX: usize = 1_000;

/// The base URL of a server; says what is wrong with it otherwise.
pub(super) fn base(url: &str) -> Result<Url, String> {
    let url = parsed(url)?;
    if !matches!(url.scheme(), "http" | "https") || url.host_str().is_none() {
        return Err("the address of a Prometheus server begins with http:// or https://".to_owned());
    }
    if url.query().is_some() || url.fragment().is_some() {
        return Err("the address of a Prometheus server has no `?` or `#`".to_owned());
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err("a URL with a user name or password in it is not asked".to_owned());
    }
    Ok(url)
}

impl Prober {
    /// Asks a server; `None` is the operator's own.
    pub(super) async fn prometheus(
        &self,
        server: Option<&str>,
        query: &str,
        at: Timestamp,
        over: Option<Span>,
    ) -> Reading {
        match self.queried(server, query, at, over).await {
            Ok(series) => Reading::Samples(series),
            // Whether what runs is well is not known, whatever ails the server that would tell.
            Err(Fault::Refused(because)) => Reading::Unasked { because },
            Err(Fault::Silent(because)) => Reading::Unasked { because: format!("Prometheus: {because}") },
        }
    }

    async fn queried(
        &self,
        server: Option<&str>,
        query: &str,
        at: Timestamp,
        over: Option<Span>,
    ) -> Result<Vec<Series>, Fault> {
        let refused = |why: &str| Fault::Refused(why.to_owned());
        if query.len() > QUERY_MAX {
            return Err(Fault::Refused(format!("the query is longer than {QUERY_MAX} bytes")));
        }
        let (client, base) = match (server, &self.prometheus) {
            (Some(server), _) => {
                let url = base(server).map_err(Fault::Refused)?;
                self.guard.admit(&url).map_err(Fault::Refused)?;
                (&self.guarded, url)
            }
            (None, Some(url)) => (&self.trusted, url.clone()),
            (None, None) => {
                return Err(refused("there is no Prometheus server: the operator must set PLIMSOLL_PROMETHEUS_URL"));
            }
        };
        let _place = self.place(&base).await?;
        let url = endpoint(base, if over.is_some() { "query_range" } else { "query" });
        // As a form: the query stays out of the address, and so out of the logs on the way.
        let request = client.post(url).header(header::CONTENT_TYPE, "application/x-www-form-urlencoded").body(form(
            query,
            at,
            over,
            self.limits.total.as_secs(),
        ));
        let answer = tokio::time::timeout(self.limits.total, exchange(request, BODY_MAX, &self.limits));
        let answer = answer.await.unwrap_or_else(|_| Err(Fault::Silent(too_late(&self.limits))))?;
        if answer.cut {
            return Err(Fault::Silent(format!("the answer is larger than {} MiB", BODY_MAX >> 20)));
        }
        read(answer.status, &answer.body).map_err(Fault::Silent)
    }
}

fn endpoint(mut base: Url, what: &str) -> Url {
    let path = format!("{}/api/v1/{what}", base.path().trim_end_matches('/'));
    base.set_path(&path);
    base
}

/// The parameters as a form.
fn form(query: &str, at: Timestamp, over: Option<Span>, timeout_s: u64) -> String {
    let mut pairs = vec![("query", query.to_owned()), ("timeout", format!("{}s", timeout_s.max(1)))];
    match over {
        None => pairs.push(("time", unix(at))),
        Some(over) => {
            let step = Span((over.0 / STEPS).max(STEP_MIN.0));
            pairs.push(("start", unix(at.minus(over))));
            pairs.push(("end", unix(at)));
            pairs.push(("step", format!("{}.{:03}", step.0 / 1_000, step.0 % 1_000)));
        }
    }
    // A form is written as a URL's query is.
    let written = Url::parse_with_params("http://form.invalid/", pairs).ok();
    written.as_ref().and_then(Url::query).unwrap_or_default().to_owned()
}

/// Seconds since 1970, to the millisecond.
fn unix(at: Timestamp) -> String {
    let ms = at.0.max(0);
    format!("{}.{:03}", ms / 1_000, ms % 1_000)
}

#[derive(Deserialize)]
struct Envelope {
    status: String,
    data: Option<Data>,
    #[serde(rename = "errorType", default)]
    error_type: String,
    #[serde(default)]
    error: String,
}

#[derive(Deserialize)]
#[serde(tag = "resultType", content = "result", rename_all = "lowercase")]
enum Data {
    Vector(Vec<Row>),
    Matrix(Vec<Row>),
    Scalar(Sample),
    String(IgnoredAny),
}

/// A series of a vector (`value`) or of a matrix (`values`); one of histograms has neither.
#[derive(Deserialize)]
struct Row {
    #[serde(default)]
    metric: BTreeMap<String, String>,
    value: Option<Sample>,
    #[serde(default)]
    values: Vec<Sample>,
}

/// Moment and value; the value is a text, because JSON has no NaN.
#[derive(Deserialize)]
struct Sample(IgnoredAny, String);

/// Reads an answer, or says why there is none in it.
fn read(status: u16, body: &[u8]) -> Result<Vec<Series>, String> {
    let Ok(answer) = serde_json::from_slice::<Envelope>(body) else {
        return Err(format!("the answer (status {status}) is none of Prometheus"));
    };
    let data = match (answer.status.as_str(), answer.data) {
        ("success", Some(data)) => data,
        ("success", None) => return Err("the answer has no data".to_owned()),
        (_, _) => return Err(format!("{}: {}", clip(&answer.error_type, 40), clip(&answer.error, 300))),
    };
    let rows = match data {
        Data::Vector(rows) | Data::Matrix(rows) => rows,
        Data::Scalar(sample) => vec![Row { metric: BTreeMap::new(), value: Some(sample), values: Vec::new() }],
        Data::String(IgnoredAny) => return Err("the query gives a text, not numbers".to_owned()),
    };
    if rows.len() > SERIES_MAX {
        return Err(format!("the query gives {} series; {SERIES_MAX} are read at most", rows.len()));
    }
    let samples: usize = rows.iter().map(|row| row.values.len() + usize::from(row.value.is_some())).sum();
    if samples > SAMPLES_MAX {
        return Err(format!("the query gives {samples} samples; {SAMPLES_MAX} are read at most"));
    }
    let mut series = Vec::new();
    for row in rows {
        let mut samples = Vec::new();
        for Sample(IgnoredAny, text) in row.values.iter().chain(&row.value) {
            let value: f64 = text.parse().map_err(|_| "the answer holds what is no number".to_owned())?;
            samples.extend(Some(value).filter(|value| value.is_finite()));
        }
        // A series of which nothing is left says nothing, and would pass every threshold.
        if !samples.is_empty() {
            series.push(Series { labels: labels(&row.metric), samples });
        }
    }
    Ok(series)
}

/// Labels as Prometheus writes them.
fn labels(metric: &BTreeMap<String, String>) -> String {
    let name = metric.get("__name__").map(String::as_str).unwrap_or_default();
    let others = metric.iter().filter(|(key, _)| *key != "__name__");
    let others: Vec<String> = others.map(|(key, value)| format!("{key}={value:?}")).collect();
    let braces =
        if others.is_empty() && !name.is_empty() { String::new() } else { format!("{{{}}}", others.join(", ")) };
    clip(&format!("{name}{braces}"), LABELS_MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_range_is_cut_into_steps_of_five_seconds_or_more() {
        let at = Timestamp(1_700_000_000_250);
        let form = |over| form("a+b{c=\"d\"} & e", at, over, 10);
        assert_eq!(form(None), "query=a%2Bb%7Bc%3D%22d%22%7D+%26+e&timeout=10s&time=1700000000.250");
        assert!(form(Some(Span::seconds(60))).ends_with("&start=1699999940.250&end=1700000000.250&step=5.000"));
        assert!(form(Some(Span::hours(1))).ends_with("&start=1699996400.250&end=1700000000.250&step=36.000"));
    }

    #[test]
    fn what_is_too_much_or_makes_no_sense_is_refused() {
        let vector =
            |rows: &str| format!(r#"{{"status":"success","data":{{"resultType":"vector","result":[{rows}]}}}}"#);
        let row = r#"{"metric":{},"value":[1,"2"]}"#;
        let said = |body: String| read(200, body.as_bytes()).unwrap_err();
        assert_eq!(said(vector(&[row; 1_001].join(","))), "the query gives 1001 series; 1000 are read at most");
        let values = format!(r#"{{"metric":{{}},"values":[{}]}}"#, [r#"[1,"2"]"#; 50_001].join(","));
        assert_eq!(said(vector(&values)), "the query gives 50001 samples; 50000 are read at most");
        assert_eq!(said(vector(r#"{"metric":{},"value":[1,"two"]}"#)), "the answer holds what is no number");
        assert_eq!(said("<html>".to_owned()), "the answer (status 200) is none of Prometheus");
        assert_eq!(said(r#"{"status":"success"}"#.to_owned()), "the answer has no data");
        let text = r#"{"status":"success","data":{"resultType":"string","result":[1,"x"]}}"#;
        assert_eq!(said(text.to_owned()), "the query gives a text, not numbers");
    }

    #[test]
    fn labels_are_written_as_prometheus_does() {
        let labels = |pairs: &[(&str, &str)]| labels(&pairs.iter().map(|(k, v)| ((*k).into(), (*v).into())).collect());
        assert_eq!(labels(&[]), "{}");
        assert_eq!(labels(&[("__name__", "up")]), "up");
        assert_eq!(labels(&[("instance", "a")]), r#"{instance="a"}"#);
        assert_eq!(labels(&[("__name__", "up"), ("b", "x\"y"), ("a", "1")]), r#"up{a="1", b="x\"y"}"#);
    }

    #[test]
    fn a_server_is_named_by_a_plain_address() {
        let url = |text: &str| base(text).map(|url| endpoint(url, "query").to_string());
        assert_eq!(url("http://prometheus:9090").unwrap(), "http://prometheus:9090/api/v1/query");
        assert_eq!(url("https://x.example/prom/").unwrap(), "https://x.example/prom/api/v1/query");
        for wrong in ["prometheus:9090", "http://a:b@x/", "http://x/?a", "http://x/#a", "ftp://x/", "x"] {
            assert!(url(wrong).is_err(), "{wrong}");
        }
    }
}
