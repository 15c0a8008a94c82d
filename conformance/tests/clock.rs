//! Schedules on a clock that is set, through the built daemon: set back, leaping, standing still while it was away.

use std::process::Command;
use std::time::{Duration, Instant};

use claviger_conformance::artefacts;
use claviger_conformance::prelude::*;
use serde_json::Value;

/// A daemon whose clock the test sets.
struct Clocked {
    daemon: Daemon,
}

impl Clocked {
    fn new(settings: &str) -> Clocked {
        let daemon = Daemon::prepare();
        std::fs::create_dir_all(daemon.directory()).unwrap();
        std::fs::write(daemon.directory().join("clavigerd.toml"), settings).unwrap();
        let clocked = Clocked { daemon };
        clocked.set("0s");
        clocked.start();
        clocked.json("keyrings create r");
        clocked
    }

    fn start(&self) {
        let mut command = Command::new(artefacts::clavigerd_testing());
        command.arg("--dev").arg(self.daemon.directory());
        command.env("CLAVIGER_TEST_CLOCK", self.file()).env("CLAVIGER_TEST_TICK_MILLIS", "100");
        self.daemon.launch(command).unwrap_or_else(|failure| panic!("{failure}"));
    }

    fn file(&self) -> std::path::PathBuf {
        self.daemon.root().join("clock")
    }

    /// How much later it is: on both clocks, or on the wall and since boot. A reader never sees half of it.
    fn set(&self, shift: &str) {
        let new = self.daemon.root().join("clock.new");
        std::fs::write(&new, shift).unwrap();
        std::fs::rename(new, self.file()).unwrap();
    }

    #[track_caller]
    fn json(&self, words: &str) -> Value {
        self.daemon.admin().json(words.split_whitespace())
    }

    fn key(&self, id: &str) {
        self.json(&format!("keys create {id} --keyring r --purpose mac --default-algorithm hmac-sha256"));
    }

    fn destroy(&self, id: &str, days: u32) {
        self.json(&format!(
            "keys versions destroy 1 --keyring r --key {id} --yes --pending-window-days {days}"
        ));
    }

    fn version(&self, id: &str) -> Value {
        self.json(&format!("keys versions describe 1 --keyring r --key {id}"))
    }

    fn state(&self, id: &str) -> String {
        self.version(id)["state"].as_str().unwrap().to_owned()
    }

    fn events(&self, name: &str) -> Vec<Value> {
        self.json(&format!("audit list --operation Event.{name}")).as_array().unwrap().clone()
    }

    /// Waits for the timer to do something.
    #[track_caller]
    fn until(&self, what: &str, done: impl Fn() -> bool) {
        let end = Instant::now() + Duration::from_secs(60);
        while !done() {
            assert!(Instant::now() < end, "{what}: not within a minute; the log:\n{}", self.daemon.log());
            std::thread::sleep(Duration::from_millis(50));
        }
    }
}

#[test]
fn time_that_passes_destroys_at_its_hour_and_not_before() {
    // DST-15 DST-20 DST-18 AUD-06
    let clocked = Clocked::new("");
    clocked.key("k");
    clocked.destroy("k", 30);
    let due = clocked.version("k")["destroyTime"].as_str().unwrap().to_owned();
    for (day, left) in [("27d1h", 3), ("28d1h", 2), ("29d1h", 1)] {
        clocked.set(day);
        clocked.until(day, || clocked.events("DESTRUCTION_IMMINENT").len() == 4 - left);
        assert_eq!(clocked.events("DESTRUCTION_IMMINENT")[0]["request"]["daysLeft"], left, "{day}");
        assert_eq!(clocked.state("k"), "DESTROY_SCHEDULED");
    }
    clocked.set("30d1h");
    assert_eq!(clocked.state("k"), "DESTROYED", "at once, whether or not the timer has run");
    clocked.until("the timer", || clocked.events("DESTROYED").len() == 1);
    let version = clocked.version("k");
    assert!(version["destroyEventTime"].as_str().unwrap() >= &*due);
    assert!(version.get("destroyTime").is_none());
    let restored = clocked.daemon.admin().run("keys versions restore 1 --keyring r --key k".split(' '));
    assert_eq!(restored.code, Some(7), "too late");
    let record = clocked.json("audit list --operation DestroyKeyMaterial");
    assert_eq!((&record[0]["source"], &record[0]["result"]), (&"timer".into(), &"OK".into()));
}

