//! The client of GitHub and the sandbox that plays GitHub, against each other: what one writes, the other reads.

use plimsoll::domain::effect::*;
use plimsoll::domain::event::Event;
use plimsoll::domain::facts::*;
use plimsoll::domain::ids::*;
use plimsoll::engine::ports::{Clock, GitHub, GitHubError, Interpretation, Webhooks};
use plimsoll::github::{Client, ClientSettings, Interpreter};
use plimsoll::sandbox::faults::{Fault, Trouble};
use plimsoll::sandbox::{Clock as SandboxClock, Sandbox, SandboxOptions};
use secrecy::SecretString;
use std::sync::Arc;
use std::time::Duration;

#[tokio::test]
async fn the_app_knows_who_it_is_and_where() {
    let (github, client) = start();
    let app = client.app_identity().await.unwrap();
    assert_eq!(app.id, github.app_id());
    assert!(!app.slug.is_empty());
    let installations = client.installations().await.unwrap();
    assert_eq!(installations.iter().map(|one| one.id.0).collect::<Vec<_>>(), [github.installation_id()]);
    assert_eq!(client.repositories(installations[0].id).await.unwrap(), [repo(&github)]);
}

#[tokio::test]
async fn every_need_has_an_answer() {
    let (github, client) = start();
    let (number, head) = (github.open_number(), github.head());
    github.comment(number.0, "grace", "/plimsoll status").unwrap();
    github.review(number.0, "grace", "APPROVED").unwrap();
    let head_sha = head.clone();
    let answer = async |need: Need| client.observe(installation(&github), &repo(&github), &need).await.unwrap();

    let Fact::Repository(repository) = answer(Need::Repository).await else { panic!() };
    assert_eq!((repository.default_branch.as_str(), repository.archived), ("main", false));
    let Fact::PolicyFile(PolicyFile::Found { text, .. }) = answer(Need::PolicyFile).await else { panic!() };
    assert!(text.contains("version: 1"));
    let path = ".github/plimsoll.yml".to_owned();
    assert_eq!(answer(Need::FileAt { path, sha: head.clone() }).await, Fact::FileAt(text));
    let nowhere = Need::FileAt { path: "no/such.file".to_owned(), sha: head.clone() };
    assert_eq!(answer(nowhere).await, Fact::Absent(Absence::NotFound));
    let Fact::Pull(pull) = answer(Need::Pull { number }).await else { panic!() };
    assert_eq!((pull.number, pull.open, &pull.head_sha), (number, true, &head));
    let Fact::PullFiles(files) = answer(Need::PullFiles { number, head_sha: head_sha.clone() }).await else { panic!() };
    assert!(!files.files.is_empty() && !files.cut);
    let Fact::PullCommits(commits) = answer(Need::PullCommits { number, head_sha }).await else { panic!() };
    assert_eq!(commits.last().map(|commit| &commit.sha), Some(&head));
    let Fact::PullReviews(reviews) = answer(Need::PullReviews { number }).await else { panic!() };
    assert_eq!(
        reviews.iter().map(|one| (one.by.as_str(), one.state)).collect::<Vec<_>>(),
        [("grace", ReviewState::Approved)]
    );
    let Fact::RecentPulls(pulls) = answer(Need::RecentPulls { since: Timestamp(0) }).await else { panic!() };
    assert!(pulls.iter().any(|pull| pull.number == number));
    assert_eq!(
        answer(Need::RecentPulls { since: now(&github).plus(Span::hours(1)) }).await,
        Fact::RecentPulls(Vec::new())
    );
    let since = now(&github).minus(Span::minutes(5));
    let Fact::Comments(comments) = answer(Need::Comments { number, since }).await else { panic!() };
    assert_eq!(
        comments.iter().map(|one| (one.body.as_str(), one.by_bot)).collect::<Vec<_>>(),
        [("/plimsoll status", false)]
    );
    let may = async |login| answer(Need::Permission { login: Login::new(login) }).await;
    assert_eq!(may("ada").await, Fact::Permission(Permission::Write));
    assert_eq!(may("grace").await, Fact::Permission(Permission::Maintain));
    let member =
        async |team, login| answer(Need::TeamMember { team: TeamSlug::new(team), login: Login::new(login) }).await;
    assert_eq!(member("acme/release-managers", "nobody-here").await, Fact::TeamMember(false));
    assert_eq!(member("acme/release-managers", "grace").await, Fact::TeamMember(true));
    let Fact::Commit(commit) = answer(Need::Commit { name: "main".to_owned() }).await else { panic!() };
    assert_eq!(answer(Need::Commit { name: "no-such-branch".to_owned() }).await, Fact::Absent(Absence::NotFound));
    let base = commit.sha.to_string();
    let comparison = Need::Comparison { base: base.clone(), head: head.to_string() };
    let Fact::Comparison(comparison) = answer(comparison).await else { panic!() };
    assert_eq!(comparison.commits.last().map(|commit| &commit.sha), Some(&head));
    assert_eq!(comparison.files.files, files.files);
    let same = Need::Comparison { base: base.clone(), head: base };
    let Fact::Comparison(same) = answer(same).await else { panic!() };
    assert_eq!(same.standing, Standing::Identical);
    assert_eq!(answer(Need::Run { run: RunId(404) }).await, Fact::Absent(Absence::NotFound));
}

