//! A peer that can be killed: it accepts one connection, says "hello", and never reads.

/// A process of the operating system: this test binary again, which runs only [`hello`](real::hello).
pub mod real {
    use std::io::{BufRead, BufReader, Write};
    use std::process::{Child, Command, Stdio};

    const MARK: &str = "PARITY_PEER";

    pub struct Peer {
        child: Child,
        port: u16,
    }

    pub async fn start() -> Peer {
        let this = std::env::current_exe().unwrap();
        let arguments = ["--exact", "peer::real::hello", "--nocapture"];
        let mut child =
            Command::new(this).args(arguments).env(MARK, "1").stdout(Stdio::piped()).spawn().unwrap();
        // The harness of the test prints lines of its own.
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let port = lines.map_while(Result::ok).find_map(|l| l.split("port=").nth(1)?.trim().parse().ok());
        Peer { child, port: port.expect("the peer tells its port") }
    }

    impl Peer {
        pub fn host(&self) -> &str {
            super::super::real::HOST
        }

        pub fn port(&self) -> u16 {
            self.port
        }

        pub fn kill(mut self) {
            self.child.kill().unwrap();
            self.child.wait().unwrap();
        }
    }

    #[test]
    fn hello() {
        if std::env::var_os(MARK).is_none() {
            return;
        }
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        println!("port={}", listener.local_addr().unwrap().port());
        let (mut stream, _) = listener.accept().unwrap();
        stream.write_all(b"hello").unwrap();
        loop {
            std::thread::park();
        }
    }
}

/// A node.
pub mod simulated {
    use sim::Sim;
    use sim::net::TcpListener;

    const PORT: u16 = 7;

    pub struct Peer;

    pub async fn start() -> Peer {
        Sim::current().node("peer").run(|| async {
            let listener = TcpListener::bind(("0.0.0.0", PORT)).await?;
            let (mut stream, _) = listener.accept().await?;
            stream.write_all(b"hello").await?;
            std::future::pending::<std::io::Result<()>>().await
        });
        sim::time::sleep(sim::time::Duration::from_millis(1)).await;
        Peer
    }

    impl Peer {
        pub fn host(&self) -> &str {
            "peer"
        }

        pub fn port(&self) -> u16 {
            PORT
        }

        pub fn kill(self) {
            Sim::current().node("peer").kill();
        }
    }
}
