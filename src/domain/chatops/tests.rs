//! Commands as people write them, and what they are told when they slip.

use super::table::{LATER, row};
use super::*;
use proptest::prelude::*;

/// What one comment's only command is, or the problem's words.
fn check(line: &str) -> Result<Verb, String> {
    let mut parsed = commands(line);
    assert_eq!(parsed.commands.len(), 1, "{line}");
    parsed.commands.remove(0).map_err(|problem| problem.message)
}

fn refused(line: &str) -> String {
    check(line).expect_err(line)
}

#[test]
fn each_command_is_read() {
    let production = || EnvironmentName::new("production");
    let api = || Some(ServiceName::new("api"));
    assert_eq!(check("/plimsoll"), Ok(Verb::Help));
    assert_eq!(check("/plimsoll HELP"), Ok(Verb::Help));
    assert_eq!(check("@plimsoll status"), Ok(Verb::Status));
    assert_eq!(check("/plimsoll recheck"), Ok(Verb::Recheck));
    assert_eq!(
        check("/plimsoll deploy release/1.2 to production --service api --reason \"customers wait\""),
        Ok(Verb::Deploy {
            what: "release/1.2".into(),
            environment: production(),
            service: api(),
            reason: Some("customers wait".into())
        })
    );
    assert_eq!(
        check("/plimsoll approve production ABCDEF1 --service=api"),
        Ok(Verb::Approve { environment: production(), sha: Some("abcdef1".into()), service: api() })
    );
    assert_eq!(
        check("/plimsoll rollback production to abcdef1 --reason=\"too slow\""),
        Ok(Verb::Rollback {
            environment: production(),
            to: Some("abcdef1".into()),
            service: None,
            reason: Some("too slow".into())
        })
    );
    assert_eq!(
        check("/plimsoll resume --service api production"),
        Ok(Verb::Resume { environment: Some(production()), service: api() })
    );
}

#[test]
fn what_was_asked_of_the_pipelines_reads_back() {
    let production = || EnvironmentName::new("production");
    let api = || Some(ServiceName::new("api"));
    let reason = || Some("the fair is on".to_owned());
    assert_eq!(check("/plimsoll risk"), Ok(Verb::Risk));
    assert_eq!(
        check("/plimsoll why production ABCDEF1 --service api"),
        Ok(Verb::Why { environment: production(), sha: Some("abcdef1".into()), service: api() })
    );
    assert_eq!(
        check("/plimsoll promote production --reason \"the fair is on\""),
        Ok(Verb::Promote { environment: production(), service: None, reason: reason() })
    );
    assert_eq!(check("/plimsoll retry"), Ok(Verb::Retry { environment: None, service: None }));
    assert_eq!(check("/plimsoll retry production"), Ok(Verb::Retry { environment: Some(production()), service: None }));
    assert_eq!(check("/plimsoll cancel --service=api"), Ok(Verb::Cancel { environment: None, service: api() }));
    assert_eq!(
        check("/plimsoll lock production --for 2h --reason \"the fair is on\" --service api"),
        Ok(Verb::Lock { environment: production(), service: api(), lasts: Some(Span::hours(2)), reason: reason() })
    );
    assert_eq!(check("/plimsoll unlock production"), Ok(Verb::Unlock { environment: production(), service: None }));
    assert_eq!(
        check("/plimsoll hold —for 3D"),
        Ok(Verb::Hold { environment: None, service: None, lasts: Some(Span::hours(72)), reason: None })
    );
    assert_eq!(check("/plimsoll resume"), Ok(Verb::Resume { environment: None, service: None }));
    assert_eq!(
        check("/plimsoll freeze production --for=30m --reason \"the fair is on\""),
        Ok(Verb::Freeze { environment: Some(production()), lasts: Some(Span::minutes(30)), reason: reason() })
    );
    assert_eq!(check("/plimsoll unfreeze"), Ok(Verb::Unfreeze { environment: None }));
    assert_eq!(
        check("/plimsoll override Window production --reason \"the fair is on\""),
        Ok(Verb::Override {
            gate: GateName::Window,
            environment: Some(production()),
            service: None,
            reason: "the fair is on".into()
        })
    );
}