#[test]
fn what_was_destroyed_is_purged_by_the_timer_once_a_day() {
    // DST-16
    let clocked = Clocked::new("");
    for id in ["one", "two"] {
        clocked.key(id);
    }
    clocked.destroy("one", 2);
    clocked.destroy("two", 3);
    let purged = |id: &str| clocked.version(id).get("materialPurgedTime").is_some();
    let purges = || clocked.json("audit list --operation PurgeMaterial").as_array().unwrap().clone();
    clocked.set("2d1h");
    clocked.until("the first purge", || purged("one"));
    assert!(!purged("two"));
    // An hour short of a day later the next one is destroyed, and its material is still there for a purge.
    clocked.set("3d0h30m");
    clocked.until("the second destruction", || clocked.events("DESTROYED").len() == 2);
    std::thread::sleep(Duration::from_millis(500));
    assert!(!purged("two"), "one purge a day");
    clocked.set("3d2h");
    clocked.until("the second purge", || purged("two"));
    let purges = purges();
    assert_eq!(purges.len(), 2, "{purges:?}");
    assert!(purges.iter().all(|purge| purge["source"] == "timer" && purge["result"] == "OK"), "{purges:?}");
    // And a daemon without anything to purge rests.
    clocked.set("5d");
    std::thread::sleep(Duration::from_millis(500));
    assert_eq!(clocked.json("audit list --operation PurgeMaterial").as_array().unwrap().len(), 2);
    assert_eq!(clocked.json("store verify")["success"], true);
}

#[test]
fn a_clock_that_is_set_back_changes_nothing() {
    let clocked = Clocked::new("");
    clocked.key("k");
    clocked.destroy("k", 1);
    clocked.set("2d");
    assert_eq!(clocked.state("k"), "DESTROYED");
    let seen = clocked.json("clock status")["time"].as_str().unwrap().to_owned();
    clocked.set("-9d 2d");
    assert_eq!(clocked.state("k"), "DESTROYED", "it does not come back");
    let status = clocked.json("clock status");
    assert!(status["time"].as_str().unwrap() >= &*seen, "{status} after {seen}");
    assert_eq!(status["held"], false);
    clocked.key("later");
    clocked.destroy("later", 1);
    assert!(
        clocked.version("later")["destroyTime"].as_str().unwrap() > &*seen,
        "nor does it shorten a schedule"
    );
    assert!(clocked.daemon.stop(libc::SIGTERM).success());
    clocked.start();
    assert_eq!(clocked.state("k"), "DESTROYED", "nor over a restart");
    assert_eq!(clocked.state("later"), "DESTROY_SCHEDULED");
}

#[test]
fn a_leap_is_held_until_it_is_accepted() {
    let clocked = Clocked::new("");
    for id in ["k", "saved"] {
        clocked.key(id);
        clocked.destroy(id, 30);
    }
    clocked.set("40d 0s");
    clocked.until("an alarm", || clocked.events("CLOCK_JUMP").len() == 1);
    assert_eq!(clocked.state("k"), "DESTROY_SCHEDULED", "held");
    assert_eq!(clocked.json("clock status")["held"], true);
    clocked.json("keys versions restore 1 --keyring r --key saved");
    clocked.daemon.kill();
    clocked.start();
    assert_eq!(clocked.json("clock status")["held"], true, "a restart is no way around it");
    assert_eq!(clocked.state("k"), "DESTROY_SCHEDULED");
    assert_eq!(clocked.daemon.admin().run(["clock", "accept"]).code, Some(11), "asks first");
    let accepted = clocked.json("clock accept --yes");
    assert_eq!(accepted["held"], false);
    assert_eq!((clocked.state("k"), clocked.state("saved")), ("DESTROYED".into(), "DISABLED".into()));
    assert_eq!(clocked.events("CLOCK_ACCEPTED").len(), 1);
}

