//! What people do on the sandbox GitHub, and what they see there, for tests and stories.

use std::collections::BTreeMap;

use super::Sandbox;
use super::history::MergeMethod;
use super::model::{
    CheckRun, CheckRunWish, Comment, CommitStatusWish, Deployment, DeploymentStatus, Issue, Permission, PullEdit,
    PullWish, Refusal, RevertWish, Run,
};

impl Sandbox {
    pub fn open_pull(&self, branch: &str, title: &str, body: &str, author: &str) -> Result<u64, Refusal> {
        self.with(|model, now| {
            let base = model.repository.default_branch.clone();
            model.open_pull(&PullWish { head: branch, base: &base, title, body: Some(body), author, draft: false }, now)
        })
    }

    /// Commits files (path and text) onto a branch, which is made from the default branch if it is new.
    pub fn push_commit(
        &self,
        branch: &str,
        files: &[(&str, &str)],
        message: &str,
        author: &str,
    ) -> Result<String, Refusal> {
        let files: BTreeMap<String, Option<Vec<u8>>> =
            files.iter().map(|(path, text)| ((*path).to_owned(), Some(text.as_bytes().to_vec()))).collect();
        self.with(|model, now| model.push_commit(branch, &files, message, author, now))
    }

    pub fn edit_pull(&self, number: u64, edit: PullEdit, by: &str) -> Result<(), Refusal> {
        self.with(|model, now| model.edit_pull(number, edit, by, now))
    }

    pub fn set_draft(&self, number: u64, draft: bool, by: &str) -> Result<(), Refusal> {
        self.with(|model, now| model.set_draft(number, draft, by, now))
    }

    pub fn comment(&self, number: u64, login: &str, body: &str) -> Result<u64, Refusal> {
        self.with(|model, now| model.comment(number, login, body, now))
    }

    pub fn edit_comment(&self, id: u64, body: &str, by: &str) -> Result<(), Refusal> {
        self.with(|model, now| model.edit_comment(id, body, by, now))
    }

    /// Reviews; `state` is `APPROVED`, `CHANGES_REQUESTED` or `COMMENTED`.
    pub fn review(&self, number: u64, login: &str, state: &str) -> Result<u64, Refusal> {
        self.with(|model, now| model.review(number, login, state, "", now))
    }

    /// Merges with a merge commit and returns it.
    pub fn merge(&self, number: u64, login: &str) -> Result<String, Refusal> {
        self.with(|model, now| model.merge_pull(number, MergeMethod::Merge, None, None, login, now))
    }

    pub fn close(&self, number: u64, login: &str) -> Result<(), Refusal> {
        self.with(|model, now| model.close_pull(number, login, now))
    }

    pub fn reopen(&self, number: u64, login: &str) -> Result<(), Refusal> {
        self.with(|model, now| model.reopen_pull(number, login, now))
    }

    pub fn label(&self, number: u64, name: &str, login: &str) -> Result<(), Refusal> {
        self.with(|model, now| model.label(number, name, login, now))
    }

    pub fn unlabel(&self, number: u64, name: &str, login: &str) -> Result<(), Refusal> {
        self.with(|model, now| model.unlabel(number, name, login, now))
    }

    pub fn rerequest_check(&self, id: u64, login: &str) -> Result<(), Refusal> {
        self.with(|model, now| model.rerequest_check(id, login, now))
    }

    pub fn rerequest_suite(&self, sha: &str, login: &str) -> Result<(), Refusal> {
        self.with(|model, now| model.rerequest_suite(sha, login, now))
    }

    pub fn request_action(&self, check_run: u64, identifier: &str, login: &str) -> Result<(), Refusal> {
        self.with(|model, now| model.request_action(check_run, identifier, login, now))
    }

    /// Presses the button of this label on the newest check run of this name on a commit.
    pub fn press(&self, sha: &str, check: &str, label: &str, login: &str) -> Result<(), Refusal> {
        self.with(|model, now| {
            let runs = model.check_runs_of(sha, true);
            let run = runs.into_iter().find(|run| run.name == check).ok_or_else(Refusal::not_found)?;
            let button = run.actions.iter().find(|action| action.label == label).ok_or_else(Refusal::not_found)?;
            let (id, identifier) = (run.id, button.identifier.clone());
            model.request_action(id, &identifier, login, now)
        })
    }

    /// Puts a pull request into the merge queue.
    pub fn enqueue(&self, number: u64, login: &str) -> Result<(), Refusal> {
        self.with(|model, now| model.enqueue(number, login, now))
    }

