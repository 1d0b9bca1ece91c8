//! `app-manifest.yml` asks for what is really used: no permission or event less, and none more.
//!
//! `tests/endpoints.txt` stands between: it is compared here with the paths in the sources, and by the conformance run
//! with GitHub's description and with what goes over the wire.

use crate::house::scan::Scan;
use plimsoll::engine::ports::{Interpretation, Webhooks};
use plimsoll::github::interpret::Interpreter;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

#[test]
fn permissions_are_those_that_the_requests_and_events_need() {
    let mut needed = permissions_of_requests();
    for event in events_understood() {
        // GitHub sends an event only to Apps that may read what it is about.
        needed.entry(permission_for(&event)).or_insert(Level::Read);
    }
    assert_eq!(manifest_permissions(), needed);
}

#[test]
fn events_are_those_that_are_understood() {
    let understood: BTreeSet<_> = events_understood();
    assert_eq!(manifest_events(), understood);
}

#[test]
fn endpoints_are_those_that_the_sources_request() {
    let requested = requested(&sources());
    let listed: BTreeSet<_> =
        endpoints().iter().map(|endpoint| (endpoint.method.clone(), shape(&endpoint.path))).collect();
    let unlisted: Vec<_> = requested
        .iter()
        .filter(|request| {
            !request.methods.iter().any(|method| listed.contains(&(method.clone(), request.shape.clone())))
        })
        .map(|request| {
            format!(
                "{}: {} {}",
                request.place,
                request.methods.iter().cloned().collect::<Vec<_>>().join("|"),
                request.shape
            )
        })
        .collect();
    assert!(unlisted.is_empty(), "not in tests/endpoints.txt:\n{}", unlisted.join("\n"));
    let idle: Vec<_> = listed
        .into_iter()
        .filter(|(method, shape)| {
            !requested.iter().any(|request| request.shape == *shape && request.methods.contains(method))
        })
        .collect();
    assert!(idle.is_empty(), "in tests/endpoints.txt, and not in the sources: {idle:?}");
}

#[test]
fn requests_are_found_in_sources() {
    let source = r#"
        fn one() { self.get(at.path(&format!("/pulls/{number}?x={y}"))) }
        fn two() {
            let path = format!("/check-runs/{id}");
            self.list(format!("{path}/annotations"));
            Call::write(Method::PATCH, path, &body)
        }
        fn three() { self.list(format!("/compare/{base}...{head}")) }
        #[cfg(test)]
        mod tests { fn four() { self.get("/not/this") } }
    "#;
    let found: Vec<_> = requested(&[("made-up.rs".to_owned(), source.to_owned())])
        .into_iter()
        .map(|request| format!("{:?} {}", request.methods, request.shape))
        .collect();
    assert_eq!(
        found,
        [
            r#"{"GET"} /repos/{}/{}/pulls/{}"#,
            r#"{"GET", "PATCH"} /repos/{}/{}/check-runs/{}"#,
            r#"{"GET", "PATCH"} /repos/{}/{}/check-runs/{}/annotations"#,
            r#"{"GET"} /repos/{}/{}/compare/{}"#,
        ]
    );
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Level {
    Read,
    Write,
}

impl Level {
    fn parse(text: &str) -> Self {
        match text {
            "read" => Self::Read,
            "write" => Self::Write,
            other => panic!("`{other}` is no level of a permission"),
        }
    }
}

/// One line of `tests/endpoints.txt`.
struct Endpoint {
    method: String,
    path: String,
    /// `None`: needs no permission.
    permission: Option<(String, Level)>,
}

fn endpoints() -> Vec<Endpoint> {
    let rows = include_str!("../endpoints.txt").lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
    let endpoints = rows.map(|row| {
        let words: Vec<_> = row.split_whitespace().collect();
        let [method, path, permission] = words.as_slice() else { panic!("not three columns: {row}") };
        let permission = permission.split_once(':').map(|(name, level)| (name.to_owned(), Level::parse(level)));
        Endpoint { method: (*method).to_owned(), path: (*path).to_owned(), permission }
    });
    endpoints.collect()
}

fn permissions_of_requests() -> BTreeMap<String, Level> {
    let mut needed = BTreeMap::new();
    for (name, level) in endpoints().into_iter().filter_map(|endpoint| endpoint.permission) {
        let kept = needed.entry(name).or_insert(level);
        *kept = level.max(*kept);
    }
    needed
}

/// Paths that one function of the sources names, and the methods that it uses.
struct Request {
    place: String,
    methods: BTreeSet<String>,
    shape: String,
}

/// Every path below the base URL that stands in a function, with every method that the function uses: text cannot tell
/// which goes with which when there are several.
fn requested(sources: &[(String, String)]) -> Vec<Request> {
    let mut found = Vec::new();
    for (file, text) in sources {
        let text = text.split("#[cfg(test)]").next().unwrap_or_default();
        for function in text.split("fn ").skip(1) {
            let methods = methods(function);
            let mut last = String::new();
            if function.contains(".path(\"\")") {
                found.push(Request { place: file.clone(), methods: methods.clone(), shape: "/repos/{}/{}".to_owned() });
            }
            for literal in literals(function) {
                let path = match literal.strip_prefix("{path}") {
                    Some(rest) if rest.starts_with('/') => format!("{last}{rest}"),
                    // How every path below a repository begins.
                    _ if literal == "/repos/{}{rest}" => continue,
                    _ if literal.starts_with('/') && literal.len() > 1 => literal,
                    _ => continue,
                };
                last.clone_from(&path);
                let name = function.split(['(', '<']).next().unwrap_or_default();
                found.push(Request {
                    place: format!("{file}, `{name}`"),
                    methods: methods.clone(),
                    shape: shape(&path),
                });
            }
        }
    }
    found
}

fn methods(function: &str) -> BTreeSet<String> {
    let writes =
        ["POST", "PATCH", "PUT", "DELETE"].into_iter().filter(|word| function.contains(&format!("Method::{word}")));
    let reads = ["self.get", "self.list", "Call::get", "self.file"].iter().any(|word| function.contains(word));
    writes.chain(reads.then_some("GET")).map(str::to_owned).collect()
}

/// Texts in quotes, as far as they have no escapes.
fn literals(text: &str) -> Vec<String> {
    text.lines()
        .filter(|line| !line.trim_start().starts_with("//"))
        .flat_map(|line| line.split('"').skip(1).step_by(2))
        .map(str::to_owned)
        .collect()
}

/// A path without the names of its parameters and without its query; below the repository when it begins there.
fn shape(path: &str) -> String {
    let path = path.split('?').next().unwrap_or_default();
    let mut shape = String::new();
    let mut rest = path;
    while let Some((before, after)) = rest.split_once('{') {
        shape.push_str(before);
        shape.push_str("{}");
        // What may be cut off is a query that is put on behind: `/contents/{path}{query}`.
        let (_, after) = after.split_once('}').unwrap_or(("", after));
        rest = if after.starts_with("{query}") { "" } else { after };
    }
    shape.push_str(rest);
    let shape = shape.replace("{}...{}", "{}");
    let roots = ["/repos/", "/orgs/", "/app", "/installation/", "/graphql"];
    if roots.iter().any(|root| shape.starts_with(root)) { shape } else { format!("/repos/{{}}/{{}}{shape}") }
}

/// Files of the room that speaks with GitHub, without those that are only compiled for tests.
fn sources() -> Vec<(String, String)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/github");
    let mut files: Vec<_> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    let files = files.into_iter().filter(|path| path.extension().is_some_and(|extension| extension == "rs"));
    let texts: Vec<_> = files
        .map(|path| (path.file_name().unwrap().display().to_string(), std::fs::read_to_string(&path).unwrap()))
        .collect();
    let scans = texts.iter().map(|(_, text)| Scan::of(text));
    let tests: BTreeSet<_> = scans
        .flat_map(|scan| scan.test_modules.into_iter().map(|name| format!("{name}.rs")).chain(scan.test_files))
        .collect();
    texts.into_iter().filter(|(name, _)| !tests.contains(name)).collect()
}

