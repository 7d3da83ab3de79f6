//! Rules in a running receiver: what they say reaches their sinks, once, whatever happens to the sink and the process.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, mpsc as std_mpsc};
use std::time::Duration;

use futures_util::future::BoxFuture;
use tempfile::tempdir;
use tokio::sync::mpsc;
use vai_webhooks_receiver::rule::{Rule, RuleConfig};
use vai_webhooks_receiver::sink::{Notice, Sink, SinkError, Stored};
use vai_webhooks_receiver::{Config, Receiver};

use crate::client::accepted;
use crate::request::{Post, key, secret};
use crate::running::serve_plain;

type Answer = Box<dyn FnMut(&Notice) -> Result<(), SinkError> + Send>;

/// Tells each message that it is given, and answers as the test wants.
pub struct Told {
    tell: mpsc::UnboundedSender<Notice>,
    answer: Answer,
}

pub fn told(
    answer: impl FnMut(&Notice) -> Result<(), SinkError> + Send + 'static,
) -> (Told, mpsc::UnboundedReceiver<Notice>) {
    let (tell, told) = mpsc::unbounded_channel();
    (Told { tell, answer: Box::new(answer) }, told)
}

impl Sink for Told {
    fn put<'a>(&'a mut self, _: &'a [Stored]) -> BoxFuture<'a, Result<(), SinkError>> {
        Box::pin(async { Ok(()) })
    }

    fn notify<'a>(&'a mut self, notice: &'a Notice) -> BoxFuture<'a, Result<(), SinkError>> {
        self.tell.send(notice.clone()).ok();
        let answer = (self.answer)(notice);
        Box::pin(async { answer })
    }

    fn check(&mut self) -> BoxFuture<'_, Result<String, SinkError>> {
        Box::pin(async { Ok("there".to_owned()) })
    }
}

fn rule(text: &str) -> Rule {
    toml::from_str::<RuleConfig>(text).unwrap().build().expect(text)
}

pub fn metrics(id: &str, agent: &str, score: f64) -> Post {
    Post::signed(&format!(
        r#"{{"id":"{id}","event":"agent.metrics","timestamp":"2026-08-01T00:00:00.000Z","data":{{"agentId":"{agent}","metrics":{{"satisfactionScore":{score}}}}}}}"#
    ))
}

pub async fn send(address: SocketAddr, request: &Post) {
    accepted(address, request).await;
}

pub async fn open(directory: &Path, text: &str, sink: Told) -> (Receiver, SocketAddr) {
    let builder = Receiver::builder().secret(secret()).key(key());
    let builder = builder.summaries_and_rules([rule(text)]).sink("team", "none", sink);
    let receiver = builder.open(directory).await.unwrap();
    let address = serve_plain(receiver.router()).await;
    (receiver, address)
}

pub const LOW: &str = "use = 'low-satisfaction'\ntarget = 'team'";
pub const DEADLINE: Duration = Duration::from_secs(300);

#[tokio::test]
async fn the_seeds_alert_is_sent_once_and_again_only_after_it_was_over() {
    let directory = tempdir().unwrap();
    let (sink, mut told) = told(|_| Ok(()));
    let (receiver, address) = open(directory.path(), &format!("{LOW}\ncooldown_s = 0"), sink).await;
    for (id, agent, score) in [
        ("a", "one", 0.7),
        ("a", "one", 0.7),
        ("b", "one", 0.6),
        ("c", "two", 0.8),
        ("d", "two", 0.79),
        ("e", "one", 0.9),
        ("f", "one", 0.5),
    ] {
        send(address, &metrics(id, agent, score)).await;
    }
    let mut texts = Vec::new();
    for _ in 0..3 {
        texts.push(told.recv().await.unwrap().text);
    }
    assert_eq!(
        texts,
        [
            "The satisfaction score of one is 0.7.",
            "The satisfaction score of two is 0.79.",
            "The satisfaction score of one is 0.5."
        ]
    );
    assert!(receiver.close(DEADLINE).await);
    assert!(told.recv().await.is_none(), "and no other");
}

#[tokio::test]
async fn a_message_waits_while_its_sink_is_down_and_keeps_its_id() {
    let directory = tempdir().unwrap();
    let mut tries = 0;
    let (sink, mut told) = told(move |_| {
        tries += 1;
        if tries < 3 { Err(SinkError::again("away")) } else { Ok(()) }
    });
    let (receiver, address) = open(directory.path(), LOW, sink).await;
    send(address, &metrics("a", "one", 0.7)).await;
    let first = told.recv().await.unwrap();
    assert_eq!(told.recv().await.unwrap(), first);
    assert_eq!(told.recv().await.unwrap(), first);
    assert!(receiver.close(DEADLINE).await);
    assert!(told.recv().await.is_none());
    assert_eq!(waiting(directory.path()), 0);
}

