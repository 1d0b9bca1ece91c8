use super::calendar::FREEZE;
use super::pipeline::{ENVIRONMENT, PIPELINE, RAISE, ROLLBACK, TRIGGER, WAVE, WHEN_RISK};
use super::verify::{HTTP, JSON, LIVE, PROMETHEUS, VERIFICATION};
use super::*;

/// Every mapping of the file, and where the schema has it.
const ALL: [(&str, &Keys); 22] = [
    ("", &FILE),
    ("/$defs/service", &SERVICE),
    ("/$defs/checks", &CHECKS),
    ("/$defs/size", &SIZE),
    ("/$defs/rule", &RULE),
    ("/$defs/if", &IF),
    ("/$defs/requirement", &REQUIREMENT),
    ("/$defs/risk", &RISK),
    ("/$defs/bands", &BANDS),
    ("/$defs/pipeline", &PIPELINE),
    ("/$defs/trigger", &TRIGGER),
    ("/$defs/rollback", &ROLLBACK),
    ("/$defs/environment", &ENVIRONMENT),
    ("/$defs/wave", &WAVE),
    ("/$defs/when_risk", &WHEN_RISK),
    ("/$defs/raise", &RAISE),
    ("/$defs/freeze", &FREEZE),
    ("/$defs/verification", &VERIFICATION),
    ("/$defs/http", &HTTP),
    ("/$defs/json", &JSON),
    ("/$defs/prometheus", &PROMETHEUS),
    ("/$defs/live", &LIVE),
];

fn repo() -> RepoName {
    RepoName::parse("acme/shop").expect("a name")
}

pub(super) fn good(text: &str) -> Policy {
    let parsed = parse(text, POLICY_PATH, &repo());
    assert_eq!(parsed.problems, []);
    parsed.policy.expect("a policy without problems")
}

/// The problems of a file that says `version: 1` on its first line, as people read them.
pub(super) fn told(rest: &str) -> String {
    let parsed = parse(&format!("version: 1\n{rest}"), POLICY_PATH, &repo());
    assert_eq!(parsed.policy, None, "{rest}");
    parsed.problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
}

pub(super) const STAGING: &str =
    "pipeline:\n  trigger: { workflow: deploy.yml }\n  environments:\n    - name: staging\n";

#[test]
fn the_example_is_a_good_policy_with_every_key() {
    let text = include_str!("../../../plimsoll.example.yml");
    let policy = good(text);
    assert_eq!(policy.services.len(), 2);
    let pipeline = policy.pipeline.expect("a pipeline");
    assert_eq!(pipeline.environments.len(), 2);
    for key in ALL.iter().flat_map(|(_, keys)| keys.known) {
        assert!(text.contains(&format!("{key}:")), "the example lacks `{key}`");
    }
}

#[test]
fn the_smallest_file_gets_every_default() {
    let policy = good("version: 1\n");
    assert_eq!(policy.services, [Service { name: ServiceName::new("shop"), paths: vec![] }]);
    assert_eq!(policy, Policy { services: policy.services.clone(), ..Policy::without_file() });
    let policy = good(&format!("version: 1\n{STAGING}"));
    assert_eq!(
        policy.pipeline.expect("a pipeline").environments,
        [EnvironmentPolicy {
            name: EnvironmentName::new("staging"),
            approval: None,
            rollout: vec![Portion::Percent(100)],
            bake: Span(0),
            on_failure: OnFailure::Rollback,
            timeout: Span::minutes(30),
            ..EnvironmentPolicy::new(EnvironmentName::new(""))
        }]
    );
}

