//! The cache under every order in which threads can come to it. Each of its functions runs under one lock, so the
//! orders of these functions and of what the daemon does between them are all there is; they are tried one by one.

use std::io::Write;
use std::os::unix::fs::FileExt;

use claviger_protocol::mechanism_type::MechanismType as M;
use claviger_protocol::params::Params;
use nix::fcntl::{FcntlArg, SealFlag, fcntl};
use nix::sys::memfd::{MFdFlags, memfd_create};

use super::*;

const SESSION: u64 = 7;
const KEY: u64 = 9;

/// A daemon with one session, one key, and its page.
struct Daemon {
    page: std::fs::File,
    generation: u64,
    /// The session's operation.
    is_active: bool,
    /// The key may be used.
    is_enabled: bool,
    /// The page says that it may not.
    has_told: bool,
}

impl Daemon {
    fn new() -> (Daemon, Page) {
        let memory = memfd_create(c"test", MFdFlags::MFD_CLOEXEC | MFdFlags::MFD_ALLOW_SEALING).unwrap();
        nix::unistd::ftruncate(&memory, 4096).unwrap();
        fcntl(&memory, FcntlArg::F_ADD_SEALS(SealFlag::F_SEAL_SHRINK | SealFlag::F_SEAL_GROW)).unwrap();
        let page = Page::map(&memory).unwrap();
        let mut page_file = std::fs::File::from(memory);
        page_file.write_all(&1u64.to_ne_bytes()).unwrap();
        let daemon =
            Daemon { page: page_file, generation: 1, is_active: false, is_enabled: true, has_told: false };
        (daemon, page)
    }

    fn tell(&mut self) {
        self.generation += 1;
        self.page.write_all_at(&self.generation.to_ne_bytes(), 0).unwrap();
        self.has_told = true;
    }

    fn init(&mut self) -> Result<()> {
        match (self.is_active, self.is_enabled) {
            (true, _) => Err(Rv::OPERATION_ACTIVE),
            (false, false) => Err(Rv::KEY_FUNCTION_NOT_PERMITTED),
            (false, true) => {
                self.is_active = true;
                Ok(())
            }
        }
    }

    fn sign(&mut self) -> Result<()> {
        if std::mem::take(&mut self.is_active) { Ok(()) } else { Err(Rv::OPERATION_NOT_INITIALIZED) }
    }
}

/// What a thread is about to do.
enum Step {
    Begin,
    /// The daemon gets the Init.
    Init(Asked),
    Begun(Asked, Result<()>),
    Whole,
    /// The daemon gets the call.
    Sign(u64),
    Signed(u64, Result<()>),
    /// The daemon gets both.
    Both,
    Settled(Result<()>),
    /// An admin disables the key, and then hears of it.
    Disable,
    Tell,
    Done,
}

