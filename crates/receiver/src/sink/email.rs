//! The kind `email`: a mail for each event, or one for all that wait, over SMTP.
//!
//! Invariants: what an event holds gets into no header but the subject, and there on one line; with `html`, its values
//! are escaped; a mail that is sent again has the same `Message-ID`, by which mail systems know it; TLS verifies the
//! server's certificate, and is on unless it is turned off. At least once: SMTP itself has no key for repeated mails.
//! Only a server's word on a mail's size or content (RFC 3463: 5.3.4, 5.6.x) is about the event; all else (a login, a
//! recipient, a full mailbox) is the configuration's or the moment's. Read `message.rs` for the texts.

use std::future::ready;
use std::path::PathBuf;
use std::time::Duration;

use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use lettre::message::header::{Header, HeaderName, HeaderValue};
use lettre::message::{Mailbox, MultiPart};
use lettre::transport::smtp::authentication::Credentials;
use lettre::transport::smtp::client::{Certificate, CertificateStore, Tls, TlsParameters};
use lettre::{AsyncSmtpTransport, AsyncTransport, Message, Tokio1Executor};
use serde::Deserialize;
use sha2::{Digest, Sha256};

use super::escape::{Escape, Limited};
use super::fields::Fields;
use super::hidden::Hidden;
use super::template::Template;
use super::whole::{self, Whole};
use super::{Notice, Settings, SettingsError, Sink, SinkError, Stored, message};

/// The most events in one mail.
const DIGEST_EVENTS_MAX: usize = 100;
/// The longest subject, and the longest text of an event or a notice, in characters.
const SUBJECT_CHARS_MAX: usize = 200;
const TEXT_CHARS_MAX: usize = 20_000;
/// The most recipients.
const TO_MAX: usize = 50;
/// How long each step of an exchange may take.
const STEP_TIMEOUT: Duration = Duration::from_secs(30);

/// How the connection is kept secret.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Security {
    /// TLS from the first byte.
    Tls,
    /// TLS after a first exchange, and never without.
    Starttls,
    /// No TLS: for a relay on this machine.
    None,
}

