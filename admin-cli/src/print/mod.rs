//! Printing the daemon's document.

pub mod csv;
pub mod table;
pub mod value;

use std::str::FromStr;

use claviger_protocol::admin::{Code, Column};
use serde_json::Value;

use crate::Call;
use crate::console::Verbosity;
use crate::error::{Error, Result};

/// How a document is printed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Format {
    /// Columns for arrays, fields and values for one object.
    Table,
    /// The daemon's document.
    Json,
    /// The same as YAML.
    Yaml,
    /// The table's fields, as RFC 4180 has them.
    Csv,
    /// Not at all.
    None,
    /// These fields with tabs between, one line for each item.
    Value(Vec<String>),
}

impl FromStr for Format {
    type Err = String;

    fn from_str(text: &str) -> std::result::Result<Self, String> {
        match text {
            "table" => Ok(Self::Table),
            "json" => Ok(Self::Json),
            "yaml" => Ok(Self::Yaml),
            "csv" => Ok(Self::Csv),
            "none" => Ok(Self::None),
            _ => {
                let fields = text.strip_prefix("value(").and_then(|rest| rest.strip_suffix(')'));
                let fields: Vec<String> =
                    fields.unwrap_or_default().split(',').map(|field| field.trim().to_owned()).collect();
                if fields.iter().any(String::is_empty) {
                    return Err(
                        "one of table, json, yaml, csv, none and value(FIELD,...) is wanted".to_owned()
                    );
                }
                Ok(Self::Value(fields))
            }
        }
    }
}

/// Prints a document in the wanted format.
///
/// # Errors
/// Stdout cannot be written.
pub fn print(call: &mut Call<'_, '_>, document: &Value) -> Result<()> {
    let width = call.console.out_is_terminal.then_some(table::WIDTH);
    let text = render(&call.options.format, call.verb.columns, document, width)?;
    call.console.data(text.as_bytes())?;
    if call.options.format == Format::Table && document.as_array().is_some_and(|items| items.is_empty()) {
        call.console.tell(Verbosity::Info, "Listed 0 items.");
    }
    Ok(())
}

/// Prints one page of a list that may have several. The whole looks as if it had come at once.
///
/// # Errors
/// Stdout cannot be written.
pub fn page(call: &mut Call<'_, '_>, items: &Value, first: bool, last: bool) -> Result<()> {
    if first && last {
        return print(call, items);
    }
    let width = call.console.out_is_terminal.then_some(table::WIDTH);
    let text = render(&call.options.format, call.verb.columns, items, width)?;
    let text = match call.options.format {
        // Between the brackets of the first page and of the last, commas.
        Format::Json => {
            let inner = text.trim_end().trim_start_matches('[').trim_end_matches(']').trim_end();
            let start = if first { "[" } else { "," };
            let end = if last { "\n]\n" } else { "" };
            let inner = if items.as_array().is_some_and(Vec::is_empty) { "" } else { inner };
            let start = if inner.is_empty() && !first { "" } else { start };
            format!("{start}{inner}{end}")
        }
        Format::Table if !first && call.verb.columns.is_empty() => format!("\n{text}"),
        Format::Table | Format::Csv if !first => {
            text.split_once('\n').map_or(String::new(), |(_, rest)| rest.to_owned())
        }
        Format::Yaml if items.as_array().is_some_and(Vec::is_empty) => String::new(),
        _ => text,
    };
    call.console.data(text.as_bytes())
}

/// The document as text, with a line break at its end. `width`: tables are cut to so many characters.
fn render(format: &Format, columns: &[Column], document: &Value, width: Option<usize>) -> Result<String> {
    let internal = |error: String| Error::code(Code::Internal, format!("cannot print the answer: {error}"));
    Ok(match format {
        Format::Table => match document {
            Value::Array(items) => table::rows(items, columns, width),
            one => table::list(one, columns),
        },
        Format::Json => {
            serde_json::to_string_pretty(document).map_err(|error| internal(error.to_string()))? + "\n"
        }
        Format::Yaml => serde_yaml_ng::to_string(document).map_err(|error| internal(error.to_string()))?,
        Format::Csv => csv::csv(document, columns),
        Format::None => String::new(),
        Format::Value(fields) => value::value(document, fields),
    })
}