#[test]
fn a_plan_holds_the_command_with_all_its_words() {
    let inner = check("/plimsoll rollback production to abcdef1 --service api").expect("a command");
    let plan = check("/plimsoll plan rollback production to abcdef1 --service api").expect("a plan");
    assert_eq!(plan, Verb::Plan(Box::new(inner)));
    assert_eq!(plan.service(), Some(&ServiceName::new("api")));
    assert_eq!(plan.who(), Who::Writers);
    assert_eq!(check("/plimsoll PLAN Recheck"), Ok(Verb::Plan(Box::new(Verb::Recheck))));
}

#[test]
fn what_changes_nothing_cannot_be_planned() {
    let lines = [
        "/plimsoll plan",
        "/plimsoll plan plan rollback production",
        "/plimsoll plan help",
        "/plimsoll plan status",
        "/plimsoll plan why production",
        "/plimsoll plan risk",
        "/plimsoll plan rolback production",
        "/plimsoll plan rollback",
    ];
    let told: Vec<String> = lines.iter().map(|line| format!("{line}\n  {}", refused(line))).collect();
    insta::assert_snapshot!(told.join("\n"), @r#"
    /plimsoll plan
      `plan` lacks the command. Usage: `/plimsoll plan <command>`.
    /plimsoll plan plan rollback production
      A plan cannot be planned: write one `plan`, and the command behind it.
    /plimsoll plan help
      `help` changes nothing, so there is nothing to plan. Usage: `/plimsoll help`.
    /plimsoll plan status
      `status` changes nothing, so there is nothing to plan. Usage: `/plimsoll status`.
    /plimsoll plan why production
      `why` changes nothing, so there is nothing to plan. Usage: `/plimsoll why <environment> [<sha>] [--service <service>]`.
    /plimsoll plan risk
      `risk` changes nothing, so there is nothing to plan. Usage: `/plimsoll risk`.
    /plimsoll plan rolback production
      `rolback` is not a command. Did you mean `rollback`?
    /plimsoll plan rollback
      `rollback` lacks the environment. Usage: `/plimsoll rollback <environment> [to <sha>] [--service <service>] [--reason "..."]`.
    "#);
}

#[test]
fn a_span_or_a_gate_that_cannot_be_says_what_can() {
    let lines = [
        "/plimsoll lock production --for 0m",
        "/plimsoll lock production --for 31d",
        "/plimsoll lock production --for 99999999999999999999d",
        "/plimsoll lock production --for soon",
        "/plimsoll lock production --for 2",
        "/plimsoll lock production --for 1h --for 2h",
        "/plimsoll lock production 2h",
        "/plimsoll unlock production --for 2h",
        "/plimsoll freeze --service api",
        "/plimsoll override",
        "/plimsoll override aproval --reason \"the fair is on\"",
        "/plimsoll override order production --reason \"the fair is on\"",
        "/plimsoll override approval production",
        "/plimsoll override approval production --reason now!",
        "/plimsoll override approval production --reason",
    ];
    let told: Vec<String> = lines.iter().map(|line| format!("{line}\n  {}", refused(line))).collect();
    insta::assert_snapshot!(told.join("\n"), @r#"
    /plimsoll lock production --for 0m
      `0m` cannot stand behind `--for`: write `30m`, `2h` or `3d`, from 1 minute to 30 days.
    /plimsoll lock production --for 31d
      `31d` cannot stand behind `--for`: write `30m`, `2h` or `3d`, from 1 minute to 30 days.
    /plimsoll lock production --for 99999999999999999999d
      `99999999999999999999d` cannot stand behind `--for`: write `30m`, `2h` or `3d`, from 1 minute to 30 days.
    /plimsoll lock production --for soon
      `soon` cannot stand behind `--for`: write `30m`, `2h` or `3d`, from 1 minute to 30 days.
    /plimsoll lock production --for 2
      `2` cannot stand behind `--for`: write `30m`, `2h` or `3d`, from 1 minute to 30 days.
    /plimsoll lock production --for 1h --for 2h
      `--for` is given twice.
    /plimsoll lock production 2h
      `lock` has a word too many: `2h`. Usage: `/plimsoll lock <environment> [--for 2h] [--reason "..."] [--service <service>]`.
    /plimsoll unlock production --for 2h
      `unlock` takes no `--for`. Usage: `/plimsoll unlock <environment> [--service <service>]`.
    /plimsoll freeze --service api
      `freeze` takes no `--service`. Usage: `/plimsoll freeze [<environment>] [--for 2h] [--reason "..."]`.
    /plimsoll override
      `override` lacks the gate. Usage: `/plimsoll override <gate> [<environment>] --reason "..." [--service <service>]`.
    /plimsoll override aproval --reason "the fair is on"
      `aproval` is nothing that can be overridden. Did you mean `approval`? There is `approval`, `window`, `freeze`, `lock`, `hold`.
    /plimsoll override order production --reason "the fair is on"
      `order` is nothing that can be overridden. There is `approval`, `window`, `freeze`, `lock`, `hold`.
    /plimsoll override approval production
      `override` lacks its reason, which is kept for ever. Usage: `/plimsoll override <gate> [<environment>] --reason "..." [--service <service>]`.
    /plimsoll override approval production --reason now!
      A reason for this has at least 5 characters.
    /plimsoll override approval production --reason
      `--reason` lacks its value. Usage: `/plimsoll override <gate> [<environment>] --reason "..." [--service <service>]`.
    "#);
}

#[test]
fn the_longest_and_the_shortest_time_are_taken() {
    for (word, span) in [("1m", Span::minutes(1)), ("30d", Span::hours(720)), ("720h", Span::hours(720))] {
        match check(&format!("/plimsoll freeze --for {word}")) {
            Ok(Verb::Freeze { lasts, .. }) => assert_eq!(lasts, Some(span)),
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn a_phones_quotation_marks_and_dashes_are_understood() {
    let wanted = Some("don't wait".to_owned());
    for reason in ["—reason “don't wait”", "–reason „don't wait“", "--reason ”don't wait”", "--reason=“don't wait”"]
    {
        match check(&format!("/plimsoll rollback production {reason}")) {
            Ok(Verb::Rollback { reason, .. }) => assert_eq!(reason, wanted),
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn a_command_that_is_not_understood_says_how_it_is_written() {
    let lines = [
        "/plimsoll aprove production",
        "/plimsoll dance",
        "/plimsoll queue",
        "/plimsoll deploy",
        "/plimsoll deploy main",
        "/plimsoll deploy main production",
        "/plimsoll deploy main to",
        "/plimsoll status now",
        "/plimsoll approve production abc",
        "/plimsoll rollback production abcdef1",
        "/plimsoll approve production --reason x",
        "/plimsoll approve production --servcie x",
        "/plimsoll approve production --service",
        "/plimsoll deploy main to production --service --reason x",
        "/plimsoll approve production --service a --service b",
        "/plimsoll rollback production --reason \"never closed",
        "/plimsoll approve `production`",
    ];
    let told: Vec<String> = lines.iter().map(|line| format!("{line}\n  {}", refused(line))).collect();
    insta::assert_snapshot!(told.join("\n"), @r#"
    /plimsoll aprove production
      `aprove` is not a command. Did you mean `approve`?
    /plimsoll dance
      `dance` is not a command. `/plimsoll help` lists them all.
    /plimsoll queue
      This version of Plimsoll has no `queue` yet. `/plimsoll help` lists what it has.
    /plimsoll deploy
      `deploy` lacks the branch, tag or commit. Usage: `/plimsoll deploy <ref|sha> to <environment> [--service <service>] [--reason "..."]`.
    /plimsoll deploy main
      `deploy` lacks the word `to`. Usage: `/plimsoll deploy <ref|sha> to <environment> [--service <service>] [--reason "..."]`.
    /plimsoll deploy main production
      `deploy` wants `to` where `production` stands. Usage: `/plimsoll deploy <ref|sha> to <environment> [--service <service>] [--reason "..."]`.
    /plimsoll deploy main to
      `deploy` lacks the environment. Usage: `/plimsoll deploy <ref|sha> to <environment> [--service <service>] [--reason "..."]`.
    /plimsoll status now
      `status` has a word too many: `now`. Usage: `/plimsoll status`.
    /plimsoll approve production abc
      `abc` is not a commit: write 7 to 64 hexadecimal digits of its hash.
    /plimsoll rollback production abcdef1
      `rollback` wants `to` where `abcdef1` stands. Usage: `/plimsoll rollback <environment> [to <sha>] [--service <service>] [--reason "..."]`.
    /plimsoll approve production --reason x
      `approve` takes no `--reason`. Usage: `/plimsoll approve <environment> [<sha>] [--service <service>]`.
    /plimsoll approve production --servcie x
      `approve` takes no `--servcie`. Did you mean `--service`? Usage: `/plimsoll approve <environment> [<sha>] [--service <service>]`.
    /plimsoll approve production --service
      `--service` lacks its value. Usage: `/plimsoll approve <environment> [<sha>] [--service <service>]`.
    /plimsoll deploy main to production --service --reason x
      `--service` lacks its value. Usage: `/plimsoll deploy <ref|sha> to <environment> [--service <service>] [--reason "..."]`.
    /plimsoll approve production --service a --service b
      `--service` is given twice.
    /plimsoll rollback production --reason "never closed
      A quotation mark is opened and never closed.
    /plimsoll approve `production`
      This command holds code, a link or HTML, so it was not run. Please write it again as plain text.
    "#);
}

#[test]
fn names_that_could_do_harm_are_refused_and_shown_safely() {
    let lines = [
        "/plimsoll deploy -rf to production",
        "/plimsoll deploy a..b to production",
        "/plimsoll deploy a:b to production",
        "/plimsoll deploy refs//x to production",
        "/plimsoll deploy x.lock to production",
        "/plimsoll deploy a\\`b to production",
        "/plimsoll approve \"two words\"",
        "/plimsoll approve pro\u{202e}duction",
        "/plimsoll approve @everyone@",
        "/plimsoll <script>",
    ];
    let told: Vec<String> =
        lines.iter().map(|line| check(line).map_or_else(|told| told, |verb| format!("{verb:?}"))).collect();
    insta::assert_snapshot!(told.join("\n"), @r#"
    `-rf` cannot be a branch, tag or commit.
    `a..b` cannot be a branch, tag or commit.
    `a:b` cannot be a branch, tag or commit.
    `refs//x` cannot be a branch, tag or commit.
    `x.lock` cannot be a branch, tag or commit.
    ``a\`b`` cannot be a branch, tag or commit.
    `two words` cannot be the name of an environment.
    `pro�duction` cannot be the name of an environment.
    Approve { environment: EnvironmentName("@everyone@"), sha: None, service: None }
    This command holds code, a link or HTML, so it was not run. Please write it again as plain text.
    "#);
    assert!(refused(&format!("/plimsoll approve {}", "e".repeat(65))).contains("too long"));
}

#[test]
fn the_sixth_command_is_left_out_and_counted() {
    let Parsed { commands, left_out } = commands(&"/plimsoll status\n".repeat(7));
    assert_eq!((commands.len(), left_out), (5, 2));
    assert!(commands.iter().all(|command| *command == Ok(Verb::Status)));
}

#[test]
fn a_comment_without_a_command_asks_for_nothing() {
    assert_eq!(commands("Plimsoll is a line on a ship."), Parsed::default());
}

#[test]
fn help_shows_every_command_and_who_may_give_it() {
    insta::assert_snapshot!(help(), @r#"
    ### Commands

    - `/plimsoll help`
      Shows this list. May: everybody who can comment.
    - `/plimsoll status`
      Says where this pull request and its releases stand. May: everybody who can comment.
    - `/plimsoll risk`
      Says how risky this pull request is, with every reason and its points. May: everybody who can comment.
    - `/plimsoll why <environment> [<sha>] [--service <service>]`
      Says of each condition before an environment whether it is met, and what comes next. May: everybody who can comment.
    - `/plimsoll plan <command>`
      Says what a command would do, and does nothing: `/plimsoll plan rollback production`. May: whoever may give the command itself.
    - `/plimsoll recheck`
      Looks at everything afresh: files, reviews, policy, deployments. May: the pull request's author and everybody with write permission.
    - `/plimsoll deploy <ref|sha> to <environment> [--service <service>] [--reason "..."]`
      Releases a branch, tag or commit to an environment, by the rules of that environment. May: everybody with write permission.
    - `/plimsoll promote <environment> [--service <service>] [--reason "..."]`
      Releases what is live in the environment before it, by the rules of that environment. May: everybody with write permission.
    - `/plimsoll approve <environment> [<sha>] [--service <service>]`
      Lets the release that waits for this environment begin. With a commit: only if it is that one. May: those whom the environment's `approval` names, unless they asked for the release or are author, committer, co-author or merger of a change in it.
    - `/plimsoll retry [<environment>] [--service <service>]`
      Rolls out once more what failed. May: everybody with write permission.
    - `/plimsoll cancel [<environment>] [--service <service>]`
      Stops what is being rolled out, or takes back what waits. May: everybody with write permission.
    - `/plimsoll rollback <environment> [to <sha>] [--service <service>] [--reason "..."]`
      Brings back the last release that was good there, or the given one, and holds the environment. May: everybody with write permission.
    - `/plimsoll hold [<environment>] [--for 2h] [--reason "..."] [--service <service>]`
      Keeps releases from going on, in the name of this pull request: until the time is over, somebody resumes, or the pull request is merged or closed. May: everybody with write permission.
    - `/plimsoll resume [<environment>] [--service <service>]`
      Ends a hold, so that releases go on; lets an undecided rollout go on. May: everybody with write permission.
    - `/plimsoll lock <environment> [--for 2h] [--reason "..."] [--service <service>]`
      Reserves an environment: nothing is released there until the time is over or it is unlocked. May: everybody with write permission.
    - `/plimsoll unlock <environment> [--service <service>]`
      Takes a lock away. May: whoever put it there, and everybody with maintain or admin permission.
    - `/plimsoll freeze [<environment>] [--for 2h] [--reason "..."]`
      Stops releases of every service, to one environment or to all, until the time is over or it is unfrozen. May: everybody with write permission.
    - `/plimsoll unfreeze [<environment>]`
      Takes a freeze away. May: whoever put it there, and everybody with maintain or admin permission.
    - `/plimsoll override <gate> [<environment>] --reason "..." [--service <service>]`
      Lets the release that waits pass one condition in that environment, with all its steps, and says so wherever the release is shown. A gate is `approval`, `window`, `freeze`, `lock` or `hold`. May: everybody with maintain or admin permission.

    One command a line, up to five in a comment, at the start of a line of ordinary text; `@plimsoll` works like `/plimsoll`. What stands in quotes, lists, tables, code, links, headings or HTML is not a command, and editing a comment never runs one. Without `--service` a command is for every service that the pull request touches.
    "#);
}

#[test]
fn the_documentation_holds_the_same_list() {
    let list: String = help().lines().filter(|line| line.starts_with(['-', ' '])).collect::<Vec<_>>().join("\n");
    assert!(include_str!("../../../docs/chatops.md").contains(&list), "docs/chatops.md lacks:\n{list}");
}

#[test]
fn no_command_is_both_there_and_promised_for_later() {
    for name in LATER {
        assert!(row(name).is_none(), "{name}");
    }
}

proptest! {
    #[test]
    fn any_words_are_a_verb_or_a_problem(words in "[-a-z0-9@:/\"“” =.~^\\\\—\u{202e}é]{0,80}") {
        for command in commands(&format!("/plimsoll {words}")).commands {
            if let Err(problem) = command {
                prop_assert!(!problem.message.contains('\n'));
            }
        }
    }

    #[test]
    fn what_is_read_is_what_was_written(env in "[a-z][a-z0-9._-]{0,20}", sha in "[0-9a-f]{7,40}") {
        let read = check(&format!("/plimsoll approve {env} {sha}"));
        prop_assert_eq!(read, Ok(Verb::Approve { environment: EnvironmentName::new(env), sha: Some(sha), service: None }));
    }
}
