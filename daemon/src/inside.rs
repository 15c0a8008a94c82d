//! An application within the process of a test: its calls go through the dispatcher, and no socket.

use std::sync::Arc;

use claviger_protocol::call::{Call, OpenSession};
use claviger_protocol::flags::session;
use claviger_protocol::{Rv, codec};

use crate::access::Identity;
use crate::application::Application;
use crate::calls::Context;
use crate::connection;
use crate::daemon::Daemon;
use crate::server::Peer;
use crate::session_table::User;
use crate::sharing::Sharing;
use crate::token::Token;

/// An application with a session, on a token whose user is logged in.
pub(crate) struct Inside {
    pub daemon: Arc<Daemon>,
    pub application: Arc<Application>,
    pub token: Arc<Token>,
    pub session: u64,
}

impl Inside {
    pub fn on(daemon: &Arc<Daemon>, token: &Arc<Token>) -> Inside {
        let peer = Peer { uid: 0, gid: 0, pid: 1 };
        let mut identity = Identity::of(peer, daemon.access.settings());
        identity.uses_keys = true;
        let slots = vec![token.slot];
        let application = daemon.applications.start(Arc::new(identity), slots).unwrap();
        let mut inside = Inside { daemon: daemon.clone(), application, token: token.clone(), session: 0 };
        inside.open();
        inside.application.table.log_in(token.slot, User::User).unwrap();
        inside
    }

    fn open(&mut self) {
        let flags = session::SERIAL_SESSION | session::RW_SESSION;
        self.session = self.call(&OpenSession { slot: self.token.slot, flags }).unwrap();
    }

    /// Answers a request as a connection does: decodes it, runs it, and appends the encoded reply.
    pub fn answer(&self, number: u16, body: &[u8], reply: &mut Vec<u8>) -> Rv {
        let sharing = Sharing::default();
        let (daemon, application) = (&self.daemon, &self.application);
        let context = Context { daemon, application, alive: &|| true, sharing: &sharing, span: None };
        connection::answer(&context, number, body, reply)
    }

    pub fn call<C: Call>(&self, call: &C) -> Result<C::Reply, Rv> {
        let mut reply = Vec::new();
        match self.answer(C::NUMBER, &codec::encode(call).unwrap(), &mut reply) {
            Rv::OK => Ok(codec::decode(&reply).unwrap()),
            rv => Err(rv),
        }
    }
}

impl Drop for Inside {
    fn drop(&mut self) {
        self.daemon.applications.leave(&self.application);
    }
}
