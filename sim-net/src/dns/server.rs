//! What the name service knows, and what is wrong with it.

use crate::link::Latency;
use crate::network::Net;
use sim_core::NodeId;
use sim_core::decision::{Kind, below};
use sim_core::fault::FaultId;
use sim_core::kernel::Kernel;
use std::collections::BTreeMap;
use std::io;
use std::net::{IpAddr, Ipv4Addr};

/// resolv.conf(5): five seconds, and two attempts, ns.
const TIMEOUT: u64 = 10_000_000_000;

/// What can be wrong.
#[derive(Clone, Debug)]
pub(super) enum Wrong {
    /// Answers take this long.
    Slow(Latency),
    /// The name does not exist: NXDOMAIN.
    Missing,
    /// The answers of when it began, by name; who was not known then is not.
    Stale(BTreeMap<String, Vec<IpAddr>>),
    /// The server says that it failed: SERVFAIL.
    Failing,
    /// The server says nothing.
    Silent,
    /// The order of the addresses is another each time.
    Shuffled,
}

/// Whose questions a fault is about: everybody's and every name's unless said otherwise.
#[derive(Clone, Debug, Default)]
pub(super) struct About {
    pub asker: Option<NodeId>,
    pub name: Option<String>,
}

impl About {
    fn covers(&self, asker: NodeId, name: &str) -> bool {
        self.asker.is_none_or(|node| node == asker) && self.name.as_deref().is_none_or(|n| n == name)
    }
}

/// Something that is wrong, with its number, and its entry in the fault log.
struct Trouble {
    id: u64,
    fault: FaultId,
    about: About,
    wrong: Wrong,
}

/// The name service of a world.
#[derive(Default)]
pub(crate) struct Server {
    /// Addresses by name in small letters, besides the names of nodes; no addresses take a node's name away.
    records: BTreeMap<String, Vec<IpAddr>>,
    faults: Vec<Trouble>,
    last_fault: u64,
}

impl Server {
    pub fn clear(&mut self) {
        self.records.clear();
        self.faults.clear();
        self.last_fault = 0;
    }

    /// Ends every fault; gives their entries in the fault log.
    pub fn heal(&mut self) -> Vec<FaultId> {
        std::mem::take(&mut self.faults).into_iter().map(|trouble| trouble.fault).collect()
    }

    pub(super) fn set(&mut self, name: &str, addresses: Vec<IpAddr>) {
        self.records.insert(plain(name), addresses);
    }

    pub(super) fn unset(&mut self, name: &str) {
        self.records.remove(&plain(name));
    }

    pub(super) fn begin(&mut self, k: &Kernel, fault: FaultId, about: About, mut wrong: Wrong) -> u64 {
        if let Wrong::Stale(answers) = &mut wrong {
            *answers = self.everything(k);
        }
        self.last_fault += 1;
        self.faults.push(Trouble { id: self.last_fault, fault, about, wrong });
        self.last_fault
    }

    /// Ends a fault, if it is on; gives its entry in the fault log.
    pub(super) fn end(&mut self, id: u64) -> Option<FaultId> {
        let i = self.faults.iter().position(|trouble| trouble.id == id)?;
        Some(self.faults.remove(i).fault)
    }

    /// The addresses of a name in small letters: a record, or else a node's.
    fn know(&self, k: &Kernel, name: &str) -> Vec<IpAddr> {
        if let Some(addresses) = self.records.get(name) {
            return addresses.clone();
        }
        let node = k.by_name(name).or_else(|| {
            let nodes = (0..k.machines()).map(|i| NodeId(i as u32));
            nodes.into_iter().find(|&node| k.machine(node).name.eq_ignore_ascii_case(name))
        });
        let Some(node) = node else { return Vec::new() };
        let addresses = &k.machine(node).addresses;
        let v4 = addresses.first().is_some_and(|ip| ip.is_ipv4());
        addresses.iter().copied().filter(|ip| ip.is_ipv4() == v4).collect()
    }

    fn everything(&self, k: &Kernel) -> BTreeMap<String, Vec<IpAddr>> {
        let nodes = (0..k.machines()).map(|i| plain(&k.machine(NodeId(i as u32)).name));
        nodes.chain(self.records.keys().cloned()).map(|name| (name.clone(), self.know(k, &name))).collect()
    }
}

impl Net {
    /// What the node that runs now is told of `host`, and how long that takes, ns.
    pub(super) fn look_up(&mut self, k: &mut Kernel, host: &str) -> (u64, io::Result<Vec<IpAddr>>) {
        // As /etc/hosts has it, which is asked first.
        if host.eq_ignore_ascii_case("localhost") {
            return (0, Ok(vec![Ipv4Addr::LOCALHOST.into()]));
        }
        let name = plain(host);
        let asker = k.here();
        let mut addresses = self.dns.know(k, &name);
        if self.dns.faults.is_empty() {
            return (0, found(addresses));
        }
        let (mut delay, mut error, mut missing, mut shuffled) = (0u64, None, false, false);
        for Trouble { fault, about, wrong, .. } in &self.dns.faults {
            if !about.covers(asker, &name) {
                continue;
            }
            k.fault_effect(*fault);
            match wrong {
                Wrong::Slow(latency) => {
                    let question = k.name(Kind::Dns, u64::from(asker.0));
                    let extra = |draw| if draw == 0 { 0 } else { latency.extra(draw) };
                    let extra = k.decide(question, Kind::Dns, u64::from(asker.0), extra);
                    delay = delay.saturating_add(latency.least_nanos()).saturating_add(extra);
                }
                Wrong::Missing => missing = true,
                Wrong::Stale(answers) => addresses = answers.get(&name).cloned().unwrap_or_default(),
                Wrong::Failing => error = error.or(Some(0)),
                Wrong::Silent => error = Some(TIMEOUT),
                Wrong::Shuffled => shuffled = true,
            }
        }
        if let Some(wait) = error {
            // A slow server is not waited for any longer than one that is silent.
            return (
                delay.saturating_add(wait).min(TIMEOUT),
                Err(failed("Temporary failure in name resolution")),
            );
        }
        if delay >= TIMEOUT {
            return (TIMEOUT, Err(failed("Temporary failure in name resolution")));
        }
        // After all others, so that it does not matter which fault began first.
        if missing {
            addresses.clear();
        }
        if shuffled && addresses.len() > 1 {
            let question = k.name(Kind::Dns, u64::from(asker.0));
            let n = addresses.len() as u64;
            let first = k.decide(question, Kind::Dns, u64::from(asker.0), |draw| below(draw, n));
            // What a saved deviation says may be of another run.
            addresses.rotate_left((first % n) as usize);
        }
        (delay, found(addresses))
    }
}

/// A name as it is compared: in small letters, without the dot that makes it absolute.
pub(super) fn plain(name: &str) -> String {
    name.strip_suffix('.').unwrap_or(name).to_ascii_lowercase()
}

fn found(addresses: Vec<IpAddr>) -> io::Result<Vec<IpAddr>> {
    if addresses.is_empty() { Err(failed("Name or service not known")) } else { Ok(addresses) }
}

/// What std says when getaddrinfo(3) fails, with gai_strerror(3)'s text.
fn failed(why: &str) -> io::Error {
    io::Error::other(format!("failed to lookup address information: {why}"))
}