    /// Takes a pull request out of the merge queue.
    pub fn dequeue(&self, number: u64, login: &str) -> Result<(), Refusal> {
        self.with(|model, now| model.dequeue(number, login, now))
    }

    /// Sets which check runs or statuses must pass on a group of the merge queue.
    pub fn require_checks(&self, names: &[&str]) {
        self.with(|model, now| model.require_checks(names, now));
    }

    /// Sets a commit status; `state` is `error`, `failure`, `pending` or `success`.
    pub fn set_status(&self, sha: &str, context: &str, state: &str, login: &str) -> Result<u64, Refusal> {
        let wish = CommitStatusWish { sha, context, state, ..CommitStatusWish::default() };
        self.with(|model, now| model.set_status(&wish, login, now))
    }

    /// Another App's check run comes to a conclusion; `app` is its slug, for instance `github-actions`.
    pub fn check_of(&self, app: &str, sha: &str, name: &str, conclusion: &str) -> Result<u64, Refusal> {
        let wish = CheckRunWish {
            name: Some(name.to_owned()),
            head_sha: Some(sha.to_owned()),
            conclusion: Some(conclusion.to_owned()),
            ..CheckRunWish::default()
        };
        self.with(|model, now| model.create_check_run_of(Some(app), wish, now))
    }

    /// Leaves an artifact, of no run in particular.
    pub fn leave_artifact(&self, name: &str) -> Result<u64, Refusal> {
        self.with(|model, now| model.leave_artifact(name, None, now))
    }

    /// Reverts a merged pull request, as GitHub's button does; returns the number of the new one.
    pub fn revert_pull(&self, number: u64, login: &str) -> Result<u64, Refusal> {
        self.with(|model, now| model.revert_pull(number, &RevertWish::default(), login, now))
    }

    /// Turns an environment's custom deployment protection rule on or off.
    pub fn protect_environment(&self, name: &str, protected: bool) {
        self.with(|model, now| model.protect_environment(name, protected, now));
    }

    /// Starts a workflow by hand.
    pub fn dispatch(&self, workflow: &str, inputs: &[(&str, &str)], login: &str) -> Result<u64, Refusal> {
        let inputs = inputs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        self.with(|model, now| {
            let branch = model.repository.default_branch.clone();
            model.dispatch(workflow, &branch, inputs, login, now).map(|dispatch| dispatch.run)
        })
    }

    pub fn close_issue(&self, number: u64, login: &str) -> Result<(), Refusal> {
        self.with(|model, now| model.close_issue(number, login, now))
    }

    /// Issues that are no pull requests, newest first.
    pub fn issues(&self) -> Vec<Issue> {
        self.shared.model().issues.values().rev().cloned().collect()
    }

    /// The next run dispatched to this environment (or to any) fails.
    pub fn fail_next_run(&self, environment: Option<&str>) {
        self.with(|model, _| model.to_fail.push(environment.map(str::to_owned)));
    }

    pub fn set_permission(&self, login: &str, permission: Permission) {
        self.with(|model, _| model.add_person(login, login, permission));
    }

    pub fn suspend_installation(&self, by: &str) {
        self.with(|model, now| model.suspend_installation(by, now));
    }

    pub fn delete_installation(&self, by: &str) {
        self.with(|model, now| model.delete_installation(by, now));
    }

    /// Workflow runs, newest first.
    pub fn runs(&self) -> Vec<Run> {
        self.shared.model().runs.values().rev().cloned().collect()
    }

    /// Deployments with their statuses, newest first.
    pub fn deployments(&self) -> Vec<(Deployment, Vec<DeploymentStatus>)> {
        let model = self.shared.model();
        model
            .deployments
            .values()
            .rev()
            .map(|one| (one.clone(), model.statuses_of(one.id).into_iter().cloned().collect()))
            .collect()
    }

    /// The latest check run of each name on a commit.
    pub fn check_runs(&self, sha: &str) -> Vec<CheckRun> {
        self.shared.model().check_runs_of(sha, true).into_iter().cloned().collect()
    }

    /// Comments of a pull request or issue, oldest first.
    pub fn comments(&self, number: u64) -> Vec<Comment> {
        self.shared.model().comments.values().filter(|comment| comment.number == number).cloned().collect()
    }

    /// Head SHA of a pull request.
    pub fn head_sha(&self, number: u64) -> Option<String> {
        self.shared.model().pulls.get(&number).map(|pull| pull.head_sha.clone())
    }
}