#[test]
fn a_leap_that_lasts_through_the_grace_period_is_believed() {
    let clocked = Clocked::new("[kms]\nclock_grace = \"12h\"\n");
    clocked.key("k");
    clocked.destroy("k", 30);
    clocked.set("40d 0s");
    clocked.until("an alarm", || clocked.events("CLOCK_JUMP").len() == 1);
    clocked.set("966h 6h");
    assert_eq!(clocked.state("k"), "DESTROY_SCHEDULED", "half of it");
    clocked.set("973h 13h");
    clocked.until("the grace period", || clocked.state("k") == "DESTROYED");
}

#[test]
fn a_trusted_clock_is_followed_at_once() {
    let clocked = Clocked::new("[kms]\ntrust_clock = true\n");
    clocked.key("k");
    clocked.destroy("k", 30);
    clocked.set("40d 0s");
    assert_eq!(clocked.state("k"), "DESTROYED");
    assert_eq!(clocked.events("CLOCK_JUMP"), [] as [Value; 0]);
}

#[test]
fn downtime_counts_unless_it_is_too_long() {
    let clocked = Clocked::new("");
    for (id, days) in [("soon", 2), ("far", 20)] {
        clocked.key(id);
        clocked.destroy(id, days);
    }
    assert!(clocked.daemon.stop(libc::SIGTERM).success());
    clocked.set("5d");
    clocked.start();
    assert_eq!(clocked.state("soon"), "DESTROYED");
    let event = clocked.events("DESTROYED");
    let (happened, due) =
        (event[0]["request"]["destroyEventTime"].as_str().unwrap(), clocked.json("clock status"));
    assert!(due["time"].as_str().unwrap()[..13] == happened[..13], "when it started: {happened}");
    assert_eq!(clocked.state("far"), "DESTROY_SCHEDULED");
    assert!(clocked.daemon.stop(libc::SIGTERM).success());
    clocked.set("30d");
    clocked.start();
    assert_eq!(clocked.state("far"), "DESTROY_SCHEDULED", "25 days are more than is believed");
    assert_eq!(clocked.events("CLOCK_JUMP").len(), 1);
    clocked.json("clock accept --yes");
    assert_eq!(clocked.state("far"), "DESTROYED");
}

#[test]
fn rotations_that_were_missed_are_one_and_a_leap_rotates() {
    // ROT-04 ROT-06 ROT-07 ROT-08
    let clocked = Clocked::new("");
    clocked.json("keys create k --keyring r --purpose encryption");
    assert_eq!(clocked.json("keys rotation status k --keyring r")["enabled"], false, "off by default");
    let refused = "keys rotation enable k --keyring r --rotation-period 1h";
    assert_eq!(clocked.daemon.admin().run(refused.split(' ')).code, Some(2));
    let year = clocked.json("keys rotation enable k --keyring r");
    assert_eq!(year["rotationPeriod"], "31536000s");
    clocked.json("keys rotation enable k --keyring r --rotation-period 7d");
    let versions = || clocked.json("keys versions list --keyring r --key k").as_array().unwrap().len();
    assert!(clocked.daemon.stop(libc::SIGTERM).success());
    clocked.set("36d");
    clocked.start();
    clocked.until("a rotation", || versions() == 2);
    std::thread::sleep(Duration::from_millis(500));
    assert_eq!(versions(), 2, "five periods were missed, and one version is made");
    let status = clocked.json("keys rotation status k --keyring r");
    let (next, now) = (status["nextRotationTime"].as_str().unwrap(), clocked.json("clock status"));
    assert!(next > now["wallTime"].as_str().unwrap(), "{status} {now}");
    let primary = clocked.json("keys describe k --keyring r")["primary"]["name"].as_str().unwrap().to_owned();
    assert!(primary.ends_with("/2"));
    assert_eq!(clocked.json("audit list --operation RotateKey --source timer").as_array().unwrap().len(), 1);
    // A leap of the wall clock alone, which holds destruction, rotates.
    clocked.set("60d 36d");
    clocked.until("a leap", || versions() == 3);
    let disabled = clocked.json("keys rotation disable k --keyring r");
    assert_eq!(disabled["enabled"], false);
    clocked.set("90d 66d");
    std::thread::sleep(Duration::from_millis(500));
    assert_eq!(versions(), 3);
}