/// The value of a field, nested ones with dots.
pub fn field<'a>(document: &'a Value, path: &str) -> Option<&'a Value> {
    path.split('.').try_fold(document, |value, name| match value {
        Value::Array(items) => items.get(name.parse::<usize>().ok()?),
        _ => value.get(name),
    })
}

/// A value in one piece: texts without quotes, lists with commas, the rest as JSON.
pub fn plain(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        Value::Array(items) if !items.iter().any(|item| item.is_array() || item.is_object()) => {
            items.iter().map(plain).collect::<Vec<_>>().join(",")
        }
        other => other.to_string(),
    }
}

/// The id of a resource: what its name ends with.
pub fn last_segment(name: &str) -> &str {
    name.rsplit('/').next().unwrap_or(name)
}

/// The items of a document: an array's, or the one object.
fn items(document: &Value) -> &[Value] {
    match document {
        Value::Array(items) => items,
        one => std::slice::from_ref(one),
    }
}

/// Every field that holds no object, nested ones with dots, in the document's order.
fn flatten(document: &Value) -> Vec<(String, &Value)> {
    fn walk<'a>(prefix: &str, value: &'a Value, out: &mut Vec<(String, &'a Value)>) {
        let join = |name: &str| if prefix.is_empty() { name.to_owned() } else { format!("{prefix}.{name}") };
        match value {
            Value::Object(fields) => fields.iter().for_each(|(name, value)| walk(&join(name), value, out)),
            Value::Array(items) if items.iter().any(Value::is_object) => {
                items.iter().enumerate().for_each(|(i, item)| walk(&join(&i.to_string()), item, out));
            }
            _ => out.push((prefix.to_owned(), value)),
        }
    }
    let mut out = Vec::new();
    walk("", document, &mut out);
    out
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn formats_parse() {
        let value =
            |fields: &[&str]| Ok(Format::Value(fields.iter().map(|field| (*field).to_owned()).collect()));
        assert_eq!("value(name)".parse::<Format>(), value(&["name"]));
        assert_eq!("value(name, primary.state)".parse::<Format>(), value(&["name", "primary.state"]));
        for bad in ["value", "value()", "value(a,)", "value(a", "xml", "", "JSON"] {
            assert!(bad.parse::<Format>().is_err(), "{bad}");
        }
    }

    #[test]
    fn every_format_ends_its_last_line() {
        let document = json!([{"name": "a"}]);
        for format in ["table", "json", "yaml", "csv", "value(name)"] {
            let text = render(&format.parse().unwrap(), &[], &document, None).unwrap();
            assert!(text.ends_with('\n') && !text.ends_with("\n\n"), "{format}: {text:?}");
            assert!(text.contains('a'));
        }
        assert_eq!(render(&Format::None, &[], &document, None).unwrap(), "");
        assert_eq!(render(&Format::Yaml, &[], &document, None).unwrap(), "- name: a\n");
        assert_eq!(
            render(&Format::Json, &[], &document, None).unwrap(),
            "[\n  {\n    \"name\": \"a\"\n  }\n]\n"
        );
    }

    #[test]
    fn fields_are_found_below_dots() {
        let document =
            json!({"primary": {"state": "ENABLED"}, "bindings": [{"product": "p"}], "tags": ["a", 1]});
        assert_eq!(field(&document, "primary.state"), Some(&json!("ENABLED")));
        assert_eq!(field(&document, "bindings.0.product"), Some(&json!("p")));
        assert_eq!(field(&document, "primary.state.deeper"), None);
        let names: Vec<String> = flatten(&document).into_iter().map(|(name, _)| name).collect();
        assert_eq!(names, ["bindings.0.product", "primary.state", "tags"]);
        assert_eq!(plain(&document["tags"]), "a,1");
    }
}
