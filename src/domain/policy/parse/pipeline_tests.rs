use super::tests::{STAGING, good, told};
use super::*;

/// The pipeline of a file with these lines of `pipeline`, and these of its one environment.
fn pipeline(more: &str, environment: &str) -> Pipeline {
    let text = format!(
        "version: 1\npipeline:\n  trigger: {{ workflow: deploy.yml }}\n{more}\n  environments:\n    - name: production\n{environment}"
    );
    good(&text).pipeline.expect("a pipeline")
}

#[test]
fn every_key_of_a_pipeline_is_read() {
    let pipeline = pipeline(
        "  max_changes: 10
  irreversible: [\"migrations/**\"]
  rollback: { artifact: \"build-{service}-{sha}\", within: 30d }
  hold_check: true",
        "      supersede: abort\n      rollout: [{ wave: eu-west }, { wave: us-east }]",
    );
    assert_eq!(pipeline.max_changes, Some(10));
    assert_eq!(pipeline.irreversible, ["migrations/**"]);
    let rollback =
        RollbackPolicy { artifact: Some("build-{service}-{sha}".into()), within: Some(Span::hours(30 * 24)) };
    assert_eq!(pipeline.rollback, rollback);
    assert!(pipeline.hold_check);
    let production = &pipeline.environments[0];
    assert_eq!(production.supersede, Supersede::Abort);
    let waves = ["eu-west", "us-east"].map(|name| Portion::Wave(WaveName::new(name)));
    assert_eq!(production.rollout, waves);
}

#[test]
fn a_pipeline_that_says_nothing_more_is_as_made_without_a_file() {
    let environment = EnvironmentPolicy::new(EnvironmentName::new("production"));
    assert_eq!(pipeline("", ""), Pipeline::new(WorkflowFile::new("deploy.yml"), vec![environment]));
}

#[test]
fn windows_of_the_pipeline_hold_where_an_environment_gives_none_and_freezes_everywhere() {
    let text = "version: 1
pipeline:
  trigger: { workflow: deploy.yml }
  windows: [\"Mon-Fri 09:00-16:00 Europe/Berlin\"]
  freezes: [{ from: 2026-12-20, to: 2027-01-02, reason: holidays }]
  environments:
    - name: staging
      windows: []
    - name: canary
    - name: production
      windows: [\"Tue 10:00-12:00 UTC\"]
      freezes: [{ from: 2026-11-27, to: 2026-11-27, reason: sale }]
";
    let pipeline = good(text).pipeline.expect("a pipeline");
    let told: Vec<String> = pipeline
        .environments
        .iter()
        .map(|e| {
            let windows: Vec<&str> = e.windows.iter().map(|window| window.text.as_str()).collect();
            let freezes: Vec<&str> = e.freezes.iter().map(|freeze| freeze.reason.as_str()).collect();
            format!("{}: {windows:?} {freezes:?}", e.name)
        })
        .collect();
    insta::assert_snapshot!(told.join("\n"), @r#"
    staging: [] ["holidays"]
    canary: ["Mon-Fri 09:00-16:00 Europe/Berlin"] ["holidays"]
    production: ["Tue 10:00-12:00 UTC"] ["holidays", "sale"]
    "#);
}

#[test]
fn riskier_releases_need_more() {
    let pipeline = pipeline(
        "",
        "      approval: { count: 1, teams: [acme/ops] }
      bake: 10m
      when_risk: { critical: { approvals: 3 }, high: { approvals: 2, bake: 1h }, moderate: { approvals: 1, bake: 20m } }",
    );
    assert_eq!(
        pipeline.environments[0].when_risk,
        [
            Raise { from: Band::Moderate, approvals: Some(1), bake: Some(Span::minutes(20)) },
            Raise { from: Band::High, approvals: Some(2), bake: Some(Span::hours(1)) },
            Raise { from: Band::Critical, approvals: Some(3), bake: None },
        ]
    );
}

#[test]
fn what_is_wrong_with_a_pipeline_is_told_in_its_place() {
    let rest = "pipeline:
  trigger: { workflow: deploy.yml }
  max_changes: 0
  irreversible: [/migrations]
  rollback: { artifact: \"build/{commit}\", within: 5m, artefact: x }
  hold_check: yes
  environments:
    - name: a
      rollout: [5%, { wave: eu }]
      supersede: abot
    - name: b
      rollout: [{ wave: eu }, { wave: EU }, { wave: .x }, { ring: y }]
    - name: c
      rollout: [{ wave: eu }, { waves: x }]
    - name: d
      bake: 1h
      when_risk: { low: {}, high: { approvals: 2 }, critical: { bake: 10m } }
    - name: e
      approval: { count: 2, users: [ada, grace] }
      when_risk: { moderate: { approvals: 1 }, high: { approvals: 2 }, critical: { approvals: 3 } }
    - name: f
      when_risk: { moderate: {}, high: { bake: 1h }, critical: { bake: 1h, approval: 2 } }
    - name: g
      max_changes: 3
      when_risk: { high: { bake: 30d } }
  rollbacks: {}
";
    insta::assert_snapshot!(told(rest), @r"
    plimsoll.yml line 4, column 16: `max_changes` must be between 1 and 1000, not 0.
    plimsoll.yml line 5, column 18: `/migrations` is not a path pattern: paths begin at the top of the repository, without `/` or `./`.
    plimsoll.yml line 6, column 25: `artifact` may hold `{sha}` and `{service}`, no other braces: `build/{commit}`.
    plimsoll.yml line 6, column 51: `within` must be between 1 h and 400 d, not 5 min.
    plimsoll.yml line 6, column 55: Unknown key `artefact`. Did you mean `artifact`?
    plimsoll.yml line 7, column 15: `hold_check` must be `true` or `false`, without quotes, not `yes`.
    plimsoll.yml line 10, column 21: `rollout` must be all percentages or all waves (`wave: name`), not both.
    plimsoll.yml line 11, column 18: `supersede` must be `wait` or `abort`, not `abot`. Did you mean `abort`?
    plimsoll.yml line 13, column 39: Another wave is called `EU` too.
    plimsoll.yml line 13, column 53: `.x` cannot be the name of a wave: write 1 to 64 letters, digits, `.`, `_` or `-`, beginning with a letter, digit or `_`.
    plimsoll.yml line 15, column 31: `wave` is missing: a wave needs it.
    plimsoll.yml line 15, column 33: Unknown key `waves`. Did you mean `wave`?
    plimsoll.yml line 18, column 20: Unknown key `low`. `when_risk` may have `moderate`, `high`, `critical`.
    plimsoll.yml line 18, column 48: `approvals` needs an `approval` in the environment: it says who is asked.
    plimsoll.yml line 18, column 71: `bake` (10 min) must not be below what lower risk needs (1 h).
    plimsoll.yml line 21, column 43: `approvals` (1) must not be below what lower risk needs (2).
    plimsoll.yml line 21, column 54: `high` raises nothing: write more `approvals` or a longer `bake` than lower risk needs.
    plimsoll.yml line 21, column 95: 3 people are asked for, but `approval` names only 2.
    plimsoll.yml line 23, column 30: `moderate` raises nothing: write more `approvals` or a longer `bake` than lower risk needs.
    plimsoll.yml line 23, column 64: `critical` raises nothing: write more `approvals` or a longer `bake` than lower risk needs.
    plimsoll.yml line 23, column 76: Unknown key `approval`. Did you mean `approvals`?
    plimsoll.yml line 25, column 7: Unknown key `max_changes`. An environment may have `name`, `approval`, `rollout`, `bake`, `supersede`, `when_risk`, `windows`, `freezes`, `verify`, `on_failure`, `timeout`.
    plimsoll.yml line 26, column 34: `bake` must be between 0 s and 7 d, not 30 d.
    plimsoll.yml line 27, column 3: Unknown key `rollbacks`. Did you mean `rollback`?
    ");
}

#[test]
fn an_artifact_must_have_a_name_that_github_takes() {
    let artifact = |name: &str| told(&format!("{STAGING}  rollback: {{ artifact: '{name}' }}\n"));
    insta::assert_snapshot!([artifact("a/b"), artifact("{tag}"), artifact("{sha"), artifact("x*")].join("\n"), @r#"
    plimsoll.yml line 6, column 25: No artifact can be called `a/b`: GitHub allows none of `"<>:|*?\/`.
    plimsoll.yml line 6, column 25: `artifact` may hold `{sha}` and `{service}`, no other braces: `{tag}`.
    plimsoll.yml line 6, column 25: `artifact` may hold `{sha}` and `{service}`, no other braces: `{sha`.
    plimsoll.yml line 6, column 25: No artifact can be called `x*`: GitHub allows none of `"<>:|*?\/`.
    "#);
}