/// How many messages wait.
fn waiting(directory: &Path) -> i64 {
    let file = rusqlite::Connection::open(directory.join("derived.db")).unwrap();
    file.query_row("SELECT count(*) FROM outbox", [], |row| row.get(0)).unwrap()
}

#[tokio::test]
async fn a_message_that_a_sink_refuses_holds_up_no_other() {
    let directory = tempdir().unwrap();
    let refuse = |notice: &Notice| match notice.text.contains("one") {
        true => Err(SinkError::Refused { at: 0, detail: "no such channel".to_owned() }),
        false => Ok(()),
    };
    let (sink, mut told) = told(refuse);
    let (receiver, address) = open(directory.path(), LOW, sink).await;
    send(address, &metrics("a", "one", 0.7)).await;
    send(address, &metrics("b", "two", 0.7)).await;
    assert!(told.recv().await.unwrap().text.contains("one"));
    assert!(told.recv().await.unwrap().text.contains("two"));
    assert!(receiver.close(DEADLINE).await);
    assert_eq!(waiting(directory.path()), 0);
}

#[tokio::test]
async fn what_a_rule_remembers_and_where_it_is_outlive_a_restart() {
    let directory = tempdir().unwrap();
    // Stored before there was a rule: it says nothing of that.
    let receiver =
        Receiver::builder().secret(secret()).summaries_and_rules([]).open(directory.path()).await.unwrap();
    send(serve_plain(receiver.router()).await, &metrics("0", "zero", 0.1)).await;
    assert!(receiver.close(DEADLINE).await);
    let mut texts = Vec::new();
    for (id, agent, score) in [("a", "one", 0.7), ("b", "one", 0.6), ("c", "two", 0.5)] {
        let (sink, mut told) = told(|_| Ok(()));
        let (receiver, address) = open(directory.path(), LOW, sink).await;
        send(address, &metrics(id, agent, score)).await;
        if id != "b" {
            texts.push(told.recv().await.unwrap().text);
        }
        assert!(receiver.close(DEADLINE).await);
        while let Some(notice) = told.recv().await {
            texts.push(notice.text);
        }
    }
    assert_eq!(texts, ["The satisfaction score of one is 0.7.", "The satisfaction score of two is 0.5."]);
}

#[tokio::test]
async fn an_agent_that_falls_silent_is_missed_by_the_clock() {
    let directory = tempdir().unwrap();
    let (sink, mut told) = told(|_| Ok(()));
    let rule = "use = 'silent-agent'\nsilence_s = 1\nmessage = 'Nothing of {group}.'\ntarget = 'team'";
    let (receiver, address) = open(directory.path(), rule, sink).await;
    send(address, &Post::signed(&crate::request::body("evt_1", "message.sent"))).await;
    assert_eq!(told.recv().await.unwrap().text, "Nothing of a1.");
    send(address, &Post::signed(&crate::request::body("evt_2", "message.sent"))).await;
    assert_eq!(told.recv().await.unwrap().text, "a1 is heard again.");
    assert!(receiver.close(DEADLINE).await);
}

#[test]
fn a_rule_without_a_sink_for_its_messages_is_refused() {
    let sinks =
        "[[sink]]\nname = 'file'\nkind = 'jsonl'\npath = 'x'\n[[sink]]\nname = 'team'\nkind = 'slack'\n";
    let good = "[[rule]]\nuse = 'follow-up'\ntarget = 'team'\n";
    for (rules, says) in [
        ("[[rule]]\nuse = 'follow-up'", "target"),
        ("[[rule]]\nuse = 'follow-up'\ntarget = 'nobody'", "no sink is named \"nobody\""),
        (
            "[[rule]]\nuse = 'follow-up'\ntarget = ['team', 'file']",
            "\"jsonl\" takes no messages: email, slack",
        ),
        (&format!("{good}{good}"), "twice"),
        (&format!("{good}when = 'x'"), "data.<name>"),
    ] {
        let error = Config::parse(&format!("{sinks}{rules}")).expect_err(rules).to_string();
        assert!(error.contains("follow-up") && error.contains(says), "{rules}: {error}");
    }
    let config = Config::parse(&format!("{sinks}{good}")).unwrap();
    assert_eq!(config.rules[0].name(), "follow-up");
}

const CHILD_DATA: &str = "VAI_TEST_CHILD_DATA";
const CHILD_TELLS: &str = "VAI_TEST_CHILD_TELLS";

/// Tells each message over TCP, and counts it as taken when the other side says so.
struct Remote(String);

impl Sink for Remote {
    fn put<'a>(&'a mut self, _: &'a [Stored]) -> BoxFuture<'a, Result<(), SinkError>> {
        Box::pin(async { Ok(()) })
    }

