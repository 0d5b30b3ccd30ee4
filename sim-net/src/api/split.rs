//! The methods that streams of every kind share with their halves, and the halves.

// The methods of the hot path return their futures instead of being `async`: a state machine around each would be moved
// with it.

/// Reading, for the whole and for a half.
macro_rules! readable {
    ($t:ty) => {
        impl $t {
            /// Reads what is there, at least a byte; 0 is the end of the stream. Cancel-safe.
            ///
            /// # Errors
            /// `ConnectionReset`, `TimedOut`: once, after what arrived before was read.
            #[inline]
            pub fn read<'a>(&'a mut self, buf: &'a mut [u8]) -> impl Future<Output = io::Result<usize>> + 'a {
                self.stream().read_some(buf)
            }

            /// Reads into spare memory, at least a byte; 0 is the end of the stream. Cancel-safe.
            ///
            /// # Errors
            /// As `read`.
            pub async fn read_buf<B: bytes::BufMut + ?Sized>(&mut self, buf: &mut B) -> io::Result<usize> {
                let mut piece = vec![0; buf.remaining_mut().min(16 << 10)];
                let n = self.stream().read_some(&mut piece).await?;
                buf.put_slice(&piece[..n]);
                Ok(n)
            }

            /// Fills `buf`. Not cancel-safe, as in tokio: what was read so far is gone.
            ///
            /// # Errors
            /// `UnexpectedEof`, and those of `read`.
            #[inline]
            pub fn read_exact<'a>(
                &'a mut self,
                buf: &'a mut [u8],
            ) -> impl Future<Output = io::Result<usize>> + 'a {
                self.stream().read_whole(buf)
            }

            /// Reads until the end of the stream.
            ///
            /// # Errors
            /// As `read`; what was read before is in `buf`.
            pub async fn read_to_end(&mut self, buf: &mut Vec<u8>) -> io::Result<usize> {
                let start = buf.len();
                loop {
                    let filled = buf.len();
                    buf.resize(filled + 4096.max(filled - start), 0);
                    let read = self.stream().read_some(&mut buf[filled..]).await;
                    buf.truncate(filled + *read.as_ref().unwrap_or(&0));
                    if read? == 0 {
                        return Ok(buf.len() - start);
                    }
                }
            }

            /// Reads until the end of the stream, as UTF-8.
            ///
            /// # Errors
            /// `InvalidData` when it is not, and `buf` is as it was; those of `read`.
            pub async fn read_to_string(&mut self, buf: &mut String) -> io::Result<usize> {
                let mut bytes = Vec::new();
                self.read_to_end(&mut bytes).await?;
                let text = String::from_utf8(bytes).map_err(|_| {
                    io::Error::new(io::ErrorKind::InvalidData, "stream did not contain valid UTF-8")
                })?;
                buf.push_str(&text);
                Ok(text.len())
            }

            /// Reads what is there without waiting.
            ///
            /// # Errors
            /// `WouldBlock` when nothing is; those of `read`.
            #[track_caller]
            pub fn try_read(&self, buf: &mut [u8]) -> io::Result<usize> {
                self.stream().try_read_some(buf)
            }

            /// Waits until a read would not wait: data, the end, or an error. Cancel-safe.
            ///
            /// # Errors
            /// `EBADF` when the process of the socket is dead.
            pub async fn readable(&self) -> io::Result<()> {
                self.stream().ready_for(crate::readiness::Interest::READABLE).await.map(|_| ())
            }
        }

        impl futures::io::AsyncRead for $t {
            #[inline]
            fn poll_read(
                self: std::pin::Pin<&mut Self>,
                cx: &mut std::task::Context<'_>,
                buf: &mut [u8],
            ) -> std::task::Poll<io::Result<usize>> {
                self.stream().poll_read_some(cx, buf)
            }
        }

        $crate::api::foreign::foreign_read!($t);
    };
}

