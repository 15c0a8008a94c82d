//! Where the daemon keeps its things and how it listens: `--config FILE`, or `--dev DIR` for all in one place.

use std::path::{Path, PathBuf};

use serde::Deserialize;

use crate::access;
use crate::application::Limits;
use crate::audit;
use crate::kms::settings::Settings;
use crate::process::Hardening;
use crate::store::RootSource;

/// Settings of a daemon. Paths are absolute.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// Directory of the store and the keyring.
    pub state_directory: PathBuf,
    /// Socket of the PKCS#11 module.
    pub pkcs11_socket: PathBuf,
    /// Socket of the admin CLI.
    pub admin_socket: PathBuf,
    /// File with the root key (32 bytes, mode 0600). Without it the systemd credential `root-key` is used.
    pub root_key_file: Option<PathBuf>,
    /// Makes the root key file on first start.
    pub create_root_key: bool,
    /// The root key is under a passphrase in the state directory: the daemon starts sealed and waits for
    /// `claviger unseal`. `clavigerd root passphrase` puts it there.
    pub root_key_passphrase: bool,
    /// Mode of the PKCS#11 socket, when systemd does not pass it.
    pub pkcs11_socket_mode: u32,
    /// Mode of the admin socket, when systemd does not pass it.
    pub admin_socket_mode: u32,
    /// Connections that each socket may have.
    pub max_connections: usize,
    /// Connections that one user may have on each socket.
    pub max_connections_per_uid: usize,
    /// What applications may hold.
    pub limits: Limits,
    /// What the process does to itself.
    pub hardening: Hardening,
    /// The life of keys.
    pub kms: Settings,
    /// The audit log.
    pub audit: audit::Settings,
    /// Who may do what.
    pub access: access::settings::Settings,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            state_directory: "/var/lib/claviger".into(),
            pkcs11_socket: "/run/claviger/pkcs11.sock".into(),
            admin_socket: "/run/claviger/admin.sock".into(),
            root_key_file: None,
            create_root_key: false,
            root_key_passphrase: false,
            pkcs11_socket_mode: 0o660,
            admin_socket_mode: 0o600,
            max_connections: 1024,
            max_connections_per_uid: 256,
            limits: Limits::default(),
            hardening: Hardening::default(),
            kms: Settings::default(),
            audit: audit::Settings::default(),
            access: access::settings::Settings::default(),
        }
    }
}

/// A configuration that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The file cannot be read.
    #[error("cannot read the configuration {}: {source}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The file is no configuration.
    #[error("the configuration {} is wrong: {source}", path.display())]
    Parse {
        /// The file.
        path: PathBuf,
        /// Where and why.
        source: Box<toml::de::Error>,
    },
}

impl Config {
    /// Where the root key comes from.
    pub fn root_source(&self) -> RootSource {
        match &self.root_key_file {
            _ if self.root_key_passphrase => RootSource::Passphrase,
            Some(path) => RootSource::File { path: path.clone(), create: self.create_root_key },
            None => RootSource::Credential,
        }
    }

    /// The configuration in a file.
    ///
    /// # Errors
    /// [`Error`] names the file and the line.
    pub fn from_file(path: &Path) -> Result<Config, Error> {
        let text =
            std::fs::read_to_string(path).map_err(|source| Error::Read { path: path.to_owned(), source })?;
        Config::parse(&text)
            .map_err(|source| Error::Parse { path: path.to_owned(), source: Box::new(source) })
    }

    /// The configuration that a text says.
    ///
    /// # Errors
    /// Where and why it is none.
    pub fn parse(text: &str) -> Result<Config, toml::de::Error> {
        let config: Config = toml::from_str(text)?;
        config.kms.check().map_err(serde::de::Error::custom)?;
        Ok(config)
    }

    /// Everything under one directory, for the user who starts the daemon; `clavigerd.toml` in it overrides.
    ///
    /// # Errors
    /// As [`Config::from_file`].
    pub fn dev(directory: &Path) -> Result<Config, Error> {
        let file = directory.join("clavigerd.toml");
        let owner = Some(nix::unistd::geteuid().as_raw());
        let defaults = Config {
            state_directory: directory.to_owned(),
            pkcs11_socket: directory.join("pkcs11.sock"),
            admin_socket: directory.join("admin.sock"),
            root_key_file: Some(directory.join("root.key")),
            create_root_key: true,
            pkcs11_socket_mode: 0o600,
            admin_socket_mode: 0o600,
            kms: Settings { any_location: true, ..Settings::default() },
            access: access::settings::Settings { owner, ..Default::default() },
            hardening: Hardening { allow_root: true, ..Hardening::default() },
            ..Config::default()
        };
        if !file.exists() {
            return Ok(defaults);
        }
        let text =
            std::fs::read_to_string(&file).map_err(|source| Error::Read { path: file.clone(), source })?;
        let parse = |source| Error::Parse { path: file.clone(), source: Box::new(source) };
        let overrides: toml::Table = toml::from_str(&text).map_err(parse)?;
        let mut settings = defaults.to_table();
        settings.extend(overrides);
        let mut config: Config = settings.try_into().map_err(parse)?;
        config.kms.any_location = true;
        config.access.owner = owner;
        config.kms.check().map_err(|message| parse(serde::de::Error::custom(message)))?;
        config.hardening.allow_root = true;
        Ok(config)
    }

    fn to_table(&self) -> toml::Table {
        let path = |path: &Path| toml::Value::String(path.to_string_lossy().into_owned());
        let number = |number: usize| toml::Value::Integer(i64::try_from(number).unwrap_or(i64::MAX));
        let mut table = toml::Table::new();
        table.insert("state_directory".into(), path(&self.state_directory));
        table.insert("pkcs11_socket".into(), path(&self.pkcs11_socket));
        table.insert("admin_socket".into(), path(&self.admin_socket));
        if let Some(file) = &self.root_key_file {
            table.insert("root_key_file".into(), path(file));
        }
        table.insert("create_root_key".into(), toml::Value::Boolean(self.create_root_key));
        table.insert("pkcs11_socket_mode".into(), toml::Value::Integer(self.pkcs11_socket_mode.into()));
        table.insert("admin_socket_mode".into(), toml::Value::Integer(self.admin_socket_mode.into()));
        table.insert("max_connections".into(), number(self.max_connections));
        table.insert("max_connections_per_uid".into(), number(self.max_connections_per_uid));
        table
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dev_directory_holds_everything_and_its_file_overrides() {
        let dir = tempfile::tempdir().unwrap();
        let config = Config::dev(dir.path()).unwrap();
        assert_eq!(config.pkcs11_socket, dir.path().join("pkcs11.sock"));
        std::fs::write(dir.path().join("clavigerd.toml"), "max_connections = 7\n").unwrap();
        let changed = Config::dev(dir.path()).unwrap();
        assert_eq!(changed, Config { max_connections: 7, ..config });
    }

    #[test]
    fn an_unknown_setting_is_refused_by_name() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("c.toml"), "max_conections = 7\n").unwrap();
        let error = Config::from_file(&dir.path().join("c.toml")).unwrap_err();
        assert!(error.to_string().contains("c.toml"));
        assert!(format!("{error}").contains("max_conections"), "{error}");
    }
}
