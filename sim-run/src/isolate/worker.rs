//! The worker's side: a clean, warmed-up process that forks a child for each seed.
//!
//! Invariants that the `unsafe` here rests on: [`serve`] takes over its process for good, from the one thread of the
//! program that reached the sweep; the harness's main thread, if there is one, waits for that thread. The loop
//! itself never allocates, so that each child starts from the same heap, whatever was served before it.

use std::io::{self, PipeReader, PipeWriter, Read, Write};
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::process::ExitStatus;
use std::time::Duration;

use super::protocol::{self, END, HEADER, MOST_ORDERS, OUTPUT, READY, RESULT, TASK};
use super::sys::{self, Pid};
use super::{Assignment, Limits, Work, beacon, fresh};

/// Frames that wait to be sent. Longer than any END frame.
const OUTBOX: usize = 1 << 16;
/// Space that is kept for one END frame.
const END_ROOM: usize = 3 * 4096;
/// The child is looked at this many times before it counts as blocked.
const LOOKS: u32 = 4;
/// Output that is still read after a child's death, in bytes: a process that it left behind could write for ever.
const LAST_WORDS: usize = 1 << 20;

/// Serves seeds until the supervisor hangs up; the process ends with it.
pub(super) fn serve(socket: UnixStream, limits: &Limits, work: &Work<'_>) -> ! {
    fresh::warm_up();
    beacon::prepare();
    let served = Worker::start(socket, limits).and_then(|mut worker| worker.serve(limits, work));
    // The supervisor is gone, or nothing can be told to it: there is nobody left to report to.
    sys::exit_now(i32::from(served.is_err()));
}

struct Worker {
    socket: UnixStream,
    /// What children and anything else in this process write to standard output and error.
    output: PipeReader,
    outbox: Box<[u8]>,
    filled: usize,
    /// Of the task at hand; the system commits its pages as they are touched.
    orders: Box<[u8]>,
    address_space: Option<u64>,
}

impl Worker {
    fn start(socket: UnixStream, limits: &Limits) -> io::Result<Worker> {
        let (output, to_output) = io::pipe()?;
        sys::do_not_wait(output.as_fd())?;
        sys::redirect_output(to_output.as_fd())?;
        let address_space = limits.memory.and_then(|more| Some(sys::address_space()? + more));
        let (outbox, orders) = (vec![0; OUTBOX].into(), vec![0; MOST_ORDERS].into());
        let mut worker = Worker { socket, output, outbox, filled: 0, orders, address_space };
        worker.socket.write_all(&protocol::header(READY, 0))?;
        Ok(worker)
    }

    fn serve(&mut self, limits: &Limits, work: &Work<'_>) -> io::Result<()> {
        let mut task = [0; TASK];
        loop {
            match self.socket.read_exact(&mut task) {
                Err(hung_up) if hung_up.kind() == io::ErrorKind::UnexpectedEof => return Ok(()),
                other => other?,
            }
            let (seed, log, length) = protocol::parse_task(&task);
            let orders = self.orders.get_mut(..length).ok_or(io::ErrorKind::InvalidData)?;
            self.socket.read_exact(orders)?;
            let (result, to_worker) = io::pipe()?;
            beacon::clear();
            // SAFETY: no other thread is at work in this process (see the module's documentation).
            match unsafe { sys::fork() }? {
                None => {
                    drop(result);
                    let assignment = Assignment { seed, log, orders: &self.orders[..length] };
                    run_child(to_worker, limits, self.address_space, assignment, work)
                }
                Some(child) => {
                    drop(to_worker);
                    let (status, blocked) = self.watch(child, result, limits)?;
                    self.report(status, blocked)?;
                }
            }
        }
    }