#[tokio::test]
async fn a_second_look_costs_nothing_of_the_rate() {
    let (github, client) = start();
    let look = async || client.observe(installation(&github), &repo(&github), &Need::PolicyFile).await.unwrap();
    let first = look().await;
    assert_eq!(look().await, first);
    let statuses: Vec<_> =
        github.requests().iter().filter(|seen| seen.method == "GET").map(|seen| seen.status).collect();
    assert_eq!(statuses, [200, 304]);
}

#[tokio::test]
async fn every_effect_stands_once_and_is_found_again() {
    let (github, client) = start();
    let (number, head) = (github.open_number(), github.head());
    let comment = CommentId(github.comment(number.0, "grace", "/plimsoll status").unwrap());
    let of = |work: Work| effect(&github, work);
    let began = now(&github);

    let publishes = [
        (Target::CheckRun { name: "plimsoll/risk".to_owned(), head_sha: head.clone() }, Content::Check(check())),
        (Target::LivingComment { number }, Content::Comment("Low risk.".to_owned())),
        (Target::Reply { number, comment }, Content::Comment("Nothing is deployed.".to_owned())),
    ];
    for (target, content) in publishes {
        let version =
            |generation| of(Work::Publish(Publish { target: target.clone(), generation, content: content.clone() }));
        assert_eq!(client.probe(&version(1), began).await, Ok(None), "{target:?}");
        let done = client.perform(&version(1), None).await.unwrap();
        assert_eq!(client.probe(&version(1), began).await.unwrap().map(|found| found.id), Some(done.id), "{target:?}");
        assert_eq!(client.probe(&version(2), began).await, Ok(None), "{target:?}");
        let changed = client.perform(&version(2), done.id).await.unwrap();
        assert_eq!(changed.id, done.id, "changed in place");
        assert_eq!(client.probe(&version(2), began).await.unwrap().map(|found| found.id), Some(done.id), "{target:?}");
    }
    assert_eq!(github.check_runs(head.as_str()).len(), 1);
    assert_eq!(github.comments(number.0).len(), 3);

    let deployment = of(Work::Act(Act::CreateDeployment {
        sha: head.clone(),
        environment: EnvironmentName::new("staging"),
        task: "deploy".to_owned(),
        description: "Release 1 of api".to_owned(),
        production: false,
    }));
    assert_eq!(client.probe(&deployment, began).await, Ok(None));
    let made = client.perform(&deployment, None).await.unwrap();
    assert_eq!(client.probe(&deployment, began).await.unwrap().map(|found| found.id), Some(made.id));
    let status = of(Work::Publish(Publish {
        target: Target::DeploymentStatus { deployment: DeploymentId(made.id.unwrap()) },
        generation: 1,
        content: Content::Deployment(DeploymentContent {
            state: DeploymentState::InProgress,
            description: "On its way.".to_owned(),
            log_url: None,
        }),
    }));
    assert_eq!(client.probe(&status, began).await, Ok(None));
    let shown = client.perform(&status, None).await.unwrap();
    assert_eq!(client.probe(&status, began).await.unwrap().map(|found| found.id), Some(shown.id));

    let dispatch = of(Work::Act(dispatch(&head)));
    assert_eq!(client.probe(&dispatch, began).await, Ok(None));
    let run = client.perform(&dispatch, None).await.unwrap();
    let found = client.probe(&dispatch, began).await.unwrap().unwrap();
    assert_eq!((found.id, github.runs().len()), (run.id, 1));
    let need = Need::Run { run: RunId(run.id.unwrap()) };
    let Ok(Fact::Run(seen)) = client.observe(installation(&github), &repo(&github), &need).await else { panic!() };
    assert!(seen.display_title.contains(dispatch.key.as_str()) && !seen.status.ended(), "{seen:?}");
    assert!(client.perform(&of(Work::Act(Act::CancelRun { run: seen.id })), None).await.is_ok());
    assert!(client.perform(&of(Work::Act(Act::React { comment })), None).await.is_ok());
}

