//! The audit log as others check it: how its lines are chained, and what a checkpoint signs.
//!
//! A line is one JSON object. Its hash is SHA-256 over its text without `mac`; the next line has that hash as
//! `previousHash`, so that a line that is changed, taken out or put in shows. Every now and then a line is a
//! checkpoint: an Ed25519 signature over the hash of the line before it and so over all before. An export has the
//! same lines without `mac`, which only the daemon can check.

/// The operation of a checkpoint's line.
pub const CHECKPOINT: &str = "Audit.Checkpoint";

/// Length of a line's MAC, in hexadecimal digits.
pub const MAC_DIGITS: usize = 32;

/// How a line's MAC begins, behind all other fields.
const MAC_FIELD: &str = ",\"mac\":\"";

/// The text of a line that is hashed, and its MAC when it has one.
pub fn split_mac(line: &str) -> (String, Option<&str>) {
    let start = line.len().checked_sub(MAC_FIELD.len() + MAC_DIGITS + 2);
    let Some((text, rest)) = start.and_then(|start| line.split_at_checked(start)) else {
        return (line.to_owned(), None);
    };
    match rest.strip_prefix(MAC_FIELD).and_then(|rest| rest.strip_suffix("\"}")) {
        Some(mac) => (format!("{text}}}"), Some(mac)),
        None => (line.to_owned(), None),
    }
}

/// A line with its MAC.
pub fn with_mac(text: &str, mac: &str) -> String {
    let text = text.strip_suffix('}').unwrap_or(text);
    format!("{text}{MAC_FIELD}{mac}\"}}")
}

/// What a checkpoint signs: its own number, the hash of the line before it in hexadecimal (`previousHash`), its time
/// as it stands there, and how many records had to be left out so far.
pub fn checkpoint_message(
    log: &str,
    sequence: u64,
    previous_hash: &str,
    event_time: &str,
    unlogged: u64,
) -> Vec<u8> {
    format!("claviger audit checkpoint v1\n{log}\n{sequence}\n{previous_hash}\n{event_time}\n{unlogged}\n")
        .into_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mac_goes_on_and_comes_off() {
        let text = r#"{"sequence":1,"operation":"CreateKey"}"#;
        let line = with_mac(text, "00112233445566778899aabbccddeeff");
        assert_eq!(
            line,
            r#"{"sequence":1,"operation":"CreateKey","mac":"00112233445566778899aabbccddeeff"}"#
        );
        assert_eq!(split_mac(&line), (text.to_owned(), Some("00112233445566778899aabbccddeeff")));
        assert_eq!(split_mac(text), (text.to_owned(), None));
        assert_eq!(split_mac("ü"), ("ü".to_owned(), None));
    }
}
