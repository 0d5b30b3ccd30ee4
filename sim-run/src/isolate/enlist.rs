//! Whether this process is a worker, and what its supervisor told it.

use std::collections::BTreeMap;
use std::io;
use std::os::fd::RawFd;
use std::os::unix::net::UnixStream;
use std::sync::{Mutex, OnceLock, PoisonError};

use super::protocol::{self, HISTORY, START, TARGET, VARIABLE};
use super::{Limits, Place, Work, sys, worker};

/// What a process has to do at a sweep.
#[derive(Debug)]
pub(crate) enum Role {
    /// Run it.
    Supervisor,
    /// Serve its seeds to the supervisor.
    Worker(Service),
    /// Go on with the report that the supervisor had of it.
    Past(Vec<u8>),
}

/// A worker's duty at the sweep that it was started for.
#[derive(Debug)]
pub(crate) struct Service(UnixStream);

impl Service {
    /// Serves seeds until the supervisor hangs up; the process ends with it.
    pub(crate) fn serve(self, limits: &Limits, work: &Work<'_>) -> ! {
        worker::serve(self.0, limits, work)
    }
}

#[derive(Debug)]
struct Orders {
    socket: UnixStream,
    target: String,
    history: BTreeMap<String, Vec<u8>>,
}

/// What this process has to do at that place.
///
/// A worker that comes to a sweep which is neither the one it was started for nor an earlier one ends with a
/// message: the program did not go the way that it went in the supervisor.
pub(crate) fn role(place: &Place) -> Role {
    static ORDERS: OnceLock<Option<Mutex<Option<Orders>>>> = OnceLock::new();
    let orders = ORDERS.get_or_init(|| {
        let socket = inherited_socket()?;
        let orders = receive(socket).unwrap_or_else(|error| give_up(&format!("no orders: {error}")));
        Some(Mutex::new(Some(orders)))
    });
    let Some(orders) = orders else { return Role::Supervisor };
    let mut orders = orders.lock().unwrap_or_else(PoisonError::into_inner);
    let name = place.to_string();
    match &mut *orders {
        Some(current) if current.target == name => {
            Role::Worker(Service(orders.take().expect("the orders that were just looked at").socket))
        }
        Some(Orders { target, history, .. }) => match history.remove(&name) {
            Some(report) => Role::Past(report),
            None => give_up(&format!(
                "the program came to the sweep {} instead of {}: it must go the same way each time it runs",
                name.replace('\n', " "),
                target.replace('\n', " ")
            )),
        },
        None => give_up("the worker came to a second sweep"),
    }
}

fn inherited_socket() -> Option<UnixStream> {
    let variable = std::env::var(VARIABLE).ok()?;
    let (descriptor, supervisor) = variable.split_once(':')?;
    let descriptor: RawFd = descriptor.parse().ok()?;
    // A program that a worker's child starts inherits the variable, but not the parent or the descriptor.
    if supervisor.parse() != Ok(sys::parent()) {
        return None;
    }
    // SAFETY: the supervisor opened the descriptor for this process alone, and it is taken over once: the caller
    // sits in a `OnceLock`.
    unsafe { sys::adopt(descriptor) }.ok().map(UnixStream::from)
}

fn receive(mut socket: UnixStream) -> io::Result<Orders> {
    let (mut frame, mut target, mut history) = (Vec::new(), String::new(), BTreeMap::new());
    let malformed = || io::Error::from(io::ErrorKind::InvalidData);
    loop {
        match protocol::read_frame(&mut socket, &mut frame)? {
            TARGET => target = String::from_utf8_lossy(&frame).into_owned(),
            HISTORY => {
                let (length, rest) = frame.split_first_chunk::<4>().ok_or_else(malformed)?;
                let (name, report) =
                    rest.split_at_checked(u32::from_le_bytes(*length) as usize).ok_or_else(malformed)?;
                history.insert(String::from_utf8_lossy(name).into_owned(), report.to_vec());
            }
            START => return Ok(Orders { socket, target, history }),
            _ => return Err(malformed()),
        }
    }
}

fn give_up(why: &str) -> ! {
    use std::io::Write;
    let _ = writeln!(io::stderr(), "sim worker: {why}");
    sys::exit_now(1)
}