#[tokio::test]
async fn issues_and_reverts_are_opened_once_and_found_again() {
    for enterprise in [false, true] {
        let (github, client) = start_at(enterprise);
        let (number, began) = (github.open_number(), now(&github));
        let issue = effect(
            &github,
            Work::Act(Act::OpenIssue { title: "Look back".to_owned(), body: "Why was it?".to_owned() }),
        );
        let (title, body) = ("Revert \"it\"".to_owned(), "It broke.".to_owned());
        let revert = effect(&github, Work::Act(Act::RevertPull { pull: number, title, body }));
        let refused = client.perform(&revert, None).await.unwrap_err();
        assert!(refused.to_string().contains("is not merged"), "{refused}");
        github.merge(number.0, "linus").unwrap();
        for effect in [&issue, &revert] {
            assert_eq!(client.probe(effect, began).await, Ok(None));
            let done = client.perform(effect, None).await.unwrap();
            let found = client.probe(effect, began).await.unwrap().unwrap();
            assert_eq!((found.id, &found.url), (done.id, &done.url));
        }
        assert_eq!(github.issues().len(), 1);
        let made = github.open_number();
        let (draft, author) = github.with(|model, _| {
            let pull = model.pull(made.0).unwrap();
            (pull.draft, pull.author.clone())
        });
        assert!(draft && author == "plimsoll[bot]" && made != number);
        github.push_commit("main", &[("services/api/src/search.rs", "// other\n")], "feat: other", "ada").unwrap();
        let refused = client.perform(&revert, None).await.unwrap_err();
        assert!(matches!(&refused, GitHubError::Refused { message, .. } if message.contains("conflict")), "{refused}");
    }
}

#[tokio::test]
async fn what_others_say_and_leave_is_seen() {
    let (github, client) = start();
    let head = github.head();
    let answer = async |need: Need| client.observe(installation(&github), &repo(&github), &need).await.unwrap();
    let ours = Target::CheckRun { name: "plimsoll/risk".to_owned(), head_sha: head.clone() };
    let publish = Publish { target: ours, generation: 1, content: Content::Check(check()) };
    client.perform(&effect(&github, Work::Publish(publish)), None).await.unwrap();
    assert_eq!(answer(Need::Checks { sha: head.clone() }).await, Fact::Checks(Vec::new()), "ours do not count");
    github.set_status(head.as_str(), "ci/test", "pending", "ada").unwrap();
    github.set_status(head.as_str(), "ci/test", "success", "ada").unwrap();
    github.check_of("github-actions", head.as_str(), "build", "failure").unwrap();
    let Fact::Checks(checks) = answer(Need::Checks { sha: head.clone() }).await else { panic!() };
    let told: Vec<_> = checks.iter().map(|check| (check.name.as_str(), check.app.as_deref(), check.standing)).collect();
    let build = ("build", Some("github-actions"), CheckStanding::Failure);
    assert_eq!(told, [build, ("ci/test", None, CheckStanding::Success)]);
    let image = Need::Artifact { name: "image-api".to_owned() };
    assert_eq!(answer(image.clone()).await, Fact::Artifact(false));
    github.leave_artifact("image-api").unwrap();
    assert_eq!(answer(image).await, Fact::Artifact(true));
    assert_eq!(answer(Need::OpenPulls).await, Fact::OpenPulls(vec![github.open_number()]));
}