#[test]
fn every_key_is_read() {
    let policy = good(
        "version: 1
services:
  api: { paths: [\"services/api/**\", libs/] }
  web:
checks:
  title: conventional
  description: required
  size: { warn: 400, fail: 1500 }
  rules:
    - name: migrations are read by a database owner
      if: { changed_files: [\"migrations/**\"] }
      requires: { count: 2, teams: [acme/dba], users: [ada, 'renovate[bot]'] }
risk:
  bands: { high: 0.4 }
  block: critical
pipeline:
  trigger: { workflow: deploy.yaml }
  environments:
    - name: Production
      approval: {}
      rollout: [5%, 25, '100 %']
      bake: 1h30m
      on_failure: hold
      timeout: 2h
",
    );
    let names = |list: &[&str]| list.iter().map(|name| name.to_string()).collect::<Vec<_>>();
    assert_eq!(policy.services[0].paths, names(&["services/api/**", "libs/"]));
    assert_eq!(policy.services[1], Service { name: ServiceName::new("web"), paths: vec![] });
    assert_eq!(policy.checks.title, TitleRule::Conventional);
    assert_eq!(policy.checks.description, DescriptionRule::Required);
    assert_eq!(policy.checks.size, Some(SizeRule { warn: Some(400), fail: Some(1500) }));
    assert_eq!(
        policy.checks.rules[0].requires,
        Requirement {
            count: 2,
            teams: vec![TeamSlug::new("acme/dba")],
            users: vec![Login::new("ada"), Login::new("renovate[bot]")]
        }
    );
    assert_eq!(policy.risk, RiskPolicy { high: 0.4, block: Some(Band::Critical), ..RiskPolicy::default() });
    let pipeline = policy.pipeline.expect("a pipeline");
    assert_eq!(pipeline.workflow, WorkflowFile::new("deploy.yaml"));
    assert_eq!(
        pipeline.environment(&EnvironmentName::new("production")),
        Some((
            0,
            &EnvironmentPolicy {
                name: EnvironmentName::new("Production"),
                approval: Some(Requirement { count: 1, teams: vec![], users: vec![] }),
                rollout: vec![Portion::Percent(5), Portion::Percent(25), Portion::Percent(100)],
                bake: Span::minutes(90),
                on_failure: OnFailure::Hold,
                timeout: Span::hours(2),
                ..EnvironmentPolicy::new(EnvironmentName::new(""))
            }
        ))
    );
}

#[test]
fn an_unknown_key_is_told_with_its_place_and_the_nearest_right_name() {
    insta::assert_snapshot!(told(&format!("chekcs: {{}}\nteams: []\n{STAGING}      aproval: {{ coutn: 1 }}\n      approval: {{ team: [acme/dba] }}\n\"`x`\\n<b>\": 1\n")), @"
    plimsoll.yml line 2, column 1: Unknown key `chekcs`. Did you mean `checks`?
    plimsoll.yml line 3, column 1: Unknown key `teams`. The file may have `version`, `services`, `checks`, `risk`, `pipeline`.
    plimsoll.yml line 8, column 7: Unknown key `aproval`. Did you mean `approval`?
    plimsoll.yml line 9, column 19: Unknown key `team`. Did you mean `teams`?
    plimsoll.yml line 10, column 1: Unknown key `` `x` <b> ``. The file may have `version`, `services`, `checks`, `risk`, `pipeline`.
    ");
}

#[test]
fn what_this_version_does_not_carry_out_is_refused_and_never_ignored() {
    let rest = "services:
  api: { pipeline: {} }
checks:
  rules:
    - name: x
      if: { changed_files: [a], labels: [b] }
      requires: {}
pipeline:
  trigger: { deployment: {} }
  environments:
    - name: production
";
    insta::assert_snapshot!(told(rest), @r"
    plimsoll.yml line 3, column 10: This version of Plimsoll does not carry out `pipeline`, so it does not deploy under a policy that asks for it. Take it out, or run a version that has it.
    plimsoll.yml line 7, column 33: This version of Plimsoll does not carry out `labels`, so it does not deploy under a policy that asks for it. Take it out, or run a version that has it.
    plimsoll.yml line 10, column 14: This version of Plimsoll does not carry out `deployment`, so it does not deploy under a policy that asks for it. Take it out, or run a version that has it.
    ");
}

#[test]
fn all_that_is_wrong_is_told_at_once() {
    let rest = "services:
  api: { paths: [] }
  API: [x]
  \"my api\":
  .hidden: { paths: [\"[a\", \"/abs\", 5, \"\"] }
checks:
  title: convential
  description: yes
  size: { warn: 500, fail: 100 }
  rules:
    - name: x
      if: { changed_files: [\"a\"] }
      requires: { count: 7, teams: [dba], users: [\"@ada\", ada, ADA] }
    - if: {}
    - 3
    - name: x
      if: { changed_files: [b] }
      requires: { count: 3, users: [ada] }
risk:
  bands: { moderate: 0.5, high: 0.3, critical: 1.5 }
  block: low
pipeline:
  trigger: { workflow: .github/workflows/deploy.yml }
  environments:
    - name: staging
      rollout: [25%, 5%, 50%]
      bake: 10
      timeout: 90d
    - name: Staging
      rollout: [0%]
      on_failure: explode
    - rollout: []
      bake: 1m1h
      approval: { teams: [] }
";
    insta::assert_snapshot!(told(rest), @"
    plimsoll.yml line 3, column 17: `paths` must have at least 1 item.
    plimsoll.yml line 4, column 3: There is another service `API` that differs only in case.
    plimsoll.yml line 4, column 8: A service must be a mapping (`key: value` on lines of their own), not a list.
    plimsoll.yml line 5, column 3: `my api` cannot be the name of a service: write 1 to 64 letters, digits, `.`, `_` or `-`, beginning with a letter, digit or `_`.
    plimsoll.yml line 6, column 3: `.hidden` cannot be the name of a service: write 1 to 64 letters, digits, `.`, `_` or `-`, beginning with a letter, digit or `_`.
    plimsoll.yml line 6, column 22: `[a` is not a path pattern: unclosed character class; missing ']'.
    plimsoll.yml line 6, column 28: `/abs` is not a path pattern: paths begin at the top of the repository, without `/` or `./`.
    plimsoll.yml line 6, column 36: `paths` must be text, not the number 5.
    plimsoll.yml line 6, column 39: `paths` must be one line of visible characters.
    plimsoll.yml line 8, column 10: `title` must be `any` or `conventional`, not `convential`. Did you mean `conventional`?
    plimsoll.yml line 9, column 16: `description` must be `optional` or `required`, not `yes`.
    plimsoll.yml line 10, column 17: `warn` (500) must not be above `fail` (100).
    plimsoll.yml line 14, column 26: `count` must be between 1 and 6, not 7.
    plimsoll.yml line 14, column 37: `teams` must hold `organisation/team`, not `dba`.
    plimsoll.yml line 14, column 51: `users` must hold an account's name, without `@`, not `@ada`.
    plimsoll.yml line 14, column 64: `ADA` is named twice.
    plimsoll.yml line 15, column 7: `name` is missing: a rule needs it.
    plimsoll.yml line 15, column 7: `requires` is missing: a rule needs it.
    plimsoll.yml line 15, column 11: `changed_files` is missing: `if` needs it.
    plimsoll.yml line 16, column 7: A rule must be a mapping (`key: value` on lines of their own), not the number 3.
    plimsoll.yml line 17, column 13: Another rule is called `x` too.
    plimsoll.yml line 19, column 17: 3 people are asked for, but only 1 named.
    plimsoll.yml line 21, column 33: `high` (0.3) must be above the band before it (0.5).
    plimsoll.yml line 21, column 48: `critical` must be a probability between 0 and 1, not 1.5.
    plimsoll.yml line 22, column 10: `block` must be `never` or `moderate` or `high` or `critical`, not `low`.
    plimsoll.yml line 24, column 24: `workflow` must be the name of a file in `.github/workflows`, for instance `deploy.yml`, without the folder, not `.github/workflows/deploy.yml`.
    plimsoll.yml line 27, column 22: `rollout` must rise: 5% stands behind 25%.
    plimsoll.yml line 27, column 26: `rollout` must end with `100%`, not 50%.
    plimsoll.yml line 28, column 13: `bake` must be a length of time such as `30s`, `10m`, `1h30m` or `2d`, not the number 10.
    plimsoll.yml line 29, column 16: `timeout` must be between 10 s and 3 d, not 90 d.
    plimsoll.yml line 30, column 13: Another environment is called `Staging` too.
    plimsoll.yml line 31, column 17: `rollout` must hold whole percentages from `1%` to `100%`, not `0%`.
    plimsoll.yml line 32, column 19: `on_failure` must be `rollback` or `hold`, not `explode`.
    plimsoll.yml line 33, column 7: `name` is missing: an environment needs it.
    plimsoll.yml line 33, column 16: `rollout` must have at least 1 item.
    plimsoll.yml line 34, column 13: `bake` must be a length of time such as `30s`, `10m`, `1h30m` or `2d`, not `1m1h`.
    plimsoll.yml line 35, column 26: `teams` must have at least 1 item.
    ");
}

#[test]
fn a_file_that_is_no_policy_is_told_in_one_sentence() {
    let told: Vec<String> = [
        "",
        "# only a comment\n",
        "- a\n",
        "version: 2\n",
        "services: {}\n",
        "version: '1'\n",
        "pipeline:\n  environments: [\n",
    ]
    .iter()
    .map(|text| {
        let parsed = parse(text, POLICY_PATH, &repo());
        assert_eq!(parsed.policy, None);
        parsed.problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
    })
    .collect();
    insta::assert_snapshot!(told.join("\n"), @"
    plimsoll.yml line 1, column 1: The file says nothing. It must at least say `version: 1`.
    plimsoll.yml line 1, column 1: The file says nothing. It must at least say `version: 1`.
    plimsoll.yml line 1, column 1: The file must be a mapping (`key: value` on lines of their own), not a list.
    plimsoll.yml line 1, column 10: `version` must be 1: this version of Plimsoll knows no other.
    plimsoll.yml line 1, column 1: The file must say `version: 1`.
    plimsoll.yml line 1, column 11: `services` must name 1 to 100 services, not 0.
    plimsoll.yml line 1, column 10: `version` must be 1: this version of Plimsoll knows no other.
    plimsoll.yml line 2, column 17: This is not YAML that can be read: `unclosed bracket '['`.
    ");
}

#[test]
fn a_file_with_very_many_faults_is_told_fifty() {
    let rest: String = (0..80).map(|i| format!("wrong{i}: 1\n")).collect();
    let told = told(&rest);
    assert_eq!(told.lines().count(), 51);
    assert!(told.ends_with("There are 30 more problems."), "{told}");
}

#[test]
fn a_policy_survives_the_store() {
    let policy = good(include_str!("../../../plimsoll.example.yml"));
    let stored = serde_json::to_string(&policy).expect("written");
    assert_eq!(serde_json::from_str::<Policy>(&stored).expect("read"), policy);
}

#[test]
fn the_schema_knows_the_same_keys() {
    let schema: serde_json::Value = serde_json::from_str(SCHEMA).expect("JSON");
    let check = |pointer: &str, keys: &Keys| {
        let object = schema.pointer(pointer).unwrap_or_else(|| panic!("the schema lacks {pointer}"));
        let mut found: Vec<&str> =
            object["properties"].as_object().expect("properties").keys().map(String::as_str).collect();
        let mut wanted = keys.known.to_vec();
        found.sort_unstable();
        wanted.sort_unstable();
        assert_eq!(found, wanted, "{pointer}");
        assert_eq!(object["additionalProperties"], false, "{pointer}");
    };
    for (pointer, keys) in ALL {
        check(pointer, keys);
    }
}

#[test]
fn the_documentation_names_every_key() {
    let docs = include_str!("../../../docs/policy.md");
    for key in ALL.iter().flat_map(|(_, keys)| keys.known.iter().chain(keys.later)) {
        assert!(docs.contains(&format!("`{key}`")), "docs/policy.md lacks `{key}`");
    }
    for word in paths::GENERATED_FOLDERS.iter().chain(&paths::GENERATED_NAMES).chain(&paths::GENERATED_ENDINGS) {
        assert!(docs.contains(word), "docs/policy.md lacks `{word}`");
    }
}

mod any_text {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn is_a_policy_or_has_problems(lines in proptest::collection::vec(
            "(  ){0,4}(- )?(version|services|checks|pipeline|environments|name|rollout|risk|bands|verify|windows|freezes|when_risk|http|[a-z<&*]{1,3})?:? ?(1|\\[5%\\]|\\{|\\}|&a|\\*a|é|\"|')?", 0..12)) {
            let parsed = parse(&lines.join("\n"), POLICY_PATH, &repo());
            prop_assert_eq!(parsed.policy.is_some(), parsed.problems.is_empty());
        }
    }
}
