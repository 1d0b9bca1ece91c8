//! Settings about who may call: workflow runs by GitHub's tokens, readers by one of the operator's.
//!
//! Every function returns `None` only after it noted a problem.

use super::sources::Sources;
use super::values::{github_url, shown};
use super::{Flags, GITHUB_API_URL, Key, OIDC_ISSUER};
use secrecy::SecretString;

/// Shorter tokens than this many characters can be guessed.
const API_TOKEN_CHARS_MIN: usize = 32;

pub(super) fn oidc_issuer(sources: &mut Sources, flags: &Flags, api: Option<&str>) -> Option<String> {
    let key = Key("oidc_issuer");
    if let Some(found) = sources.find(key, flags.oidc_issuer.as_deref()) {
        return github_url(sources, key, &found);
    }
    Some(match api {
        None | Some(GITHUB_API_URL) => OIDC_ISSUER.to_owned(),
        // Enterprise Server issues tokens itself; with data residency there is a host for it.
        Some(api) => match (api.strip_suffix("/api/v3"), api.strip_prefix("https://api.")) {
            (Some(host), _) => format!("{host}/_services/token"),
            (None, Some(host)) => format!("https://token.actions.{host}"),
            (None, None) => format!("{api}/_services/token"),
        },
    })
}

pub(super) fn oidc_audience(sources: &mut Sources, flags: &Flags) -> Option<String> {
    let key = Key("oidc_audience");
    let Some(found) = sources.find(key, flags.oidc_audience.as_deref()) else { return Some("plimsoll".to_owned()) };
    let text = found.text.trim();
    let good = text.len() <= 200 && text.bytes().all(|b| b.is_ascii_graphic());
    if !good {
        let what = format!("`{}` is not an audience.", shown(text));
        let mend =
            "Write a word or a URL of up to 200 letters without spaces, for instance the address of this service.";
        sources.wrong(key, &found.from, what, mend);
        return None;
    }
    Some(text.to_owned())
}

/// `Some(None)`: nobody may read, which is no mistake.
pub(super) fn api_token(sources: &mut Sources, flags: &Flags) -> Option<Option<SecretString>> {
    let key = Key("api_token");
    let Some(found) = sources.find(key, flags.api_token.as_deref()) else { return Some(None) };
    let text = found.text.trim();
    let chars = text.chars().count();
    let what = if chars < API_TOKEN_CHARS_MIN {
        format!("the token has {chars} characters and can be guessed.")
    } else if !text.bytes().all(|b| b.is_ascii_graphic()) {
        "the token has a space or a letter in it that no header can carry.".to_owned()
    } else {
        return Some(Some(SecretString::from(text.to_owned())));
    };
    let mend = format!(
        "Use {API_TOKEN_CHARS_MIN} characters or more, for instance from `openssl rand -hex 32`, or leave it out."
    );
    sources.wrong(key, &found.from, what, mend);
    None
}