/// Writing, for the whole and for a half.
macro_rules! writable {
    ($t:ty) => {
        impl $t {
            /// Writes what there is room for, at least a byte of a `buf` that is not empty. Cancel-safe.
            ///
            /// # Errors
            /// `ConnectionReset` or `TimedOut` once, `BrokenPipe` afterwards and after `shutdown`.
            #[inline]
            pub fn write<'a>(&'a mut self, buf: &'a [u8]) -> impl Future<Output = io::Result<usize>> + 'a {
                self.stream().write_some(buf)
            }

            /// Writes from `buf` and moves it on. Cancel-safe.
            ///
            /// # Errors
            /// As `write`.
            pub async fn write_buf<B: bytes::Buf>(&mut self, buf: &mut B) -> io::Result<usize> {
                let n = self.stream().write_some(buf.chunk()).await?;
                buf.advance(n);
                Ok(n)
            }

            /// Writes all of `buf`.
            ///
            /// # Errors
            /// As `write`.
            #[inline]
            pub fn write_all<'a>(&'a mut self, buf: &'a [u8]) -> impl Future<Output = io::Result<()>> + 'a {
                self.stream().write_whole(buf)
            }

            /// Does nothing, as on a real socket: what was written is under way.
            ///
            /// # Errors
            /// Never.
            pub async fn flush(&mut self) -> io::Result<()> {
                Ok(())
            }

            /// Shuts the write direction down: the peer reads the end of the stream after what was written.
            ///
            /// # Errors
            /// `NotConnected` when the connection is over.
            pub async fn shutdown(&mut self) -> io::Result<()> {
                self.stream().shut(std::net::Shutdown::Write)
            }

            /// Writes what there is room for without waiting.
            ///
            /// # Errors
            /// `WouldBlock` when there is none; those of `write`.
            #[track_caller]
            pub fn try_write(&self, buf: &[u8]) -> io::Result<usize> {
                self.stream().try_write_some(buf)
            }

            /// Waits until a write would not wait: room, or an error. Cancel-safe.
            ///
            /// # Errors
            /// `EBADF` when the process of the socket is dead.
            pub async fn writable(&self) -> io::Result<()> {
                self.stream().ready_for(crate::readiness::Interest::WRITABLE).await.map(|_| ())
            }
        }

        impl futures::io::AsyncWrite for $t {
            #[inline]
            fn poll_write(
                self: std::pin::Pin<&mut Self>,
                cx: &mut std::task::Context<'_>,
                buf: &[u8],
            ) -> std::task::Poll<io::Result<usize>> {
                self.stream().poll_write_some(cx, buf)
            }

            fn poll_flush(
                self: std::pin::Pin<&mut Self>,
                _cx: &mut std::task::Context<'_>,
            ) -> std::task::Poll<io::Result<()>> {
                std::task::Poll::Ready(Ok(()))
            }

            fn poll_close(
                self: std::pin::Pin<&mut Self>,
                _cx: &mut std::task::Context<'_>,
            ) -> std::task::Poll<io::Result<()>> {
                std::task::Poll::Ready(self.stream().shut(std::net::Shutdown::Write))
            }
        }

        $crate::api::foreign::foreign_write!($t);
    };
}

/// What only halves repeat.
macro_rules! half {
    ($t:ty, $stream:ty, $address:ty) => {
        impl $t {
            /// The address of the peer.
            ///
            /// # Errors
            /// `ENOTCONN` when the connection is over.
            pub fn peer_addr(&self) -> io::Result<$address> {
                self.whole().peer_addr()
            }

            /// The address of this end.
            ///
            /// # Errors
            /// `EBADF` when its process is dead.
            pub fn local_addr(&self) -> io::Result<$address> {
                self.whole().local_addr()
            }

            /// Waits until one of what `interest` asks for would not wait.
            ///
            /// # Errors
            /// `EBADF` when its process is dead.
            pub async fn ready(
                &self,
                interest: crate::readiness::Interest,
            ) -> io::Result<crate::readiness::Ready> {
                self.stream().ready_for(interest).await
            }
        }

        impl AsRef<$stream> for $t {
            fn as_ref(&self) -> &$stream {
                self.whole()
            }
        }
    };
}

/// What only the whole repeats.
macro_rules! whole {
    ($t:ty) => {
        impl $t {
            /// Two halves that borrow the stream.
            pub fn split(&mut self) -> (ReadHalf<'_>, WriteHalf<'_>) {
                (ReadHalf(self), WriteHalf(self))
            }

            /// Two halves that share the stream. Dropping the write half shuts the write direction down.
            pub fn into_split(self) -> (OwnedReadHalf, OwnedWriteHalf) {
                owned_halves(self)
            }

            /// Waits until one of what `interest` asks for would not wait. It may say so of what then does wait, as in
            /// tokio.
            ///
            /// # Errors
            /// `EBADF` when its process is dead.
            pub async fn ready(
                &self,
                interest: crate::readiness::Interest,
            ) -> io::Result<crate::readiness::Ready> {
                self.stream().ready_for(interest).await
            }

            /// Whether a read would not wait; else the task of `cx` is woken when it would not. Only the last caller
            /// is.
            ///
            /// # Errors
            /// `EBADF` when its process is dead.
            pub fn poll_read_ready(
                &self,
                cx: &mut std::task::Context<'_>,
            ) -> std::task::Poll<io::Result<()>> {
                self.stream().poll_ready(cx, crate::readiness::Interest::READABLE)
            }

            /// Whether a write would not wait; else the task of `cx` is woken when it would not. Only the last caller
            /// is.
            ///
            /// # Errors
            /// `EBADF` when its process is dead.
            pub fn poll_write_ready(
                &self,
                cx: &mut std::task::Context<'_>,
            ) -> std::task::Poll<io::Result<()>> {
                self.stream().poll_ready(cx, crate::readiness::Interest::WRITABLE)
            }
        }
    };
}