    /// Passes on what the child sends and prints until it has ended.
    fn watch(
        &mut self,
        child: Pid,
        mut result: PipeReader,
        limits: &Limits,
    ) -> io::Result<(ExitStatus, bool)> {
        let tick = (limits.blocked / LOOKS).max(Duration::from_millis(1));
        let (mut idle, mut cpu, mut waited) = (0, None, Duration::ZERO);
        let mut open = true;
        let mut blocked = false;
        let status = loop {
            if !open {
                // Its pipe is closed, so it ends within microseconds, unless it closed the pipe itself.
                if let Some(status) = (0..64).find_map(|_| {
                    sys::give_way();
                    sys::ended(child).transpose()
                }) {
                    break status?;
                }
            }
            let wait = if open { tick } else { Duration::from_millis(1) };
            let [sent, printed] =
                sys::readable([open.then_some(result.as_fd()), Some(self.output.as_fd())], wait)?;
            if sent {
                open = self.forward_result(&mut result)? > 0;
            }
            if printed {
                self.forward_output()?;
            }
            if sent || printed {
                continue;
            }
            if let Some(status) = sys::ended(child)? {
                break status;
            }
            waited += wait;
            if waited < tick {
                continue;
            }
            waited = Duration::ZERO;
            let used = sys::cpu_time(child);
            // On a busy machine it may just be waiting for its turn.
            let waits_for_core = beacon::thread().is_some_and(|thread| sys::wants_core(child, thread));
            idle = if used == cpu && !waits_for_core { idle + 1 } else { 0 };
            cpu = used;
            if idle >= LOOKS && !blocked {
                blocked = true;
                sys::kill(child);
            }
        };
        while open && sys::readable([Some(result.as_fd())], Duration::ZERO)?[0] {
            open = self.forward_result(&mut result)? > 0;
        }
        let mut last_words = 0;
        while last_words < LAST_WORDS {
            match self.forward_output()? {
                0 => break,
                more => last_words += more,
            }
        }
        Ok((status, blocked))
    }

    fn forward_result(&mut self, from: &mut PipeReader) -> io::Result<usize> {
        self.make_room()?;
        let read = from.read(&mut self.outbox[self.filled + HEADER..])?;
        self.frame(RESULT, read);
        Ok(read)
    }

    fn forward_output(&mut self) -> io::Result<usize> {
        self.make_room()?;
        match self.output.read(&mut self.outbox[self.filled + HEADER..]) {
            Ok(read) => {
                self.frame(OUTPUT, read);
                Ok(read)
            }
            Err(nothing) if nothing.kind() == io::ErrorKind::WouldBlock => Ok(0),
            Err(error) => Err(error),
        }
    }

    fn report(&mut self, status: ExitStatus, blocked: bool) -> io::Result<()> {
        self.make_room()?;
        let room = &mut self.outbox[self.filled + HEADER..];
        let prefix = protocol::end_prefix(status, blocked);
        room[..prefix.len()].copy_from_slice(&prefix);
        let seen = beacon::read(&mut room[prefix.len()..]);
        self.frame(END, prefix.len() + seen);
        self.send()
    }

    /// Completes the frame whose payload lies behind a header's room at the end of the outbox.
    fn frame(&mut self, kind: u8, length: usize) {
        if length == 0 {
            return;
        }
        self.outbox[self.filled..self.filled + HEADER].copy_from_slice(&protocol::header(kind, length));
        self.filled += HEADER + length;
    }

    fn make_room(&mut self) -> io::Result<()> {
        if self.filled + END_ROOM > OUTBOX { self.send() } else { Ok(()) }
    }

    fn send(&mut self) -> io::Result<()> {
        let filled = std::mem::take(&mut self.filled);
        self.socket.write_all(&self.outbox[..filled])
    }
}

/// The child: runs the seed on a fresh thread, sends the outcome and is gone.
fn run_child(
    mut to_worker: PipeWriter,
    limits: &Limits,
    address_space: Option<u64>,
    assignment: Assignment<'_>,
    work: &Work<'_>,
) -> ! {
    sys::die_with_parent();
    sys::no_core_dump();
    sys::limit_cpu(limits.cpu);
    if let Some(bytes) = address_space {
        sys::limit_address_space(bytes);
    }
    let ran = fresh::run(assignment.log, || {
        beacon::set_thread();
        let outcome = work(&assignment);
        let sent = to_worker.write_all(&outcome);
        // `_exit` loses what std still buffers.
        let _ = io::stdout().flush();
        sys::exit_now(i32::from(sent.is_err()))
    });
    let _: std::thread::Result<()> = ran;
    // The run itself panicked, which its thread has reported on standard error.
    sys::exit_now(101)
}
