//! A PostgreSQL server of the tests' own, in a directory and on a socket of its own.
//!
//! Read `kinds/postgres.rs` and `inline.rs` for what is promised of it.

use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use tempfile::TempDir;
use tokio_postgres::{Client, NoTls};

pub const PASSWORD: &str = "hunter2";
/// Of a server that has a socket in its directory alone.
const PORT: u16 = 5432;
/// How long a server may take to be there.
const START_MAX: Duration = Duration::from_secs(300);

/// A server in a directory of its own, on a socket of its own.
pub struct Server {
    directory: TempDir,
    process: Option<Child>,
    /// PostgreSQL does not run as root: the user that it runs as then.
    user: Option<(u32, u32)>,
    /// The socket's name has it, whether it listens there or not.
    pub port: u16,
    /// Further settings.
    settings: Vec<String>,
}

impl Server {
    pub fn create() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let user = (id(&["-u"]) == Some(0)).then(|| {
            let found = id(&["-u", "postgres"]).zip(id(&["-g", "postgres"]));
            found.expect("the user postgres, which Debian's package makes: cargo xtask test installs it")
        });
        let settings = vec!["listen_addresses=".to_owned(), "fsync=off".to_owned()];
        let server = Self { directory, process: None, user, port: PORT, settings };
        if let Some((uid, gid)) = server.user {
            std::os::unix::fs::chown(server.path(), Some(uid), Some(gid)).unwrap();
        }
        let password = server.path().join("password");
        std::fs::write(&password, PASSWORD).unwrap();
        std::os::unix::fs::chown(&password, server.user.map(|user| user.0), None).unwrap();
        let made = server
            .command("initdb")
            .args(["--auth=scram-sha-256", "--username=vai", "--encoding=UTF8", "--no-sync", "--pwfile"])
            .arg(&password)
            .arg(server.path().join("data"))
            .output()
            .unwrap();
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
        server
    }

    pub async fn start() -> Self {
        let mut server = Self::create();
        server.run().await;
        server
    }

    pub async fn run(&mut self) {
        for _ in 0..10 {
            if self.runs().await {
                return;
            }
            // Somebody else has got the port meanwhile.
            if self.port != PORT {
                self.port = free_port();
            }
        }
        panic!("PostgreSQL ends at its start");
    }

    /// Starts it; `false` where it ended at once.
    async fn runs(&mut self) -> bool {
        let mut command = self.command("postgres");
        command.arg("-D").arg(self.path().join("data")).arg("-k").arg(self.path());
        command.args(["-p", &self.port.to_string()]);
        for setting in &self.settings {
            command.args(["-c", setting]);
        }
        self.process = Some(command.spawn().unwrap());
        let begun = Instant::now();
        while self.try_connect().await.is_err() {
            let ended = self.process.as_mut().is_some_and(|process| process.try_wait().unwrap().is_some());
            if ended {
                self.process = None;
                return false;
            }
            assert!(begun.elapsed() < START_MAX, "PostgreSQL does not start");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        true
    }

    /// Ends it at once, connections among it.
    pub fn stop(&mut self) {
        if let Some(mut process) = self.process.take() {
            let signalled = Command::new("kill").args(["-INT", &process.id().to_string()]).status();
            assert!(signalled.unwrap().success());
            process.wait().unwrap();
        }
    }

    pub fn path(&self) -> &Path {
        self.directory.path()
    }

    fn command(&self, name: &str) -> Command {
        let mut command = Command::new(programs().join(name));
        command.current_dir(self.path()).stdout(Stdio::null()).stderr(Stdio::null());
        if let Some((uid, gid)) = self.user {
            command.uid(uid).gid(gid);
        }
        command
    }

    pub fn url(&self, password: &str) -> String {
        let (path, port) = (self.path().display(), self.port);
        format!("host={path} port={port} user=vai password={password} dbname=postgres")
    }

    /// Lets it listen, with this certificate, and to TLS alone.
    pub fn with_tls(&mut self, certificate: &str, key: &str) {
        let data = self.path().join("data");
        for (name, text) in [
            ("server.crt", certificate),
            ("server.key", key),
            ("pg_hba.conf", "local all all trust\nhostssl all all all scram-sha-256\n"),
        ] {
            let file = data.join(name);
            std::fs::write(&file, text).unwrap();
            std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o600)).unwrap();
            std::os::unix::fs::chown(&file, self.user.map(|user| user.0), None).unwrap();
        }
        self.port = free_port();
        self.settings = ["listen_addresses=127.0.0.1", "ssl=on", "fsync=off"].map(str::to_owned).into();
    }

    pub async fn try_connect(&self) -> Result<Client, tokio_postgres::Error> {
        let (client, connection) = tokio_postgres::connect(&self.url(PASSWORD), NoTls).await?;
        tokio::spawn(connection);
        Ok(client)
    }

    /// A query's rows as texts.
    pub async fn rows(&self, sql: &str) -> Vec<Vec<Option<String>>> {
        let client = self.try_connect().await.unwrap();
        let mut rows = Vec::new();
        for message in client.simple_query(sql).await.unwrap() {
            if let tokio_postgres::SimpleQueryMessage::Row(row) = message {
                rows.push((0..row.len()).map(|at| row.get(at).map(str::to_owned)).collect());
            }
        }
        rows
    }

    pub async fn one(&self, sql: &str) -> String {
        self.rows(sql).await[0]
            .iter()
            .map(|value| value.as_deref().unwrap_or("NULL"))
            .collect::<Vec<_>>()
            .join("|")
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stop();
    }
}

/// A port on which nobody listens at the moment.
fn free_port() -> u16 {
    std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

fn id(arguments: &[&str]) -> Option<u32> {
    let out = Command::new("id").args(arguments).output().ok()?;
    String::from_utf8(out.stdout).ok()?.trim().parse().ok()
}

/// Where PostgreSQL's programs are: on the path, or where Debian puts them.
fn programs() -> PathBuf {
    let on_path = std::env::var_os("PATH").unwrap_or_default();
    let mut places: Vec<PathBuf> = std::env::split_paths(&on_path).collect();
    if let Ok(versions) = std::fs::read_dir("/usr/lib/postgresql") {
        places.extend(versions.filter_map(|version| Some(version.ok()?.path().join("bin"))));
    }
    let found = places.into_iter().find(|place| place.join("initdb").is_file());
    found.expect("PostgreSQL (initdb): cargo xtask test installs it; on Debian: apt-get install postgresql")
}
