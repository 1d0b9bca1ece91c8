//! What a pipeline saw go wrong with changes, for whoever learns from outcomes.
//!
//! Knows releases. Must never guess: of a release with several changes nobody knows which one it was.

use super::{PipelineState, Purpose, Release, ReleaseNumber, StagePhase};
use crate::domain::ids::Timestamp;
use crate::domain::risk::{Evidence, EvidenceKind, Outcome};

/// Changes that were released alone and whose release failed or was rolled back, each with the environment.
pub fn failures(state: &PipelineState) -> Vec<Outcome> {
    let alone = state.releases.values().filter(|release| release.changes.len() == 1 && !release.is_rollback());
    let outcome = |release: &Release| {
        let change = release.changes.first()?.sha.clone();
        let evidence: Vec<Evidence> = failed(release).into_iter().chain(rolled_back(state, release.number)).collect();
        (!evidence.is_empty()).then_some(Outcome { change, evidence })
    };
    alone.filter_map(outcome).collect()
}

fn failed(release: &Release) -> Vec<Evidence> {
    let failed = release.stages.iter().filter_map(|stage| match &stage.phase {
        StagePhase::Failed { at, .. } => Some((at, &stage.policy.name)),
        StagePhase::Ahead
        | StagePhase::Waiting { .. }
        | StagePhase::Rolling(_)
        | StagePhase::Succeeded { .. }
        | StagePhase::Cancelled { .. }
        | StagePhase::Superseded { .. }
        | StagePhase::NotReached => None,
    });
    let kind = |environment: &str| EvidenceKind::VerificationFailed { environment: environment.to_owned() };
    failed.map(|(at, name)| evidence(kind(name.as_str()), *at)).collect()
}

fn rolled_back(state: &PipelineState, number: ReleaseNumber) -> Vec<Evidence> {
    let backs = state.releases.values().filter(|release| match &release.purpose {
        Purpose::Rollback { from, .. } => *from == Some(number),
        Purpose::Delivery | Purpose::Requested { .. } => false,
    });
    let back = |release: &Release| {
        let environment = release.stages.first().map(|stage| stage.policy.name.to_string())?;
        Some(evidence(EvidenceKind::RolledBack { environment }, release.created_at))
    };
    backs.filter_map(back).collect()
}

fn evidence(kind: EvidenceKind, known_at: Timestamp) -> Evidence {
    Evidence { kind, by: None, known_at }
}

#[cfg(test)]
mod tests {
    use super::super::tests::*;
    use super::*;
    use crate::domain::facts::RunStatus;

    #[test]
    fn a_change_whose_release_failed_and_was_rolled_back_went_wrong_and_the_others_did_not() {
        let mut stage = unasked(|_| {});
        through(&mut stage, 6);
        assert_eq!(failures(&stage.state), []);
        stage.merge(7, "ada").run(RunStatus::Succeeded).run(RunStatus::Failed);
        let found = failures(&stage.state);
        assert_eq!(found.iter().map(|outcome| outcome.change.clone()).collect::<Vec<_>>(), [sha(7)]);
        let kinds: Vec<EvidenceKind> = found[0].evidence.iter().map(|evidence| evidence.kind.clone()).collect();
        let environment = || "production".to_owned();
        assert_eq!(
            kinds,
            [
                EvidenceKind::VerificationFailed { environment: environment() },
                EvidenceKind::RolledBack { environment: environment() }
            ]
        );
    }
}
