//! The file of a model: read with what is wrong with it, written so that people can read it.
//!
//! Knows files and JSON. Must never know how a model is learned.

use crate::domain::risk::Model;
use anyhow::{Context, anyhow};
use std::path::Path;

/// Reads a model.
///
/// # Errors
///
/// When the file cannot be read, is no JSON of a model, or its numbers make no model.
pub fn read(path: &Path) -> anyhow::Result<Model> {
    let text = std::fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
    Model::read(&text).map_err(|why| anyhow!("{}: {why}", path.display()))
}

/// Writes a model.
///
/// # Errors
///
/// When the file cannot be written.
pub fn write(path: &Path, model: &Model) -> anyhow::Result<()> {
    std::fs::write(path, text(model)?).with_context(|| format!("cannot write {}", path.display()))
}

/// A model as JSON with one factor, pair or sentence a line.
pub fn text(model: &Model) -> anyhow::Result<String> {
    let provenance = &model.provenance;
    let json = |value: &str| serde_json::to_string(value);
    let mut out = String::from("{\n");
    out.push_str(&format!("  \"name\": {},\n  \"version\": {},\n", json(&model.name)?, json(&model.version)?));
    out.push_str("  \"provenance\": {\n");
    out.push_str(&format!("    \"data\": {},\n", list(&provenance.data, 4)?));
    out.push_str(&format!("    \"protocol\": {},\n", json(&provenance.protocol)?));
    out.push_str(&format!("    \"scores\": {},\n", list(&provenance.scores, 4)?));
    out.push_str(&format!("    \"limits\": {},\n", list(&provenance.limits, 4)?));
    out.push_str(&format!("    \"date\": {}\n  }},\n", json(&provenance.date)?));
    out.push_str(&format!("  \"intercept\": {},\n", serde_json::to_string(&model.intercept)?));
    out.push_str(&format!("  \"factors\": {},\n", list(&model.factors, 2)?));
    out.push_str(&format!("  \"pairs\": {}\n}}\n", list(&model.pairs, 2)?));
    Ok(out)
}

/// An array with one element a line, closed at the indent.
fn list<T: serde::Serialize>(elements: &[T], indent: usize) -> anyhow::Result<String> {
    if elements.is_empty() {
        return Ok("[]".to_owned());
    }
    let space = " ".repeat(indent);
    let lines = elements.iter().map(|element| Ok(format!("{space}  {}", serde_json::to_string(element)?)));
    Ok(format!("[\n{}\n{space}]", lines.collect::<anyhow::Result<Vec<_>>>()?.join(",\n")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_model_that_is_written_is_read_again_the_same() {
        let text = text(Model::shipped()).unwrap();
        assert_eq!(&Model::read(&text).unwrap(), Model::shipped());
        assert_eq!(text, include_str!("../../domain/risk/model.json"), "the shipped file is written by this");
    }

    #[test]
    fn a_file_that_is_no_model_is_refused_with_its_name() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("m.json");
        let said = |text: &str| {
            std::fs::write(&path, text).unwrap();
            format!("{:#}", read(&path).unwrap_err()).replace(&path.display().to_string(), "m.json")
        };
        insta::assert_snapshot!(said("{"), @"m.json: this is no model: EOF while parsing an object at line 1 column 1");
        insta::assert_snapshot!(format!("{:#}", read(&folder.path().join("none")).unwrap_err()).contains("cannot read"), @"true");
    }
}
