//! Pipelines as earlier formats wrote them, into today's shape.
//!
//! Knows JSON of the past. Must never change what today's shape means.

use serde_json::{Map, Value, json};

/// From format 1: one hold an environment, approvals inside the waiting phase, a rollout stopped by a person only.
///
/// Total: what is not as format 1 wrote it is left alone, and reading it then says what is wrong.
pub(super) fn from_1(state: &mut Map<String, Value>) {
    let mut blocks = Vec::new();
    for environment in list(state.get_mut("environments")) {
        let name = environment.get("name").cloned().unwrap_or_default();
        if let Some(hold) = environment.remove("hold").filter(|hold| !hold.is_null()) {
            blocks.push(json!({
                "number": blocks.len() + 1,
                "kind": "hold",
                "environment": name,
                "owner": hold["owner"],
                "reason": hold["reason"],
                "since": hold["since"],
                "until": null,
                "culprit": null,
            }));
        }
        environment.insert("drift".to_owned(), Value::Null);
    }
    state.insert("last_block".to_owned(), json!(blocks.len()));
    state.insert("blocks".to_owned(), Value::Array(blocks));
    state.insert("reverted".to_owned(), json!({}));
    state.insert("overrides".to_owned(), json!([]));
    state.insert("protections".to_owned(), json!([]));
    let releases = state.get_mut("releases").and_then(Value::as_object_mut);
    for release in releases.into_iter().flat_map(|all| all.values_mut()).filter_map(Value::as_object_mut) {
        if let Some(asked) = release.get_mut("asked").filter(|asked| !asked.is_null()) {
            *asked = json!({ "comment": asked.take() });
        }
        for key in ["retried_by", "last_word", "revert"] {
            release.insert(key.to_owned(), Value::Null);
        }
        for stage in list(release.get_mut("stages")) {
            stage_from_1(stage);
        }
    }
}

fn stage_from_1(stage: &mut Map<String, Value>) {
    let mut approvals = json!([]);
    let phase = stage.get_mut("phase").and_then(Value::as_object_mut);
    if let Some(waiting) = phase.and_then(|phase| phase.get_mut("waiting")).and_then(Value::as_object_mut) {
        approvals = waiting.remove("approvals").unwrap_or(approvals);
    }
    let rolling = stage.get_mut("phase").and_then(|phase| phase.get_mut("rolling")).and_then(Value::as_object_mut);
    if let Some(rolling) = rolling {
        let by = rolling.remove("stopped_by").filter(|by| !by.is_null());
        rolling.insert("stopping".to_owned(), by.map_or(Value::Null, |by| json!({ "rolled_back": { "by": by } })));
        let baking = rolling.get_mut("phase").and_then(|phase| phase.get_mut("baking")).and_then(Value::as_object_mut);
        if let Some(baking) = baking {
            baking.insert("run".to_owned(), Value::Null);
            baking.insert("asked".to_owned(), json!([]));
        }
    }
    stage.insert("approvals".to_owned(), approvals);
    stage.insert("overrides".to_owned(), json!([]));
    stage.insert("conditions".to_owned(), json!([]));
    stage.insert("known".to_owned(), Value::Null);
}

fn list(value: Option<&mut Value>) -> impl Iterator<Item = &mut Map<String, Value>> {
    value.and_then(Value::as_array_mut).into_iter().flatten().filter_map(Value::as_object_mut)
}
