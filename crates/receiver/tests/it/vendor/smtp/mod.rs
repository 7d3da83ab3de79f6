//! A mail server that takes mail from those who log in.
//!
//! Sources: RFC 5321 (order of commands, line lengths, dots), RFC 4954 (AUTH), RFC 1870 (SIZE), RFC 5322 (which
//! headers, and how often).

mod mail;

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard};

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncWrite, AsyncWriteExt, BufStream};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_rustls::TlsAcceptor;

pub use mail::Mail;

/// The largest mail, in bytes.
const SIZE_MAX: usize = 100_000;
/// The longest line, in bytes, its end among them.
const LINE_BYTES_MAX: usize = 1_000;

#[derive(Default)]
pub struct Smtp {
    /// Mails that were taken.
    pub mails: Vec<Mail>,
    /// So many of the next mails are put off.
    pub busy: u32,
    /// A mail that holds this is refused for its content.
    pub poison: Option<&'static str>,
    /// Nobody there has this mailbox any more.
    pub gone: Option<&'static str>,
}

pub struct Server {
    pub address: SocketAddr,
    state: Arc<Mutex<Smtp>>,
    task: JoinHandle<()>,
}

impl Server {
    /// With an acceptor it offers STARTTLS, and logins only behind it; without, everybody may send.
    pub async fn start(tls: Option<TlsAcceptor>) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        let state = Arc::new(Mutex::new(Smtp::default()));
        let shared = state.clone();
        let task = tokio::spawn(async move {
            while let Ok((tcp, _)) = listener.accept().await {
                let (state, tls) = (shared.clone(), tls.clone());
                tokio::spawn(async move {
                    let mut session = Session { state, offers_tls: tls.is_some(), over_tls: false };
                    let mut plain = BufStream::new(tcp);
                    plain.write_all(b"220 mail.test ESMTP\r\n").await.unwrap();
                    if session.run(&mut plain).await == Some(End::StartTls)
                        && let Ok(stream) = tls.unwrap().accept(plain.into_inner()).await
                    {
                        session.over_tls = true;
                        session.run(&mut BufStream::new(stream)).await;
                    }
                });
            }
        });
        Self { address, state, task }
    }

    pub fn state(&self) -> MutexGuard<'_, Smtp> {
        self.state.lock().unwrap()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
    }
}

#[derive(PartialEq)]
enum End {
    Quit,
    StartTls,
}

struct Session {
    state: Arc<Mutex<Smtp>>,
    offers_tls: bool,
    over_tls: bool,
}

#[derive(Default)]
struct Dialog {
    greeted: bool,
    known: bool,
    from: Option<String>,
    to: Vec<String>,
}

impl Session {
    /// `None` where the client went away.
    async fn run<S: AsyncRead + AsyncWrite + Unpin>(&mut self, stream: &mut BufStream<S>) -> Option<End> {
        let mut dialog = Dialog::default();
        loop {
            stream.flush().await.ok()?;
            let line = line(stream).await?;
            let command = line.to_ascii_uppercase();
            let answer = if command.starts_with("DATA") {
                if dialog.from.is_none() || dialog.to.is_empty() {
                    "503 5.5.1 bad sequence of commands".to_owned()
                } else {
                    stream.write_all(b"354 go on\r\n").await.ok()?;
                    stream.flush().await.ok()?;
                    let text = text(stream).await?;
                    self.take(std::mem::take(&mut dialog), text, &mut dialog)
                }
            } else if command.starts_with("STARTTLS") && self.offers_tls && !self.over_tls {
                stream.write_all(b"220 2.0.0 go on\r\n").await.ok()?;
                stream.flush().await.ok()?;
                return Some(End::StartTls);
            } else {
                self.answer(&mut dialog, &line, &command)
            };
            stream.write_all(format!("{answer}\r\n").as_bytes()).await.ok()?;
            if command.starts_with("QUIT") {
                stream.flush().await.ok()?;
                return Some(End::Quit);
            }
        }
    }

    fn answer(&self, dialog: &mut Dialog, line: &str, command: &str) -> String {
        let needs_login = self.offers_tls;
        if command.starts_with("EHLO ") {
            *dialog = Dialog { greeted: true, ..Dialog::default() };
            let extension = if !self.offers_tls {
                "8BITMIME"
            } else if self.over_tls {
                "AUTH PLAIN"
            } else {
                "STARTTLS"
            };
            return format!("250-mail.test\r\n250-SIZE {SIZE_MAX}\r\n250 {extension}");
        }
        if command.starts_with("AUTH PLAIN ") && self.over_tls {
            let sent = BASE64_STANDARD.decode(line["AUTH PLAIN ".len()..].trim()).unwrap_or_default();
            dialog.known = sent == b"\0vai\0hunter2";
            return if dialog.known { "235 2.7.0 welcome" } else { "535 5.7.8 credentials invalid" }
                .to_owned();
        }
        if command.starts_with("MAIL FROM:<") {
            return if !dialog.greeted || dialog.from.is_some() {
                "503 5.5.1 bad sequence of commands"
            } else if needs_login && !dialog.known {
                "530 5.7.0 authentication required"
            } else {
                dialog.from = Some(between(line));
                "250 2.1.0 ok"
            }
            .to_owned();
        }
        if command.starts_with("RCPT TO:<") {
            let to = between(line);
            let gone = self.state.lock().unwrap().gone.is_some_and(|gone| gone == to);
            return if dialog.from.is_none() {
                "503 5.5.1 bad sequence of commands"
            } else if gone {
                "550 5.1.1 no such mailbox"
            } else {
                dialog.to.push(to);
                "250 2.1.5 ok"
            }
            .to_owned();
        }
        match command.split(' ').next().unwrap_or_default().trim() {
            "NOOP" => "250 2.0.0 ok".to_owned(),
            "RSET" => {
                (dialog.from, dialog.to) = (None, Vec::new());
                "250 2.0.0 ok".to_owned()
            }
            "QUIT" => "221 2.0.0 bye".to_owned(),
            _ => "502 5.5.2 not known here".to_owned(),
        }
    }

