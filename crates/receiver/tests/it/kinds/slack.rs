//! What the kind `slack` promises, against Slack's rules.

use std::time::Duration;

use axum::http::StatusCode;
use serde_json::Value;
use tokio::net::TcpListener;
use vai_webhooks_receiver::sink::{Notice, Sink, SinkError};

use super::{again, refused, sink, stored, texts, try_open};
use crate::vendor::Vendor;
use crate::vendor::slack::{PATH, Slack, router, start};

fn slack(vendor: &Vendor<Slack>, message: &str) -> Box<dyn Sink> {
    sink("slack", &format!("url = \"http://{}{PATH}\"\n{message}", vendor.address))
}

fn text_of(message: &Value) -> Vec<String> {
    let text = |block: &Value| block["text"]["text"].as_str().unwrap().to_owned();
    message["blocks"].as_array().unwrap().iter().map(text).collect()
}

#[tokio::test]
async fn events_that_wait_become_one_message_with_what_a_person_can_read() {
    let vendor = start().await;
    let batch = [
        stored(1, "conversation.ended", r#"{"sessionId":"s-1","satisfaction":0.25,"resolved":false}"#),
        stored(2, "order.made", r#"{"items":[]}"#),
    ];
    slack(&vendor, "").put(&batch).await.unwrap();
    let posted = vendor.state().posted.clone();
    assert_eq!(posted.len(), 1);
    assert_eq!(posted[0]["text"], "2 events: conversation.ended, order.made");
    let ended = "*conversation.ended*\nsessionId: s-1\nsatisfaction: 0.25\nresolved: false";
    assert_eq!(text_of(&posted[0]), [ended, "*order.made*\n"]);
}

#[tokio::test]
async fn what_a_user_said_mentions_nobody_and_links_nowhere() {
    let vendor = start().await;
    let mut sink = slack(&vendor, r#"message = "*New*: {data.text} from {data.user.name|somebody}""#);
    sink.put(&texts(&["<!channel> & <https://evil.example|click>\n*New*: forged"])).await.unwrap();
    let posted = vendor.state().posted.clone();
    let shown =
        "*New*: &lt;!channel&gt; &amp; &lt;https://evil.example|click&gt; *New*: forged from somebody";
    assert_eq!(text_of(&posted[0]), [shown]);
    assert_eq!(posted[0]["blocks"][0]["text"]["verbatim"], true);
}

#[tokio::test]
async fn texts_of_any_length_fit_slacks_limits() {
    let vendor = start().await;
    let long = "<".repeat(100_000);
    let batch = texts(&[long.as_str(); 10]);
    for message in ["", r#"message = "{data.text}""#, r#"message = "{data.none|}""#] {
        let mut sink = slack(&vendor, message);
        assert_eq!(sink.batch_max(), 10);
        sink.put(&batch).await.unwrap();
        sink.put(&batch[..1]).await.unwrap();
    }
    assert_eq!(vendor.state().posted.len(), 6);
}

#[tokio::test]
async fn a_busy_slack_is_left_alone_for_as_long_as_it_asks() {
    let vendor = start().await;
    vendor.state().mood.busy = vec!["30"];
    let mut sink = slack(&vendor, "");
    let batch = texts(&["a"]);
    match sink.put(&batch).await {
        Err(SinkError::Again { after, .. }) => assert_eq!(after, Some(Duration::from_secs(30))),
        other => panic!("{other:?}"),
    }
    sink.put(&batch).await.unwrap();
    assert_eq!(vendor.state().posted.len(), 1);
}

#[tokio::test]
async fn a_slack_that_is_down_or_not_set_up_loses_no_event() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let mut sink = sink("slack", &format!("url = \"http://{address}{PATH}\""));
    let batch = texts(&["a"]);
    let detail = again(sink.put(&batch).await);
    assert!(detail.contains("cannot connect") && !detail.contains("hunter2"), "{detail}");
    let vendor = Vendor::serve_on(TcpListener::bind(address).await.unwrap(), Slack::default(), router);
    vendor.state().mood.down = Some(StatusCode::BAD_GATEWAY);
    again(sink.put(&batch).await);
    vendor.state().mood.down = None;
    vendor.state().archived = true;
    let detail = again(sink.put(&batch).await);
    assert!(detail.contains("channel_is_archived") && !detail.contains("hunter2"), "{detail}");
    vendor.state().archived = false;
    sink.put(&batch).await.unwrap();
    assert_eq!(vendor.state().posted.len(), 1);
    let mut other = super::sink("slack", &format!("url = \"http://{address}/services/T0/B0/x\""));
    assert!(again(other.put(&batch).await).contains("no_service"));
}

#[tokio::test]
async fn an_event_that_slack_will_not_have_is_refused_alone() {
    let vendor = start().await;
    vendor.state().mood.poison = Some("poison");
    let mut sink = slack(&vendor, "");
    let batch = texts(&["a", "b", "poison", "c"]);
    assert_eq!(refused(sink.put(&batch).await), 2);
    let posted: Vec<String> = vendor.state().posted.iter().flat_map(text_of).collect();
    assert_eq!(posted, ["*a.b*\ntext: a", "*a.b*\ntext: b"]);
    sink.put(&batch[3..]).await.unwrap();
}

#[tokio::test]
async fn a_notice_is_a_message_of_its_own() {
    let vendor = start().await;
    let notice = Notice {
        id: "n-1".to_owned(),
        title: format!("Low satisfaction <{}>", "x".repeat(300)),
        text: "agent <!here>\nscore: 0.4".to_owned(),
    };
    let mut sink = slack(&vendor, "");
    sink.notify(&notice).await.unwrap();
    sink.notify(&Notice { title: String::new(), text: "only a text".to_owned(), ..notice }).await.unwrap();
    let posted = vendor.state().posted.clone();
    let [title, text] = &text_of(&posted[0])[..] else { panic!("{posted:?}") };
    assert!(title.starts_with("Low satisfaction <xxx") && title.chars().count() == 150);
    assert_eq!(text, "agent &lt;!here&gt;\nscore: 0.4");
    assert_eq!(text_of(&posted[1]), ["only a text"]);
}

#[tokio::test]
async fn the_check_tells_a_known_webhook_from_an_unknown_one_and_posts_nothing() {
    let vendor = start().await;
    let found = slack(&vendor, "").check().await.unwrap();
    assert!(found.contains("knows the webhook") && !found.contains("hunter2"), "{found}");
    let mut other = sink("slack", &format!("url = \"http://{}/services/T0/B0/x\"", vendor.address));
    assert!(again(other.check().await.map(drop)).contains("no_service"));
    assert!(vendor.state().posted.is_empty());
}

#[test]
fn settings_that_cannot_work_are_refused_without_showing_the_secret() {
    for (members, told) in [
        ("", "url"),
        ("url = \"hooks.slack.com/hunter2\"", "url"),
        ("url = \"https://hooks.slack.com/hunter2\"\nmesage = \"x\"", "mesage"),
        ("url = \"https://hooks.slack.com/hunter2\"\nmessage = \"{dta.x}\"", "{dta.x}"),
    ] {
        let error = try_open("slack", members).err().unwrap();
        assert!(error.contains(told) && !error.contains("hunter2"), "{members}: {error}");
    }
}