#[tokio::test]
async fn a_run_that_waits_goes_on_when_it_is_answered() {
    let (github, client) = start();
    let text = "on: workflow_dispatch\njobs:\n  ship:\n    environment: production\n";
    github.push_commit("main", &[(".github/workflows/ship.yml", text)], "ci: ship", "ada").unwrap();
    github.protect_environment("production", true);
    let run = RunId(github.dispatch("ship.yml", &[], "ada").unwrap());
    github.advance(Duration::from_secs(2));
    let asked =
        github.with(|model, _| model.take_events()).into_iter().find(|event| event.event.starts_with("deployment_p"));
    let payload = asked.unwrap().payload.to_string();
    let interpreter = Interpreter::new(&github.base_url(), &github.client_id());
    let heard = interpreter.interpret("deployment_protection_rule", payload.as_bytes());
    let Interpretation::Events { events, .. } = heard else { panic!("{heard:?}") };
    let [(_, Event::ProtectionRequested { run: of, environment, .. })] = events.as_slice() else {
        panic!("{events:?}")
    };
    assert_eq!(*of, run);
    let answer = |state| {
        let (environment, comment) = (environment.clone(), "Release 7 may go there.".to_owned());
        effect(&github, Work::Act(Act::AnswerProtection { run, environment, state, comment }))
    };
    let status = || github.runs()[0].status();
    client.perform(&answer(None), None).await.unwrap();
    assert_eq!(status(), "waiting");
    assert_eq!(client.probe(&answer(Some(ProtectionState::Approved)), now(&github)).await, Ok(None));
    client.perform(&answer(Some(ProtectionState::Approved)), None).await.unwrap();
    assert_eq!(status(), "in_progress");
    let found = client.probe(&answer(Some(ProtectionState::Approved)), now(&github)).await.unwrap().unwrap();
    assert_eq!(found.id, Some(run.0));
    let twice = client.perform(&answer(Some(ProtectionState::Approved)), None).await;
    assert!(matches!(twice, Err(GitHubError::Refused { status: 422, .. })), "{twice:?}");
}

#[tokio::test]
async fn an_answer_that_was_lost_is_found_by_its_key() {
    let (github, client) = start();
    let dispatch = effect(&github, Work::Act(dispatch(&github.head())));
    let began = now(&github);
    for (trouble, happened) in [(Trouble::DropBefore, false), (Trouble::DropAfter, true)] {
        github.add_fault(Fault::once("POST", "/repos/*/dispatches", trouble));
        let told = client.perform(&dispatch, None).await;
        assert!(matches!(told, Err(GitHubError::Uncertain { .. })), "{told:?}");
        assert_eq!(client.probe(&dispatch, began).await.unwrap().is_some(), happened);
    }
    assert_eq!(github.runs().len(), 1);
}

