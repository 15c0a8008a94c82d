//! Chosen fields for programs.

use serde_json::Value;

use super::{field, items, plain};
use crate::console::printable;

/// The fields of each item with tabs between them, one line for each item.
pub fn value(document: &Value, fields: &[String]) -> String {
    let line = |item: &Value| {
        let cells = fields.iter().map(|name| field(item, name).map(plain).unwrap_or_default());
        cells.map(|cell| printable(cell.trim_end_matches('\n'))).collect::<Vec<_>>().join("\t") + "\n"
    };
    items(document).iter().map(line).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn one_line_for_each_item() {
        let fields = ["name".to_owned(), "primary.state".to_owned(), "none".to_owned()];
        let keys = json!([{"name": "a", "primary": {"state": "ENABLED"}}, {"name": "b"}]);
        assert_eq!(value(&keys, &fields), "a\tENABLED\t\nb\t\t\n");
        assert_eq!(value(&keys[0], &fields[..1]), "a\n");
        assert_eq!(value(&json!([]), &fields), "");
        assert_eq!(value(&json!({"name": "-----BEGIN\nAA\n"}), &fields[..1]), "-----BEGIN\nAA\n");
    }
}