/// Events from which something can follow: for the others the answer is always the same.
fn events_understood() -> BTreeSet<String> {
    let understood = |event: &String| {
        let body = json!({"action": "none", "installation": {"id": 1}}).to_string();
        match Interpreter::new("https://api.github.com", "1").interpret(event, body.as_bytes()) {
            Interpretation::Ignored { because } => because != format!("nothing follows from `{event}`"),
            Interpretation::Events { .. } | Interpretation::Unreadable { .. } => true,
        }
    };
    // These come to every App, whatever it subscribed to.
    let unasked = ["ping", "installation", "installation_repositories"];
    known_events().into_keys().filter(understood).filter(|event| !unasked.contains(&event.as_str())).collect()
}

/// The permission without which GitHub does not send an event, from GitHub's own words about it.
fn permission_for(event: &str) -> String {
    let words = &known_events()[event];
    let (_, rest) = words.split_once("must have at least read-level access for the \"").unwrap_or_else(|| {
        panic!("GitHub does not say which permission `{event}` needs: {words}");
    });
    rest.split('"').next().unwrap().to_lowercase().replace(' ', "_")
}

/// Every event of GitHub, with what GitHub says about it.
fn known_events() -> BTreeMap<String, String> {
    let file = "node_modules/@octokit/openapi-webhooks/generated/api.github.com.json";
    let text = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(file))
        .unwrap_or_else(|problem| panic!("{file}: {problem}. Run `npm ci` (`tests/run` does it for you)."));
    let description: Value = serde_json::from_str(&text).unwrap();
    let webhooks = description["webhooks"].as_object().unwrap().values();
    let named = webhooks.map(|webhook| {
        let post = &webhook["post"];
        // `pull-request/opened` is the event `pull_request`.
        let event = post["operationId"].as_str().unwrap().split('/').next().unwrap().replace('-', "_");
        (event, post["summary"].as_str().unwrap_or_default().to_owned())
    });
    named.collect()
}

/// The two lists of `app-manifest.yml`. Read line by line: it is our own file and uses no more of YAML than this.
fn manifest(section: &str) -> Vec<String> {
    let text = include_str!("../../app-manifest.yml");
    let rows = text.lines().skip_while(|line| *line != format!("{section}:")).skip(1);
    let rows = rows.take_while(|line| line.starts_with(' ') || line.is_empty());
    let plain = rows.map(|line| line.split('#').next().unwrap_or_default().trim().to_owned());
    let entries: Vec<_> = plain.filter(|line| !line.is_empty()).collect();
    assert!(!entries.is_empty(), "app-manifest.yml has no `{section}`");
    entries
}

fn manifest_permissions() -> BTreeMap<String, Level> {
    let entries = manifest("default_permissions").into_iter().map(|entry| {
        let (name, level) = entry.split_once(':').unwrap();
        (name.to_owned(), Level::parse(level.trim()))
    });
    entries.collect()
}

fn manifest_events() -> BTreeSet<String> {
    manifest("default_events").into_iter().map(|entry| entry.trim_start_matches("- ").to_owned()).collect()
}
