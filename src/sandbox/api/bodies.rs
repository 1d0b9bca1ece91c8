//! Reading request bodies: GitHub refuses wrong types and missing fields with 422.

use serde_json::Value;

use crate::sandbox::model::Refusal;

/// A field that must be there as a text.
pub(super) fn required_text(body: &Value, resource: &str, field: &str) -> Result<String, Refusal> {
    match body.get(field) {
        None | Some(Value::Null) => Err(Refusal::new(422, format!("Invalid request.\n\n\"{field}\" wasn't supplied."))),
        Some(Value::String(text)) if text.is_empty() => Err(Refusal::invalid(resource, field, "missing_field")),
        Some(Value::String(text)) => Ok(text.clone()),
        Some(other) => Err(not_a(field, other, "string")),
    }
}

/// A field that may be there as a text.
pub(super) fn text(body: &Value, field: &str) -> Result<Option<String>, Refusal> {
    match body.get(field) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) => Ok(Some(text.clone())),
        Some(other) => Err(not_a(field, other, "string")),
    }
}

/// A field that may be there as true or false.
pub(super) fn flag(body: &Value, field: &str) -> Result<Option<bool>, Refusal> {
    match body.get(field) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::Bool(flag)) => Ok(Some(*flag)),
        Some(other) => Err(not_a(field, other, "boolean")),
    }
}

/// A field that may be there as a whole number.
pub(super) fn whole(body: &Value, field: &str) -> Result<Option<u64>, Refusal> {
    match body.get(field) {
        None | Some(Value::Null) => Ok(None),
        Some(value) => value.as_u64().map(Some).ok_or_else(|| not_a(field, value, "integer")),
    }
}

/// A field that may be there as a list.
pub(super) fn list<'a>(body: &'a Value, field: &str) -> Result<Option<&'a Vec<Value>>, Refusal> {
    match body.get(field) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::Array(items)) => Ok(Some(items)),
        Some(other) => Err(not_a(field, other, "array")),
    }
}

/// A field that may be there as a time in RFC 3339; in milliseconds since 1970.
pub(super) fn time(body: &Value, field: &str) -> Result<Option<i64>, Refusal> {
    let Some(text) = text(body, field)? else {
        return Ok(None);
    };
    let at: jiff::Timestamp = text.parse().map_err(|_| {
        Refusal::new(422, format!("Invalid request.\n\n{text:?} is not a valid date-time for \"{field}\"."))
    })?;
    Ok(Some(at.as_millisecond()))
}

pub(super) fn not_a(field: &str, value: &Value, kind: &str) -> Refusal {
    Refusal::new(422, format!("Invalid request.\n\nFor 'properties/{field}', {value} is not a {kind}."))
}