#[tokio::test]
async fn limits_outages_and_a_lost_installation_are_told_apart() {
    let (github, client) = start();
    let look = async || client.observe(installation(&github), &repo(&github), &Need::Repository).await;
    github.add_fault(Fault::once("GET", "/repos/*", Trouble::status(502, "Bad Gateway")));
    assert!(matches!(look().await, Err(GitHubError::Unavailable { .. })));
    github.add_fault(Fault::once("GET", "/repos/*", Trouble::secondary_limit(30)));
    assert!(matches!(look().await, Err(GitHubError::Wait { wait: Span(30_000), .. })));
    github.advance(Duration::from_secs(31));
    assert!(look().await.is_ok());
    github.suspend_installation("linus");
    assert!(matches!(look().await, Err(GitHubError::Gone { .. })));
    github.delete_installation("linus");
    github.advance(Duration::from_secs(3_600));
    assert!(matches!(look().await, Err(GitHubError::Gone { .. })));
}

#[tokio::test]
async fn below_the_path_of_an_enterprise_server_it_works_too() {
    let (github, _) = start();
    let client = client(&github, &github.enterprise_url());
    assert!(matches!(
        client.observe(installation(&github), &repo(&github), &Need::PolicyFile).await,
        Ok(Fact::PolicyFile(PolicyFile::Found { .. }))
    ));
}

struct SandboxTime(Arc<Sandbox>);

impl Clock for SandboxTime {
    fn now(&self) -> Timestamp {
        now(&self.0)
    }
}

fn start() -> (Arc<Sandbox>, Client) {
    let clock = SandboxClock::Manual { start_ms: 1_790_000_000_000 };
    let github =
        Arc::new(Sandbox::start(SandboxOptions { clock, open_pulls: 1, ..SandboxOptions::default() }).unwrap());
    let client = client(&github, &github.base_url());
    (github, client)
}

fn start_at(enterprise: bool) -> (Arc<Sandbox>, Client) {
    let (github, here) = start();
    if !enterprise {
        return (github, here);
    }
    let client = client(&github, &github.enterprise_url());
    (github, client)
}

fn client(github: &Arc<Sandbox>, base_url: &str) -> Client {
    let key = SecretString::from(github.private_key_pem());
    let settings = ClientSettings::new(base_url, github.client_id(), key);
    Client::new(settings, Arc::new(SandboxTime(Arc::clone(github)))).unwrap()
}

trait OpenPull {
    fn open_number(&self) -> PullNumber;
    fn head(&self) -> Sha;
}

impl OpenPull for Sandbox {
    fn open_number(&self) -> PullNumber {
        PullNumber(self.with(|model, _| *model.pulls.keys().next_back().unwrap()))
    }
    fn head(&self) -> Sha {
        Sha::parse(&self.head_sha(self.open_number().0).unwrap()).unwrap()
    }
}

fn now(github: &Sandbox) -> Timestamp {
    Timestamp(github.now())
}

fn installation(github: &Sandbox) -> InstallationId {
    InstallationId(github.installation_id())
}

fn repo(github: &Sandbox) -> RepoName {
    RepoName::parse(&github.repository()).unwrap()
}

fn effect(github: &Sandbox, work: Work) -> Effect {
    let repo = repo(github);
    Effect {
        key: EffectKey::new(format!("{repo}/api/release-1/staging/step-1/attempt-1")),
        subject: Subject::Repository { repo },
        installation: installation(github),
        work,
    }
}

fn check() -> CheckContent {
    let annotation = |line| Annotation {
        path: ".github/plimsoll.yml".to_owned(),
        line,
        column: Some(3),
        level: AnnotationLevel::Warning,
        message: "unknown key".to_owned(),
    };
    CheckContent {
        conclusion: CheckConclusion::Neutral,
        title: "Low risk".to_owned(),
        summary: "Few lines.".to_owned(),
        text: None,
        actions: Vec::new(),
        annotations: (1..=60).map(annotation).collect(),
        asked: 0,
    }
}

fn dispatch(sha: &Sha) -> Act {
    let inputs = [("environment", "staging"), ("service", "api"), ("sha", sha.as_str())];
    Act::DispatchWorkflow {
        workflow: WorkflowFile::new("deploy.yml"),
        branch: RefName::new("main"),
        inputs: inputs.into_iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect(),
    }
}
