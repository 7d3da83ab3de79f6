//! What the kind `email` promises, against the rules of mail.

use vai_webhooks_receiver::sink::{Notice, Sink};

use super::{again, refused, sink, stored, texts, try_open};
use crate::vendor::smtp::{Mail, Server};

const PEOPLE: &str = "from = \"VAI <vai@sender.test>\"\nto = [\"Ops <ops@test>\", \"two@test\"]";

fn email(server: &Server, members: &str) -> Box<dyn Sink> {
    let address = server.address;
    let members =
        format!("host = \"127.0.0.1\"\nport = {}\nsecurity = \"none\"\n{PEOPLE}\n{members}", address.port());
    sink("email", &members)
}

fn mails(server: &Server) -> Vec<Mail> {
    server.state().mails.clone()
}

#[tokio::test]
async fn each_event_is_a_mail_of_its_own() {
    let server = Server::start(None).await;
    let mut sink = email(&server, "");
    assert_eq!(sink.batch_max(), 1);
    assert!(sink.check().await.unwrap().contains("takes mail"));
    sink.put(&[stored(1, "conversation.ended", r#"{"sessionId":"s-1","summary":"Bună ziua"}"#)])
        .await
        .unwrap();
    let [mail] = &mails(&server)[..] else { panic!() };
    assert_eq!(
        (&*mail.from, &mail.to[..]),
        ("vai@sender.test", &["ops@test".to_owned(), "two@test".to_owned()][..])
    );
    assert_eq!(mail.header("Subject").unwrap(), "conversation.ended");
    assert_eq!(mail.header("Auto-Submitted").unwrap(), "auto-generated");
    assert_eq!(mail.body().replace("\r\n", "\n").trim_end(), "sessionId: s-1\nsummary: Bună ziua");
}

#[tokio::test]
async fn what_a_user_said_adds_no_header_and_no_html() {
    let server = Server::start(None).await;
    let mut sink = email(
        &server,
        "subject = \"New: {data.text}\"\nmessage = \"{data.text}\"\nhtml = \"<p>{data.text}</p>\"",
    );
    let attack = "hi\r\nBcc: victim@test\r\n\r\n<script>alert(1)</script>\r\n.\r\nQUIT";
    sink.put(&texts(&[attack])).await.unwrap();
    let [mail] = &mails(&server)[..] else { panic!() };
    assert_eq!(mail.to.len(), 2);
    assert_eq!(mail.header("Bcc"), None);
    assert!(
        mail.header("Subject").unwrap().starts_with("New: hi  Bcc: victim@test"),
        "{:?}",
        mail.header("Subject")
    );
    assert!(mail.text.contains("multipart/alternative"));
    let (_, html) = mail.text.split_once("text/html").unwrap();
    assert!(!html.contains("<script>") && html.contains("&lt;script&gt;"), "{html}");
}

#[tokio::test]
async fn a_digest_is_one_mail_for_all_that_wait() {
    let server = Server::start(None).await;
    let mut sink = email(&server, "digest = true");
    assert_eq!(sink.batch_max(), 100);
    sink.put(&texts(&["one", "two"])).await.unwrap();
    let [mail] = &mails(&server)[..] else { panic!() };
    assert_eq!(mail.header("Subject").unwrap(), "2 events: a.b (2)");
    assert_eq!(mail.body().replace("\r\n", "\n").trim_end(), "a.b\ntext: one\n\na.b\ntext: two");
}

#[tokio::test]
async fn a_mail_that_is_sent_again_has_the_same_id() {
    let server = Server::start(None).await;
    let mut sink = email(&server, "");
    let batch = texts(&["one"]);
    server.state().busy = 1;
    assert!(again(sink.put(&batch).await).contains("try again later"));
    sink.put(&batch).await.unwrap();
    sink.put(&batch).await.unwrap();
    sink.put(&[stored(2, "a.b", "{}")]).await.unwrap();
    let ids: Vec<String> = mails(&server).iter().map(|mail| mail.header("Message-ID").unwrap()).collect();
    assert!(ids[0] == ids[1] && ids[1] != ids[2] && ids[0].ends_with("@sender.test>"), "{ids:?}");
}

#[tokio::test]
async fn a_server_that_is_not_there_or_wants_no_such_mailbox_loses_no_event() {
    let server = Server::start(None).await;
    let mut sink = email(&server, "");
    let batch = texts(&["one"]);
    server.state().gone = Some("two@test");
    assert!(again(sink.put(&batch).await).contains("no such mailbox"));
    server.state().gone = None;
    sink.put(&batch).await.unwrap();
    assert_eq!(mails(&server).len(), 1);
    let port = server.address.port();
    drop(server);
    let gone = format!("host = \"127.0.0.1\"\nport = {port}\nsecurity = \"none\"\n{PEOPLE}");
    // The listener ends with its task, which was only told to end.
    while super::sink("email", &gone).put(&batch).await.is_ok() {
        tokio::task::yield_now().await;
    }
    again(super::sink("email", &gone).put(&batch).await);
}

#[tokio::test]
async fn an_event_that_the_server_will_not_have_is_refused_alone() {
    let server = Server::start(None).await;
    server.state().poison = Some("poison");
    let mut sink = email(&server, "digest = true");
    assert_eq!(refused(sink.put(&texts(&["a", "poison", "b"])).await), 1);
    let [mail] = &mails(&server)[..] else { panic!() };
    assert!(mail.body().contains("text: a"));
    // 100 long texts are more than this server takes in one mail, and no reason to lose one.
    let long = "ă".repeat(300);
    let many: Vec<&str> = std::iter::repeat_n(&*long, 100).collect();
    server.state().mails.clear();
    sink.put(&texts(&many)).await.unwrap();
    assert!(!mails(&server).is_empty());
}

#[tokio::test]
async fn a_notice_is_a_mail() {
    let server = Server::start(None).await;
    let notice =
        Notice { id: "n-1".to_owned(), title: "Low\r\nBcc: x@test".to_owned(), text: "a\nb".to_owned() };
    email(&server, "").notify(&notice).await.unwrap();
    let [mail] = &mails(&server)[..] else { panic!() };
    assert_eq!(mail.header("Subject").unwrap(), "Low  Bcc: x@test");
    assert_eq!(mail.body().replace("\r\n", "\n").trim_end(), "a\nb");
}

#[tokio::test]
async fn a_password_goes_over_tls_alone_and_to_the_server_that_is_meant() {
    let (acceptor, pem) = super::tls::localhost();
    let server = Server::start(Some(acceptor)).await;
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), pem).unwrap();
    let members = |password: &str, ca: &str| {
        let port = server.address.port();
        format!(
            "host = \"localhost\"\nport = {port}\nuser = \"vai\"\npassword = \"{password}\"\n{PEOPLE}\n{ca}"
        )
    };
    let ca = format!("ca_file = {:?}", file.path());
    let batch = texts(&["one"]);
    again(sink("email", &members("hunter2", "")).put(&batch).await);
    let detail = again(sink("email", &members("wrong", &ca)).put(&batch).await);
    assert!(detail.contains("535") && !detail.contains("wrong"), "{detail}");
    again(sink("email", &members("wrong", &ca)).check().await.map(drop));
    let mut known = sink("email", &members("hunter2", &ca));
    known.check().await.unwrap();
    known.put(&batch).await.unwrap();
    let [mail] = &mails(&server)[..] else { panic!() };
    assert!(mail.over_tls);
}

#[test]
fn settings_that_cannot_work_are_refused_without_showing_the_secret() {
    let base = format!("host = \"mail.test\"\n{PEOPLE}");
    for (members, told) in [
        (format!("{base}\nuser = \"vai\"\npassword = \"hunter2\"\nsecurity = \"none\""), "without TLS"),
        (format!("{base}\npassword = \"hunter2\""), "belong together"),
        (format!("{base}\ndigest = true\nsubject = \"a\""), "subject"),
        (format!("{base}\nhtml = \"{{text}}\""), "html"),
        (base.replace("\"two@test\"", "\"two\\r\\nBcc: x@test\""), "is no address"),
        ("host = \"a\"\nfrom = \"a@test\"\nto = []".to_owned(), "to must have"),
    ] {
        let error = try_open("email", &members).err().unwrap();
        assert!(error.contains(told) && !error.contains("hunter2"), "{members}: {error}");
    }
}
