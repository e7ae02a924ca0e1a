//! Between the library's types and the generated ones, which are their like.

use super::wit;
use crate::{Blame, Config, Established, Failure, Progress, Update};

impl From<wit::Config> for Config {
    fn from(config: wit::Config) -> Self {
        Config {
            server_name: config.server_name,
            alpn: config.alpn,
            min_version: config.min_version,
            max_version: config.max_version,
            now: config.now,
        }
    }
}

impl From<Established> for wit::Established {
    fn from(established: Established) -> Self {
        wit::Established {
            version: established.version,
            cipher_suite: established.cipher_suite,
            aead: established.aead,
            group: established.group,
            alpn: established.alpn,
            outbound: established.outbound,
            inbound: established.inbound,
        }
    }
}

impl From<wit::Established> for Established {
    fn from(established: wit::Established) -> Self {
        Established {
            version: established.version,
            cipher_suite: established.cipher_suite,
            aead: established.aead,
            group: established.group,
            alpn: established.alpn,
            outbound: established.outbound,
            inbound: established.inbound,
        }
    }
}

impl From<Progress> for wit::Progress {
    fn from(progress: Progress) -> Self {
        wit::Progress {
            send: progress.send,
            established: progress.established.map(wit::Established::from),
        }
    }
}

impl From<Update> for wit::Update {
    fn from(update: Update) -> Self {
        wit::Update {
            inbound: update.inbound,
            reply: update.reply,
            outbound: update.outbound,
        }
    }
}

impl From<Failure> for wit::Failure {
    fn from(failure: Failure) -> Self {
        let blame = match failure.blame {
            Blame::PeerAlert => wit::Blame::PeerAlert,
            Blame::PeerMisbehaved => wit::Blame::PeerMisbehaved,
            Blame::Incompatible => wit::Blame::Incompatible,
            Blame::Certificate => wit::Blame::Certificate,
            Blame::Misuse => wit::Blame::Misuse,
        };
        wit::Failure {
            blame,
            message: failure.message,
            alert: failure.alert,
        }
    }
}