    fn take(&self, done: Dialog, text: Result<String, &'static str>, next: &mut Dialog) -> String {
        *next = Dialog { greeted: true, known: done.known, ..Dialog::default() };
        let mut state = self.state.lock().unwrap();
        if state.busy > 0 {
            state.busy -= 1;
            return "451 4.3.2 try again later".to_owned();
        }
        let mail = match text {
            Err(error) => return error.to_owned(),
            Ok(text) => Mail { from: done.from.unwrap(), to: done.to, text, over_tls: self.over_tls },
        };
        if let Err(error) = mail.judge(state.poison) {
            return error.to_owned();
        }
        state.mails.push(mail);
        "250 2.0.0 taken".to_owned()
    }
}

fn between(line: &str) -> String {
    line.split(['<', '>']).nth(1).unwrap_or_default().to_owned()
}

/// A line that ends as lines must; `None` at the end, and where a line is too long.
async fn line<S: AsyncRead + AsyncWrite + Unpin>(stream: &mut BufStream<S>) -> Option<String> {
    let mut line = Vec::new();
    stream.read_until(b'\n', &mut line).await.ok()?;
    let good = line.len() <= LINE_BYTES_MAX && line.ends_with(b"\r\n");
    good.then(|| String::from_utf8_lossy(&line[..line.len() - 2]).into_owned())
}

/// A mail's text up to the single dot.
async fn text<S: AsyncRead + AsyncWrite + Unpin>(
    stream: &mut BufStream<S>,
) -> Option<Result<String, &'static str>> {
    let (mut text, mut good) = (Vec::new(), true);
    loop {
        let mut line = Vec::new();
        if stream.read_until(b'\n', &mut line).await.ok()? == 0 {
            return None;
        }
        if line == b".\r\n" {
            break;
        }
        good &= line.ends_with(b"\r\n") && line.len() <= LINE_BYTES_MAX;
        text.extend_from_slice(line.strip_prefix(b".").unwrap_or(&line));
    }
    Some(match String::from_utf8(text) {
        _ if !good => Err("554 5.6.0 a line is too long or ends in a bare line feed"),
        Ok(text) if text.len() > SIZE_MAX => {
            drop(text);
            Err("552 5.3.4 the mail is too large")
        }
        Ok(text) => Ok(text),
        Err(_) => Err("554 5.6.0 not UTF-8"),
    })
}

/// What a server without TLS answers to lines that are sent one by one.
async fn talk(address: SocketAddr, lines: &[&str]) -> Vec<String> {
    let mut stream = BufStream::new(tokio::net::TcpStream::connect(address).await.unwrap());
    let mut answers = vec![line(&mut stream).await.unwrap()];
    for sent in lines {
        stream.write_all(format!("{sent}\r\n").as_bytes()).await.unwrap();
        stream.flush().await.unwrap();
        loop {
            let answer = line(&mut stream).await.unwrap();
            let more = answer.as_bytes().get(3) == Some(&b'-');
            if !more {
                answers.push(answer[..3].to_owned());
                break;
            }
        }
    }
    answers
}

#[tokio::test]
async fn the_stand_in_keeps_the_rules_of_mail() {
    let server = Server::start(None).await;
    let head = "From: a@test\r\nDate: now\r\nMessage-ID: <1@test>";
    let long = format!("{head}\r\n\r\n{}\r\n.", "x".repeat(999));
    let large = format!("{head}\r\n\r\n{}.", "0123456789\r\n".repeat(10_000));
    let good = format!("{head}\r\n\r\nhello\r\n..dot\r\n.");
    let bare = format!("{head}\r\n\r\none\ntwo\r\n.");
    let double = format!("{head}\r\nSubject: a\r\nSubject: b\r\n\r\nhello\r\n.");
    let eight_bit = format!("{head}\r\nSubject: ă\r\n\r\nhello\r\n.");
    let no_date = "From: a@test\r\nMessage-ID: <1@test>\r\n\r\nhello\r\n.";
    for (text, code) in [
        (&*good, "250"),
        (&*long, "554"),
        (&*large, "552"),
        (&*bare, "554"),
        (&*double, "554"),
        (&*eight_bit, "554"),
        (no_date, "554"),
    ] {
        let lines = ["EHLO me", "MAIL FROM:<a@test>", "RCPT TO:<b@test>", "DATA", text];
        assert_eq!(
            talk(server.address, &lines).await[1..],
            ["250", "250", "250", "354", code],
            "{:.80}",
            text
        );
    }
    let early = [
        "MAIL FROM:<a@test>",
        "EHLO me",
        "DATA",
        "RCPT TO:<b@test>",
        "AUTH PLAIN AHZhaQBodW50ZXIy",
        "NONSENSE",
    ];
    assert_eq!(talk(server.address, &early).await[1..], ["503", "250", "503", "503", "502", "502"]);
    let mails = server.state().mails.clone();
    assert_eq!(mails.len(), 1);
    assert_eq!((&*mails[0].from, &*mails[0].to[0]), ("a@test", "b@test"));
    assert!(mails[0].body().ends_with("hello\r\n.dot\r\n"));
}