fn ecdsa() -> Mechanism {
    Mechanism { r#type: M::ECDSA, params: Params::None }
}

/// Does a thread's step and gives its next one.
fn step(step: Step, cache: &Cache, daemon: &mut Daemon) -> Step {
    match step {
        Step::Begin => match cache.begin(Kind::Sign, SESSION, &ecdsa(), KEY, || true) {
            Begin::Admitted => {
                assert!(daemon.is_enabled || !daemon.has_told, "admitted after the change was told");
                Step::Whole
            }
            Begin::Active => Step::Done,
            Begin::Ask(asked) => Step::Init(asked),
        },
        Step::Init(asked) => Step::Begun(asked, daemon.init()),
        Step::Begun(asked, result) => {
            cache.begun(Kind::Sign, SESSION, ecdsa(), KEY, asked, result.is_ok());
            if result.is_ok() { Step::Whole } else { Step::Done }
        }
        Step::Whole => match cache.whole(Kind::Sign, SESSION) {
            Whole::WithInit(_) => Step::Both,
            Whole::Alone(serial) => Step::Sign(serial),
            Whole::Refused(rv) => panic!("{rv}"),
        },
        Step::Sign(serial) => Step::Signed(serial, daemon.sign()),
        Step::Signed(serial, result) => {
            if result.is_ok() {
                cache.ended(Kind::Sign, SESSION, serial);
            }
            Step::Done
        }
        Step::Both => {
            let result = daemon.init();
            assert_ne!(result, Err(Rv::OPERATION_ACTIVE), "an Init that was admitted meets another one");
            Step::Settled(result.and_then(|()| daemon.sign()))
        }
        Step::Settled(result) => {
            cache.settled(Kind::Sign, SESSION, result.is_ok());
            Step::Done
        }
        Step::Disable => {
            daemon.is_enabled = false;
            Step::Tell
        }
        Step::Tell => {
            daemon.tell();
            Step::Done
        }
        Step::Done => Step::Done,
    }
}

/// Runs threads in one order: at each point the number of the one that goes on, among those that are not done. Beyond
/// the order's end the first goes on. Gives how many could have gone on at each point.
fn run(order: &[usize], first: &[First], is_warm: bool) -> Vec<usize> {
    let (mut daemon, page) = Daemon::new();
    let cache = Cache::default();
    cache.restart(Some(page));
    cache.opened(SESSION, 1);
    if is_warm {
        for mut next in [Step::Begin, Step::Begin] {
            while !matches!(next, Step::Done) {
                next = step(next, &cache, &mut daemon);
            }
        }
    }
    let mut threads: Vec<(Step, usize)> = first.iter().map(|(first, times)| (first(), times - 1)).collect();
    let mut choices = Vec::new();
    loop {
        let ready: Vec<usize> =
            (0..threads.len()).filter(|i| !matches!(threads[*i], (Step::Done, 0))).collect();
        if ready.is_empty() {
            // Alone, a thread is always served.
            cache.disturbed();
            let _ = daemon.sign();
            for _ in 0..2 {
                let asked = cache.begin(Kind::Sign, SESSION, &ecdsa(), KEY, || true);
                assert!(!matches!(asked, Begin::Active), "an operation is left behind");
                if matches!(asked, Begin::Admitted) {
                    assert!(cache.cancel(Kind::Sign, SESSION));
                }
            }
            return choices;
        }
        let choice = order.get(choices.len()).copied().unwrap_or(0);
        choices.push(ready.len());
        let thread = ready[choice];
        let next = match std::mem::replace(&mut threads[thread].0, Step::Done) {
            Step::Done => {
                threads[thread].1 -= 1;
                first[thread].0()
            }
            next => next,
        };
        threads[thread].0 = step(next, &cache, &mut daemon);
    }
}

/// A thread's first step, and how often it begins.
type First = (fn() -> Step, usize);

const SIGN: First = (|| Step::Begin, 1);
const SIGN_TWICE: First = (|| Step::Begin, 2);
const DISABLE: First = (|| Step::Disable, 1);

/// Tries all orders, and gives their number.
fn all_orders(first: &[First], is_warm: bool) -> usize {
    let (mut order, mut count) = (Vec::new(), 0);
    loop {
        let choices = run(&order, first, is_warm);
        count += 1;
        order.resize(choices.len(), 0);
        // The next order: the last point at which another thread could go on.
        while let Some(last) = order.pop() {
            if last + 1 < choices[order.len()] {
                order.push(last + 1);
                break;
            }
        }
        if order.is_empty() {
            return count;
        }
    }
}

#[test]
fn threads_on_one_session_never_make_an_admitted_init_fail() {
    for is_warm in [true, false] {
        let orders =
            [all_orders(&[SIGN_TWICE, SIGN_TWICE], is_warm), all_orders(&[SIGN, SIGN, SIGN], is_warm)];
        println!("warm: {is_warm}, orders: {orders:?}");
        assert!(orders.iter().all(|count| *count > 50), "{orders:?}");
    }
}

#[test]
fn nothing_is_admitted_once_a_change_is_told() {
    for is_warm in [true, false] {
        let orders =
            [all_orders(&[SIGN_TWICE, DISABLE], is_warm), all_orders(&[SIGN, SIGN, DISABLE], is_warm)];
        println!("warm: {is_warm}, orders: {orders:?}");
        assert!(orders.iter().all(|count| *count > 20), "{orders:?}");
    }
}

#[test]
fn only_calls_that_were_thought_about_are_quiet() {
    for (number, name) in CALLS {
        let changes = ["Login", "Logout", "Pin", "Token", "Destroy", "SetAttribute", "CloseAll", "Finalize"];
        let may_change = changes.iter().any(|part| name.contains(part)) && !name.starts_with("Get");
        assert!(!(may_change && is_quiet(*number)), "{name}");
    }
    assert!(!is_quiet(u16::MAX));
}

#[test]
fn parameters_with_fresh_bytes_are_alike_and_others_must_be_equal() {
    let gcm = |iv: &[u8], tag_bits| Mechanism {
        r#type: M::AES_GCM,
        params: Params::Gcm { iv: iv.into(), aad: [].as_slice().into(), tag_bits },
    };
    assert!(gcm(&[1; 12], 128).is_alike(&gcm(&[2; 12], 128)));
    assert!(!gcm(&[1; 12], 128).is_alike(&gcm(&[1; 13], 128)));
    assert!(!gcm(&[1; 12], 128).is_alike(&gcm(&[1; 12], 96)));
    let pss = |salt_len| Mechanism {
        r#type: M::RSA_PKCS_PSS,
        params: Params::Pss { hash: M::SHA256, mgf: 2, salt_len },
    };
    assert!(pss(32).is_alike(&pss(32)));
    assert!(!pss(32).is_alike(&pss(20)));
}
