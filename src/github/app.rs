//! What the App does as itself: who it is, where it is installed, which deliveries did not arrive.
//!
//! Knows the endpoints that take the App's own token. Must never know what a delivery holds.

use super::client::{As, Call, Client};
use super::perform::succeeded;
use super::read::Found;
use super::wire::rest;
use super::wire::{Account, login_or_ghost};
use crate::domain::facts::Absence;
use crate::domain::ids::*;
use crate::engine::ports::{Deliveries, FailedDelivery, GitHubError};
use http::Method;
use std::collections::{BTreeMap, BTreeSet};

/// Pages of any list.
const PAGES_MAX: usize = 100;
/// Pages of deliveries; GitHub keeps three days of them.
const DELIVERY_PAGES_MAX: usize = 20;

/// The App as GitHub knows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AppIdentity {
    pub id: u64,
    /// As in `github.com/apps/slug`; its comments are by `slug[bot]`.
    pub slug: String,
    pub name: String,
    pub url: Option<String>,
    /// What it may do, for instance `checks` -> `write`.
    pub permissions: BTreeMap<String, String>,
    /// Webhooks that it gets.
    pub events: Vec<String>,
}

/// Somewhere the App is installed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Installation {
    pub id: InstallationId,
    pub account: Login,
    pub suspended: bool,
}

impl Client {
    /// Who we are. Fails with `Refused` when the App's id and key do not belong together.
    pub async fn app_identity(&self) -> Result<AppIdentity, GitHubError> {
        let app: rest::App = present("GET /app", self.get(As::App, "/app".to_owned()).await?)?;
        Ok(AppIdentity {
            id: app.id,
            name: app.name.or_else(|| app.slug.clone()).unwrap_or_default(),
            slug: app.slug.unwrap_or_default(),
            url: app.html_url,
            permissions: app.permissions.unwrap_or_default(),
            events: app.events.unwrap_or_default(),
        })
    }

    /// All installations of the App.
    pub async fn installations(&self) -> Result<Vec<Installation>, GitHubError> {
        let path = "/app/installations";
        let listed = self.list::<Vec<rest::Installation>>(As::App, path, PAGES_MAX, |_| false).await?;
        let installation = |found: rest::Installation| Installation {
            id: InstallationId(found.id),
            account: found.account.as_ref().and_then(Account::login).unwrap_or_else(|| login_or_ghost(None)),
            suspended: found.suspended_at.is_some(),
        };
        Ok(present("GET /app/installations", listed)?.items.into_iter().map(installation).collect())
    }

    /// All repositories that an installation gives access to.
    pub async fn repositories(&self, installation: InstallationId) -> Result<Vec<RepoName>, GitHubError> {
        let (by, path) = (As::Installation(installation), "/installation/repositories");
        let listed = self.list::<rest::Repositories>(by, path, PAGES_MAX, |_| false).await?;
        let listed = present("GET /installation/repositories", listed)?;
        Ok(listed.items.iter().filter_map(|repository| repository.name().ok()).collect())
    }
}

impl Deliveries for Client {
    async fn failed(&self, since: Timestamp) -> Result<Vec<FailedDelivery>, GitHubError> {
        // Newest first, by a cursor in the query of the next page.
        let past = |deliveries: &[rest::Delivery]| deliveries.last().is_some_and(|last| last.delivered_at.0 < since);
        let path = "/app/hook/deliveries";
        let listed = self.list::<Vec<rest::Delivery>>(As::App, path, DELIVERY_PAGES_MAX, past).await?;
        let listed = present("GET /app/hook/deliveries", listed)?.items;
        let home: BTreeSet<String> =
            listed.iter().filter(|attempt| attempt.succeeded()).map(|attempt| attempt.guid.clone()).collect();
        let mut failed: BTreeMap<String, FailedDelivery> = BTreeMap::new();
        for attempt in listed {
            if attempt.delivered_at.0 < since || home.contains(&attempt.guid) {
                continue;
            }
            // The first that is met is the newest.
            failed.entry(attempt.guid.clone()).or_insert(FailedDelivery {
                attempt: attempt.id,
                id: DeliveryId::new(attempt.guid),
                event: attempt.event.unwrap_or_default(),
                at: attempt.delivered_at.0,
            });
        }
        let mut failed: Vec<_> = failed.into_values().collect();
        failed.sort_by_key(|delivery| (delivery.at, delivery.attempt));
        Ok(failed)
    }

    async fn redeliver(&self, attempt: u64) -> Result<(), GitHubError> {
        let path = format!("/app/hook/deliveries/{attempt}/attempts");
        let call = Call::bare_write(Method::POST, path);
        let reply = self.send(As::App, &call).await?;
        succeeded(&call, &reply)
    }
}

/// What must be there: its absence is an error here.
fn present<T>(what: &str, found: Found<T>) -> Result<T, GitHubError> {
    let what = what.to_owned();
    found.map_err(|absence| match absence {
        Absence::NotFound => GitHubError::Gone { what, message: "GitHub knows nothing of it".to_owned() },
        Absence::Refused { message } => GitHubError::Refused { what, status: 403, message },
        Absence::Unusable { message } => GitHubError::Unavailable { what, message },
    })
}
