//! The supervisor's side: worker processes, what each has to do, and what becomes of a task when its worker dies.
//!
//! Invariant of the `unsafe` here: between fork and exec of a worker only calls are made that are safe there.

use std::collections::VecDeque;
use std::io::{self, Read, Write};
use std::net::Shutdown;
use std::os::fd::AsRawFd;
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::Sender;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use super::death::last_line;
use super::place::ROOM;
use super::protocol::{self, END, HISTORY, OUTPUT, READY, RESULT, START, TARGET, VARIABLE};
use super::queue::{Queue, Task};
use super::{Death, End, LOST_WORKER, Message, Place, Plan, Trouble, sys};

/// Real time in which a worker must come to its sweep.
const STARTUP: Duration = Duration::from_secs(120);
/// What is kept of what a worker writes before it comes to its sweep, in bytes.
const PREFACE: usize = 4 << 10;

/// Sockets of the workers at work, to wake their managers when the sweep is over.
#[derive(Debug, Default)]
pub(super) struct Workers(Mutex<Vec<UnixStream>>);

impl Workers {
    /// Hangs up on all workers. A manager that waits for one then finds the sweep stopped.
    pub(super) fn hang_up(&self) {
        for socket in self.0.lock().unwrap_or_else(PoisonError::into_inner).drain(..) {
            // One that is gone already needs no hanging up.
            let _ = socket.shutdown(Shutdown::Both);
        }
    }
}

/// Runs tasks of the queue in one worker process at a time until there are none left.
pub(super) fn manage(queue: &Queue, plan: &Plan<'_>, workers: &Workers, to: &Sender<Vec<Message>>) {
    let mut next = queue.take(true);
    while let Some(task) = next.take() {
        let start = || {
            let worker = Worker::start(plan.place)?;
            let socket = worker.socket.try_clone().map_err(|error| Trouble(error.to_string()))?;
            workers.0.lock().unwrap_or_else(PoisonError::into_inner).push(socket);
            Ok(worker)
        };
        // One that is killed on its way, as by a system that is short of memory, has not begun a seed.
        let started = start().or_else(|_: Trouble| start()).or_else(|_| start());
        let mut worker = match started {
            Ok(worker) => worker,
            Err(trouble) => {
                if !queue.stopped() {
                    let _ = to.send(vec![Message::Trouble(trouble)]);
                }
                return;
            }
        };
        if queue.stopped() {
            return;
        }
        let mut sent = VecDeque::new();
        next = worker.work_off(task, queue, &mut sent, plan, to);
        if queue.stopped() {
            return;
        }
        // The worker is gone. The first task that it still had is what it died of; it never saw the others.
        if let Some(task) = sent.pop_front() {
            let end = End::Died(worker.cause_of_death());
            if to.send(vec![Message::Done { task, end, output: String::new() }]).is_err() {
                return;
            }
            sent.drain(..).for_each(|task| queue.give_back(task));
            next = queue.take(true);
        }
    }
}

struct Worker {
    process: Child,
    socket: UnixStream,
    /// What it wrote to standard error before it came to the sweep.
    preface: Arc<Mutex<Tail>>,
}

impl Worker {
    fn start(place: &Place) -> Result<Worker, Trouble> {
        if place.has_too_much_before() {
            let message = format!(
                "the runs and sweeps before this one returned more than {} MiB, which each worker process would be \
                 sent: return less from them, or do this one in a test or program of its own",
                ROOM >> 20
            );
            return Err(Trouble(message));
        }
        let mut worker = Worker::spawn(place)
            .map_err(|error| Trouble(format!("a worker process cannot be started: {error}")))?;
        worker.welcome(place).map_err(|error| {
            let _ = worker.process.kill();
            let end =
                worker.process.wait().map_or_else(|error| error.to_string(), |status| status.to_string());
            let preface = worker.preface.lock().unwrap_or_else(PoisonError::into_inner);
            let said = preface.text();
            let said = last_line(&said).map(|line| format!("; it said: {line}")).unwrap_or_default();
            Trouble(format!("a worker process did not come to this sweep ({error}; {end}{said})"))
        })?;
        Ok(worker)
    }

