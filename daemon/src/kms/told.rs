//! What the key service tells PKCS#11 applications of the version that an object shows: attributes of Claviger's own.

use claviger_protocol::AttributeType as A;
use claviger_protocol::template::Value;

use super::time::Time;
use crate::attributes::bytes;
use crate::catalog::{Catalog, VersionCell};

impl VersionCell {
    /// One of the attributes `CKA_KMS_*`; none for others.
    pub fn told(&self, r#type: A, catalog: &Catalog, now: Time) -> Option<Value> {
        let text = |text: &str| bytes(text.as_bytes());
        let record = self.record();
        let key = || catalog.key(&self.key).map(|key| key.record());
        Some(match r#type {
            A::KMS_NAME => text(&self.name()),
            A::KMS_VERSION => Value::Ulong(self.number.into()),
            A::KMS_STATE => text(self.state(now).name()),
            A::KMS_PRIMARY => Value::Bool(key()?.primary == Some(self.number)),
            A::KMS_ALGORITHM => text(record.algorithm.name()),
            A::KMS_PROTECTION_LEVEL => text(key()?.protection_level.name()),
            A::KMS_DESTROY_TIME => {
                let time = record.fate.destroy_time.or(record.expire_material_time);
                text(&time.map(Time::rfc3339).unwrap_or_default())
            }
            A::KMS_IMPORT_JOB => text(record.fate.import_job.as_deref().unwrap_or_default()),
            _ => return None,
        })
    }
}
