//! `import-jobs wait`, and waiting for a version that is being imported.

use std::time::Duration;

use claviger_protocol::admin::{Code, Request, Verb};
use serde_json::Value;

use crate::client::Client;
use crate::console::Verbosity;
use crate::error::{Error, Result};
use crate::{Call, command, print, request};

/// Between two looks. A key pair of 4096 bits takes seconds.
const PAUSE: Duration = Duration::from_millis(if cfg!(test) { 1 } else { 500 });

/// Waits until the job is active.
///
/// # Errors
/// `FailedPrecondition` when it never will be.
pub fn run(call: &mut Call<'_, '_>) -> Result<u8> {
    let request = request::build(call)?;
    let mut client = Client::connect(&call.options.socket)?;
    let describe = command::verb("import-jobs describe");
    let job = client.call(describe, &request)?;
    let job = until_left(call, &mut client, describe, &request, job, "PENDING_GENERATION")?;
    match state(&job) {
        "ACTIVE" => {
            print::print(call, &job)?;
            Ok(0)
        }
        state => Err(Error::code(Code::FailedPrecondition, format!("{} has state {state}", name(&job)))),
    }
}

/// Asks again until the resource has left `state`, and answers with it as it is then.
///
/// # Errors
/// The daemon's.
pub fn until_left(
    call: &mut Call<'_, '_>,
    client: &mut Client,
    describe: &Verb,
    request: &Request,
    mut resource: Value,
    pending: &str,
) -> Result<Value> {
    if state(&resource) == pending {
        call.console.tell(Verbosity::Info, &format!("Waiting: {} has state {pending} ...", name(&resource)));
    }
    while state(&resource) == pending {
        std::thread::sleep(PAUSE);
        resource = client.call(describe, request)?;
    }
    Ok(resource)
}

/// A resource's state.
pub fn state(resource: &Value) -> &str {
    resource.get("state").and_then(Value::as_str).unwrap_or("unknown")
}

/// A resource's name.
pub fn name(resource: &Value) -> &str {
    resource.get("name").and_then(Value::as_str).unwrap_or("the resource")
}

#[cfg(test)]
mod tests {
    use crate::fake::{Daemon, document, run};

    fn wait(states: &'static [&'static str]) -> (u8, String, String) {
        let mut states = states.iter();
        let daemon = Daemon::start(move |verb, _| {
            assert_eq!(verb.path, "import-jobs describe");
            document(&format!(r#"{{"name":"j","state":"{}"}}"#, states.next().unwrap()))
        });
        run(daemon.socket(), &["import-jobs", "wait", "j", "--keyring", "r"], "", false)
    }

    #[test]
    fn waits_for_active_and_no_longer() {
        let (exit, out, err) = wait(&["PENDING_GENERATION", "PENDING_GENERATION", "ACTIVE"]);
        assert_eq!((exit, err.as_str()), (0, "Waiting: j has state PENDING_GENERATION ...\n"));
        assert!(out.contains("Active"), "{out}");
        assert_eq!(wait(&["ACTIVE"]).2, "");
    }

    #[test]
    fn a_job_that_will_never_be_active_is_a_wrong_state() {
        let (exit, out, err) = wait(&["PENDING_GENERATION", "EXPIRED"]);
        assert_eq!((exit, out.as_str()), (7, ""));
        assert!(err.ends_with("claviger: j has state EXPIRED\n"), "{err}");
    }
}
