//! Which mechanisms count: those of whose results a known answer or another implementation approves, through the
//! module. The tests whose only purpose that is name their mechanisms; this one reads their source.

use std::collections::BTreeMap;

use claviger_protocol::mechanism::{MECHANISMS, Recipe};

/// The files of known answers and of Wycheproof's vectors, and of what is computed once more from its description.
const SOURCES: &[(&str, &str)] = &[
    ("its description", include_str!("../kms_envelope.rs")),
    ("known answers", include_str!("cipher.rs")),
    ("known answers", include_str!("derivation.rs")),
    ("known answers", include_str!("digest.rs")),
    ("known answers", include_str!("field.rs")),
    ("known answers", include_str!("legacy.rs")),
    ("known answers", include_str!("mac.rs")),
    ("known answers", include_str!("pairs.rs")),
    ("known answers", include_str!("post_quantum.rs")),
    ("known answers", include_str!("rsa.rs")),
    ("Wycheproof", include_str!("../wycheproof/aead.rs")),
    ("Wycheproof", include_str!("../wycheproof/cipher.rs")),
    ("Wycheproof", include_str!("../wycheproof/dsa.rs")),
    ("Wycheproof", include_str!("../wycheproof/ecdh.rs")),
    ("Wycheproof", include_str!("../wycheproof/ecdsa.rs")),
    ("Wycheproof", include_str!("../wycheproof/eddsa.rs")),
    ("Wycheproof", include_str!("../wycheproof/hash.rs")),
    ("Wycheproof", include_str!("../wycheproof/kdf.rs")),
    ("Wycheproof", include_str!("../wycheproof/key_wrap.rs")),
    ("Wycheproof", include_str!("../wycheproof/mac.rs")),
    ("Wycheproof", include_str!("../wycheproof/mldsa.rs")),
    ("Wycheproof", include_str!("../wycheproof/rsa_encryption.rs")),
    ("Wycheproof", include_str!("../wycheproof/rsa_signature.rs")),
];

/// True when the source names the constant `M::NAME`.
fn names(source: &str, name: &str) -> bool {
    source.match_indices(&format!("M::{name}")).any(|(index, found)| {
        let next = source[index + found.len()..].chars().next();
        !next.is_some_and(|c| c.is_ascii_alphanumeric() || c == '_')
    })
}

#[test]
fn every_mechanism_counts_but_those_that_give_random_bytes() {
    let (mut counts, mut not): (BTreeMap<&str, usize>, Vec<String>) = (BTreeMap::new(), Vec::new());
    for row in MECHANISMS {
        let name = row.r#type.to_string();
        let constant = name.trim_start_matches("CKM_");
        match SOURCES.iter().find(|(_, source)| names(source, constant)) {
            Some((kind, _)) => *counts.entry(kind).or_default() += 1,
            // Nobody else can say what a random key should be; the matrix looks at its attributes.
            None if row.recipe == Recipe::GenerateSecret => *counts.entry("random keys").or_default() += 1,
            None => not.push(name),
        }
    }
    for (kind, count) in &counts {
        println!("{count:4} mechanisms: {kind}");
    }
    println!("{:4} mechanisms do not count: {}", not.len(), not.join(" "));
    assert!(not.is_empty(), "no known answer and no other implementation: {}", not.join(" "));
}