impl Security {
    /// Source: RFC 8314 (465, 587) and RFC 5321 (25).
    fn port(self) -> u16 {
        match self {
            Self::Tls => 465,
            Self::Starttls => 587,
            Self::None => 25,
        }
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Members {
    /// The SMTP server.
    host: String,
    port: Option<u16>,
    #[serde(default = "starttls")]
    security: Security,
    user: Option<String>,
    password: Option<Hidden>,
    /// Certificates (PEM) of authorities that are trusted beside the public ones.
    ca_file: Option<PathBuf>,
    /// `Name <name@example.com>`
    from: String,
    to: Vec<String>,
    /// Whether events that wait become one mail, of up to 100.
    #[serde(default)]
    digest: bool,
    /// Templates: of one line, of plain text, and of HTML for those who read it.
    subject: Option<String>,
    message: Option<String>,
    html: Option<String>,
}

fn starttls() -> Security {
    Security::Starttls
}

/// Makes the sink.
pub(super) fn open(settings: Settings) -> Result<Box<dyn Sink>, SettingsError> {
    let name = settings.name().to_owned();
    let members: Members = settings.read()?;
    let bad = |what: &str| SettingsError(what.to_owned());
    if members.digest && members.subject.is_some() {
        return Err(bad("subject is for one event: leave it out, or leave digest out"));
    }
    let address = |text: &String| {
        text.parse::<Mailbox>()
            .map_err(|_| SettingsError(format!("{text:?} is no address, as Name <name@example.com>")))
    };
    let to = members.to.iter().map(address).collect::<Result<Vec<_>, _>>()?;
    if to.is_empty() || to.len() > TO_MAX {
        return Err(SettingsError(format!("to must have 1 to {TO_MAX} addresses")));
    }
    if members.user.is_some() != members.password.is_some() {
        return Err(bad("user and password belong together"));
    }
    if members.user.is_some() && members.security == Security::None {
        return Err(bad("a password is not sent without TLS: set security to \"tls\" or \"starttls\""));
    }
    Ok(Box::new(Email {
        name,
        from: address(&members.from)?,
        to,
        digest: members.digest,
        subject: message::template("subject", members.subject.as_deref())?,
        text: message::template("message", members.message.as_deref())?,
        html: message::template("html", members.html.as_deref())?,
        server: format!("{}:{}", members.host, members.port.unwrap_or_else(|| members.security.port())),
        transport: transport(&members)?,
    }))
}

fn transport(members: &Members) -> Result<AsyncSmtpTransport<Tokio1Executor>, SettingsError> {
    let failed =
        |error: lettre::transport::smtp::Error| SettingsError(format!("no TLS can be set up: {error}"));
    let parameters = || {
        let mut builder =
            TlsParameters::builder(members.host.clone()).certificate_store(CertificateStore::WebpkiRoots);
        if let Some(path) = &members.ca_file {
            let pem = std::fs::read(path)
                .map_err(|error| SettingsError(format!("ca_file {}: {error}", path.display())))?;
            builder = builder.add_root_certificate(Certificate::from_pem(&pem).map_err(failed)?);
        }
        builder.build_rustls().map_err(failed)
    };
    let tls = match members.security {
        Security::Tls => Tls::Wrapper(parameters()?),
        Security::Starttls => Tls::Required(parameters()?),
        Security::None => Tls::None,
    };
    let mut builder = AsyncSmtpTransport::<Tokio1Executor>::builder_dangerous(&members.host)
        .port(members.port.unwrap_or_else(|| members.security.port()))
        .timeout(Some(STEP_TIMEOUT))
        .tls(tls);
    if let (Some(user), Some(password)) = (&members.user, &members.password) {
        builder = builder.credentials(Credentials::new(user.clone(), password.reveal().to_owned()));
    }
    Ok(builder.build())
}

struct Email {
    name: String,
    from: Mailbox,
    to: Vec<Mailbox>,
    digest: bool,
    subject: Option<Template>,
    text: Option<Template>,
    html: Option<Template>,
    /// For what people read.
    server: String,
    transport: AsyncSmtpTransport<Tokio1Executor>,
}

/// A mail that no out-of-office note should answer. Source: RFC 3834.
#[derive(Clone)]
struct AutoSubmitted;

impl Header for AutoSubmitted {
    fn name() -> HeaderName {
        HeaderName::new_from_ascii_str("Auto-Submitted")
    }

    fn parse(_: &str) -> Result<Self, Box<dyn std::error::Error + Send + Sync>> {
        Ok(Self)
    }

    fn display(&self) -> HeaderValue {
        HeaderValue::new(Self::name(), "auto-generated".to_owned())
    }
}

/// What goes into a mail.
struct Content {
    /// What makes it this mail and no other.
    key: String,
    subject: String,
    text: String,
    html: Option<String>,
}

impl Email {
    fn of_events(&self, batch: &[Stored], all: &[Fields<'_>]) -> Content {
        let line = |text: &str| {
            let mut out = Limited::new(SUBJECT_CHARS_MAX);
            out.push(text, Escape::Line);
            out.finish()
        };
        let subject = match (&self.subject, all) {
            (Some(template), [fields]) => {
                line(&message::text(Some(template), fields, Escape::Line, SUBJECT_CHARS_MAX))
            }
            _ => line(&message::title(batch)),
        };
        let each = |template: Option<&Template>, escape| {
            let text = |(fields, stored): (&Fields<'_>, &Stored)| {
                let text = message::text(template, fields, escape, TEXT_CHARS_MAX);
                let shown = template.is_some() || all.len() == 1;
                if shown { text } else { format!("{}\n{text}", stored.event.event_type) }
            };
            all.iter().zip(batch).map(text).collect::<Vec<String>>()
        };
        Content {
            key: batch.iter().map(|stored| format!("{}\n", stored.event.id)).collect(),
            subject,
            text: each(self.text.as_ref(), Escape::Line).join("\n\n"),
            html: self.html.as_ref().map(|template| each(Some(template), Escape::Html).join("\n<hr>\n")),
        }
    }

    fn mail(&self, content: Content) -> Result<Message, String> {
        let digest = Sha256::digest(format!("{}\n{}", self.name, content.key));
        let id: String = digest.iter().take(16).map(|byte| format!("{byte:02x}")).collect();
        let mut builder = Message::builder()
            .from(self.from.clone())
            .subject(content.subject)
            .message_id(Some(format!("<{id}@{}>", self.from.email.domain())))
            .date_now()
            .header(AutoSubmitted);
        for to in &self.to {
            builder = builder.to(to.clone());
        }
        let mail = match content.html {
            Some(html) => builder.multipart(MultiPart::alternative_plain_html(content.text, html)),
            None => builder.header(lettre::message::header::ContentType::TEXT_PLAIN).body(content.text),
        };
        mail.map_err(|error| format!("no mail can be made of it: {error}"))
    }

    async fn send(&self, content: Content) -> Result<(), SinkError> {
        let mail = self.mail(content).map_err(|detail| SinkError::Refused { at: 0, detail })?;
        match self.transport.send(mail).await {
            Ok(_) => Ok(()),
            Err(error) => {
                let detail = self.shown(&error);
                Err(if of_the_mail(&error) {
                    SinkError::Refused { at: 0, detail }
                } else {
                    SinkError::again(detail)
                })
            }
        }
    }

    fn shown(&self, error: &lettre::transport::smtp::Error) -> String {
        let shown: String = format!("{}: {error}", self.server);
        shown.chars().map(|char| if char.is_control() { ' ' } else { char }).collect()
    }
}

/// Whether the server's word is about this mail's size or content.
fn of_the_mail(error: &lettre::transport::smtp::Error) -> bool {
    let code = error.status().map(|code| code.to_string());
    let said = error.to_string();
    error.is_permanent()
        && (code.as_deref() == Some("552") || said.contains("5.3.4") || said.contains("5.6."))
}

impl Whole for Email {
    fn put_whole<'a>(&'a mut self, batch: &'a [Stored]) -> BoxFuture<'a, Result<(), SinkError>> {
        let all = match message::read(batch) {
            Ok(all) => all,
            Err(refused) => return ready(Err(refused)).boxed(),
        };
        let content = self.of_events(batch, &all);
        async move { self.send(content).await }.boxed()
    }
}

impl Sink for Email {
    fn put<'a>(&'a mut self, batch: &'a [Stored]) -> BoxFuture<'a, Result<(), SinkError>> {
        whole::put(self, batch).boxed()
    }

    fn notify<'a>(&'a mut self, notice: &'a Notice) -> BoxFuture<'a, Result<(), SinkError>> {
        let mut subject = Limited::new(SUBJECT_CHARS_MAX);
        subject.push(&notice.title, Escape::Line);
        let mut text = Limited::new(TEXT_CHARS_MAX);
        text.push(&notice.text, Escape::None);
        let content =
            Content { key: notice.id.clone(), subject: subject.finish(), text: text.finish(), html: None };
        async move { self.send(content).await }.boxed()
    }

    /// Connects, agrees on TLS and logs in; no mail is begun.
    fn check(&mut self) -> BoxFuture<'_, Result<String, SinkError>> {
        async {
            match self.transport.test_connection().await {
                Ok(true) => Ok(format!("{} takes mail", self.server)),
                Ok(false) => Err(SinkError::again(format!("{} is there but not ready", self.server))),
                Err(error) => Err(SinkError::again(self.shown(&error))),
            }
        }
        .boxed()
    }

    fn batch_max(&self) -> usize {
        if self.digest { DIGEST_EVENTS_MAX } else { 1 }
    }
}