    fn spawn(place: &Place) -> io::Result<Worker> {
        let (socket, theirs) = UnixStream::pair()?;
        let descriptor = theirs.as_raw_fd();
        let mut command = Command::new(sys::own_program()?);
        if let Some(name) = std::env::args_os().next() {
            command.arg0(name);
        }
        command
            .args(place.arguments())
            .env(VARIABLE, format!("{descriptor}:{}", std::process::id()))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped());
        // SAFETY: fcntl, personality and prctl are plain system calls, which neither allocate nor lock.
        unsafe {
            command.pre_exec(move || {
                sys::inherit(descriptor, true)?;
                sys::fix_addresses();
                sys::die_with_parent();
                Ok(())
            });
        }
        let mut process = command.spawn()?;
        let preface = Arc::new(Mutex::new(Tail::new(PREFACE)));
        if let Some(mut stderr) = process.stderr.take() {
            let preface = Arc::clone(&preface);
            // Ends when the worker sends its output elsewhere or is gone.
            thread::spawn(move || {
                let mut buffer = [0; 4096];
                while let Ok(read @ 1..) = stderr.read(&mut buffer) {
                    preface.lock().unwrap_or_else(PoisonError::into_inner).push(&buffer[..read]);
                }
            });
        }
        Ok(Worker { process, socket, preface })
    }

    fn welcome(&mut self, place: &Place) -> io::Result<()> {
        let name = place.to_string();
        protocol::write_frame(&mut self.socket, TARGET, name.as_bytes())?;
        let mut frame = Vec::new();
        place.earlier(|name, report| {
            frame.clear();
            frame.extend(u32::try_from(name.len()).expect("a name of more than 4 GiB").to_le_bytes());
            frame.extend(name.as_bytes());
            frame.extend(report);
            protocol::write_frame(&mut self.socket, HISTORY, &frame)
        })?;
        protocol::write_frame(&mut self.socket, START, b"")?;
        self.socket.set_read_timeout(Some(STARTUP))?;
        let kind = protocol::read_frame(&mut self.socket, &mut frame)?;
        self.socket.set_read_timeout(None)?;
        if kind == READY { Ok(()) } else { Err(io::ErrorKind::InvalidData.into()) }
    }

    /// Does tasks until there are none left, or the worker dies or the sweep stops: then `sent` holds what was
    /// under way. Returns a task that was taken but not sent.
    fn work_off(
        &mut self,
        first: Task,
        queue: &Queue,
        sent: &mut VecDeque<Task>,
        plan: &Plan<'_>,
        to: &Sender<Vec<Message>>,
    ) -> Option<Task> {
        let mut frame = Vec::new();
        let mut next = Some(first);
        loop {
            while let Some(task) = next.take() {
                let head = protocol::task(task.seed, task.log, task.orders.len());
                let written = self.socket.write_all(&head).and_then(|()| self.socket.write_all(&task.orders));
                sent.push_back(task);
                if written.is_err() {
                    return None;
                }
                if sent.len() < queue.ahead() {
                    next = queue.take(false);
                }
            }
            if sent.is_empty() {
                next = Some(queue.take(true)?);
                continue;
            }
            let (end, output) = self.outcome(&mut frame, plan)?;
            let task = sent.pop_front().expect("the task whose end this is");
            if to.send(vec![Message::Done { task, end, output }]).is_err() {
                return None;
            }
            next = queue.take(false);
        }
    }

    /// Waits for the end of the task that the worker does; `None` when the worker is gone.
    fn outcome(&mut self, frame: &mut Vec<u8>, plan: &Plan<'_>) -> Option<(End, String)> {
        let (mut result, mut output) = (Vec::new(), Tail::new(plan.keep_output));
        loop {
            match protocol::read_frame(&mut self.socket, frame).ok()? {
                RESULT => result.extend_from_slice(frame),
                OUTPUT => output.push(frame),
                END => break,
                _ => return None,
            }
        }
        let child = protocol::parse_end(frame)?;
        let output = output.text();
        let end = if child.status.success() && !child.blocked && !result.is_empty() {
            End::Finished(result)
        } else {
            let death = Death::of_child(child.status, child.blocked, &output, &plan.limits);
            End::Died(Death { seen: child.seen, ..death })
        };
        Some((end, output))
    }

    fn cause_of_death(&mut self) -> Death {
        let _ = self.process.kill();
        let status = self.process.wait().map_or_else(|error| error.to_string(), |status| status.to_string());
        Death::new(LOST_WORKER, format!("the worker process died under this run ({status})"))
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        // Either may be done already.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Beginning and end of a text of any length.
#[derive(Debug)]
struct Tail {
    /// So many bytes are kept of the beginning, and twice as many of the end.
    kept: usize,
    head: Vec<u8>,
    tail: VecDeque<u8>,
    dropped: u64,
}

impl Tail {
    fn new(kept: usize) -> Tail {
        Tail { kept, head: Vec::new(), tail: VecDeque::new(), dropped: 0 }
    }

    fn push(&mut self, bytes: &[u8]) {
        let (head, rest) = bytes.split_at(bytes.len().min(self.kept - self.head.len()));
        self.head.extend_from_slice(head);
        self.tail.extend(rest);
        let excess = self.tail.len().saturating_sub(2 * self.kept);
        self.tail.drain(..excess);
        self.dropped += excess as u64;
    }

    fn text(&self) -> String {
        let mut bytes = self.head.clone();
        if self.dropped > 0 {
            bytes.extend(format!("\n[{} bytes left out]\n", self.dropped).bytes());
        }
        bytes.extend(&self.tail);
        String::from_utf8_lossy(&bytes).into_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keeps_beginning_and_end_of_long_output() {
        let mut output = Tail::new(1000);
        output.push(b"first ");
        for _ in 0..100 {
            output.push(&[b'.'; 1000]);
        }
        output.push(b" last");
        let text = output.text();
        assert!(text.starts_with("first ...") && text.ends_with("... last"));
        let left_out = 6 + 100_000 + 5 - 3 * 1000;
        assert!(text.contains(&format!("[{left_out} bytes left out]")), "{}", text.len());
    }
}