#[test]
fn events_go_to_the_hook_and_to_those_who_watch() {
    // DST-18 AUD-06
    let inbox = tempfile::tempdir().unwrap();
    let file = inbox.path().join("events");
    std::fs::write(&file, "").unwrap();
    use std::os::unix::fs::PermissionsExt;
    for (path, mode) in [(inbox.path(), 0o777), (&*file, 0o666)] {
        std::fs::set_permissions(path, PermissionsExt::from_mode(mode)).unwrap();
    }
    let settings =
        format!("[kms]\nevent_hook = [\"/usr/bin/tee\", \"-a\", {:?}]\nevent_hook_uid = 65534\n", file);
    let clocked = Clocked::new(&settings);
    clocked.key("k");
    clocked.destroy("k", 2);
    let read = || std::fs::read_to_string(&file).unwrap();
    clocked.until("the notice", || read().contains("DESTRUCTION_IMMINENT"));
    clocked.set("3d");
    clocked.until("the hook", || read().contains("\"DESTROYED\""));
    // The hook is not a shell and runs as somebody else only when the daemon is root.
    let events: Vec<Value> =
        serde_json::Deserializer::from_str(&read()).into_iter().map(Result::unwrap).collect();
    let names: Vec<_> = events.iter().map(|event| event["event"].as_str().unwrap()).collect();
    // The purge of the day may be told as well by now.
    assert_eq!(names[..3], ["DESTRUCTION_SCHEDULED", "DESTRUCTION_IMMINENT", "DESTROYED"]);
    assert!(
        events[..3]
            .iter()
            .all(|event| event["resourceName"].as_str().unwrap().ends_with("cryptoKeyVersions/1"))
    );
    let watch = clocked.daemon.admin().run(["events", "watch", "--once", "--after", "0"]);
    assert!(watch.stdout.lines().count() >= 3, "{}", watch.stdout);
}

#[test]
fn the_daemon_that_ships_has_no_other_clock() {
    let daemon = Daemon::prepare();
    let mut command = daemon.command();
    command.arg("--test-clock").arg("x");
    assert!(daemon.launch(command).is_err());
    let shipped = std::fs::read(artefacts::clavigerd()).unwrap();
    let has = |text: &str| shipped.windows(text.len()).any(|window| window == text.as_bytes());
    assert!(!has("CLAVIGER_TEST_CLOCK") && !has("CLAVIGER_TEST_TICK"));
}

#[test]
fn a_backup_whose_time_is_over_is_told_of_once() {
    let clocked = Clocked::new("");
    clocked.key("k");
    let passphrase = clocked.daemon.file("passphrase", "correct horse\n");
    let backup = |name: &str, days: u32| {
        let file = clocked.daemon.root().join(name);
        let words = "backup create --passphrase-file";
        clocked.json(&format!(
            "{words} {} --file {} --expire-after {days}d",
            passphrase.display(),
            file.display()
        ))["backup"]
            .as_str()
            .unwrap()
            .to_owned()
    };
    let (short, long) = (backup("short", 2), backup("long", 9));
    clocked.destroy("k", 1);
    clocked.set("1d1h");
    clocked.until("the destruction", || clocked.events("DESTROYED").len() == 1);
    assert_eq!(clocked.events("BACKUP_EXPIRED"), Vec::<Value>::new());
    clocked.set("2d1h");
    clocked.until("the event", || clocked.events("BACKUP_EXPIRED").len() == 1);
    let event = &clocked.events("BACKUP_EXPIRED")[0];
    assert_eq!(
        (&event["resourceName"], &event["request"]["destroyedSince"]),
        (&format!("backup {short}").into(), &1.into())
    );
    // Not again after a restart, and of the other one in its turn.
    clocked.daemon.stop(libc::SIGTERM);
    clocked.start();
    clocked.set("9d1h");
    clocked.until("the other event", || clocked.events("BACKUP_EXPIRED").len() == 2);
    assert_eq!(clocked.events("BACKUP_EXPIRED")[0]["resourceName"], format!("backup {long}"));
}
