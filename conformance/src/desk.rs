//! An admin at the command line: verbs as one text, files in a directory, a daemon of its own.

use serde_json::Value;

use crate::admin::Answer;
use crate::daemon::Daemon;

/// An admin with a daemon.
pub struct Desk {
    /// The daemon.
    pub daemon: Daemon,
}

impl Desk {
    /// With a new daemon that has one key ring, `r`.
    pub fn new() -> Desk {
        let desk = Desk { daemon: Daemon::start() };
        desk.json("keyrings create r");
        desk
    }

    /// Runs a verb, its words separated by blanks, whatever comes of it.
    pub fn run(&self, words: &str) -> Answer {
        self.daemon.admin().run(words.split_whitespace())
    }

    /// The JSON of a verb that must succeed.
    #[track_caller]
    pub fn json(&self, words: &str) -> Value {
        self.daemon.admin().json(words.split_whitespace())
    }

    /// Asserts that a verb fails with this exit code, and that it says this.
    #[track_caller]
    pub fn fails(&self, words: &str, code: i32, sentence: &str) {
        let answer = self.run(words);
        assert_eq!(answer.code, Some(code), "{words}: {}{}", answer.stdout, answer.stderr);
        assert!(answer.stderr.contains(sentence), "{words}: {}", answer.stderr);
    }

    /// Where a file of this name is.
    pub fn path(&self, name: &str) -> String {
        self.daemon.root().join(name).to_string_lossy().into_owned()
    }

    /// Writes a file and gives its path.
    pub fn file(&self, name: &str, content: impl AsRef<[u8]>) -> String {
        self.daemon.file(name, content).to_string_lossy().into_owned()
    }

    /// The content of a file.
    ///
    /// # Panics
    /// When there is none.
    pub fn read(&self, name: &str) -> Vec<u8> {
        std::fs::read(self.path(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
    }

    /// The public key of a version as `SubjectPublicKeyInfo`.
    #[track_caller]
    pub fn public_key(&self, key: &str, version: u32) -> Vec<u8> {
        let out = self.path("public.der");
        let said = self.run(&format!(
            "keys versions get-public-key {version} --keyring r --key {key} --public-key-format der --output-file {out}"
        ));
        assert_eq!(said.code, Some(0), "{key}: {}", said.stderr);
        self.read("public.der")
    }
}

impl Default for Desk {
    fn default() -> Self {
        Desk::new()
    }
}
