//! `import-jobs …`.

use std::time::{Duration, Instant};

use serde_json::Value;

use super::{Call, json, listing};
use crate::access::Target;
use crate::error::{Error, Result};
use crate::kms::algorithm::{Algorithm, ProtectionLevel};
use crate::kms::import::{ImportMethod, NewImportJob, effective_state, job_name};
use crate::kms::record::ImportJob;
use crate::kms::state::ImportJobState;
use crate::kms::time::Time;

/// Between two looks at a job that is being waited for.
const WAIT_STEP: Duration = Duration::from_millis(50);
/// Longest wait for a job: many times what RSA-4096 takes, also behind other jobs.
const MAX_WAIT: Duration = Duration::from_secs(120);

/// `import-jobs create`
pub fn create(call: &Call<'_>) -> Result<Value> {
    let token = call.ring("keyring")?;
    let allowed = call.args.text("allowed-algorithms").into_iter().flat_map(|text| text.split(','));
    let new = NewImportJob {
        id: call.job_id(&token, "name")?,
        method: ImportMethod::parse(call.args.required("import-method")?)?,
        protection_level: ProtectionLevel::parse(call.args.required("protection-level")?)?,
        allowed_algorithms: allowed.map(Algorithm::parse).collect::<Result<_>>()?,
        max_uses: call.args.number("max-uses")?,
    };
    let job = call.daemon.create_import_job_by(&token, new, Some(call.peer.uid))?;
    json::job(&token, &job, call.now)
}

/// `import-jobs list`: by name.
pub fn list(call: &Call<'_>) -> Result<Value> {
    let token = call.parent_ring("keyring")?;
    let ring = token.ring().name.clone();
    let sees = |job: &ImportJob| {
        let target = Target::job(&ring, &job.id);
        call.may("ListImportJobs", &target) || call.may("GetImportJob", &target)
    };
    let sees_none = !call.daemon.catalog.jobs(&token.uid).iter().any(|job| sees(job));
    call.check_list(sees_none, &Target::ring(&ring))?;
    let parent = ring.to_string();
    listing::page(call, &parent, listing::JOB_FIELDS, |after, count| {
        let jobs = call.daemon.catalog.jobs(&token.uid);
        let own = jobs.iter().filter(|job| job.only_key.is_none());
        let behind = own.filter(|job| job.id.as_str() > after && sees(job)).take(count);
        // A public key that cannot be shown is left out; describe says why.
        behind.filter_map(|job| Some((job.id.clone(), json::job(&token, job, call.now).ok()?))).collect()
    })
}

/// `import-jobs describe`
pub fn describe(call: &Call<'_>) -> Result<Value> {
    let token = call.parent_ring("keyring")?;
    let job = call.job(&token, "name")?;
    json::job(&token, &job, call.now)
}

/// `import-jobs wait`
pub fn wait(call: &Call<'_>) -> Result<Value> {
    let token = call.parent_ring("keyring")?;
    let until = Instant::now() + MAX_WAIT;
    loop {
        let job = call.job(&token, "name")?;
        let state = effective_state(&job, Time::now());
        match state {
            ImportJobState::Active => return json::job(&token, &job, Time::now()),
            ImportJobState::PendingGeneration if Instant::now() < until => std::thread::sleep(WAIT_STEP),
            _ => {
                return Err(Error::WrongState {
                    resource: job_name(&token, &job),
                    field: "import_job.state",
                    state: state.name(),
                });
            }
        }
    }
}
