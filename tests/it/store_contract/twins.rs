//! Both stores, given the same calls in the same order, give the same answers.

use super::*;
use plimsoll::domain::effect::Ending;
use plimsoll::store::{GUID_KEPT, MemoryStore, SqliteOptions, SqliteStore};
use proptest::prelude::*;
use proptest::test_runner::FileFailurePersistence;

/// One call. Numbers pick from small sets, so that calls meet each other.
#[derive(Clone, Debug)]
enum Call {
    Wait(i64),
    Admit { guid: u8, body: u8, push: bool },
    Sort { made: Vec<u8>, lane: u8 },
    Arrive { lane: u8, age: i64 },
    ClaimLane { grace: bool, lease: i64, most: usize },
    Commit { claim: usize, grace: bool, plan: Plan },
    Defer { claim: usize, wait: i64 },
    Park { claim: usize, take: usize },
    ClaimEffect { grace: bool, lease: i64 },
    Finish { claim: usize, how: u8, wait: i64 },
    Prune { age: i64 },
}

/// What a turn decides.
#[derive(Clone, Debug)]
struct Plan {
    take: usize,
    old_version: bool,
    wake: Option<i64>,
    acts: Vec<u8>,
    comments: Vec<(u8, u8)>,
    forwards: Vec<u8>,
    lines: usize,
}

fn calls() -> impl Strategy<Value = Vec<Call>> {
    let plan = (
        0..4_usize,
        proptest::bool::weighted(0.1),
        proptest::option::of(-20..60_i64),
        proptest::collection::vec(0..6_u8, 0..3),
        proptest::collection::vec((0..2_u8, 0..5_u8), 0..3),
        proptest::collection::vec(0..3_u8, 0..3),
        0..3_usize,
    );
    let plan = plan.prop_map(|(take, old_version, wake, acts, comments, forwards, lines)| Plan {
        take,
        old_version,
        wake,
        acts,
        comments,
        forwards,
        lines,
    });
    let wait = prop_oneof![8 => 0..30_i64, 1 => -5..0_i64, 1 => Just(GUID_KEPT.0 as i64)];
    let call = prop_oneof![
        4 => wait.prop_map(Call::Wait),
        4 => (0..5_u8, 0..2_u8, any::<bool>()).prop_map(|(guid, body, push)| Call::Admit { guid, body, push }),
        3 => (proptest::collection::vec(0..4_u8, 0..3), 0..3_u8).prop_map(|(made, lane)| Call::Sort { made, lane }),
        3 => (0..3_u8, 0..20_i64).prop_map(|(lane, age)| Call::Arrive { lane, age }),
        6 => (any::<bool>(), 0..40_i64, 0..4_usize)
            .prop_map(|(grace, lease, most)| Call::ClaimLane { grace, lease, most }),
        6 => (0..3_usize, proptest::bool::weighted(0.1), plan)
            .prop_map(|(claim, grace, plan)| Call::Commit { claim, grace, plan }),
        1 => (0..3_usize, 0..40_i64).prop_map(|(claim, wait)| Call::Defer { claim, wait }),
        1 => (0..3_usize, 0..3_usize).prop_map(|(claim, take)| Call::Park { claim, take }),
        6 => (any::<bool>(), 0..40_i64).prop_map(|(grace, lease)| Call::ClaimEffect { grace, lease }),
        6 => (0..3_usize, 0..6_u8, 0..40_i64).prop_map(|(claim, how, wait)| Call::Finish { claim, how, wait }),
        1 => (0..80_i64).prop_map(|age| Call::Prune { age }),
    ];
    proptest::collection::vec(call, 1..120)
}

fn lane(n: u8) -> Subject {
    match n {
        0 => pull(1),
        1 => pipeline("api"),
        _ => Subject::Repository { repo: repo() },
    }
}

fn comment_on(number: u8, generation: u8) -> Effect {
    let target = Target::LivingComment { number: PullNumber(u64::from(number)) };
    let content = Content::Comment("text".into());
    let work = Work::Publish(Publish { target, generation: u64::from(generation), content });
    let key = EffectKey::new(format!("comment-{number}-{generation}"));
    Effect { key, subject: lane(number), installation: InstallationId(7), work }
}

/// Both stores, and what has been claimed so far, newest last.
struct Twins {
    memory: MemoryStore,
    sqlite: SqliteStore,
    now: i64,
    lanes: Vec<(ClaimedLane, Holder)>,
    effects: Vec<(EffectKey, Holder)>,
}

/// Makes the same call on both and returns the answer, which must be the same.
macro_rules! both {
    ($twins:expr, $method:ident ( $($argument:expr),* )) => {{
        let memory = $twins.memory.$method($($argument),*).await;
        let sqlite = $twins.sqlite.$method($($argument),*).await;
        assert_eq!(memory, sqlite, "{}", stringify!($method));
        memory
    }};
}

