//! The shell around every C_*: a panic becomes a return value, and one line tells about the call if asked.

use std::fmt::Write as _;
use std::io::Write as _;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::OpenOptionsExt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::Instant;

use claviger_protocol::{Result, Rv};

use crate::ptr;
use crate::sys::CK_RV;

/// Runs a function's body. A panic is a bug, and still no reason to take the application down with us.
pub fn enter(function: &str, body: impl FnOnce() -> Result<()>) -> CK_RV {
    let started = is_logging().then(Instant::now);
    let rv = match catch_unwind(AssertUnwindSafe(body)) {
        Ok(Ok(())) => Rv::OK,
        Ok(Err(rv)) => rv,
        Err(_) => Rv::GENERAL_ERROR,
    };
    if let Some(started) = started {
        log(function, rv, started);
    }
    rv.0
}

const UNKNOWN: u8 = 0;
const QUIET: u8 = 1;
const LOGGING: u8 = 2;

/// True when `CLAVIGER_MODULE_LOG` is set: to the path of a file that lines are appended to, or to anything without a
/// slash for standard error. Looked up once, at the first call.
fn is_logging() -> bool {
    static STATE: AtomicU8 = AtomicU8::new(UNKNOWN);
    match STATE.load(Ordering::Relaxed) {
        UNKNOWN => {
            let logging = !ptr::at_secure() && std::env::var_os("CLAVIGER_MODULE_LOG").is_some();
            STATE.store(if logging { LOGGING } else { QUIET }, Ordering::Relaxed);
            logging
        }
        state => state == LOGGING,
    }
}

/// Writes one line, with one write: no lock that a forked child could inherit, no descriptor that stays open. Names
/// and numbers alone, never an argument.
fn log(function: &str, rv: Rv, started: Instant) {
    let mut line = String::new();
    let pid = std::process::id();
    let micros = started.elapsed().as_micros();
    if writeln!(line, "claviger-pkcs11[{pid}]: {function} = {rv} ({micros} us)").is_ok() {
        let target =
            std::env::var_os("CLAVIGER_MODULE_LOG").filter(|target| target.as_bytes().contains(&b'/'));
        if let Some(path) = target {
            let file = std::fs::OpenOptions::new().append(true).create(true).mode(0o600).open(path);
            // What happens to the line is of no matter.
            let _ = file.and_then(|mut file| file.write_all(line.as_bytes()));
            return;
        }
        // SAFETY: descriptor 2 and memory of our own; what happens to the line is of no matter.
        unsafe { libc::write(libc::STDERR_FILENO, line.as_ptr().cast(), line.len()) };
    }
}

/// One C function: the symbol, the shell, and what its arguments are read as. `always` functions run in any
/// state, `initialized` ones have a client, `not_supported` ones are there for their place in the lists.
macro_rules! function {
    (always $client:ident $name:ident($($arg:ident: $type:ty),* $(,)?) => $body:expr) => {
        $crate::shell::function! { @export $name($($arg: $type),*) { $body } }
    };
    (initialized $client:ident $name:ident($($arg:ident: $type:ty),* $(,)?) => $body:expr) => {
        $crate::shell::function! { @export $name($($arg: $type),*) {
            let $client = $crate::library::LIBRARY.client()?;
            let $client: &$crate::client::Client = &$client;
            $body
        } }
    };
    (not_supported $client:ident $name:ident($($arg:ident: $type:ty),* $(,)?)) => {
        $crate::shell::function! { @export $name($($arg: $type),*) {
            $crate::library::LIBRARY.client()?;
            Err(claviger_protocol::Rv::FUNCTION_NOT_SUPPORTED)
        } }
    };
    (@export $name:ident($($arg:ident: $type:ty),*) $body:block) => {
        #[doc = concat!("`", stringify!($name), "` of PKCS#11.")]
        #[unsafe(no_mangle)]
        #[allow(unsafe_code, unused_unsafe, unused_variables, reason = "one macro for all functions")]
        #[allow(non_snake_case, reason = "names as in the standard")]
        #[allow(clippy::missing_safety_doc, reason = "PKCS#11 says what the arguments must be")]
        #[allow(clippy::too_many_arguments, reason = "as many as in PKCS#11")]
        pub unsafe extern "C" fn $name($($arg: $type),*) -> $crate::sys::CK_RV {
            // SAFETY: the application gives the arguments that PKCS#11 asks for; that is all that the
            // constructors in `ptr` need.
            $crate::shell::enter(stringify!($name), || unsafe { $body })
        }
    };
}

/// The table of functions by version: declares them all and makes the lists' contents, `ALL_2_40`, `ALL_3_0`
/// and `ALL_3_2`, of which each holds the ones before.
macro_rules! functions {
    (
        $client:ident;
        v2_40 always { $($a:ident $a_args:tt => $a_body:expr;)* }
        v2_40 initialized { $($b:ident $b_args:tt => $b_body:expr;)* }
        v3_0 always { $($c:ident $c_args:tt => $c_body:expr;)* }
        v3_0 initialized { $($d:ident $d_args:tt => $d_body:expr;)* }
        v3_0 not_supported { $($e:ident $e_args:tt;)* }
        v3_2 initialized { $($f:ident $f_args:tt => $f_body:expr;)* }
        v3_2 not_supported { $($g:ident $g_args:tt;)* }
    ) => {
        $($crate::shell::function! { always $client $a $a_args => $a_body })*
        $($crate::shell::function! { initialized $client $b $b_args => $b_body })*
        $($crate::shell::function! { always $client $c $c_args => $c_body })*
        $($crate::shell::function! { initialized $client $d $d_args => $d_body })*
        $($crate::shell::function! { not_supported $client $e $e_args })*
        $($crate::shell::function! { initialized $client $f $f_args => $f_body })*
        $($crate::shell::function! { not_supported $client $g $g_args })*

        const ALL_2_40: CK_FUNCTION_LIST =
            CK_FUNCTION_LIST { version: VERSION_2_40, $($a: Some($a),)* $($b: Some($b),)* };
        const ALL_3_0: CK_FUNCTION_LIST_3_0 = CK_FUNCTION_LIST_3_0 {
            version: VERSION_3_0,
            $($a: Some($a),)* $($b: Some($b),)* $($c: Some($c),)* $($d: Some($d),)* $($e: Some($e),)*
        };
        const ALL_3_2: CK_FUNCTION_LIST_3_2 =
            CK_FUNCTION_LIST_3_2 { v3_0: ALL_3_0, $($f: Some($f),)* $($g: Some($g),)* };
    };
}

pub(crate) use {function, functions};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_is_a_general_error() {
        assert_eq!(enter("C_Test", || panic!("on purpose")), Rv::GENERAL_ERROR.0);
        assert_eq!(enter("C_Test", || Err(Rv::NO_EVENT)), Rv::NO_EVENT.0);
        assert_eq!(enter("C_Test", || Ok(())), Rv::OK.0);
    }
}
