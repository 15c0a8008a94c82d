//! The states of versions and import jobs, and what may follow what.

use bincode::{Decode, Encode};

use super::time::Time;

macro_rules! states {
    ($(#[$doc:meta])* $type:ident { $($(#[$vdoc:meta])* $name:ident = $text:literal,)* }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode)]
        pub enum $type { $($(#[$vdoc])* $name,)* }

        impl $type {
            /// The state's name in JSON and messages.
            pub fn name(self) -> &'static str {
                match self { $($type::$name => $text,)* }
            }
        }
    };
}

states! {
    /// State of a version.
    VersionState {
        /// Its pair is being generated.
        PendingGeneration = "PENDING_GENERATION",
        /// In use.
        Enabled = "ENABLED",
        /// Kept, and every use refused.
        Disabled = "DISABLED",
        /// Will be destroyed at its destroy time; can be restored until then.
        DestroyScheduled = "DESTROY_SCHEDULED",
        /// Its material is gone for ever.
        Destroyed = "DESTROYED",
        /// Its material is being imported.
        PendingImport = "PENDING_IMPORT",
        /// The import failed; it holds no material.
        ImportFailed = "IMPORT_FAILED",
        /// The generation failed; it holds no material.
        GenerationFailed = "GENERATION_FAILED",
    }
}

states! {
    /// State of an import job.
    ImportJobState {
        /// Its wrapping key is being generated.
        PendingGeneration = "PENDING_GENERATION",
        /// It serves imports.
        Active = "ACTIVE",
        /// It is over, and its private key erased.
        Expired = "EXPIRED",
    }
}

/// The state that holds at `now`: a schedule that has passed is a destruction, whether or not the timer ran.
pub fn effective_state(state: VersionState, destroy_time: Option<Time>, now: Time) -> VersionState {
    match (state, destroy_time) {
        (VersionState::DestroyScheduled, Some(due)) if now >= due => VersionState::Destroyed,
        _ => state,
    }
}

/// As [`effective_state`], for imported material with an end of its own: past it there is none, whatever the version
/// was.
pub fn expired_state(state: VersionState, expire_material_time: Option<Time>, now: Time) -> VersionState {
    use VersionState::{DestroyScheduled, Destroyed, Disabled, Enabled};
    match (state, expire_material_time) {
        (Enabled | Disabled | DestroyScheduled, Some(end)) if now >= end => Destroyed,
        _ => state,
    }
}

/// As [`effective_state`], for import jobs and their expiry.
pub fn effective_job_state(state: ImportJobState, expire_time: Time, now: Time) -> ImportJobState {
    if now >= expire_time { ImportJobState::Expired } else { state }
}

/// What an admin can do to a version's state.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Transition {
    /// `ENABLED`, from `DISABLED`.
    Enable,
    /// `DISABLED`, from `ENABLED`.
    Disable,
    /// `DESTROY_SCHEDULED`, from `ENABLED` or `DISABLED`.
    Destroy,
    /// `DISABLED`, from `DESTROY_SCHEDULED`.
    Restore,
}

/// The state after a transition, or none when it is refused. Enable and disable are idempotent.
pub fn next_state(state: VersionState, transition: Transition) -> Option<VersionState> {
    use VersionState::*;
    match (transition, state) {
        (Transition::Enable, Enabled | Disabled) => Some(Enabled),
        (Transition::Disable, Enabled | Disabled) => Some(Disabled),
        (Transition::Destroy, Enabled | Disabled) => Some(DestroyScheduled),
        (Transition::Restore, DestroyScheduled) => Some(Disabled),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use VersionState::*;

    const ALL: [VersionState; 8] = [
        PendingGeneration,
        Enabled,
        Disabled,
        DestroyScheduled,
        Destroyed,
        PendingImport,
        ImportFailed,
        GenerationFailed,
    ];

    #[test]
    fn a_schedule_that_has_passed_is_a_destruction() {
        let due = Some(Time(1000));
        assert_eq!(effective_state(DestroyScheduled, due, Time(999)), DestroyScheduled);
        assert_eq!(effective_state(DestroyScheduled, due, Time(1000)), Destroyed);
        assert_eq!(effective_state(Enabled, None, Time(i64::MAX)), Enabled);
    }

    #[test]
    fn only_the_listed_transitions_exist() {
        for state in ALL {
            let live = matches!(state, Enabled | Disabled);
            assert_eq!(next_state(state, Transition::Enable), live.then_some(Enabled));
            assert_eq!(next_state(state, Transition::Disable), live.then_some(Disabled));
            assert_eq!(next_state(state, Transition::Destroy), live.then_some(DestroyScheduled));
            assert_eq!(
                next_state(state, Transition::Restore),
                (state == DestroyScheduled).then_some(Disabled)
            );
        }
    }
}