    fn notify<'a>(&'a mut self, notice: &'a Notice) -> BoxFuture<'a, Result<(), SinkError>> {
        Box::pin(async {
            let line = format!("{} {}\n", notice.id, notice.text);
            let tell = || -> std::io::Result<String> {
                let mut stream = TcpStream::connect(&self.0)?;
                stream.write_all(line.as_bytes())?;
                let mut answer = String::new();
                BufReader::new(stream).read_line(&mut answer)?;
                Ok(answer)
            };
            match tokio::task::block_in_place(tell) {
                Ok(answer) if answer == "ok\n" => Ok(()),
                Ok(_) => Err(SinkError::Again { detail: "not taken".to_owned(), after: None }),
                Err(error) => Err(SinkError::again(error)),
            }
        })
    }

    fn check(&mut self) -> BoxFuture<'_, Result<String, SinkError>> {
        Box::pin(async { Ok("there".to_owned()) })
    }
}

/// The receiver that the next test kills: runs in a process of its own and does nothing in the tests' own.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_receiver_to_be_killed() {
    let Ok(directory) = std::env::var(CHILD_DATA) else { return };
    let each =
        rule("name = 'each'\nevents = ['*']\nwhen = 'event is present'\nmessage = '{id}'\ntarget = 'team'");
    let sink = Remote(std::env::var(CHILD_TELLS).unwrap());
    let builder = Receiver::builder().secret(secret()).summaries_and_rules([each]).sink("team", "none", sink);
    let receiver = builder.open(&directory).await.unwrap();
    println!("\nlistens {}", serve_plain(receiver.router()).await);
    // Whoever started it holds this open.
    tokio::task::spawn_blocking(|| std::io::stdin().read_line(&mut String::new())).await.unwrap().unwrap();
    std::process::exit(0);
}

fn start_child(directory: &Path, tells: &str) -> (Child, SocketAddr) {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "rules::a_receiver_to_be_killed", "--nocapture"])
        .env(CHILD_DATA, directory)
        .env(CHILD_TELLS, tells)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let mut lines = lines.map(|line| line.expect("the child runs"));
    let address = lines.find_map(|line| line.strip_prefix("listens ").map(str::to_owned)).unwrap();
    (child, address.parse().unwrap())
}

/// Takes messages while `up`; each is told to the test, with whether it was taken.
fn listen(up: Arc<AtomicBool>) -> (String, std_mpsc::Receiver<(String, String)>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let (tell, told) = std_mpsc::channel();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let Ok(mut stream) = stream else { return };
            let mut line = String::new();
            let read = BufReader::new(stream.try_clone().unwrap()).read_line(&mut line);
            if !up.load(Ordering::SeqCst) || read.is_err() || !line.ends_with('\n') {
                continue;
            }
            let (id, text) = line.trim_end().split_once(' ').unwrap();
            let gone = tell.send((id.to_owned(), text.to_owned())).is_err();
            // The other side may have been killed.
            stream.write_all(b"ok\n").ok();
            if gone {
                return;
            }
        }
    });
    (address, told)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn kill_9_loses_no_message_and_a_second_one_has_the_same_id() {
    const ROUNDS: usize = 4;
    const EACH: usize = 40;
    let directory = tempdir().unwrap();
    let up = Arc::new(AtomicBool::new(true));
    let (tells, told) = listen(up.clone());
    let mut ids: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    let take = |ids: &mut BTreeMap<String, BTreeSet<String>>, until: usize| {
        while ids.len() < until {
            let (id, text) = told.recv_timeout(DEADLINE).expect("every message comes");
            ids.entry(text).or_default().insert(id);
        }
    };
    for round in 0..ROUNDS {
        let (mut child, address) = start_child(directory.path(), &tells);
        // In one round of two the sink is down, and the messages wait over the kill.
        up.store(round % 2 == 0, Ordering::SeqCst);
        for number in 0..EACH {
            let id = format!("evt_{round}_{number}");
            send(address, &Post::signed(&crate::request::body(&id, "message.sent"))).await;
            if round % 2 == 0 && number == EACH / 2 {
                take(&mut ids, round * EACH + EACH / 4);
            }
        }
        child.kill().unwrap();
        child.wait().unwrap();
    }
    up.store(true, Ordering::SeqCst);
    let (mut child, _) = start_child(directory.path(), &tells);
    take(&mut ids, ROUNDS * EACH);
    child.kill().unwrap();
    child.wait().unwrap();
    let doubled: Vec<_> = ids.iter().filter(|(_, ids)| ids.len() != 1).collect();
    assert!(doubled.is_empty(), "{doubled:?}");
    let all: BTreeSet<&String> = ids.values().flatten().collect();
    assert_eq!(all.len(), ROUNDS * EACH, "no two messages have one id");
}
