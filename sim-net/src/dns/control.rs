//! What tests do to the name service: records and faults.

use super::server::{About, Wrong, plain};
use crate::link::{Latency, find};
use crate::network::{op, op_on_drop};
use sim_core::fault::{Parameter, Particulars};
use sim_core::world::WorldId;
use std::collections::BTreeMap;
use std::net::IpAddr;

/// The name service, as tests steer it: `sim.dns()`.
///
/// Faults hold until their guard is dropped or `sim.heal()`. They are about every name and everybody's questions, unless
/// [`Dns::about`] and [`Dns::asked_by`] say otherwise; those of different kinds add up. `localhost` and literals are never
/// asked for.
///
/// ```
/// # sim_core::run(sim_core::Config::seed(1), |sim| async move {
/// use sim_net::{NetExt, lookup_host};
/// use std::time::Duration;
///
/// let dns = sim.dns();
/// dns.set("db.internal", ["10.1.0.1".parse().unwrap(), "10.1.0.2".parse().unwrap()]);
/// assert_eq!(lookup_host("db.internal:5432").await.unwrap().count(), 2);
///
/// let slow = dns.slow(Duration::from_millis(300));
/// lookup_host("db.internal:5432").await.unwrap();
/// assert_eq!(sim.elapsed(), Duration::from_millis(300));
/// drop(slow);
///
/// let gone = dns.about("db.internal").missing();
/// assert!(lookup_host("db.internal:5432").await.is_err());
/// gone.heal();
/// # }).result.unwrap();
/// ```
#[derive(Clone, Debug, Default)]
#[must_use = "it does nothing by itself: begin a fault, or set a record"]
pub struct Dns {
    about: About,
}

impl Dns {
    /// Gives `name` these addresses, in this order: a new one, or instead of those that it had, be it a node's name.
    /// Without addresses it does not exist.
    #[track_caller]
    pub fn set(&self, name: &str, addresses: impl IntoIterator<Item = IpAddr>) {
        let addresses = addresses.into_iter().collect();
        op(|net, _| net.dns.set(name, addresses));
    }

    /// Takes back what [`Dns::set`] said: a node's name stands for its addresses again, another does not exist.
    #[track_caller]
    pub fn unset(&self, name: &str) {
        op(|net, _| net.dns.unset(name));
    }

    /// The same for the questions of one node.
    ///
    /// # Panics
    /// For a node that is not declared.
    #[track_caller]
    pub fn asked_by(mut self, node: &str) -> Dns {
        self.about.asker = Some(find(node));
        self
    }

    /// The same for questions about one name, of a node or not.
    ///
    /// # Panics
    /// For text with a port: names have none.
    #[track_caller]
    pub fn about(mut self, name: &str) -> Dns {
        assert!(!name.contains(':'), "{name:?} is no name to ask for: names have no port and no colon");
        self.about.name = Some(plain(name));
        self
    }

    /// Answers take this long. From 10 s on there are none, as with [`Dns::silent`].
    #[track_caller]
    pub fn slow(&self, latency: impl Into<Latency>) -> DnsFault {
        self.begin("slow", Wrong::Slow(latency.into()))
    }

    /// Names do not exist (NXDOMAIN): "Name or service not known".
    #[track_caller]
    pub fn missing(&self) -> DnsFault {
        self.begin("missing", Wrong::Missing)
    }

    /// Answers stay as they are now, whatever is changed: a cache that outlives the truth.
    #[track_caller]
    pub fn stale(&self) -> DnsFault {
        self.begin("stale", Wrong::Stale(BTreeMap::new()))
    }

    /// The server says that it failed (SERVFAIL, EAI_AGAIN): "Temporary failure in name resolution".
    #[track_caller]
    pub fn failing(&self) -> DnsFault {
        self.begin("failing", Wrong::Failing)
    }

    /// The server says nothing: the same error, after the 10 s of resolv.conf(5).
    #[track_caller]
    pub fn silent(&self) -> DnsFault {
        self.begin("silent", Wrong::Silent)
    }

    /// A name of several addresses begins with another one each time, which the seed chooses; the boring answer is the
    /// order in which they were given. What servers do to spread their clients.
    #[track_caller]
    pub fn shuffled(&self) -> DnsFault {
        self.begin("shuffled", Wrong::Shuffled)
    }

    #[track_caller]
    fn begin(&self, what: &'static str, wrong: Wrong) -> DnsFault {
        op(|net, k| {
            let fault = k.fault_begins("dns", |k| {
                let asker = self.about.asker;
                let asker = asker.map_or("all".to_string(), |node| k.machine(node).name.to_string());
                let name = self.about.name.as_deref().unwrap_or("any name");
                let particulars = Particulars {
                    target: format!("{name} asked by {asker}"),
                    nodes: self.about.asker.into_iter().collect(),
                    parameters: Vec::new(),
                };
                particulars.with(Parameter::word("answers", what))
            });
            let id = net.dns.begin(k, fault, self.about.clone(), wrong);
            DnsFault { world: k.world(), id }
        })
    }
}

/// Something wrong with the name service. It ends when this is dropped, or by `sim.heal()`.
#[derive(Debug)]
#[must_use = "the fault ends when this is dropped: bind it, or call .forget() to leave that to sim.heal()"]
pub struct DnsFault {
    world: WorldId,
    id: u64,
}

impl DnsFault {
    /// Ends it, as dropping does.
    pub fn heal(self) {}

    /// Leaves it to `sim.heal()`.
    pub fn forget(self) {
        std::mem::forget(self);
    }
}

impl Drop for DnsFault {
    fn drop(&mut self) {
        op_on_drop(self.world, |net, k| {
            if let Some(fault) = net.dns.end(self.id) {
                k.fault_ends(fault);
            }
        });
    }
}
