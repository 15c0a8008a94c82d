//! Objects that every token has without anybody making them: hardware features, mechanisms and profiles
//! (PKCS#11 3.2, sections 4.3, 4.12 and 4.13). They cannot be changed or destroyed, and are found only by a
//! template that names their class, so that applications which list everything see keys and certificates alone.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, LazyLock};

use claviger_protocol::AttributeType;
use claviger_protocol::mechanism::{MECHANISMS, MechanismRow};
use claviger_protocol::object::{HardwareFeature, ObjectClass, ProfileId};
use claviger_protocol::template::{Attribute, Value};

use crate::attributes::{Attributes, bytes};
use crate::error::Result;
use crate::kms::time::Time;
use crate::object::{Home, Object};

/// Handles of built-in objects start here: below session handles, above any token object's.
const BASE: u64 = 1 << 61;
/// Room for the mechanisms' handles, which are numbered by their row.
const MECHANISM_BASE: u64 = BASE + 0x1_0000;

/// Profiles that every token meets (PKCS#11 profiles 3.1, section 4.1).
const PROFILES: [ProfileId; 1] = [ProfileId::BASELINE_PROVIDER];

/// True for the classes of built-in objects.
pub fn is_builtin(class: ObjectClass) -> bool {
    matches!(class, ObjectClass::HW_FEATURE | ObjectClass::MECHANISM | ObjectClass::PROFILE)
}

/// The class that a search template names, if it is one of built-in objects.
pub fn wanted_class(template: &[Attribute]) -> Option<ObjectClass> {
    template.iter().find_map(|attribute| match (attribute.r#type, &attribute.value) {
        (AttributeType::CLASS, Value::Ulong(class)) => {
            Some(ObjectClass(*class)).filter(|class| is_builtin(*class))
        }
        _ => None,
    })
}

/// The built-in objects of a token on which `offered` mechanisms exist.
///
/// # Errors
/// None in practice: the attributes are complete.
pub fn objects(offered: impl Fn(&MechanismRow) -> bool) -> Result<Vec<Arc<Object>>> {
    let mut objects = Vec::new();
    let mut add = |handle: u64, class: ObjectClass, list: &[(AttributeType, Value)]| -> Result<()> {
        let mut attributes = Attributes::default();
        attributes.set(AttributeType::CLASS, Value::Ulong(class.0));
        attributes.set(AttributeType::UNIQUE_ID, bytes(format!("builtin-{:x}", handle - BASE).into_bytes()));
        for (r#type, value) in list {
            attributes.set(*r#type, value.clone());
        }
        objects.push(Arc::new(Object::new(handle, Home::Builtin, attributes, None)?));
        Ok(())
    };
    let feature = |feature: HardwareFeature| (AttributeType::HW_FEATURE_TYPE, Value::Ulong(feature.0));
    add(BASE, ObjectClass::HW_FEATURE, &[feature(HardwareFeature::CLOCK)])?;
    let never = |r#type| (r#type, Value::Bool(false));
    add(
        BASE + 1,
        ObjectClass::HW_FEATURE,
        &[
            feature(HardwareFeature::MONOTONIC_COUNTER),
            never(AttributeType::RESET_ON_INIT),
            never(AttributeType::HAS_RESET),
        ],
    )?;
    for profile in PROFILES {
        let id = (AttributeType::PROFILE_ID, Value::Ulong(profile.0));
        add(BASE + 0x100 + profile.0, ObjectClass::PROFILE, &[id])?;
    }
    for (index, row) in MECHANISMS.iter().enumerate().filter(|(_, row)| offered(row)) {
        let r#type = (AttributeType::MECHANISM_TYPE, Value::Ulong(row.r#type.0));
        add(MECHANISM_BASE + index as u64, ObjectClass::MECHANISM, &[r#type])?;
    }
    Ok(objects)
}

/// The reading of a hardware feature at this moment; none for other objects.
pub fn reading(attributes: &Attributes) -> Option<Vec<u8>> {
    match attributes.ulong(AttributeType::HW_FEATURE_TYPE).map(HardwareFeature)? {
        HardwareFeature::CLOCK => Some(clock()),
        HardwareFeature::MONOTONIC_COUNTER => Some(COUNTER.read().to_vec()),
        _ => None,
    }
}

static COUNTER: LazyLock<MonotonicCounter> = LazyLock::new(MonotonicCounter::default);

/// A counter whose every reading is higher than all before it, across restarts too: it starts from the clock, in
/// nanoseconds, which no sequence of readings outruns.
struct MonotonicCounter(AtomicU64);

impl Default for MonotonicCounter {
    fn default() -> Self {
        let start = u64::try_from(Time::now().0).unwrap_or_default().saturating_mul(1_000_000);
        Self(AtomicU64::new(start))
    }
}

impl MonotonicCounter {
    /// The next reading, 8 bytes, big-endian.
    fn read(&self) -> [u8; 8] {
        (self.0.fetch_add(1, Ordering::Relaxed) + 1).to_be_bytes()
    }
}

/// The clock's reading: `YYYYMMDDhhmmss00`, in UTC.
fn clock() -> Vec<u8> {
    let text: String = Time::now().rfc3339().chars().filter(char::is_ascii_digit).take(14).collect();
    format!("{text}00").into_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn readings_rise_and_the_clock_has_sixteen_digits() {
        let counter = MonotonicCounter::default();
        let (first, second) = (counter.read(), counter.read());
        assert!(first < second);
        let now = clock();
        assert_eq!(now.len(), 16);
        assert!(now.iter().all(u8::is_ascii_digit));
    }

    #[test]
    fn handles_are_unique_and_mechanisms_follow_the_profile() {
        let all = objects(|_| true).unwrap();
        let mut handles: Vec<u64> = all.iter().map(|object| object.handle).collect();
        handles.dedup();
        assert_eq!(handles.len(), all.len());
        let none = objects(|_| false).unwrap();
        assert_eq!(all.len() - none.len(), MECHANISMS.len());
    }
}
