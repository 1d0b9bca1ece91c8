//! Users, teams and what each may do in the repository.

use std::collections::BTreeSet;

use super::Model;

/// What kind of account a login is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    User,
    Bot,
    Organization,
}

impl Kind {
    pub fn word(self) -> &'static str {
        match self {
            Kind::User => "User",
            Kind::Bot => "Bot",
            Kind::Organization => "Organization",
        }
    }
}

/// An account.
#[derive(Debug, Clone)]
pub struct User {
    pub id: u64,
    pub login: String,
    pub name: String,
    pub email: String,
    pub kind: Kind,
}

/// A team of the organisation.
#[derive(Debug, Clone)]
pub struct Team {
    pub id: u64,
    pub slug: String,
    pub name: String,
    pub members: BTreeSet<String>,
}

/// A collaborator's role in the repository.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Permission {
    None,
    Read,
    Triage,
    Write,
    Maintain,
    Admin,
}

impl Permission {
    /// GitHub's `role_name`.
    pub fn role(self) -> &'static str {
        match self {
            Permission::None => "none",
            Permission::Read => "read",
            Permission::Triage => "triage",
            Permission::Write => "write",
            Permission::Maintain => "maintain",
            Permission::Admin => "admin",
        }
    }

    /// GitHub's older `permission`, which knows neither triage nor maintain.
    pub fn legacy(self) -> &'static str {
        match self {
            Permission::None => "none",
            Permission::Read | Permission::Triage => "read",
            Permission::Write | Permission::Maintain => "write",
            Permission::Admin => "admin",
        }
    }
}

impl Model {
    /// Adds an account unless the login is taken.
    pub fn add_user(&mut self, login: &str, name: &str, kind: Kind) {
        if self.users.contains_key(login) {
            return;
        }
        let id = self.next_id();
        let email = match kind {
            Kind::User => format!("{login}@example.com"),
            Kind::Bot | Kind::Organization => format!("{id}+{login}@users.noreply.github.com"),
        };
        let user = User { id, login: login.to_owned(), name: name.to_owned(), email, kind };
        self.users.insert(login.to_owned(), user);
    }

    /// Adds a person with a role in the repository.
    pub fn add_person(&mut self, login: &str, name: &str, permission: Permission) {
        self.add_user(login, name, Kind::User);
        self.collaborators.insert(login.to_owned(), permission);
    }

    /// Adds a team with its members.
    pub fn add_team(&mut self, slug: &str, name: &str, members: &[&str]) {
        let id = self.next_id();
        let members = members.iter().map(|login| (*login).to_owned()).collect();
        self.teams.insert(slug.to_owned(), Team { id, slug: slug.to_owned(), name: name.to_owned(), members });
    }

    /// What a login may do: of a public repository, everyone may read.
    pub fn permission_of(&self, login: &str) -> Permission {
        self.find_user(login).and_then(|user| self.collaborators.get(&user.login)).copied().unwrap_or(Permission::Read)
    }

    /// Finds an account; logins are compared without case, as GitHub does.
    pub fn find_user(&self, login: &str) -> Option<&User> {
        self.users.get(login).or_else(|| self.users.values().find(|user| user.login.eq_ignore_ascii_case(login)))
    }

    /// The account that signs commits with this address.
    pub fn user_by_email(&self, email: &str) -> Option<&User> {
        self.users.values().find(|user| user.email.eq_ignore_ascii_case(email))
    }

    /// Logins of people, for choosing who acts.
    pub fn people(&self) -> Vec<String> {
        self.users.values().filter(|user| user.kind == Kind::User).map(|user| user.login.clone()).collect()
    }
}
