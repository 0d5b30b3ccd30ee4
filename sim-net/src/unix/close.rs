//! How streams and listeners end: close(2), also by the kernel when a process dies.

use super::names::Holder;
use crate::network::Net;
use crate::readiness::Source;
use sim_core::Event;
use sim_core::kernel::Kernel;
use sim_core::slab::Key;

impl Net {
    /// close(2) of a socket that neither listens nor is connected.
    pub fn close_unix_socket(&mut self, key: Key) {
        if let Some(socket) = self.unix.sockets.remove(key) {
            self.unix_name_given_back(socket.node, &socket.local, Holder::Socket(key));
        }
    }

    /// close(2) of a listener: who was not accepted is reset.
    pub fn close_unix_listener(&mut self, k: &mut Kernel, key: Key) {
        let Some(mut listener) = self.unix.listeners.remove(key) else { return };
        listener.acceptors.take(&mut self.out.dropped);
        if listener.watched {
            self.sets.source_gone(Source::UnixListener(key));
        }
        self.unix_name_given_back(listener.node, &listener.local, Holder::Listener(key));
        for stream in listener.queue {
            self.close_unix_stream(k, stream);
        }
    }

    /// close(2) of a stream: the peer reads what was written, then the end; `ECONNRESET` before the end when something
    /// was left unread here, or nobody had accepted.
    pub fn close_unix_stream(&mut self, k: &mut Kernel, key: Key) {
        let Some(mut st) = self.unix.streams.remove(key) else { return };
        st.forget_waiters(&mut self.out.dropped);
        if st.watched {
            self.sets.source_gone(Source::UnixStream(key));
        }
        if st.bound {
            self.unix_name_given_back(st.node, &st.local, Holder::Stream(key));
        }
        let waiting = st.listener != Key::NONE;
        if let Some(listener) = self.unix.listeners.get_mut(st.listener) {
            listener.queue.retain(|&stream| stream != key);
        }
        let Some(p) = self.unix.streams.get_mut(st.peer) else { return };
        p.read_shut = true;
        p.write_shut = true;
        p.reset |= waiting || !st.queue.is_empty();
        // Nobody will read it: its memory is free.
        p.sent = 0;
        if p.reset {
            k.record(|| Event::new("unix.reset", format!("{:?}", st.local)));
        }
        self.unix_readable(k, st.peer);
        self.unix_writable(k, st.peer);
    }
}