/// The halves of a kind of stream.
macro_rules! halves {
    ($stream:ident, $transport:ty, $address:ty) => {
        /// The reading half of a borrowed stream.
        #[derive(Debug)]
        pub struct ReadHalf<'a>(pub(in crate::api) &'a $stream);

        /// The writing half of a borrowed stream.
        #[derive(Debug)]
        pub struct WriteHalf<'a>(pub(in crate::api) &'a $stream);

        /// The reading half of a stream that both halves own.
        #[derive(Debug)]
        pub struct OwnedReadHalf {
            stream: Arc<$stream>,
        }

        /// The writing half of a stream that both halves own. Dropping it shuts the write direction down, unless
        /// [`OwnedWriteHalf::forget`] did.
        #[derive(Debug)]
        pub struct OwnedWriteHalf {
            stream: Arc<$stream>,
            shut_on_drop: bool,
        }

        pub(in crate::api) fn owned_halves(stream: $stream) -> (OwnedReadHalf, OwnedWriteHalf) {
            let stream = Arc::new(stream);
            (OwnedReadHalf { stream: stream.clone() }, OwnedWriteHalf { stream, shut_on_drop: true })
        }

        /// The two halves given to `reunite` are not of one stream.
        #[derive(Debug)]
        pub struct ReuniteError(pub OwnedReadHalf, pub OwnedWriteHalf);

        impl fmt::Display for ReuniteError {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("tried to reunite halves that are not from the same socket")
            }
        }

        impl Error for ReuniteError {}

        fn reunite(read: OwnedReadHalf, mut write: OwnedWriteHalf) -> Result<$stream, ReuniteError> {
            if !Arc::ptr_eq(&read.stream, &write.stream) {
                return Err(ReuniteError(read, write));
            }
            write.shut_on_drop = false;
            drop(write);
            Ok(Arc::try_unwrap(read.stream).expect("two halves share a stream"))
        }

        impl OwnedReadHalf {
            /// The whole again.
            ///
            /// # Errors
            /// When the halves are of different streams.
            pub fn reunite(self, other: OwnedWriteHalf) -> Result<$stream, ReuniteError> {
                reunite(self, other)
            }

            fn whole(&self) -> &$stream {
                &self.stream
            }

            fn stream(&self) -> &Connection<$transport> {
                self.stream.stream()
            }
        }

        impl OwnedWriteHalf {
            /// The whole again.
            ///
            /// # Errors
            /// When the halves are of different streams.
            pub fn reunite(self, other: OwnedReadHalf) -> Result<$stream, ReuniteError> {
                reunite(other, self)
            }

            /// Drops it without shutting the write direction down.
            pub fn forget(mut self) {
                self.shut_on_drop = false;
            }

            fn whole(&self) -> &$stream {
                &self.stream
            }

            fn stream(&self) -> &Connection<$transport> {
                self.stream.stream()
            }
        }

        impl Drop for OwnedWriteHalf {
            fn drop(&mut self) {
                if self.shut_on_drop {
                    self.stream().shut_on_drop();
                }
            }
        }

        impl ReadHalf<'_> {
            fn whole(&self) -> &$stream {
                self.0
            }

            fn stream(&self) -> &Connection<$transport> {
                self.0.stream()
            }
        }

        impl WriteHalf<'_> {
            fn whole(&self) -> &$stream {
                self.0
            }

            fn stream(&self) -> &Connection<$transport> {
                self.0.stream()
            }
        }

        readable!(ReadHalf<'_>);
        readable!(OwnedReadHalf);
        writable!(WriteHalf<'_>);
        writable!(OwnedWriteHalf);
        half!(ReadHalf<'_>, $stream, $address);
        half!(WriteHalf<'_>, $stream, $address);
        half!(OwnedReadHalf, $stream, $address);
        half!(OwnedWriteHalf, $stream, $address);
    };
}

pub(super) use {half, halves, readable, whole, writable};