impl Twins {
    async fn make(&mut self, call: Call) {
        let now = at(self.now);
        let holder = |grace_wanted: bool| if grace_wanted { grace() } else { ada() };
        let lane_claim = |claim: usize| self.lanes.iter().rev().nth(claim).cloned();
        match call {
            Call::Wait(ms) => self.now = (self.now + ms).max(0),
            Call::Admit { guid, body, push } => {
                let body = ["{}", "[]"][usize::from(body)];
                let mut new = delivery(&format!("guid-{guid}"), body, self.now);
                new.event = if push { "push".into() } else { new.event };
                let _ = both!(self, admit(new.clone()));
            }
            Call::Sort { made, lane: number } => {
                let unsorted = self.memory.unsorted(9).await.expect("reads");
                let ids = unsorted.iter().rev().map(|delivery| delivery.id.clone()).chain([DeliveryId::new("guid-0")]);
                let sorted: Vec<_> = ids.zip(&made).map(|(id, made)| (id, self.made(*made, number))).collect();
                let _ = both!(self, sort(sorted.clone(), now));
            }
            Call::Arrive { lane: number, age } => {
                let _ = both!(self, arrive(look(lane(number), "look", self.now - age)));
            }
            Call::ClaimLane { grace, lease, most } => {
                let holder = holder(grace);
                if let Ok(Some(claimed)) = both!(self, claim_lane(&holder, now, at(self.now + lease), most)) {
                    self.lanes.push((claimed, holder));
                }
            }
            Call::Commit { claim, grace: other, plan } => {
                let Some((claimed, by)) = lane_claim(claim) else { return };
                let by = if other { grace() } else { by };
                let _ = both!(self, commit(self.turn(&claimed, &by, &plan)));
            }
            Call::Defer { claim, wait } => {
                let Some((claimed, by)) = lane_claim(claim) else { return };
                let _ = both!(self, defer_lane(&claimed.subject, &by, at(self.now + wait), "it failed"));
            }
            Call::Park { claim, take } => {
                let Some((claimed, by)) = lane_claim(claim) else { return };
                let ids: Vec<_> = claimed.arrivals.iter().take(take).map(|(id, _)| *id).collect();
                let _ = both!(self, park_arrivals(&claimed.subject, &by, &ids, "it never works", now));
            }
            Call::ClaimEffect { grace, lease } => {
                let holder = holder(grace);
                if let Ok(Some(claimed)) = both!(self, claim_effect(&holder, now, at(self.now + lease))) {
                    self.effects.push((claimed.effect.key, holder));
                }
            }
            Call::Finish { claim, how, wait } => {
                let Some((key, by)) = self.effects.iter().rev().nth(claim).cloned() else { return };
                let until = at(self.now + wait);
                let progress = match how {
                    0 => EffectProgress::Later { until, because: "later".into() },
                    1 => EffectProgress::Settle { until, because: "who knows".into() },
                    2 => EffectProgress::Ended(Ending::Refused { message: "no".into() }),
                    3 => EffectProgress::Ended(Ending::Done { id: None, url: None }),
                    n => EffectProgress::Ended(Ending::Done { id: Some(u64::from(n)), url: Some("https://x".into()) }),
                };
                let _ = both!(self, finish_effect(&key, &by, progress.clone(), now));
            }
            Call::Prune { age } => {
                let _ = both!(self, prune(at(self.now - age)));
            }
        }
    }

    fn made(&self, made: u8, number: u8) -> Sorted {
        match made {
            0 => Sorted::Ignored { because: "nothing".into() },
            1 => Sorted::Parked { because: "unreadable".into() },
            n => Sorted::Events((2..=n).map(|n| look(lane((number + n) % 3), "sorted", self.now)).collect()),
        }
    }

    fn turn(&self, claimed: &ClaimedLane, by: &Holder, plan: &Plan) -> TurnCommit {
        let mut turn = turn(claimed, by, self.now);
        turn.taken.truncate(plan.take);
        if plan.old_version {
            turn.expected_version = turn.expected_version.and_then(|version| version.checked_sub(1));
        }
        turn.wake_at = plan.wake.map(|ms| at((self.now + ms).max(0)));
        turn.state = format!("{{\"at\":{}}}", self.now).into_bytes();
        turn.effects = plan.acts.iter().map(|n| dispatch(&format!("act-{n}"))).collect();
        turn.effects.extend(plan.comments.iter().map(|(number, generation)| comment_on(*number, *generation)));
        turn.forwards = plan.forwards.iter().map(|n| look(lane(*n), "forward", self.now)).collect();
        turn.journal = (0..plan.lines).map(|n| format!("line {n} at {}", self.now)).collect();
        turn
    }

    async fn look_at_everything(&self) {
        let now = at(self.now);
        let _ = both!(self, next_due(now));
        let _ = both!(self, next_due(at(0)));
        let _ = both!(self, unsorted(9));
        let _ = both!(self, parked(9));
        let _ = both!(self, counts(now));
        for number in 0..3 {
            let _ = both!(self, peek(&lane(number)));
            let lines = both!(self, journal(&lane(number), 99)).expect("reads");
            assert!(plimsoll::store::journal_is_whole(&lines));
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 64,
        max_shrink_iters: 2_000,
        failure_persistence: Some(Box::new(FileFailurePersistence::WithSource("regressions"))),
        ..ProptestConfig::default()
    })]

    #[test]
    fn the_stores_cannot_be_told_apart(calls in calls()) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        runtime.block_on(async {
            let folder = tempfile::tempdir().expect("a folder");
            let file = folder.path().join("plimsoll.db");
            let sqlite = SqliteStore::open(&file, SqliteOptions::default()).await.expect("opens");
            let memory = MemoryStore::new();
            let mut twins = Twins { memory, sqlite, now: 1_000, lanes: Vec::new(), effects: Vec::new() };
            for call in calls {
                twins.make(call).await;
                twins.look_at_everything().await;
            }
        });
    }
}
